"""A finding as one self-contained HTML page and as JSON: the verdict, every gate, what was compared, the formulas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from experiments.formulas import formula_of
from experiments.gate.gates import segments, still_needed
from experiments.gate.paired import paired
from experiments.gate.promotion import Finding
from experiments.gate.result import GateResult
from experiments.ope.forest import Line, forest
from experiments.ope.intervals import skewed
from experiments.report import STYLE
from features.clock import format_time
from features.figures import moment, number
from training.evaluate import Verdict

#: Colours of the page, by verdict.
TONES = {Verdict.PASS: "better", Verdict.FAIL: "worse", Verdict.INSUFFICIENT: "insufficient"}
_IN_WORDS = {
    Verdict.PASS: "Every gate passes: the candidate may decide.",
    Verdict.FAIL: "A gate fails: the champion goes on deciding.",
    Verdict.INSUFFICIENT: "What is needed could not be shown, so the champion goes on deciding.",
}
#: Nothing can be compared: there is no champion, or nobody was decided about yet.
NO_CHAMPION = (
    "There is no champion yet, so nothing was judged but the models: the models' own verdicts stand alone, and policy "
    "and catalogue are taken as they are given."
)
NO_DECISION = (
    "The champion has not made a single decision yet, so nothing was judged but the models: the models' own verdicts "
    "stand alone. Policy and catalogue stay as they are."
)
SAME = "This is the champion itself, so there is nothing to gain: name another bundle, a --policy or a --catalogue."


def write_finding(finding: Finding, folder: Path) -> tuple[Path, Path]:
    """Writes `promotion-<bundle>-<policy>-<catalogue>.html` and `.json` into `folder`; returns both paths. The name is
    the whole strategy's, so that trials of one bundle keep a page each."""
    folder.mkdir(parents=True, exist_ok=True)
    tried = finding.candidate
    name = f"promotion-{tried.bundle}-{tried.policy.replace(',', '+')}-{tried.catalogue}"
    html, machine = folder / f"{name}.html", folder / f"{name}.json"
    html.write_text(page(finding))
    machine.write_text(json.dumps(as_json(finding), indent=2) + "\n")
    return html, machine


def as_json(finding: Finding) -> dict[str, Any]:
    """Everything for machines; numbers that are not given are null."""
    return {
        "verdict": str(finding.verdict),
        "first": finding.first,
        "judged_at": format_time(finding.judged_at),
        "decisions": finding.decisions,
        "candidate": asdict(finding.candidate),
        "champion": None if finding.champion is None else asdict(finding.champion),
        "gates": [asdict(gate) | {"verdict": str(gate.verdict)} for gate in finding.gates],
    }


def in_words(finding: Finding) -> str:
    """What it comes to, in a sentence or two."""
    if finding.first and finding.verdict is Verdict.PASS:
        return NO_CHAMPION if finding.champion is None else NO_DECISION
    if finding.champion == finding.candidate:
        return SAME
    return _IN_WORDS[finding.verdict]


def page(finding: Finding) -> str:
    """The whole page; no script, no file beside it, nothing fetched."""
    title = f"Promotion of {finding.candidate.bundle}: {finding.verdict}"
    body = [
        f"<h1>Promotion of {escape(str(finding.candidate.bundle))}</h1>",
        f'<p class="soft">Judged {moment(finding.judged_at)} (UTC) on {finding.decisions:,} recorded decisions.</p>',
        f'<div class="verdict" style="--tone: var(--{TONES[finding.verdict]})"><strong>{finding.verdict}</strong><br>'
        f"{escape(in_words(finding))}</div>",
        "<h2>Gates</h2>",
        _table(("gate", "verdict", "measured", "limit", "why"), [row(gate) for gate in finding.gates]),
        _plot(finding.gates),
        _compared(finding),
        _formulas(),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def row(gate: GateResult) -> tuple[str, str, str, str, str]:
    """A gate as people read it."""
    return gate.name, str(gate.verdict), number(gate.measured), number(gate.limit), gate.explanation


def _plot(gates: Sequence[GateResult]) -> str:
    lines = [
        Line(gate.name[:32], (gate.interval.low + gate.interval.high) / 2, gate.interval.low, gate.interval.high, tone)
        for gate in gates
        if gate.interval is not None and (gate.name == "value" or gate.name.startswith("segment"))
        for tone in (TONES[gate.verdict],)
    ]
    if not lines:
        return ""
    return (
        "<h2>Candidate less champion, money a decision</h2>"
        + forest(lines, 0.0, "Differences with 95 % intervals")
        + "<p>The line is the 95 % interval, the dot its middle, the dashed rule no difference.</p>"
    )


def _compared(finding: Finding) -> str:
    rows = []
    for what in ("bundle", "policy", "catalogue"):
        old = "none" if finding.champion is None else str(getattr(finding.champion, what))
        rows.append((what, old, str(getattr(finding.candidate, what))))
    return (
        "<h2>What was compared</h2>"
        + _table(("", "champion", "candidate"), rows)
        + "<p>Each decision was made again by both from the request and the knowledge it was recorded with, contacts "
        "so far included; its reward is the reward ledger's. What a strategy would do to the contacts of the days "
        "after is not in these numbers. Of a slate the first place is judged.</p>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in one) + "</tr>" for one in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _formulas() -> str:
    listed = "".join(
        f"<dt>{escape(f.name)}</dt><dd><code>{escape(f.text)}</code></dd><dd class='soft'>{escape(f.source)}</dd>"
        for f in (formula_of(paired), formula_of(skewed), formula_of(segments), formula_of(still_needed))
    )
    return f"<h2>How it was computed</h2><dl>{listed}</dl>"
