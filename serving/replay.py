"""Recorded decisions made again from their records, by the same code that made them, and compared bit for bit.

A record holds what the engine was given; the ledger holds every catalogue and policy snapshot by version; the bundle is
read from HOME/bundles by its id. So a copy of the ledger and the bundles is all that another machine needs.

That floats come out the same to the last bit rests on this: LightGBM's text model holds every double in full, and a
prediction is comparisons and a sum in a fixed order, on one thread; numpy adds in a fixed order too, and what it gives
differently on other processors (`exp`) is computed by `training.portable` instead. Quiet hours follow the time-zone
database: replay with the locked versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from features.catalogue import EMPTY_CATALOGUE, parse_catalogue
from features.domain import Candidates, Decision
from features.errors import NotFound, SegueError
from features.ledger import DrawnItem, Ledger, LiveRecord
from serving.engine import decide
from serving.expressions import CompiledCatalogue, compile_catalogue
from serving.request import Inputs, Request
from serving.strategy import WITHOUT_MODEL, Strategy
from training.bandit import PolicySnapshot
from training.bundle import Bundle, load_bundle
from training.explorer import named_explorer

#: Records read at once: about 10 kB each.
BLOCK = 500
SAME, DIFFERENT, NOT_REPLAYABLE = "same", "different", "not replayable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What replaying one decision gave: the first field that differs, or why it cannot be replayed."""

    decision_id: str
    kind: str
    why: str = ""


@dataclass(slots=True)
class Tally:
    """How many of each kind, and those that are not the same, with their reasons."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((SAME, DIFFERENT, NOT_REPLAYABLE), 0))
    reasons: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        self.counts[verdict.kind] += 1
        if verdict.kind != SAME:
            # A difference names its values: what counts is the field.
            self.reasons.setdefault((verdict.kind, verdict.why.split(":")[0]), []).append(verdict.decision_id)

    @property
    def all_same(self) -> bool:
        return self.counts[DIFFERENT] == self.counts[NOT_REPLAYABLE] == 0


class Archive:
    """Everything that ever decided, by its version. What was used last stays at hand."""

    def __init__(self, ledger: Ledger, bundle_folder: Path) -> None:
        self._ledger = ledger
        self._folder = bundle_folder
        self.strategy = lru_cache(64)(self._strategy)
        self._bundle = lru_cache(4)(self._load_bundle)
        self._catalogue = lru_cache(16)(self._load_catalogue)

    def _strategy(self, bundle_id: str | None, policy: str, catalogue: str) -> Strategy:
        """The strategy of these versions. Raises a SegueError that says what is missing."""
        name, _, number = policy.rpartition("/")
        bundle = None if bundle_id is None else self._bundle(bundle_id)
        snapshot = self._snapshot(int(number)).correcting(bundle_id)
        return Strategy(self._catalogue(catalogue), bundle, snapshot, named_explorer(name))

    def _load_bundle(self, bundle_id: str) -> Bundle:
        try:
            return load_bundle(self._folder / bundle_id)
        except NotFound as error:
            raise NotFound(f"bundle {bundle_id} is not in {self._folder.name}/ any more") from error

    def _load_catalogue(self, version: str) -> CompiledCatalogue:
        files = {} if version == EMPTY_CATALOGUE.version else self._ledger.catalogue_files(version)
        if files is None:
            raise NotFound(f"catalogue {version} was not kept")
        catalogue = parse_catalogue({name: text.encode() for name, text in files.items()})
        if catalogue.version != version:
            raise NotFound(f"catalogue {version} is not what it was")
        # Its names were checked against the features of that day.
        return compile_catalogue(catalogue, None)[0]

    def _snapshot(self, number: int) -> PolicySnapshot:
        if number == 0:
            return PolicySnapshot()
        state = self._ledger.snapshot_state(number)
        if state is None:
            raise NotFound(f"policy snapshot {number} is not in the ledger")
        return PolicySnapshot.from_json(state)


def replay(ledger: Ledger, bundle_folder: Path, decision_id: str | None = None) -> Iterator[Verdict]:
    """Replays one decision, or every one made here, in the order they were made. Raises NotFound for an unknown id."""
    archive, position = Archive(ledger, bundle_folder), 0
    while found := ledger.live_records(position, BLOCK, decision_id):
        for one in found:
            yield replay_one(one, archive)
        position = found[-1].position
    if position == 0 and decision_id is not None:
        ledger.decision(decision_id)  # says when there is none at all
        yield Verdict(decision_id, NOT_REPLAYABLE, "it was imported: there is no record of how it was made")


def replay_one(found: LiveRecord, archive: Archive) -> Verdict:
    """Makes one decision again and compares everything: its record, and the columns that others read."""
    kind, why = SAME, ""
    try:
        record: dict[str, Any] = msgspec.json.decode(found.record)
        if record.get("inputs") is None:
            raise NotFound("it was made before records kept what they were made from")
        if not all("covariates" in item for item in record["items"]):
            raise NotFound("it was made when what was learned was applied otherwise")
        versions = record["versions"]
        strategy = archive.strategy(versions["bundle"], versions["policy"], versions["catalogue"])
        request, inputs = asked(record)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        kind, why = DIFFERENT, f"record: not readable: {type(error).__name__}"
    except SegueError as error:
        kind, why = NOT_REPLAYABLE, error.message
    else:
        try:
            why = difference(found, record, make_again(record, request, inputs, strategy))
        except Exception as error:  # a record somebody changed can make the engine stumble anywhere
            why = f"record: makes no decision: {type(error).__name__}"
        kind = DIFFERENT if why else SAME
    return Verdict(found.decision_id, kind, why)


def asked(record: Mapping[str, Any]) -> tuple[Request, Inputs]:
    """What was asked, and what was known. Raises msgspec's error, or KeyError, for what is no record."""
    inputs = msgspec.convert(record["inputs"], Inputs)
    channels = record["channels"]
    request = Request(
        record["request_id"],
        record["customer_id"],
        None if channels is None else tuple(channels),
        record["placement"],
        inputs.limit,
        record["intent"],
        record["context"],
        inputs.incumbent,
    )
    return request, inputs


def make_again(record: Mapping[str, Any], request: Request, inputs: Inputs, strategy: Strategy) -> Decision:
    return decide(
        request,
        replace(inputs.knowledge, features=record["features"]),
        strategy,
        decision_id=record["decision_id"],
        now=record["decided_at"],
        layers=inputs.layers,
        salt=inputs.salt,
        attempt=record["attempt"],
        edition=inputs.edition,
    )


def difference(found: LiveRecord, record: Mapping[str, Any], again: Decision) -> str:
    """The first field that is not the same, with both values: `field: recorded, now`; empty where all is the same."""
    if "warnings" not in record:
        again = msgspec.structs.replace(again, warnings=())  # it was made before anybody was warned
    if record.get("fallback_reason") is None and again.versions.bundle and again.fallback_reason in WITHOUT_MODEL:
        again = msgspec.structs.replace(again, fallback_reason=None)  # it was made before answers named models
    if found.record != (encoded := msgspec.json.encode(again)):
        told = _first(readable(record), readable(msgspec.json.decode(encoded)), "")
        if told:
            return told
    columns = {name: getattr(found, name) for name in ("decision_id", "request_id", "customer_id", "decided_at")}
    items = [
        DrawnItem(i.rank, i.arm.action, i.arm.channel, i.action_probability, i.p_model, i.p_accept, i.covariates)
        for i in again.items
    ]
    ours = {name: getattr(again, name) for name in columns} | {"items": items}
    return _first(msgspec.to_builtins(columns | {"items": list(found.items)}), msgspec.to_builtins(ours), "ledger.")


def readable(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the columns of its candidates as numbers."""
    packed = record["candidates"]
    if packed is None:
        return dict(record)
    candidates = msgspec.convert(packed, Candidates)
    return {**record, "candidates": packed | {"columns": {n: candidates.column(n) for n in candidates.columns}}}


def _first(recorded: Any, now: Any, path: str) -> str:
    """Where two JSON values differ first."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in [*recorded, *(key for key in now if key not in recorded)]:
            # A field that came later and says nothing is no difference.
            if key in recorded or now[key] not in (None, [], {}):
                told = _first(recorded.get(key), now.get(key), f"{path}{key}.")
                if told:
                    return told
        return ""
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        return next(
            filter(
                None, (_first(a, b, f"{path[:-1]}[{n}].") for n, (a, b) in enumerate(zip(recorded, now, strict=True)))
            ),
            "",
        )
    same = recorded == now and type(recorded) is type(now)
    return "" if same else f"{path[:-1]}: {_short(recorded)} recorded, {_short(now)} now"


def _short(value: Any) -> str:
    return f"{len(value)} of them" if isinstance(value, list | dict) else repr(value)
