"""One import: files in, ledger and catalogue out. Bad rows are put aside; running it again changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from features.attributes import AttributeTally
from features.catalogue import load_catalogue
from features.contract import PROFILE, read_contract
from features.domain import Event
from features.home import prepare_home
from features.importing.catalogue_entries import CatalogueEntries
from features.importing.cells import BadValue
from features.importing.customers import Customers
from features.importing.files import Table, Watch, check_columns, locate
from features.importing.findings import Readings, left_out, lost, never_met, without_rows
from features.importing.joins import Twins, read_joined
from features.importing.mapping import ImportMapping
from features.importing.outcomes import Waiting, attached, refused
from features.importing.past_decisions import PastDecisions
from features.importing.remarks import remarks
from features.importing.report import ImportReport, Rejects, Tally
from features.importing.row import Row
from features.importing.rules import Fields, Joined, ReadyRule, time_only
from features.importing.shift import find_shift
from features.importing.times import refuse_future
from features.importing.values import FILE, ROW
from features.ledger import Appended, Ledger
from features.settings import SHIPPED, Settings

_BATCH = 5_000
#: In which order a report names what was made.
ORDER = ("channel", "group", "action", "customer", "event", "decision", "outcome")


def run_import(
    mapping: ImportMapping, source: Path, *, ledger: Ledger, settings: Settings, now: int, watch: Watch | None = None
) -> ImportReport:
    """Imports `source`, a file or folder, by `mapping` into the ledger and the catalogue of `settings.home`.

    `watch` hears of progress: (file name, bytes further). Raises MappingError before a row is read where the mapping
    does not fit the files, and CatalogueError where the home's catalogue has faults.
    """
    began = time.perf_counter()
    paths = locate(mapping, source)
    tables = {
        name: Table(mapping.files[name], found, watch or (lambda _file, _read: None)) for name, found in paths.items()
    }
    check_columns(mapping, tables)
    rejects = Rejects(settings.home / "rejects" / f"{mapping.name}.jsonl")
    try:
        run = _Run(mapping, tables, ledger, settings, rejects, now)
        run.go()
    finally:
        rejects.close()
    return run.report(time.perf_counter() - began)


class _Run:
    """The state of one import: what is counted, and what waits to be written."""

    def __init__(
        self,
        mapping: ImportMapping,
        tables: dict[str, Table],
        ledger: Ledger,
        settings: Settings,
        rejects: Rejects,
        now: int,
    ) -> None:
        self.mapping, self.tables, self.ledger, self.settings = mapping, tables, ledger, settings
        self.rejects, self.now = rejects, now
        self.shift, self.readings = 0, Readings()
        self.twins: dict[tuple[str, str], Twins] = {}
        #: Every rule that has read a file for good.
        self.ready: list[ReadyRule] = []
        self.tallies: dict[str, Tally] = {rule.target: Tally() for rule in mapping.rules}
        self._told: dict[str, None] = {}
        self._hidden = {ROW, FILE, *(join.name for rule in mapping.rules for join in rule.joins)}
        self._attributes = AttributeTally()
        self._decisions = PastDecisions(ledger, f"import:{mapping.name}")
        #: Each with the file and row it was read from.
        self._events: list[tuple[str, Row, Event]] = []
        self._waiting: list[Waiting] = []

    def go(self) -> None:
        found = read_joined(self.mapping, self._rows, lambda path, row, reason: self._reject(path, row, None, reason))
        self.twins, joined = found.twins, found.joined
        self.shift = find_shift(self.mapping, self.ledger, self.now, self._event_times(joined))
        self._write_catalogue(joined)
        self._tell_customers(joined)
        self._append_rows(joined)
        self._append_outcomes()

    def report(self, seconds: float) -> ImportReport:
        tallies = {target: self.tallies[target] for target in ORDER if target in self.tallies}
        folder = self.settings.catalogue_folder
        catalogue = load_catalogue(folder)
        example = folder if catalogue.version == load_catalogue(SHIPPED / "catalogue").version else None
        specs = {path.name: table.spec for table in self.tables.values() for path in table.paths}
        reasons = self.rejects.reasons
        applied = read_contract(self.settings.feature_folder)
        return ImportReport(
            mapping=self.mapping.name,
            tallies=tallies,
            unreadable=self.readings.unreadable.total(),
            shift=self.shift,
            seconds=seconds,
            rejects=self.rejects.path if self.rejects.count else None,
            example_catalogue=example,
            left_out=left_out(self.ready),
            lost=lost(self.ready, tallies, self.readings),
            reasons=reasons.commonest(),
            hints=tuple(reasons.hints(specs)),
            notes=(
                *without_rows(self.readings, self._told),
                *never_met(self.ready),
                *map(str, self.twins.values()),
                *self._attributes.odd(None if applied is None else {f.sql for f in applied.of_view(PROFILE)}),
                *remarks(self.mapping, catalogue, self._decisions.channels),
            ),
            contacts=self._decisions.contacts,
        )

    def _rows(self, file: str) -> Iterator[tuple[str, Row]]:
        """The readable rows; those that are not are told once, however often the file is read."""
        told = file in self._told
        self._told[file] = None
        for name, row in self.tables[file].rows():
            self.readings.rows[file] += not told
            if row.reason is None:
                yield name, row
            elif not told:
                self.readings.unreadable[file] += 1
                self._reject(name, row, None, row.reason)

    def _reject(self, file: str, row: Row, target: str | None, reason: str) -> None:
        values = {name: value for name, value in row.values.items() if name not in self._hidden}
        self.rejects.add(file, row.line, target, reason, values)
        if target is not None:
            self.tallies[target].rejected += 1

    def _event_times(self, joined: Joined) -> Iterator[int]:
        for file in self.mapping.files_of("event"):
            rules = [time_only(r, joined) for r in self.mapping.rules_for("event") if r.file == file]
            for _, row in self._rows(file):
                for rule in rules:
                    if rule.takes(row.values):
                        with suppress(BadValue):  # told when the row is read for good
                            yield rule.fields(row.values)["occurred_at"]

    def _write_catalogue(self, joined: Joined) -> None:
        if not self.mapping.rules_for("action") and not any(self.mapping.entries.values()):
            prepare_home(self.settings)
            return
        entries = CatalogueEntries(self.mapping, load_catalogue(self.settings.catalogue_folder))
        for file in self.mapping.files_of("action"):
            rules = self._made_ready(file, joined, "action")
            for name, row in self._rows(file):
                self._apply(rules, name, row, lambda rule, fields, row: entries.add(rule, fields, row.values))
        for target, tally in entries.write(self.settings.catalogue_folder).items():
            tally.rejected = self.tallies[target].rejected if target in self.tallies else 0
            tally.read += tally.rejected
            self.tallies[target] = tally

    def _made_ready(self, file: str, joined: Joined, *targets: str) -> list[ReadyRule]:
        rules = [ReadyRule(r, joined, self.shift) for r in self.mapping.rules_for(*targets) if r.file == file]
        self.ready += rules
        return rules

    def _apply(
        self, rules: list[ReadyRule], file: str, row: Row, take: Callable[[ReadyRule, Fields, Row], None]
    ) -> None:
        """Gives the fields of every rule that takes the row to `take`; what either refuses is rejected."""
        for rule in rules:
            if rule.takes(row.values):
                self.tallies[rule.target].read += 1
                try:
                    take(rule, rule.fields(row.values), row)
                except BadValue as bad:
                    self._reject(file, row, rule.target, str(bad))

    def _tell_customers(self, joined: Joined) -> None:
        for file in self.mapping.files_of("customer"):
            rules = self._made_ready(file, joined, "customer")
            customers = Customers(self.ledger, f"{self.mapping.name}:{file}", self.now)

            def take(_rule: ReadyRule, fields: Fields, _row: Row, customers: Customers = customers) -> None:
                refuse_future(fields, self.now)
                self._attributes.see(fields["attributes"])
                customers.add(fields)

            for name, row in self._rows(file):
                self._apply(rules, name, row, take)
                if customers.full:
                    self._count("customer", customers.tell())
            self._count("customer", customers.tell())

    def _append_rows(self, joined: Joined) -> None:
        self._decisions.catalogue = load_catalogue(self.settings.catalogue_folder)
        targets = ("decision", "event", "outcome")
        for file in self.mapping.files_of(*targets):
            rules = self._made_ready(file, joined, *targets)
            for name, row in self._rows(file):

                def take(rule: ReadyRule, fields: Fields, row: Row, name: str = name) -> None:
                    refuse_future(fields, self.now)
                    if rule.target == "event":
                        self._events.append((name, row, Event(**fields)))
                    elif rule.target == "decision":
                        self._decisions.add(fields, rule.rule.counts, name, row)
                    else:
                        self._waiting.append(Waiting.of(fields, rule.rule, name, row.line))

                self._apply(rules, name, row, take)
                if len(self._events) + len(self._decisions) >= _BATCH:
                    self._flush()
        self._flush()

    def _flush(self) -> None:
        if len(self._decisions):
            self._count("decision", self._decisions.tell(partial(self._reject_taken, "decision")))
        if self._events:
            appended = self.ledger.append_events(event for _, _, event in self._events)
            self._count("event", appended)
            for place in appended.conflicts:
                file, row, event = self._events[place]
                self._reject_taken("event", file, row, event.event_id)
            self._events = []

    def _reject_taken(self, target: str, file: str, row: Row, its_id: str) -> None:
        self._reject(file, row, target, _taken(target, its_id))

    def _count(self, target: str, appended: Appended) -> None:
        self.tallies[target].added += appended.accepted
        self.tallies[target].there += appended.duplicates

    def _append_outcomes(self) -> None:
        def reject(one: Waiting, reason: str) -> None:
            told = {"outcome_id": one.outcome_id, "customer_id": one.customer_id, "action": one.action}
            self._reject(one.file, Row(0, one.line, told), "outcome", reason)

        channels = load_catalogue(self.settings.catalogue_folder).channels
        for batch in attached(self._waiting, self.ledger, channels, reject):
            appended = self.ledger.append_outcomes([outcome for _, outcome in batch], self.now, refused(batch))
            self._count("outcome", appended)
            for place in appended.conflicts:
                one = batch[place][0]
                reject(one, _taken("outcome", one.outcome_id))


_A = {"event": "an", "outcome": "an", "decision": "a"}


def _taken(what: str, its_id: str) -> str:
    return f"{what}_id: {its_id!r} is taken by {_A[what]} {what} that says something else"
