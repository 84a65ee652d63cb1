"""The answer of a study as one self-contained HTML page: verdicts, balance, forest plots, tables, formulas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from experiments.formulas import formula_of
from experiments.ope.difference import difference
from experiments.ope.estimators import ESTIMATORS
from experiments.ope.forest import Line, forest
from experiments.ope.intervals import skewed
from experiments.report import STYLE
from experiments.studies.answer import Answer, amount, as_json, in_words, range_of
from experiments.studies.balance import covariate_test, share_test
from experiments.studies.study import Reward
from experiments.studies.valuation import ADJUSTED, PLAIN, PolicyValue, Valuation
from features.clock import format_time
from features.figures import chance


def write_page(found: Answer, folder: Path) -> tuple[Path, Path]:
    """Writes `study-<name>.html` and `.json` into `folder`; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    html, machine = folder / f"study-{found.study.name}.html", folder / f"study-{found.study.name}.json"
    html.write_text(page(found), encoding="utf-8")
    machine.write_text(json.dumps(as_json(found), indent=2) + "\n", encoding="utf-8")
    return html, machine


def page(found: Answer) -> str:
    """The whole page; no script, no file beside it, nothing fetched."""
    study = found.study
    title = f"Study {study.name} ({study.label})"
    body = [
        f"<h1>{escape(study.name.capitalize())}: which policy would have earned most?</h1>",
        f'<p class="soft">{escape(study.about)} <strong>Data: {escape(study.label)}.</strong></p>',
        _rows(found),
        _balance(found),
    ]
    for reward, valuation in zip(study.rewards, found.valuations, strict=False):
        body.append(_valuation(found, reward, valuation))
    if found.valuations:
        body.append(_reading())
    body.append(_formulas())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def value_rows(valuation: Valuation, reward: Reward) -> list[tuple[str, ...]]:
    """Of each policy name, both estimates with intervals, and what it plays; or why it has no value."""
    return [_cells(one, reward, one is valuation.best_constant) for one in valuation.in_order]


def _cells(one: PolicyValue, reward: Reward, best: bool) -> tuple[str, ...]:
    name = f"{one.name} (best constant)" if best else one.name
    if one.insufficient is not None:
        return name, f"insufficient: {one.insufficient}", "–", "–", "–", plays(one)
    plain, adjusted = one.plain_interval, one.adjusted_interval
    return (
        name,
        amount(one.plain, reward),
        range_of(plain, reward),
        amount(one.adjusted, reward),
        range_of(adjusted, reward),
        plays(one),
    )


def plays(one: PolicyValue, most: int = 3) -> str:
    """The arms it plays most, with their shares; nothing for a constant policy, whose name says it."""
    if len(one.plays) == 1:
        return "" if one.plays[0][0] == one.name else f"{one.plays[0][0]} 100 %"
    told = [f"{arm} {share:.0%}" for arm, share in one.plays[:most]]
    more = len(one.plays) - most
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


#: The headings above `value_rows`.
HEADINGS = ("policy", PLAIN.upper(), "95 % interval", ADJUSTED.upper(), "95 % interval", "plays")


def balance_rows(found: Answer) -> list[tuple[str, ...]]:
    """wave, rows, p of shares, p of covariates, the largest difference between an arm and the rest."""
    b = found.balance
    rows: list[tuple[str, ...]] = []
    for wave in b.waves:
        covariate, arm, far = wave.worst
        largest = f"{far:+.3f} ({covariate}, {arm})"
        rows.append((
            str(wave.wave), f"{sum(wave.counts):,}", chance(wave.shares.p_value), chance(wave.covariates.p_value),
            largest,
        ))  # fmt: skip
    if len(rows) > 1:
        rows.append(("all", f"{found.rows:,}", chance(b.shares.p_value), chance(b.covariates.p_value), ""))
    return rows


BALANCE_HEADINGS = (
    "wave", "rows", "p of the arms' shares", "p of the covariates", "largest difference, in standard deviations"
)  # fmt: skip


def share_rows(found: Answer) -> list[tuple[str, ...]]:
    """arm, stated share, share in each wave, share in all."""
    counts = [wave.counts for wave in found.balance.waves]
    rows: list[tuple[str, ...]] = []
    for place, arm in enumerate(found.arms):
        each = [f"{100 * c[place] / sum(c):.2f}" for c in counts]
        whole = 100 * sum(c[place] for c in counts) / found.rows
        rows.append((arm, f"{100 * found.design[place]:.2f}", *each, *([f"{whole:.2f}"] if len(counts) > 1 else [])))
    return rows


def share_headings(found: Answer) -> tuple[str, ...]:
    waves = [f"wave {w.wave}" for w in found.balance.waves]
    return ("arm, share in %", "stated", *waves, *(["all"] if len(waves) > 1 else []))


def _rows(found: Answer) -> str:
    left = f" Left out, because their window is still open: {found.still_open:,}." if found.still_open else ""
    first, last = (format_time(moment)[:10] for moment in (found.decided_from, found.decided_until))
    when = f"on {first}" if first == last else f"between {first} and {last}"
    return (
        f"<p>{found.rows:,} decisions about {found.customers:,} customers {when}; each is judged by the "
        f"{found.study.window_days:g} days after it.{left}</p>"
    )


def _balance(found: Answer) -> str:
    tone, word = ("better", "as random as stated") if found.balance.passed else ("worse", "do not read further")
    return (
        "<h2>Were the arms drawn at random?</h2>"
        f'<div class="verdict" style="--tone: var(--{tone})"><strong>{word}</strong>'
        f"<br>{escape(found.balance.meaning())}</div>"
        + _table(BALANCE_HEADINGS, balance_rows(found))
        + _table(share_headings(found), share_rows(found))
        + "<p>p is the chance of what is seen, or more, if arms were drawn with the stated probabilities whoever the "
        "customer was. The alarm sounds below 0.001. Covariates are all that was known before the decision.</p>"
    )


def _valuation(found: Answer, reward: Reward, valuation: Valuation) -> str:
    verdict, best = found.verdict(valuation), valuation.best_constant
    words = "<br>".join(escape(in_words(claim, reward)) for claim in valuation.claims)
    tones = {claim.policy: str(claim.verdict) for claim in valuation.claims}
    lines = [
        Line(one.name[:32], one.adjusted, one.adjusted_interval.low, one.adjusted_interval.high,
             tones.get(one.name, "insufficient"))
        for one in valuation.in_order
        if one.adjusted is not None and one.adjusted_interval is not None
    ]  # fmt: skip
    plot = ""
    if lines and best is not None and best.adjusted is not None:
        plot = forest(lines, best.adjusted, f"{reward.plain}: policy values with 95 % intervals")
    said = (
        "no constant policy has a value"
        if best is None
        else f"The best constant policy is {best.name}: "
        + (f"{amount(best.adjusted, reward)} ({range_of(best.adjusted_interval, reward)})")
    )
    return (
        f"<h2>{escape(reward.name)}: {escape(reward.plain)}</h2>"
        f'<div class="verdict" style="--tone: var(--{verdict})"><strong>{escape(str(verdict))}</strong>'
        f"<br>{escape(said)}.<br>{words}</div>{plot}"
        f'<p class="soft">{escape(found.study.label)}. The dashed rule is the best constant policy ({ADJUSTED}).</p>'
        + _table(HEADINGS, value_rows(valuation, reward))
    )


def _reading() -> str:
    return (
        "<h2>How to read this</h2><p>A constant policy plays one arm for everybody. A learned policy plays, for each "
        "customer, the arm whose predicted reward (less its cost, where the reward has one) is largest; models and "
        "policy come from the other four fifths of the customers, so no customer is judged by what was learned from "
        "them. A learned policy is <em>better</em> only if the whole 95 % interval of its difference to every constant "
        "policy lies above zero, <em>worse</em> only if that to the constant chosen in the other folds lies below; "
        "anything else is <em>insufficient</em>: no evidence for it, and none against. The best of many constants is "
        "flattered by having been picked. Rows of one customer count once in every interval.</p>"
    )


def _formulas() -> str:
    rows = [(e.name, e.formula, f"{e.unbiased} {e.source}.") for e in (ESTIMATORS[PLAIN], ESTIMATORS[ADJUSTED])]
    shown = [formula_of(f) for f in (skewed, difference, share_test, covariate_test)]
    rows += [(f.name, f.text, f.source) for f in shown]
    listed = "".join(
        f"<dt>{escape(name)}</dt><dd><code>{escape(text)}</code></dd><dd class='soft'>{escape(source)}</dd>"
        for name, text, source in rows
    )
    return f"<h2>How it was computed</h2><dl>{listed}</dl>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
