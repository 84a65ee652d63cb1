"""Evaluations as one self-contained HTML page: verdicts, forest plot, diagnostics, estimates, formulas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from experiments.formulas import formula_of
from experiments.inference import Verdict
from experiments.ope.diagnostics import LEAST_RESPONSES_OF_MONEY, MOST_UNSUPPORTED
from experiments.ope.difference import difference
from experiments.ope.estimators import BIASED, ESTIMATORS
from experiments.ope.evaluation import Estimate, Evaluation
from experiments.ope.forest import Line, forest
from experiments.ope.intervals import Bounds, bernstein, bootstrap, skewed
from experiments.ope.mean_weight import FALSE_ALARMS, chance
from experiments.report import STYLE
from features.figures import number

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>" + STYLE.replace("{", "{{").replace("}", "}}") + "</style></head><body>{body}</body></html>\n"
)


def write_page(found: Sequence[Evaluation], name: str, folder: Path) -> tuple[Path, Path]:
    """Writes `<name>.html` and `<name>.json` into `folder`; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    html, machine = folder / f"{name}.html", folder / f"{name}.json"
    html.write_text(page(found, name))
    machine.write_text(json.dumps([as_json(one) for one in found], indent=2) + "\n")
    return html, machine


def page(found: Sequence[Evaluation], name: str) -> str:
    """The whole page; no script, no file beside it, nothing fetched."""
    body = [f"<h1>Off-policy evaluation: {escape(name)}</h1>"]
    body += [_verdict(one) for one in found]
    for place in dict.fromkeys(one.place for one in found):
        body.append(_plot([one for one in found if one.place == place], place))
    body += [_details(one) for one in found]
    body.append(_formulas())
    return _PAGE.format(title=escape(f"Off-policy evaluation: {name}"), body="".join(body))


def between(bounds: Bounds | None) -> str:
    """`low to high`, a dash where there is none."""
    return "–" if bounds is None else f"{number(bounds.low)} to {number(bounds.high)}"


def title_of(one: Evaluation) -> str:
    """The target, and its place in a slate."""
    return one.target if one.place is None else f"{one.target}, place {one.place}"


def in_words(one: Evaluation) -> str:
    """What an evaluation says, in a sentence or two."""
    if one.insufficient is not None:
        return f"{title_of(one)}: {one.insufficient}. No number is given."
    best, gain = one.headline, one.gain
    said = {
        Verdict.BETTER: f"more than {gain.versus} earned",
        Verdict.WORSE: f"less than {gain.versus} earned",
    }.get(one.verdict, f"not shown to be more or less than {gain.versus} earned")
    return (
        f"{title_of(one)} would have earned {number(best.value)} a decision (95 % interval {between(best.interval)}, "
        f"{best.estimator.name}): {said}, {number(one.logged_value)} "
        f"(difference {gain.insufficient if gain.interval is None else between(gain.interval)})."
    )


def as_json(one: Evaluation) -> dict[str, Any]:
    """Everything for machines; numbers that are not given are null."""
    d = one.diagnostics
    return {
        "target": one.target,
        "place": one.place,
        "verdict": str(one.verdict),
        "insufficient": one.insufficient,
        "logged_value": one.logged_value,
        "gain": None if one.gain.interval is None else asdict(one.gain.interval),
        "gain_insufficient": one.gain.insufficient,
        "diagnostics": asdict(d),
        "estimates": [
            {
                "estimator": e.estimator.name,
                "insufficient": e.insufficient,
                "value": e.value,
                **{k: None if v is None else asdict(v) for k, v in _intervals(e).items()},
                # Infinity is no JSON: not clipped at all.
                "number": None if e.number is None or e.number == float("inf") else e.number,
            }
            for e in one.estimates
        ],
    }


def _intervals(e: Estimate) -> dict[str, Bounds | None]:
    return {"interval": e.interval, "bootstrap": e.bootstrap, "bernstein": e.bernstein}


def _tone(one: Evaluation) -> str:
    return str(one.verdict)


def _verdict(one: Evaluation) -> str:
    return (
        f'<div class="verdict" style="--tone: var(--{_tone(one)})"><strong>{escape(str(one.verdict))}</strong>'
        f"<br>{escape(in_words(one))}</div>"
    )


def _plot(found: Sequence[Evaluation], place: int | None) -> str:
    lines = [
        Line(f"{one.target[:22]} · {e.estimator.name}", e.value, e.interval.low, e.interval.high, _tone(one))
        for one in found
        for e in (one.estimates if len(found) == 1 else (one.headline,))
        if e.value is not None and e.interval is not None
    ]
    heading = "<h2>Values</h2>" if place is None else f"<h2>Values, place {place}</h2>"
    if not lines:
        return heading + "<p>Nothing to draw: no number is given.</p>"
    rule = found[0].logged_value
    return (
        heading
        + forest(lines, rule, "Policy values with 95 % intervals")
        + f"<p>The dot is the estimate, the line its 95 % interval, the dashed rule what the log earned: "
        f"{number(rule)} a decision.</p>"
    )


def _details(one: Evaluation) -> str:
    d = one.diagnostics
    money = []
    if d.effective_responses is not None:
        money.append(("Payments of one size", f"{d.effective_responses:,.0f}", f"≥ {LEAST_RESPONSES_OF_MONEY:g}"))
    checks = (
        (
            "Effective sample size",
            f"{d.effective_sample_size:,.0f} of {d.rows:,} rows",
            f"≥ {d.least_sample:g}",
        ),
        *money,
        ("Largest weight", number(d.largest_weight), ""),
        (
            "Mean weight",
            f"{d.mean_weight:.4f} ± {d.mean_weight_error:.4f}",
            f"{d.expected_weight:g}, or as near as luck brings it {1.0 - FALSE_ALARMS:.1%} of times",
        ),
        ("Support", f"{d.support:.2%} of rows", f"≥ {1 - MOST_UNSUPPORTED:.0%}"),
    )
    heads = ("Estimator", "Value", "95 % interval", "Bootstrap", "Empirical Bernstein", "Tuned to")
    rows = [
        (
            shown_name(e),
            number(e.value),
            between(e.interval),
            between(e.bootstrap),
            between(e.bernstein),
            tuned_to(e),
        )
        if e.insufficient is None
        else (e.estimator.name, "insufficient", e.insufficient, "–", "–", "–")
        for e in one.estimates
    ]
    return f"<h2>{escape(title_of(one))}</h2>{_table(('Check', 'Measured', 'Needed'), checks)}" + (
        "" if one.insufficient else _table(heads, rows) + f"<p>{escape(BIASED)}.</p>"
    )


def shown_name(e: Estimate) -> str:
    """The estimator's name, with the mark that `BIASED` explains where it says of this one."""
    return "* " * e.estimator.biased + e.estimator.name


def tuned_to(e: Estimate) -> str:
    """The estimator's own number, e.g. `τ = 16`."""
    if e.number is None:
        return "–"
    return f"{e.estimator.tuned} = {'∞' if e.number == float('inf') else number(e.number)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _formulas() -> str:
    rows = [(e.name, e.formula, f"Unbiased: {e.unbiased} {e.source}.") for e in ESTIMATORS.values()]
    shown = [formula_of(f) for f in (skewed, bootstrap, bernstein, difference, chance)]
    rows += [(f.name, f.text, f.source) for f in shown]
    listed = "".join(
        f"<dt>{escape(name)}</dt><dd><code>{escape(text)}</code></dd><dd class='soft'>{escape(source)}</dd>"
        for name, text, source in rows
    )
    return (
        "<h2>How it was computed</h2><p>w = π(a|x) / p(a|x) is the weight of the arm drawn, r the reward, q̂ and v̂ what "
        f"models fitted on other customers predict for the arm drawn and for the target.</p><dl>{listed}</dl>"
    )
