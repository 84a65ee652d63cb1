"""A review as one self-contained HTML page: verdict, plot, table, and the formulas that were computed."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from experiments.chart import Bar, forest
from experiments.formulas import formula_of
from experiments.inference import EffectEstimate, Interval, Verdict, adjusted, difference, ratio
from experiments.metrics import Mean
from experiments.review import Review, as_json
from experiments.srm import check_ratio
from features import figures
from features.clock import DAY

#: Every page looks so.
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --soft: #5b6676; --line: #d7dde5; --panel: #f5f7fa;
  --better: #0b7a4b; --worse: #b3261e; --insufficient: #5b6676; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --paper: #12161c; --soft: #9aa5b4; --line: #2c3541;
  --panel: #1a2029; --better: #4cc38a; --worse: #ff8a80; --insufficient: #9aa5b4; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 52rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; } .soft { color: var(--soft); }
.verdict { border-left: .4rem solid var(--tone); background: var(--panel); padding: .8rem 1.2rem; margin: 1.2rem 0; }
.verdict strong { color: var(--tone); font-size: 1.4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
.wide { overflow-x: auto; } svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 14px system-ui; }
dt { font-weight: 600; margin-top: 1rem; } dd { margin: 0; } code { background: var(--panel); padding: .1rem .3rem; }
"""


SIMULATED = (
    '<p class="verdict" style="--tone: var(--insufficient)"><strong>Simulated customers</strong><br>'
    "The customers of this home are made up, and so are their responses: this shows how Segue works, and nothing about "
    "your business.</p>"
)


def write_review(review: Review, folder: Path) -> tuple[Path, Path]:
    """Writes `<name>.html` and `<name>.json` into `folder`; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    html, machine = folder / f"{review.name}.html", folder / f"{review.name}.json"
    html.write_text(page(review))
    machine.write_text(json.dumps(as_json(review), indent=2) + "\n")
    return html, machine


def page(review: Review) -> str:
    """The whole page; no script, no file beside it, nothing fetched."""
    parts = [
        f"<h1>{escape(review.name.capitalize())} review</h1>",
        f'<p class="soft">Reviewed {_day(review.reviewed_at)}; customers first decided about between '
        f"{_day(review.first_exposed_at)} and {_day(review.last_exposed_at)} (UTC).</p>",
        f'<div class="verdict" style="--tone: var(--{_tone(review.verdict)})"><strong>{escape(review.verdict)}</strong>'
        f"<br>{escape(review.summary())}</div>",
        SIMULATED if review.simulated else "",
        _question(review),
        _ratio(review),
    ]
    if review.estimates:
        parts += [_effects(review), _formulas()]
    title = f"{review.name.capitalize()} review: {review.verdict}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def number(value: float | None, metric: Mean, signed: bool = False) -> str:
    """A value of a metric as people read it: a share in percent, money with two digits, None as a dash."""
    if value is None:
        return "–"
    return f"{figures.fixed(100 * value, 2, sign=signed)} %" if metric.share else figures.fixed(value, 2, sign=signed)


def between(interval: Interval | None, metric: Mean | None) -> str:
    """`estimate (low to high)`; without a metric the interval is relative, in percent.

    A difference of shares is in percentage points: from 10 % to 11 % is +1 point, and relative +10 %.
    """
    if interval is None:
        return "–"
    values = (interval.estimate, interval.low, interval.high)
    if metric is not None and not metric.share:
        one, low, high = (number(v, metric, True) for v in values)
        return f"{one} ({low} to {high})"
    one, low, high = (figures.fixed(100 * v, 1 if metric is None else 2, sign=True) for v in values)
    return f"{one} {'%' if metric is None else 'points'} ({low} to {high})"


def _question(review: Review) -> str:
    design = review.design
    until = "until this review" if design.window_days is None else f"for {design.window_days:g} days"
    left_out = []
    if review.crossed:
        left_out.append(f"customers in both groups: {review.crossed:,}")
    if review.still_open:
        left_out.append(f"customers whose days are not over yet: {review.still_open:,}")
    return (
        "<h2>What is compared</h2>"
        f"<p>A random {design.control_share:.1%} of customers, the <em>{escape(design.control)}</em>, get no action at "
        "all. The others get what Segue decides. Both groups are counted from a customer's first decision "
        f"{until}, so the difference between them is what the whole programme brings.</p>"
        + (f"<p>Left out: {'; '.join(left_out)}.</p>" if left_out else "")
    )


def _ratio(review: Review) -> str:
    check = review.ratio_check
    says = "as designed" if check.passed else "not as designed"
    return (
        "<h2>Are the groups as large as they should be?</h2>"
        f"<p>{check.treatment_units:,} customers against {check.control_units:,} in the "
        f"{escape(review.design.control)}: {check.observed_share:.2%}, designed {check.control_share:.2%}. "
        f"That is {says} (p = {figures.chance(check.p_value)}).</p>"
    )


def _effects(review: Review) -> str:
    bars = [
        Bar(e.metric.plain, e.relative_effect.estimate, e.relative_effect.low, e.relative_effect.high, e.verdict)
        for e in review.estimates
        if e.relative_effect is not None
    ]
    title = f"Effect relative to the {review.design.control}, in percent, with its 95 % interval"
    plot = forest(bars, title) if bars else "<p>Nothing to draw yet.</p>"
    heads = (
        "Metric",
        "With Segue",
        review.design.control.capitalize(),
        "Difference (95 % interval)",
        f"Relative to the {review.design.control}",
        "Verdict",
    )
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    rows = "".join(_row(e) for e in review.estimates)
    return (
        f"<h2>Effects</h2><p class='soft'>{escape(title)}:</p>{plot}"
        "<p>The dot is the estimate; in 95 of 100 such experiments the line holds the true effect. A line that crosses "
        "zero is no evidence of an effect, and no evidence of none. These intervals hold for one look, at a moment "
        "chosen beforehand: stopping at the first pleasing look overstates.</p>"
        "<p>Differences of shares are in percentage points: from 10 % to 11 % is 1 point more, and relatively 10 % "
        "more.</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(e: EffectEstimate) -> str:
    reduced = f", spread {e.variance_reduction:.0%} smaller by earlier spend" if e.variance_reduction else ""
    cells = (
        e.metric.plain.capitalize(),
        number(e.treatment_mean, e.metric),
        number(e.control_mean, e.metric),
        between(e.effect, e.metric),
        between(e.relative_effect, None),
        f"{e.verdict}{'' if e.reason is None else f' ({e.reason})'}{reduced}",
    )
    return "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"


def _formulas() -> str:
    shown = [formula_of(f) for f in (check_ratio, difference, ratio, adjusted)]
    rows = "".join(
        f"<dt>{escape(f.name)}</dt><dd><code>{escape(f.text)}</code></dd><dd class='soft'>{escape(f.source)}</dd>"
        for f in shown
    )
    return f"<h2>How it was computed</h2><dl>{rows}</dl>"


def _tone(verdict: Verdict) -> str:
    return {Verdict.BETTER: "better", Verdict.INSUFFICIENT: "insufficient"}.get(verdict, "worse")


def _day(moment: int) -> str:
    return figures.moment(moment) if moment % DAY else figures.moment(moment)[:10]
