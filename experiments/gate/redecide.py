"""Recorded decisions decided again by champion and candidate, each from the very same request and knowledge.

Both know at every decision what had been learned online by then, never more: the corrections that a decision itself
taught would flatter whoever is valued by it. Where the champion made the decision, its record says what it would do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from experiments.gate.comparison import Comparison, segments_of
from experiments.ope.feedback import Floats, LoggedFeedback
from experiments.ope.log_ledger import MOST_DECISIONS, ledger_log
from experiments.ope.target import Distribution
from features.domain import DO_NOTHING, Candidates, Decision
from features.errors import NoData
from features.ledger import Ledger, read_arrow
from features.rewards import UNIT
from serving.contender import Contender
from serving.replay import BLOCK, Archive, asked, make_again
from serving.shadow import shares_of

#: Decisions timed, spread over the log.
TIMED = 400
#: What is not to rise, and the outcome that tells it.
HARMS = {"opt-outs": "opted_out", "complaints": "complained"}
_HEARD = """
SELECT d.position, d.decision_id, i.action, i.channel, i.success_units,
    (SELECT count(*) FROM outcomes o WHERE o.decision_id = d.decision_id AND o.kind = 'opted_out') AS opted_out,
    (SELECT count(*) FROM outcomes o WHERE o.decision_id = d.decision_id AND o.kind = 'complained') AS complained
FROM decisions d JOIN decision_items i ON i.decision_id = d.decision_id AND i.rank = 1
WHERE d.origin = 'live' AND d.record IS NOT NULL AND d.decided_at >= {since:d}
ORDER BY d.position
"""

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Question:
    """Who against whom, on decisions made from `since` on whose windows have closed by `now`; what makes segments."""

    champion: Contender
    candidate: Contender
    since: int
    now: int
    segments: tuple[str, ...] = ()
    limit: int = MOST_DECISIONS


@dataclass(frozen=True, slots=True)
class Again:
    """One recorded decision as both would make it now: probabilities by arm, and what the segments go by."""

    row: int
    champion: Shares
    candidate: Shares
    #: The candidate's response probability for the arm drawn, NaN where it would not allow it.
    p_accept: float
    about: Mapping[str, object]


def compare(
    ledger: Ledger, archive: Archive, question: Question, progress: Callable[[float], None] = lambda _share: None
) -> Comparison:
    """Both contenders on the decisions asked about. Raises NoData where none can be judged yet."""
    log = ledger_log(ledger.url, question.now, "value", question.limit).feedback
    assert log.decided_at is not None
    log = log.take(log.decided_at >= question.since)
    if not len(log):
        raise NoData("no decision whose window has closed was made since the candidate last learned from any")
    heard = _heard(ledger.url, question.since)
    made = list(_redecide(ledger, archive, question, log, heard, progress))
    if not made:
        raise NoData("no record of a decision can be decided again: they are of an older form")
    log = log.take(np.array([one.row for one in made]))
    assert log.decision_id is not None
    told = [heard[decision] for decision in log.decision_id.tolist()]
    champion, candidate = _timed(ledger, archive, question, [str(d) for d in log.decision_id])
    wide = _widened(log, sorted({arm for one in made for shares in (one.champion, one.candidate) for arm in shares}))
    return Comparison(
        wide,
        Distribution("champion", _table(wide.arms, [one.champion for one in made])),
        Distribution("candidate", _table(wide.arms, [one.candidate for one in made])),
        {name: np.array([float(row[kind] > 0) for row in told]) for name, kind in HARMS.items()},
        np.array([np.nan if row["success_units"] is None else row["success_units"] / UNIT for row in told]),
        np.array([one.p_accept for one in made]),
        segments_of({name: [one.about.get(name) for one in made] for name in question.segments}),
        champion,
        candidate,
    )


def _heard(url: str, since: int) -> dict[str, dict[str, Any]]:
    """Decision id -> its place in the log, what was sent, and what became of it."""
    rows = read_arrow(url, _HEARD.format(since=since)).to_pylist()
    return {row["decision_id"]: row for row in rows}


def _redecide(
    ledger: Ledger,
    archive: Archive,
    question: Question,
    log: LoggedFeedback,
    heard: Mapping[str, Mapping[str, Any]],
    progress: Callable[[float], None],
) -> Iterator[Again]:
    assert log.decision_id is not None
    row_of = {str(decision): row for row, decision in enumerate(log.decision_id)}
    places = [heard[decision]["position"] for decision in row_of]
    position, last = min(places) - 1, max(places)
    while position < last and (found := ledger.live_records(position, BLOCK)):
        for one in found:
            row = row_of.get(one.decision_id)
            record = None if row is None else msgspec.json.decode(one.record)
            if row is not None and record is not None and record.get("inputs") is not None:
                yield _again(archive, question, record, row)
                progress(min(1.0, row / len(row_of)))
        position = found[-1].position


def _again(archive: Archive, question: Question, record: dict[str, Any], row: int) -> Again:
    candidate = _decided(archive, question.candidate, record)
    item = record["items"][0]
    drawn = f"{item['arm']['action']}@{item['arm']['channel']}"
    champion = _recorded(record) if _made_by(question.champion, record) else None
    if champion is None:
        champion = shares_of(_decided(archive, question.champion, record).candidates)
    p_accept = _p_accept(candidate.candidates, drawn)
    return Again(row, champion, shares_of(candidate.candidates), p_accept, _about(record, question.segments))


def _decided(archive: Archive, contender: Contender, record: dict[str, Any]) -> Decision:
    number = record["versions"]["policy"].rpartition("/")[2]
    strategy = archive.strategy(contender.bundle, f"{contender.policy}/{number}", contender.catalogue)
    request, inputs = asked(record)
    # Where an incumbent's choice was the answer, a contender would decide by itself.
    return make_again(record, replace(request, incumbent=None), inputs, strategy)


def _made_by(contender: Contender, record: Mapping[str, Any]) -> bool:
    versions = record["versions"]
    policy = versions["policy"].rpartition("/")[0]
    return contender == Contender(versions["bundle"], policy, versions["catalogue"])


def _recorded(record: Mapping[str, Any]) -> Shares:
    return shares_of(msgspec.convert(record["candidates"], Candidates))


def _p_accept(candidates: Candidates | None, drawn: str) -> float:
    if candidates is None or drawn == DO_NOTHING.key:
        return float("nan")
    arms = [arm for arm, removed in zip(candidates.arms, candidates.removed, strict=True) if removed < 0]
    found = dict(zip(arms, candidates.column("p_accept"), strict=True)).get(drawn)
    return float("nan") if found is None else found


def _about(record: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, object]:
    """What the segments go by: what was asked, whether any channel is consented to, or a feature."""
    customer = record["inputs"]["knowledge"]["customer"] or {}
    granted = any(str(state).startswith("granted") for state in customer.get("consents", {}).values())
    said = {
        "channels": "any" if record["channels"] is None else "+".join(sorted(record["channels"])),
        "placement": record["placement"],
        "intent": record["intent"],
        "consent": "given" if granted else "none",
    }
    return {name: said[name] if name in said else record["features"].get(name) for name in names}


def _timed(ledger: Ledger, archive: Archive, question: Question, decisions: list[str]) -> tuple[Floats, Floats]:
    """Seconds of the engine for both, on the same requests, in turn; the first tenth warms up and does not count."""
    chosen = decisions[:: max(1, len(decisions) // TIMED)]
    seconds: tuple[list[float], list[float]] = ([], [])
    both = (question.champion, question.candidate)
    for turn, decision in enumerate(chosen):
        record = msgspec.json.decode(ledger.live_records(0, 1, decision)[0].record)
        request, inputs = asked(record)
        for place in (0, 1) if turn % 2 else (1, 0):
            strategy = archive.strategy(both[place].bundle, f"{both[place].policy}/0", both[place].catalogue)
            start = time.perf_counter()
            make_again(record, request, inputs, strategy)
            seconds[place].append(time.perf_counter() - start)
    warm = len(chosen) // 10
    return np.array(seconds[0][warm:]), np.array(seconds[1][warm:])


def _widened(log: LoggedFeedback, arms: list[str]) -> LoggedFeedback:
    """The log with these arms beside its own: those it never had were never possible in it."""
    every = sorted({*log.arms, *arms})
    place = np.array([every.index(arm) for arm in log.arms])
    assert log.logging_probability is not None
    table = np.zeros((len(log), len(every)))
    table[:, place] = log.logging_probability
    allowed = np.zeros(table.shape, dtype=bool)
    assert log.allowed is not None
    allowed[:, place] = log.allowed
    return replace(log, arms=tuple(every), arm=place[log.arm], logging_probability=table, allowed=allowed)


def _table(arms: tuple[str, ...], shares: list[Shares]) -> Floats:
    place = {arm: n for n, arm in enumerate(arms)}
    table = np.zeros((len(shares), len(arms)))
    for row, one in enumerate(shares):
        table[row, [place[arm] for arm in one]] = list(one.values())
    return table
