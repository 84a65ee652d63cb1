"""What imports say of customers, past contacts and opt-outs, and what then holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.clock import DAY, parse_time
from features.domain import Customer, Event
from features.importing import ImportReport, Tally, load_mapping, run_import
from features.ledger import ContactSlot, Ledger, open_ledger, read_arrow
from features.settings import Settings

NOW = parse_time("2026-03-01T00:00:00Z")

PEOPLE = """
[file.people]
path = "people.csv"
[[customer]]
from = "people"
customer_id = "id"
zone = "tz"
consents.email = "mail"
attributes.tier = "tier"
"""
SCORES = """
[file.scores]
path = "scores.csv"
[[customer]]
from = "scores"
customer_id = "id"
attributes.score = { column = "score", as = "number" }
"""
SENDINGS = """
[file.sendings]
path = "sendings.csv"
[[channel]]
id = "email"
[[channel]]
id = "push"
[[action]]
id = "offer"
group = "g"
class = "service"
treatment = [{ channel = "email" }, { channel = "push" }]
[[decision]]
from = "sendings"
decision_id = "no"
customer_id = "who"
action = { column = "what", otherwise = "offer" }
channel = { column = "by", otherwise = "email" }
decided_at = "at"
action_probability = 0.5
"""
ANSWERS = """
[file.answers]
path = "answers.csv"
[[outcome]]
from = "answers"
outcome_id = "no"
customer_id = "who"
action = "what"
channel = "by"
kind = "kind"
occurred_at = "at"
attach_to = "latest_decision"
"""


class Home:
    """A home, and a folder of files to import into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.source.mkdir()
        self.settings = Settings(home=folder / "home")
        self.settings.home.mkdir()
        self.ledger: Ledger = open_ledger(self.settings.ledger)

    def write(self, **files: str) -> None:
        for name, lines in files.items():
            (self.source / f"{name}.csv").write_text(lines.replace(" ", "\n") + "\n")

    def run(self, mapping: str, name: str = "shop", now: int = NOW) -> ImportReport:
        path = self.folder / f"{name}.toml"
        path.write_text(mapping)
        return run_import(load_mapping(str(path)), self.source, ledger=self.ledger, settings=self.settings, now=now)

    def customer(self, customer_id: str = "u1") -> Customer:
        found = self.ledger.customer(customer_id)
        assert found is not None
        return found

    def slots(self, customer_id: str = "u1") -> tuple[ContactSlot, ...]:
        self.ledger.put_customers([Customer(customer_id)])
        return self.ledger.before_decision("-", customer_id, 0).slots

    def reasons(self) -> list[str]:
        folder = self.settings.home / "rejects"
        return [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.ledger.close()


# -- customers ---------------------------------------------------------------------------------------------------------

EVERYTHING = Customer("u1", None, "Europe/Rome", {"email": "denied"}, {"tier": "gold", "score": 7.0})


@pytest.mark.parametrize("order", [(PEOPLE, SCORES), (SCORES, PEOPLE), (PEOPLE + SCORES,), (SCORES + PEOPLE,)])
def test_several_files_and_mappings_each_say_their_part(home: Home, order: tuple[str, ...]) -> None:
    home.write(people="id,tz,mail,tier u1,Europe/Rome,denied,gold", scores="id,score u1,7")
    for number, mapping in enumerate([*order, *order]):
        home.run(mapping, f"m{number % len(order)}", NOW + number)
    assert home.customer() == EVERYTHING


def test_an_empty_cell_and_a_column_left_out_take_nothing_back(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,Europe/Rome,denied,gold", scores="id,score u1,7")
    home.run(PEOPLE + SCORES)
    home.write(people="id,tz,mail,tier u1,,,", scores="id,score u1,")
    home.run(PEOPLE + SCORES, now=NOW + DAY)
    home.run(PEOPLE.replace('zone = "tz"\nconsents.email = "mail"\n', ""), now=NOW + 2 * DAY)
    assert home.customer() == EVERYTHING


def test_a_file_that_has_changed_says_something_new(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,Europe/Rome,granted,gold")
    home.run(PEOPLE)
    home.write(people="id,tz,mail,tier u1,Etc/UTC,denied,silver")
    assert home.run(PEOPLE, now=NOW + 1).tallies["customer"] == Tally(1, 0, 1, 0)
    assert home.customer() == Customer("u1", None, "Etc/UTC", {"email": "denied"}, {"tier": "silver"})


def test_the_old_file_imported_again_revives_nothing_of_what_another_said_since(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,Europe/Rome,granted,gold")
    home.run(PEOPLE, "old")
    (home.source / "people.csv").write_text("id,tz,mail,tier\nu1,Etc/UTC,denied,silver\n")
    home.run(PEOPLE, "new", NOW + 1)
    home.write(people="id,tz,mail,tier u1,Europe/Rome,granted,gold")
    home.run(PEOPLE, "old", NOW + 2)
    assert home.customer() == Customer("u1", None, "Etc/UTC", {"email": "denied"}, {"tier": "silver"})


DATED = PEOPLE.replace('zone = "tz"', 'zone = "tz"\nsaid_at = "as_of"')


def test_dated_rows_hold_by_their_dates_within_a_file_and_between_files(home: Home) -> None:
    header = "id,tz,mail,tier,as_of"
    home.write(people=f"{header} u1,,granted,gold,2026-01-05 u1,,denied,silver,2026-01-03 u1,Etc/UTC,,,2026-01-01")
    home.run(DATED, "later")
    assert home.customer() == Customer("u1", None, "Etc/UTC", {"email": "granted"}, {"tier": "gold"})
    home.write(people=f"{header} u1,Europe/Rome,denied,bronze,2026-01-04")
    home.run(DATED, "earlier", NOW + DAY)
    assert home.customer() == Customer("u1", None, "Europe/Rome", {"email": "granted"}, {"tier": "gold"})


def test_a_whole_file_may_be_dated_and_no_statement_is_of_the_future(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,,granted,gold")
    home.run(DATED.replace('"as_of"', '{ constant = "2026-01-31" }'))
    home.write(people="id,tz,mail,tier,as_of u1,,,silver,2026-01-30 u1,,,bronze,2026-03-02")
    assert home.run(DATED, "other", NOW).tallies["customer"] == Tally(2, 0, 1, 1)
    assert home.customer().attributes == {"tier": "gold"}
    assert "said_at" in home.reasons()[0]


def test_of_several_rows_of_one_customer_the_last_counts_and_the_same_file_again_changes_nothing(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,,granted,gold u2,,,x u1,,denied,silver")
    assert home.run(PEOPLE, "m").tallies["customer"] == Tally(3, 2, 1, 0)
    home.ledger.put_customers([Customer("u1", attributes={"tier": "bronze"})], source="crm", at=NOW + 1)
    home.run(PEOPLE, "m", NOW + DAY)
    assert home.customer() == Customer("u1", None, None, {"email": "denied"}, {"tier": "bronze"})
    stored = read_arrow(home.ledger.url, "SELECT contact_version FROM customers").column(0).to_pylist()
    assert stored == [0, 0]


def test_customers_of_an_event_file_are_known_since_what_the_file_says(home: Home) -> None:
    home.ledger.append_events([Event("e1", "u1", "login", NOW - DAY)])
    home.write(people="id,tz,mail,tier u1,Etc/UTC,granted,gold")
    home.run(PEOPLE)
    assert home.customer() == Customer("u1", NOW - DAY, "Etc/UTC", {"email": "granted"}, {"tier": "gold"})
    home.run(PEOPLE.replace('zone = "tz"', 'created_at = { constant = "2020-01-01" }'), "crm", NOW + 1)
    assert home.customer().created_at == parse_time("2020-01-01")


def test_a_consent_of_no_channel_is_told(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,,denied,gold", sendings="no,who,what,by,at")
    report = home.run(PEOPLE.replace("consents.email", 'consents."marketing/E-Mail"') + SENDINGS)
    assert any("E-Mail has no effect" in note and "email, push" in note for note in report.notes)


# -- opt-outs ----------------------------------------------------------------------------------------------------------


def test_an_opt_out_outlives_every_import_of_the_same_customers(home: Home) -> None:
    home.write(people="id,tz,mail,tier u1,,granted,gold", sendings="no,who,what,by,at d1,u1,offer,email,2026-01-01")
    home.write(answers="no,who,what,by,kind,at o1,u1,offer,,opted_out,2026-01-02")
    for day in range(3):
        home.run(PEOPLE + SENDINGS + ANSWERS, now=NOW + day * DAY)
    assert home.customer().consents == {"email": "denied", "*": "denied"}
    home.run(PEOPLE.replace('zone = "tz"', 'said_at = { constant = "2026-02-01" }'), "again")
    assert home.customer().consents == {"email": "granted", "*": "denied"}


@pytest.mark.parametrize(
    ("row", "consents"),
    [
        ("o1,u1,,push,opted_out,2026-01-02", {"push": "denied"}),
        ("o1,u1,never_sent,push,opted_out,2026-01-02", {"push": "denied"}),
        ("o1,u1,,,opted_out,2026-01-02", {"*": "denied"}),
        ("o1,u1,offer,email,opted_out,2026-01-02", {"email": "denied"}),
    ],
)
def test_an_opt_out_needs_no_decision(home: Home, row: str, consents: dict[str, str]) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,email,2026-01-01", answers=f"no,who,what,by,kind,at {row}")
    for _ in range(2):
        assert home.run(SENDINGS + ANSWERS).tallies["outcome"].rejected == 0
        assert home.customer().consents == consents


def test_a_file_of_opt_outs_alone_needs_only_customers(home: Home) -> None:
    home.write(answers="no,who,at o1,u9,2026-01-02")
    home.run("""
[file.answers]
path = "answers.csv"
[[outcome]]
from = "answers"
outcome_id = "no"
customer_id = "who"
kind = { constant = "opted_out" }
occurred_at = "at"
""")
    assert home.customer("u9") == Customer("u9", parse_time("2026-01-02"), consents={"*": "denied"})


@pytest.mark.parametrize("kind", ["opted_out", "complained", "failed"])
def test_a_channel_spelled_otherwise_than_in_the_catalogue_is_rejected_with_those_there_are(
    home: Home, kind: str
) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,email,2026-01-01")
    home.write(answers=f"no,who,what,by,kind,at o1,u1,offer,Email,{kind},2026-01-02")
    assert home.run(SENDINGS + ANSWERS).tallies["outcome"] == Tally(1, 0, 0, 1)
    assert "no channel 'Email'; it has email, push" in home.reasons()[0]


def test_an_outcome_of_a_channel_goes_to_the_latest_decision_on_it(home: Home) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,email,2026-01-01 d2,u1,offer,push,2026-01-02")
    home.write(answers="no,who,what,by,kind,at o1,u1,offer,email,accepted,2026-01-03")
    home.run(SENDINGS + ANSWERS)
    assert [o.outcome_id for o in home.ledger.decision("d1").items[0].outcomes] == ["o1"]


# -- past contacts -----------------------------------------------------------------------------------------------------


def test_past_contacts_count_by_the_class_and_group_of_the_catalogue_and_are_told(home: Home) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,email,2026-02-28 d2,u1,do_nothing,none,2026-02-28")
    report = home.run(SENDINGS)
    (slot,) = home.slots()
    assert (report.contacts, slot.arm.key, slot.action_group, slot.action_class) == (1, "offer@email", "g", "service")
    assert home.run(SENDINGS, now=NOW + 1).contacts == 0
    assert home.slots() == (slot,)


def test_a_past_contact_that_failed_counts_for_nothing(home: Home) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,email,2026-02-28 d2,u1,offer,email,2026-02-27")
    home.write(answers="no,who,what,by,kind,at o1,u1,offer,email,failed,2026-02-28T00:00:01Z")
    for _ in range(2):
        home.run(SENDINGS + ANSWERS)
        assert [slot.decision_id for slot in home.slots()] == ["d2"]


def test_where_the_mapping_says_so_past_contacts_count_for_nothing_and_that_is_told(home: Home) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,email,2026-02-28")
    report = home.run(SENDINGS + "counts = false\n")
    assert (report.contacts, home.slots()) == (0, ())
    assert any("counts = false" in note for note in report.notes)


def test_past_contacts_on_channels_the_catalogue_does_not_have_are_told(home: Home) -> None:
    home.write(sendings="no,who,what,by,at d1,u1,offer,letter,2026-02-28")
    report = home.run(SENDINGS)
    assert report.contacts == 1
    assert any("letter" in note and "email, push" in note for note in report.notes)
