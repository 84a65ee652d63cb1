"""The catalogue: what may be decided, as product teams write it in TOML, read into frozen values.

It stands on the ground floor because labels need its attribution windows and features its channels and groups; what its
expressions mean is `serving`'s business, here they are text. A folder is one catalogue: its `*.toml` files are merged.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from features.clock import from_datetime, parse_time
from features.domain import DO_NOTHING, ActionClass, Arm, OutcomeKind, Scalar
from features.errors import CatalogueError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
SCOPES = ("all", "channel", "group", "action", "arm")
REPORTS = ("responses", "acceptances")


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach a customer.

    `outbound` channels contact (and need consent); the others answer a visit. `reports` says what silence means:
    a channel that reports `responses` tells every answer, a refusal or dismissal too; one that reports `acceptances`
    tells only success, so that silence becomes a zero when the attribution window closes.
    """

    id: str
    outbound: bool = True
    cost: float = 0.0
    reports: str = "acceptances"


@dataclass(frozen=True, slots=True)
class Treatment:
    """An action in the form of a channel: what is said there, and what that costs on top."""

    channel: str
    content: str | None = None
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something the business can propose or do.

    `value` is money for a success, a number or a CEL expression; `lever` is in percent (55 gives the factor 1.55);
    `outcome` is the kind that counts as success; `eligible`, `applicable`, `suitable` are CEL conditions.
    """

    id: str
    group: str
    action_class: ActionClass = ActionClass.MARKETING
    name: str = ""
    value: float | str = 1.0
    cost: float = 0.0
    lever: float = 0.0
    outcome: str = OutcomeKind.ACCEPTED
    window_days: float = 7.0
    starts_at: int | None = None
    ends_at: int | None = None
    eligible: str | None = None
    applicable: str | None = None
    suitable: str | None = None
    placements: tuple[str, ...] = ()
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    treatments: tuple[Treatment, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactRule:
    """At most `limit` contacts within `window_seconds`, among those in scope. `of` names the channel, group, action or
    arm (`action@channel`); with scope `all` it is None."""

    id: str
    scope: str
    limit: int
    window_seconds: int
    of: str | None = None
    action_class: ActionClass = ActionClass.MARKETING


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that may be decided. `version` is a hash of the content: equal catalogues have equal versions."""

    version: str
    channels: Mapping[str, Channel]
    groups: tuple[str, ...]
    actions: Mapping[str, Action]
    contact_rules: tuple[ContactRule, ...]

    def arms(self) -> Iterator[Arm]:
        """Every action on every channel it has a treatment for, in the catalogue's order, without DO_NOTHING."""
        for action in self.actions.values():
            for treatment in action.treatments:
                yield Arm(action.id, treatment.channel)

    def treatment(self, arm: Arm) -> Treatment:
        """Raises KeyError for an arm the catalogue does not have."""
        for treatment in self.actions[arm.action].treatments:
            if treatment.channel == arm.channel:
                return treatment
        raise KeyError(arm.key)

    def contact_cost(self, arm: Arm) -> float:
        """Money spent by carrying out this arm once, whatever comes of it."""
        return self.actions[arm.action].cost + self.channels[arm.channel].cost + self.treatment(arm).cost


EMPTY_CATALOGUE = Catalogue("empty", {}, (), {}, ())


def load_catalogue(folder: Path) -> Catalogue:
    """Reads and checks every `*.toml` of `folder`. A missing or empty folder is an empty catalogue.

    Raises CatalogueError naming file, line and key of the first fault; `catalogue_faults` gives them all.
    """
    catalogue, faults = read_catalogue(folder)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise CatalogueError(str(faults[0]) + more, field=faults[0].key)
    return catalogue


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a catalogue file."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


def read_catalogue(folder: Path) -> tuple[Catalogue, list[Fault]]:
    """The catalogue as far as it can be read, and every structural fault."""
    reader = _Reader()
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        text = file.read_text()
        digest.update(text.encode())
        reader.read(file.name, text)
    if not reader.actions and not reader.channels and not reader.faults:
        return EMPTY_CATALOGUE, []
    reader.check_references()
    catalogue = Catalogue(
        digest.hexdigest()[:12], reader.channels, tuple(reader.groups), reader.actions, tuple(reader.rules)
    )
    return catalogue, reader.faults


class _Reader:
    """Collects the parts of several files, and the faults with their places."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, None] = {}
        self.actions: dict[str, Action] = {}
        self.rules: list[ContactRule] = []
        self.faults: list[Fault] = []
        self._places: dict[tuple[str, str], tuple[str, int]] = {}
        self._file = ""
        self._lines: Sequence[str] = ()

    def read(self, name: str, text: str) -> None:
        self._file, self._lines = name, text.splitlines()
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            self.faults.append(Fault(name, int(found.group(1)) if found else 1, "", f"not TOML: {error}"))
            return
        sections = {
            "channel": self._channel,
            "group": self._group,
            "action": self._action,
            "contact_policy": self._rule,
        }
        for section, entries in content.items():
            if section not in sections:
                self._fault(section, None, f"unknown section; one of {', '.join(sections)}")
            elif not isinstance(entries, list):
                self._fault(section, None, f"write [[{section}]], with two brackets")
            else:
                for entry in entries:
                    self._one(section, entry, sections[section])

    def _one(self, section: str, entry: dict[str, Any], make: Any) -> None:
        identifier = entry.get("id")
        if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
            self._fault(f"{section}.id", identifier, "an id of letters, digits, '_', '-', '.', at most 128, is needed")
            return
        if identifier == DO_NOTHING.action:
            self._fault(f"{section}.id", identifier, "this id is taken: doing nothing is always a candidate")
            return
        if (section, identifier) in self._places:
            file, line = self._places[section, identifier]
            self._fault(f"{section}.id", identifier, f"{identifier!r} is already defined at {file}:{line}")
            return
        self._places[section, identifier] = (self._file, self._line(identifier))
        try:
            make(_Entry(section, identifier, entry))
        except _Wrong as wrong:
            self._fault(f"{section}.{wrong.key}", identifier, wrong.message, wrong.key)

    def _channel(self, entry: _Entry) -> None:
        self.channels[entry.id] = Channel(
            entry.id,
            entry.take("outbound", bool, True),
            entry.number("cost", 0.0, at_least=0.0),
            entry.choice("reports", REPORTS, "acceptances"),
        )
        entry.finish()

    def _group(self, entry: _Entry) -> None:
        entry.take("name", str, "")
        entry.finish()
        self.groups[entry.id] = None

    def _action(self, entry: _Entry) -> None:
        value = entry.values.get("value", 1.0)
        treatments = entry.take("treatment", list, [])
        action = Action(
            id=entry.id,
            group=entry.take("group", str, None),
            action_class=ActionClass(entry.choice("class", tuple(ActionClass), ActionClass.MARKETING)),
            name=entry.take("name", str, entry.id),
            value=entry.take("value", str, "") if isinstance(value, str) else entry.number("value", 1.0),
            cost=entry.number("cost", 0.0, at_least=0.0),
            lever=entry.number("lever", 0.0, at_least=-100.0),
            outcome=entry.choice("outcome", tuple(OutcomeKind), OutcomeKind.ACCEPTED),
            window_days=entry.number("window_days", 7.0, at_least=1e-6),
            starts_at=entry.time("starts_at"),
            ends_at=entry.time("ends_at"),
            eligible=entry.take("eligible", str, "") or None,
            applicable=entry.take("applicable", str, "") or None,
            suitable=entry.take("suitable", str, "") or None,
            placements=tuple(entry.take("placements", list, [])),
            attributes=entry.take("attributes", dict, {}),
            treatments=tuple(self._treatment(entry.id, one) for one in treatments),
        )
        entry.finish()
        if action.starts_at is not None and action.ends_at is not None and action.starts_at >= action.ends_at:
            raise _Wrong("ends_at", "the action ends before it starts")
        if len({t.channel for t in action.treatments}) != len(action.treatments):
            raise _Wrong("treatment", "two treatments for one channel")
        self.actions[entry.id] = action

    def _treatment(self, action: str, values: dict[str, Any]) -> Treatment:
        entry = _Entry("action.treatment", action, {"id": action} | values)
        treatment = Treatment(
            entry.take("channel", str, None),
            entry.take("content", str, "") or None,
            entry.number("cost", 0.0, at_least=0.0),
        )
        entry.finish()
        return treatment

    def _rule(self, entry: _Entry) -> None:
        scope = entry.choice("scope", SCOPES, "all")
        of = entry.take("of", str, "") or None
        limit = entry.take("limit", int, None)
        window = entry.number("window_seconds", 0.0, at_least=0.0) + 86_400 * entry.number(
            "window_days", 0.0, at_least=0.0
        )
        rule = ContactRule(
            entry.id,
            scope,
            limit,
            int(window),
            of,
            ActionClass(entry.choice("class", tuple(ActionClass), ActionClass.MARKETING)),
        )
        entry.finish()
        if (scope == "all") != (of is None):
            raise _Wrong("of", f"scope {scope!r} {'takes no' if scope == 'all' else 'needs an'} 'of'")
        if limit < 1:
            raise _Wrong("limit", "at least 1; to stop contacts altogether, end the action or switch the channel off")
        if rule.window_seconds <= 0:
            raise _Wrong("window_seconds", "give window_seconds or window_days above 0")
        self.rules.append(rule)

    def check_references(self) -> None:
        """Names that point to nothing."""
        for action in self.actions.values():
            if action.group not in self.groups:
                self._refer("action", action.id, "group", f"no group {action.group!r}")
            for treatment in action.treatments:
                if treatment.channel not in self.channels:
                    self._refer("action", action.id, "treatment.channel", f"no channel {treatment.channel!r}")
        arms = {f"{a.id}@{t.channel}" for a in self.actions.values() for t in a.treatments}
        known: Mapping[str, Any] = {
            "channel": self.channels,
            "group": self.groups,
            "action": self.actions,
            "arm": arms,
        }
        for rule in self.rules:
            if rule.of is not None and rule.of not in known[rule.scope]:
                self._refer("contact_policy", rule.id, "of", f"no {rule.scope} {rule.of!r}")

    def place(self, section: str, identifier: str) -> tuple[str, int]:
        return self._places.get((section, identifier), ("", 0))

    def _refer(self, section: str, identifier: str, key: str, message: str) -> None:
        file, line = self.place(section, identifier)
        self.faults.append(Fault(file, line, f"{section}.{key}", f"{identifier}: {message}"))

    def _fault(self, key: str, identifier: Any, message: str, word: str | None = None) -> None:
        line = self._line(identifier, word) if isinstance(identifier, str) else self._line(key.split(".")[0])
        named = f"{identifier}: {message}" if isinstance(identifier, str) and identifier else message
        self.faults.append(Fault(self._file, line, key, named))

    def _line(self, identifier: str, word: str | None = None) -> int:
        """The line of an entry's id, or of key `word` after it. tomllib tells no lines, so the text is searched."""
        start = next((n for n, line in enumerate(self._lines) if f'"{identifier}"' in line), None)
        if start is None:
            start = next((n for n, line in enumerate(self._lines) if identifier in line), 0)
        if word:
            for n in range(start, len(self._lines)):
                if re.match(rf"\s*{re.escape(word)}\b", self._lines[n]):
                    return n + 1
                if n > start and self._lines[n].startswith("[["):
                    break
        return start + 1


class _Wrong(Exception):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


class _Entry:
    """One table of a file; `finish` complains of keys nobody took."""

    def __init__(self, section: str, identifier: str, values: dict[str, Any]) -> None:
        self.section, self.id, self.values = section, identifier, values
        self._taken = {"id"}

    def take(self, key: str, kind: type, default: Any) -> Any:
        self._taken.add(key)
        if key not in self.values:
            if default is None:
                raise _Wrong(key, "is needed")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _Wrong(key, f"must be {kind.__name__}, not {value!r}")
        return value

    def number(self, key: str, default: float, at_least: float | None = None) -> float:
        self._taken.add(key)
        value = self.values.get(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != value
            or abs(value) == float("inf")
        ):
            raise _Wrong(key, f"must be a number, not {value!r}")
        if at_least is not None and value < at_least:
            raise _Wrong(key, f"must be at least {at_least:g}, not {value:g}")
        return float(value)

    def choice(self, key: str, among: Sequence[str], default: str) -> str:
        value = self.take(key, str, default)
        if value not in among:
            raise _Wrong(key, f"must be one of {', '.join(among)}, not {value!r}")
        return str(value)

    def time(self, key: str) -> int | None:
        self._taken.add(key)
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, datetime):
            return from_datetime(value)
        try:
            return parse_time(str(value))
        except ValueError as error:
            raise _Wrong(key, f"must be a time like 2026-01-31T00:00:00Z, not {value!r}") from error

    def finish(self) -> None:
        unknown = [key for key in self.values if key not in self._taken]
        if unknown:
            raise _Wrong(unknown[0], f"unknown key; one of {', '.join(sorted(self._taken))}")
