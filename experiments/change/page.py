"""A simulated change as one self-contained HTML page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from experiments.change import lines as told
from experiments.change.bars import bars
from experiments.change.finding import Finding
from experiments.change.tally import Tally
from experiments.change.worth import by_model, by_record
from experiments.formulas import formula_of
from experiments.ope.forest import Line as Interval
from experiments.ope.forest import forest
from experiments.ope.intervals import bootstrap, skewed
from experiments.report import SIMULATED, STYLE
from features.clock import format_time
from features.figures import moment

HEADS = ("", "today", "new", "difference")


def write_finding(found: Finding, folder: Path) -> tuple[Path, Path]:
    """Writes `change-<version of the catalogue>.html` and `.json` into `folder`; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    html, machine = (folder / f"change-{found.catalogue.version}.{kind}" for kind in ("html", "json"))
    html.write_text(page(found))
    machine.write_text(json.dumps(as_json(found), indent=2) + "\n")
    return html, machine


def as_json(found: Finding) -> dict[str, Any]:
    """Everything for machines; an estimate that is insufficient has no numbers."""
    return {
        "catalogue": found.catalogue.version,
        "bundle": found.asked.bundle,
        "policy": found.asked.policy,
        "simulated_at": format_time(found.simulated_at),
        "since": format_time(found.since),
        "until": format_time(found.until),
        "decisions": found.then.decisions,
        "changed": found.changed,
        "kept": dict(found.kept),
        "unreadable": found.unreadable,
        "seconds": round(found.seconds, 3),
        "verdict": told.verdict(found),
        "in_words": told.in_words(found),
        "value": asdict(found.worth),
        "today": _totals(found.then),
        "new": _totals(found.new),
    }


def _totals(tally: Tally) -> dict[str, Any]:
    return {
        "customers": len(tally.customers),
        "customers_contacted": len(tally.contacted),
        "reach": tally.share(len(tally.contacted)),
        "contacts": tally.contacts,
        "customers_offered": len(tally.offered),
        "offers": tally.offers,
        "do_nothing_share": tally.idle / max(1, tally.decisions),
        "actions": dict(tally.actions.most_common()),
        "channels": dict(tally.channels.most_common()),
        "arms_considered": tally.considered,
        "removed": [{"stage": s, "rule": r, "arms": n} for (s, r), n in sorted(tally.removed.items())],
        "limits": dict(sorted(tally.limits.items())),
        "quiet_hours": dict(sorted(tally.quiet.items())),
        "deferred": tally.deferred,
        "deferred_by_quiet_hours": tally.quiet_deferred,
        "reasons": dict(tally.reasons.most_common()),
    }


def page(found: Finding) -> str:
    """The whole page; no script, no file beside it, nothing fetched."""
    title = f"Change of strategy: {found.catalogue.version}"
    said = "worse" if told.expected(found) == "worse" else told.verdict(found)
    parts = [
        "<h1>What a change of strategy would do</h1>",
        f'<p class="soft">Catalogue {escape(found.catalogue.version)}{_also(found)}, against what was recorded. '
        f"Simulated {moment(found.simulated_at)} (UTC).</p>",
        f'<div class="verdict" style="--tone: var(--{said})"><strong>{_headline(found)}</strong><br>'
        f"{escape(told.in_words(found))}</div>",
        SIMULATED if any(name.startswith("sim-") for name in list(found.then.customers)[:50]) else "",
        "<h2>Reach and contacts</h2>",
        _table(HEADS, [line.cells() for line in told.summary(found)]),
        "<h2>What a decision earns</h2>",
        _table(HEADS, told.estimates(found)),
        _intervals(found),
        *_mixes(found),
        "<h2>Where arms drop out</h2><p>Of 1,000 arms considered, how many each stage and rule removed.</p>",
        _table(HEADS, [line.cells() for line in told.drop_off(found)]),
        bars(told.drop_off(found), "Arms removed of 1,000 considered"),
        "<h2>Limits and quiet hours</h2><p>Decisions in which they held back at least one arm.</p>",
        _table(HEADS, [line.cells() for line in told.limits(found)]) or "<p>None did.</p>",
        "<h2>How to read this</h2><ul>" + "".join(f"<li>{escape(c)}</li>" for c in told.caveats(found)) + "</ul>",
        _formulas(),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _also(found: Finding) -> str:
    named = (("bundle", found.asked.bundle), ("policy", found.asked.policy))
    return "".join(f", {what} {escape(value)}" for what, value in named if value)


def _headline(found: Finding) -> str:
    """The record's word; where it has none the model's, said to be the model's; else that nothing is known."""
    if told.unchanged(found):
        return "no change"
    known = {"better": "earns more", "worse": "earns less"}.get(told.verdict(found))
    guess = {"better": "expected to earn more", "worse": "expected to earn less"}.get(told.expected(found) or "")
    return known or (f"{guess}, by the model alone" if guess else "not known to earn more or less")


def _mixes(found: Finding) -> list[str]:
    parts = []
    for what, then, new in (
        ("Actions", found.then.actions, found.new.actions),
        ("Channels", found.then.channels, found.new.channels),
    ):
        lines = told.mix(then, new)
        parts += [
            f"<h2>{what}</h2><p>Share of everything shown; grey is today, green is new.</p>",
            bars(lines, f"{what}, share of everything shown"),
            _table(HEADS, [line.cells() for line in lines]),
        ]
    return parts


def _intervals(found: Finding) -> str:
    lines, rule = [], 0.0
    for name, one in (("model", found.worth.model), ("corrected", found.worth.corrected)):
        for side, value, tone in (("today", one.then, "insufficient"), ("new", one.new, "better")):
            if value is not None:
                lines.append(Interval(f"{side}, {name}", value.value, value.interval.low, value.interval.high, tone))
                rule = value.value if side == "today" else rule
    if not lines:
        return ""
    title = "Money a decision, with 95 % intervals"
    return (
        forest(lines, rule, title)
        + f"<p>{title}; the dashed rule is today. <em>Model</em>: what response model and catalogue expect. "
        "<em>Corrected</em>: the same, set right by what the recorded contacts did earn. Both columns have luck in "
        "common, so their difference is known better than the intervals suggest.</p>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in one) + "</tr>" for one in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _formulas() -> str:
    listed = "".join(
        f"<dt>{escape(f.name)}</dt><dd><code>{escape(f.text)}</code></dd><dd class='soft'>{escape(f.source)}</dd>"
        for f in (formula_of(by_model), formula_of(by_record), formula_of(bootstrap), formula_of(skewed))
    )
    return f"<h2>How it was computed</h2><dl>{listed}</dl>"
