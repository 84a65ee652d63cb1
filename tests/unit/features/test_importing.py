"""Imports of tiny files written here, one for each thing a mapping can say, and one of the real rewards programme."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import load_catalogue, read_catalogue
from features.clock import DAY, HOUR, MINUTE, format_time, parse_time
from features.domain import DO_NOTHING, Arm, Customer
from features.errors import CatalogueError, MappingError
from features.importing import ImportReport, Tally, load_mapping, planned_bytes, run_import
from features.ledger import Ledger, open_ledger, read_arrow
from features.refresh import refresh_features
from features.settings import SHIPPED, Settings

NOW = parse_time("2026-03-01T00:00:00Z")


class Workshop:
    """A home with a ledger, a folder of foreign files, and a mapping."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.source.mkdir(parents=True)
        self.settings = Settings(home=folder / "home")
        self.settings.home.mkdir()
        self.ledger: Ledger = open_ledger(self.settings.ledger)

    def write(self, name: str, content: str | list[dict[str, Any]]) -> None:
        rows = content if isinstance(content, str) else "\n".join(msgspec.json.encode(r).decode() for r in content)
        (self.source / name).write_text(rows)

    def run(self, mapping: str, now: int = NOW, **given: Any) -> ImportReport:
        path = self.folder / "m.toml"
        path.write_text(mapping)
        source = given.pop("source", self.source)
        return run_import(load_mapping(str(path)), source, ledger=self.ledger, settings=self.settings, now=now, **given)

    def rows(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = read_arrow(self.ledger.url, query).to_pylist()
        return found

    def rejects(self) -> list[dict[str, Any]]:
        path = self.settings.home / "rejects" / "m.jsonl"
        return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.ledger.close()


EVENTS = """
[file.log]
path = "log.jsonl"
[[event]]
from = "log"
event_id = "id"
customer_id = "who"
type = "what"
occurred_at = "at"
value = "euros"
properties.page = "page"
"""


def log(number: int, **given: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "who": "c1", "what": "purchase", "at": "2026-01-01", "euros": 5} | given


# -- customers and events ----------------------------------------------------------------------------------------------


def test_rows_become_customers(shop: Workshop) -> None:
    shop.write("people.csv", "id,since,mail,age\n1,2026-01-01,yes,30\n2,,no,\n")
    report = shop.run("""
[file.people]
path = "people.csv"
[[customer]]
from = "people"
customer_id = { text = "c{id}" }
created_at = "since"
zone = { constant = "Europe/Berlin" }
consents.email = { column = "mail", map = { yes = "granted", no = "denied" } }
attributes.age = { column = "age", as = "whole" }
""")
    assert report.tallies == {"customer": Tally(2, 2, 0, 0)}
    one = Customer("c1", parse_time("2026-01-01"), "Europe/Berlin", {"email": "granted"}, {"age": 30})
    assert shop.ledger.customer("c1") == one
    assert shop.ledger.customer("c2") == Customer("c2", None, "Europe/Berlin", {"email": "denied"}, {})


def test_consents_are_imported_in_every_form_that_decisions_read(shop: Workshop) -> None:
    said = ["granted", "denied", "revoked", "expired", "unknown", "granted@2026-12-31", "maybe", "granted@soon"]
    shop.write("people.csv", "id,mail\n" + "".join(f"{n},{text}\n" for n, text in enumerate(said)))
    mapping = '[file.people]\npath = "people.csv"\n[[customer]]\nfrom = "people"\ncustomer_id = "id"\n'
    report = shop.run(mapping + 'consents."marketing/email" = "mail"\n')
    assert report.tallies["customer"] == Tally(8, 6, 0, 2)
    for number, text in enumerate(said[:6]):
        customer = shop.ledger.customer(str(number))
        assert customer is not None
        assert customer.consents == {"marketing/email": text}
    assert "'maybe' is no consent: one of granted, unknown, expired, revoked, denied" in shop.rejects()[0]["reason"]


def test_an_attribute_that_fits_no_feature_is_counted_and_shown(shop: Workshop) -> None:
    mapping = '[file.c]\npath = "c.jsonl"\n[[customer]]\nfrom = "c"\ncustomer_id = "id"\nattributes.age = "age"\n'
    shop.write("c.jsonl", [{"id": f"c{n}", "age": n} for n in range(40)] + [{"id": "odd", "age": "unknown"}])
    said = "1 of 41 customers' age is not a number and counts as missing: 'unknown'"
    assert said in shop.run(mapping).notes
    refresh_features(shop.settings, shop.settings.ledger, NOW)
    shop.write("c.jsonl", [{"id": "odd", "age": "unknown"}])  # alone in its file, but age was applied as a number
    assert said.replace("41 customers", "1 customer") in shop.run(mapping).notes


def test_rows_become_events(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1, page="home"), log(2, what="login", euros=None)])
    assert shop.run(EVENTS).tallies == {"event": Tally(2, 2, 0, 0)}
    assert shop.rows("SELECT event_id, type, value, properties FROM events ORDER BY event_id") == [
        {"event_id": "e1", "type": "purchase", "value": 5.0, "properties": '{"page":"home"}'},
        {"event_id": "e2", "type": "login", "value": None, "properties": "{}"},
    ]


def test_running_the_same_import_twice_changes_nothing(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(n) for n in range(5)])
    first = shop.run(EVENTS)
    before = shop.rows("SELECT * FROM events")
    second = shop.run(EVENTS, now=NOW + DAY)
    assert first.tallies["event"] == Tally(5, 5, 0, 0)
    assert second.tallies["event"] == Tally(5, 0, 5, 0)
    assert shop.rows("SELECT * FROM events") == before


def test_an_event_id_used_again_for_something_else_is_rejected_with_its_row_every_time(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1, page="home"), log(1, page="home"), log(1, page="home", what="login")])
    tallies = [shop.run(EVENTS).tallies["event"] for _ in range(2)]
    assert tallies == [Tally(3, 1, 1, 1), Tally(3, 0, 2, 1)]
    assert [(r["line"], r["reason"], r["row"]["what"]) for r in shop.rejects()] == [
        (3, "event_id: 'e1' is taken by an event that says something else", "login")
    ]
    assert shop.rows("SELECT type FROM events") == [{"type": "purchase"}]


def test_a_bad_row_is_put_aside_with_its_place_and_reason_and_the_rest_goes_on(shop: Workshop) -> None:
    good, bad, missing = log(1), log(2, euros="lots"), log(3)
    del missing["who"]
    lines = [msgspec.json.encode(one).decode() for one in (good, bad, missing, log(4))]
    shop.write("log.jsonl", "\n".join([lines[0], "", "not json", *lines[1:]]))
    report = shop.run(EVENTS)
    assert report.tallies["event"] == Tally(4, 2, 0, 2)
    assert report.unreadable == 1
    assert report.rejects == shop.settings.home / "rejects" / "m.jsonl"
    told = shop.rejects()
    assert [(r["file"], r["line"], r["target"]) for r in told] == [
        ("log.jsonl", 3, None),
        ("log.jsonl", 4, "event"),
        ("log.jsonl", 5, "event"),
    ]
    assert told[1]["reason"] == "value: 'lots' is not a number"
    assert told[1]["row"] == bad
    assert told[2]["reason"] == "customer_id: is missing"


def test_the_reject_file_tells_what_is_wrong_now(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1, at="never")])
    assert shop.run(EVENTS).rejects
    shop.write("log.jsonl", [log(1)])
    assert shop.run(EVENTS).rejects is None
    assert shop.rejects() == []


def test_where_chooses_rows(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(n, kind=kind) for n, kind in enumerate(["a", "b", "c", None, 5])])
    chosen = {
        'kind = "a"': ["e0"],
        'kind = ["a", "b"]': ["e0", "e1"],
        "kind = 5": ["e4"],
        'kind = { not = "a" }': ["e1", "e2", "e3", "e4"],
        "kind = { present = true }": ["e0", "e1", "e2", "e4"],
        "kind = { present = false }": ["e3"],
        'kind = "a", who = "c2"': [],
    }
    for number, (condition, expected) in enumerate(chosen.items()):
        mapping = EVENTS.replace('event_id = "id"', f'event_id = {{ text = "{number}-{{id}}" }}')
        shop.run(mapping.replace('from = "log"', f'from = "log"\nwhere = {{ {condition} }}'))
        found = shop.rows(f"SELECT event_id FROM events WHERE event_id LIKE '{number}-%' ORDER BY event_id")
        assert [row["event_id"].split("-")[1] for row in found] == expected, condition


def test_ids_can_be_made_of_the_row_and_the_file_over_several_files(shop: Workshop) -> None:
    for day in ("mon", "tue"):
        shop.write(f"log-{day}.jsonl", [log(1), log(1)])
    mapping = EVENTS.replace("log.jsonl", "log-*.jsonl").replace('"id"', '{ text = "{file}-{row}" }')
    assert shop.run(mapping).tallies["event"] == Tally(4, 4, 0, 0)
    found = [row["event_id"] for row in shop.rows("SELECT event_id FROM events ORDER BY event_id")]
    assert found == ["log-mon-1", "log-mon-2", "log-tue-1", "log-tue-2"]


def test_a_join_brings_columns_of_another_file(shop: Workshop) -> None:
    shop.write("offers.csv", "nr,kind,days\n7,bogo,5\n8,free,3\n")
    shop.write("log.jsonl", [log(1, v={"offer id": 7}), log(2, v={"offer_id": "8"}), log(3, v={"offer id": 9}), log(4)])
    report = shop.run(
        EVENTS
        + """
properties.offer = "offer.name"
join.offer = { file = "offers", key = "nr", on = ["v.offer id", "v.offer_id"] }
[file.offers]
path = "offers.csv"
add.name = { text = "{kind}_{days}" }
"""
    )
    assert report.tallies["event"].added == 4
    found = [row["properties"] for row in shop.rows("SELECT properties FROM events ORDER BY event_id")]
    assert found == ['{"offer":"bogo_5"}', '{"offer":"free_3"}', "{}", "{}"]


def test_where_may_look_at_a_joined_row(shop: Workshop) -> None:
    shop.write("people.csv", "id,test\nc1,yes\nc2,no\n")
    shop.write("log.jsonl", [log(1), log(2, who="c2")])
    join = 'join.person = { file = "people", key = "id", on = "who" }\nwhere = { "person.test" = "no" }\n'
    report = shop.run(EVENTS + join + '[file.people]\npath = "people.csv"\n')
    assert report.tallies["event"] == Tally(1, 1, 0, 0)
    assert "person" not in str(shop.rejects())


def test_a_column_that_cannot_be_added_makes_the_row_unreadable(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1, n="x"), log(2, n="5")])
    adding = EVENTS.replace('path = "log.jsonl"', 'path = "log.jsonl"\nadd.n2 = { column = "n", as = "number" }')
    report = shop.run(adding)
    assert (report.unreadable, report.tallies["event"].added) == (1, 1)
    assert shop.rejects()[0]["reason"] == "add.n2: 'x' is not a number"


def test_one_row_may_become_several_things(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1), log(2)])
    twice = EVENTS + '[[customer]]\nfrom = "log"\ncustomer_id = "who"\n'
    twice += EVENTS.split('path = "log.jsonl"\n')[1].replace('"id"', '{ text = "again-{id}" }')
    assert shop.run(twice).tallies == {"customer": Tally(2, 1, 1, 0), "event": Tally(4, 4, 0, 0)}


def test_more_rows_than_a_batch_are_all_taken(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(n, who=f"c{n}") for n in range(12_001)])
    heard: list[int] = []
    mapping = EVENTS + '[[customer]]\nfrom = "log"\ncustomer_id = "who"\n'
    report = shop.run(mapping, watch=lambda _file, read: heard.append(read))
    assert report.tallies == {"customer": Tally(12_001, 12_001, 0, 0), "event": Tally(12_001, 12_001, 0, 0)}
    assert sum(heard) == planned_bytes(load_mapping(str(shop.folder / "m.toml")), shop.source)


def test_an_import_that_was_interrupted_is_completed_by_running_it_again(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(n) for n in range(12_000)])

    def pull_the_plug(_file: str, _read: int) -> None:
        if shop.ledger.count("events"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.run(EVENTS, watch=pull_the_plug)
    written = shop.ledger.count("events")
    assert 0 < written < 12_000
    assert shop.run(EVENTS).tallies["event"] == Tally(12_000, 12_000 - written, written, 0)


# -- the source --------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_what_was_looked_for_and_what_is_there(shop: Workshop) -> None:
    shop.write("other.jsonl", [])
    with pytest.raises(
        MappingError, match=r"m\.toml:3: file\.log\.path: looked for log\.jsonl and log\.jsonl\.gz.*other\.jsonl"
    ):
        shop.run(EVENTS)
    with pytest.raises(MappingError, match="no such file or folder"):
        shop.run(EVENTS, source=shop.source / "nowhere")


def test_a_single_file_may_be_given_itself_under_any_name(shop: Workshop) -> None:
    (shop.source / "x.jsonl.gz").write_bytes(gzip.compress(msgspec.json.encode(log(1))))
    assert shop.run(EVENTS, source=shop.source / "x.jsonl.gz").tallies["event"].added == 1


def test_one_file_is_refused_where_the_mapping_reads_several(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1)])
    with pytest.raises(MappingError, match=r"reads log\.jsonl, b\.csv: give their folder"):
        shop.run(EVENTS + '[file.b]\npath = "b.csv"\n', source=shop.source / "log.jsonl")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('value = "euros"', 'value = "dollars"'), "event.value"),
        (('event_id = "id"', 'event_id = { text = "{nr}-{id}" }'), "event.event_id"),
        (('from = "log"', 'from = "log"\nwhere = { kind = 1 }'), "event.where"),
        (('from = "log"', 'from = "log"\njoin.x = { file = "log", key = "nr", on = "id" }'), "event.join.x.key"),
        (('from = "log"', 'from = "log"\njoin.x = { file = "log", key = "id", on = "nr" }'), "event.join.x.on"),
        (('path = "log.csv"', 'path = "log.csv"\nadd.x = { text = "{nr}" }'), "file.log.add.x"),
    ],
)
def test_a_column_that_a_header_does_not_have_is_refused_before_a_row_is_read(
    shop: Workshop, change: tuple[str, str], key: str
) -> None:
    shop.write("log.csv", "id,who,what,at,euros,page\ne1,c1,purchase,2026-01-01,5,\n")
    mapping = EVENTS.replace("log.jsonl", "log.csv")
    assert change[0] in mapping
    with pytest.raises(MappingError, match="has no column") as caught:
        shop.run(mapping.replace(*change))
    assert caught.value.field == key
    told = caught.value.message.split(": ")
    assert told[1] == key
    line = int(told[0].removeprefix("m.toml:"))
    assert mapping.replace(*change).splitlines()[line - 1].startswith(change[1].splitlines()[-1])
    assert shop.ledger.count("events") == 0


def test_a_header_that_names_a_column_twice_is_refused(shop: Workshop) -> None:
    shop.write("log.csv", "id,who,what,at,euros,page,who\n")
    with pytest.raises(MappingError, match=r"log\.csv: the header has who more than once"):
        shop.run(EVENTS.replace("log.jsonl", "log.csv"))


def test_of_alternative_columns_one_is_enough(shop: Workshop) -> None:
    shop.write("log.csv", "id,who,what,at,euros,page\ne1,c1,purchase,2026-01-01,5,\n")
    mapping = EVENTS.replace("log.jsonl", "log.csv").replace(
        'value = "euros"', 'value = { column = ["dollars", "euros"] }'
    )
    assert shop.run(mapping).tallies["event"].added == 1


# -- time --------------------------------------------------------------------------------------------------------------

SHIFTED = (
    'shift = "newest_to_now"\n' + EVENTS + '[[customer]]\nfrom = "log"\ncustomer_id = "who"\ncreated_at = "since"\n'
)


def test_without_shift_times_are_as_given(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1)])
    assert shop.run(EVENTS).shift == 0
    assert shop.ledger.latest_event_at() == parse_time("2026-01-01")


def test_shift_moves_every_time_by_one_constant_that_is_remembered(shop: Workshop) -> None:
    rows = [
        log(1, since="2020-01-01"),
        log(2, at="2026-01-03", since="2020-01-01"),
        log(3, at="never", since="2020-01-01"),
    ]
    shop.write("log.jsonl", rows)
    report = shop.run(SHIFTED)
    assert report.shift == NOW - parse_time("2026-01-03")
    assert [row["occurred_at"] for row in shop.rows("SELECT occurred_at FROM events ORDER BY event_id")] == [
        NOW - 2 * DAY,
        NOW,
    ]
    assert shop.ledger.customer("c1") == Customer("c1", parse_time("2020-01-01") + report.shift)
    assert shop.run(SHIFTED, now=NOW + 5 * DAY).shift == report.shift
    assert shop.ledger.latest_event_at() == NOW


def test_a_shift_without_any_event_is_none_and_not_remembered(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1, at="never")])
    assert shop.run(SHIFTED).shift == 0
    shop.write("log.jsonl", [log(1)])
    assert shop.run(SHIFTED).shift == NOW - parse_time("2026-01-01")


def test_what_has_yet_to_happen_is_rejected(shop: Workshop) -> None:
    near, far = format_time(NOW + 5 * MINUTE), format_time(NOW + 5 * MINUTE + 1)
    shop.write("log.jsonl", [log(1), log(2, at=near), log(3, at=far), log(4, at="2999-01-01")])
    assert shop.run(EVENTS).tallies["event"] == Tally(4, 2, 0, 2)
    assert [(r["line"], r["reason"]) for r in shop.rejects()] == [
        (3, "occurred_at: 2026-03-01T00:05:00.000001Z lies in the future"),
        (4, "occurred_at: 2999-01-01T00:00:00.000000Z lies in the future"),
    ]


# -- the catalogue -----------------------------------------------------------------------------------------------------

OFFERS = """
about = "Two offers."
[file.offers]
path = "offers.jsonl"
[[channel]]
id = "mail"
[[channel]]
id = "web"
outbound = false
[[group]]
id = "g"
name = "The group"
exclusive = true
[[action]]
from = "offers"
id = "name"
group = "group"
value = "value"
window_days = "days"
starts_at = "start"
channels = "on"
purpose = { constant = "offers" }
content = { text = "{name}/{channel}" }
attributes.days = "days"
"""


def offer(name: str, **given: Any) -> dict[str, Any]:
    return {"name": name, "group": "g", "value": 2, "days": 3, "on": ["web", "mail"]} | given


def test_rows_become_actions_of_the_homes_catalogue(shop: Workshop) -> None:
    shop.write("offers.jsonl", [offer("b", start="2026-01-01"), offer("a", group="h", value="1.0 + score.churn")])
    report = shop.run(OFFERS)
    assert report.tallies == {"channel": Tally(2, 2, 0, 0), "group": Tally(2, 2, 0, 0), "action": Tally(2, 2, 0, 0)}
    catalogue = load_catalogue(shop.settings.catalogue_folder)
    a, b = catalogue.actions["a"], catalogue.actions["b"]
    assert (list(catalogue.groups), catalogue.exclusive_groups) == (["g", "h"], {"g"})
    assert b.purpose == "offers"
    assert (a.group, a.value, b.value, b.window_days) == ("h", "1.0 + score.churn", 2.0, 3.0)
    assert (b.starts_at, b.attributes) == (parse_time("2026-01-01"), {"days": 3})
    assert catalogue.treatment(Arm("b", "web")).content == "b/web"
    assert [arm.channel for arm in catalogue.arms()] == ["web", "mail", "web", "mail"]


def test_a_home_that_imports_a_catalogue_gets_a_contact_policy_and_not_the_default_actions(shop: Workshop) -> None:
    shop.write("offers.jsonl", [offer("a")])
    shop.run(OFFERS)
    folder = shop.settings.catalogue_folder
    assert sorted(file.name for file in folder.iterdir()) == ["contact_policy.toml", "m.toml"]
    assert (folder / "contact_policy.toml").read_bytes() == (SHIPPED / "catalogue/contact_policy.toml").read_bytes()
    assert read_catalogue(folder)[1] == []


def test_a_contact_policy_that_is_there_stays(shop: Workshop) -> None:
    shop.write("offers.jsonl", [offer("a")])
    folder = shop.settings.catalogue_folder
    folder.mkdir()
    (folder / "limits.toml").write_text('[[contact_policy]]\nid = "x"\nlimit = 9\nwindow_days = 1\n')
    shop.run(OFFERS)
    assert [rule.id for rule in load_catalogue(folder).contact_rules] == ["x"]


def test_importing_a_catalogue_again_leaves_the_file_as_it_is_also_where_it_was_edited(shop: Workshop) -> None:
    shop.write("offers.jsonl", [offer("a"), offer("b")])
    shop.run(OFFERS)
    file = shop.settings.catalogue_folder / "m.toml"
    before = file.read_bytes()
    assert shop.run(OFFERS, now=NOW + DAY).tallies["action"] == Tally(2, 0, 2, 0)
    assert file.read_bytes() == before
    file.write_bytes(before.replace(b"value = 2.0", b"value = 3.0"))
    shop.write("offers.jsonl", [offer("a"), offer("b"), offer("c")])
    assert shop.run(OFFERS).tallies["action"] == Tally(3, 1, 2, 0)
    assert [a.value for a in load_catalogue(shop.settings.catalogue_folder).actions.values()] == [3.0, 3.0, 2.0]


def test_actions_that_a_catalogue_would_refuse_are_rejected(shop: Workshop) -> None:
    bad = [offer("a b"), offer("c", on=["fax"]), offer("d", days=0), offer("x", value=1), offer("do_nothing")]
    shop.write("offers.jsonl", [offer("x"), *bad])
    assert shop.run(OFFERS).tallies["action"] == Tally(6, 1, 0, 5)
    assert [r["reason"] for r in shop.rejects()] == [
        "id: an id of letters, digits, '_', '-', '.', at most 128, is needed",
        "channels: no channel 'fax'; add a [[channel]] to the mapping",
        "window_days: 0 is not a number of days above 0 and at most 36500",
        "id: another row has made a different action 'x'",
        "id: this id is taken: doing nothing is always a candidate",
    ]


def test_actions_may_be_written_out_in_the_mapping(shop: Workshop) -> None:
    shop.write("log.jsonl", [log(1)])
    written = '[[channel]]\nid = "mail"\n[[action]]\nid = "a"\ngroup = "g"\ntreatment = [{ channel = "mail" }]\n'
    assert shop.run(EVENTS + written).tallies["action"] == Tally(1, 1, 0, 0)
    with pytest.raises(MappingError, match=r"m\.toml:14: action: b: channels: no channel 'fax'"):
        shop.run(EVENTS + written.replace('"mail" }', '"fax" }').replace('id = "a"', 'id = "b"'))


def test_a_catalogue_with_faults_stops_the_import_before_a_row(shop: Workshop) -> None:
    shop.write("offers.jsonl", [offer("a")])
    shop.settings.catalogue_folder.mkdir()
    (shop.settings.catalogue_folder / "x.toml").write_text("[[channel]]\nid = 5\n")
    with pytest.raises(CatalogueError, match=r"x\.toml:2"):
        shop.run(OFFERS)


# -- decisions and outcomes --------------------------------------------------------------------------------------------

PAST = """
[file.mail]
path = "mail.jsonl"
[[channel]]
id = "mail"
[[action]]
id = "a"
group = "g"
value = 4.0
window_days = 2
treatment = [{ channel = "mail" }]
[[decision]]
from = "mail"
where = { what = "sent" }
decision_id = "id"
customer_id = "who"
action = "offer"
channel = { constant = "mail" }
decided_at = "at"
action_probability = { column = "p", otherwise = 0.25 }
[[outcome]]
from = "mail"
where = { what = ["seen", "accepted"] }
outcome_id = "id"
attach_to = "latest_decision"
customer_id = "who"
action = "offer"
kind = "what"
occurred_at = "at"
value = "euros"
"""


def mail(name: str, what: str, hour: int, who: str = "c1", **given: Any) -> dict[str, Any]:
    at = format_time(parse_time("2026-01-01") + hour * HOUR)
    return {"id": name, "what": what, "at": at, "who": who, "offer": "a"} | given


def attachments(shop: Workshop) -> dict[str, str]:
    return {r["outcome_id"]: r["decision_id"] for r in shop.rows("SELECT outcome_id, decision_id FROM outcomes")}


def test_rows_become_past_decisions(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0), mail("d2", "sent", 1, p=0.5)])
    assert shop.run(PAST).tallies["decision"] == Tally(2, 2, 0, 0)
    stored = shop.ledger.decision("d1")
    at = parse_time("2026-01-01")
    assert (stored.origin, stored.customer_id, stored.decided_at) == ("import", "c1", at)
    item = stored.items[0]
    assert (item.arm, item.action_value, item.p_model) == (Arm("a", "mail"), 4.0, None)
    assert (item.closes_at, item.reward_state) == (at + 2 * DAY, "imported")
    query = "SELECT action_probability, action_group FROM decision_items ORDER BY decision_id"
    assert [tuple(row.values()) for row in shop.rows(query)] == [(0.25, "g"), (0.5, "g")]


def test_a_past_decision_whose_id_stands_for_another_one_is_rejected_and_told_again_it_is_not(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0), mail("d1", "sent", 0, who="c2"), mail("d2", "sent", 3)])
    assert shop.run(PAST).tallies["decision"] == Tally(3, 2, 0, 1)
    assert "'d1' is taken by a decision that says something else" in shop.rejects()[0]["reason"]
    shop.write("mail.jsonl", [mail("d1", "sent", 0), mail("d2", "sent", 4)])
    assert shop.run(PAST).tallies["decision"] == Tally(2, 0, 1, 1)


def test_a_decision_about_an_unknown_action_needs_group_and_window_in_its_row(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0, offer="b"), mail("d2", "sent", 0, p=0)])
    assert shop.run(PAST).tallies["decision"] == Tally(2, 0, 0, 2)
    assert "no 'b' in the catalogue" in shop.rejects()[0]["reason"]
    assert "action_probability: 0 is not a probability" in shop.rejects()[1]["reason"]
    given = 'action_group = { constant = "old" }\nwindow_days = 1\n[[outcome]]'
    assert shop.run(PAST.replace("[[outcome]]", given)).tallies["decision"] == Tally(2, 1, 0, 1)
    assert shop.ledger.decision("d1").items[0].closes_at == parse_time("2026-01-02")


def test_doing_nothing_can_be_what_was_decided(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0, offer="do_nothing")])
    assert shop.run(PAST).tallies["decision"] == Tally(1, 1, 0, 0)
    (item,) = shop.ledger.decision("d1").items
    assert (item.arm, item.action_value, item.closes_at) == (DO_NOTHING, 0.0, item.decided_at)
    assert shop.rows("SELECT result FROM decisions") == [{"result": "do_nothing"}]


WAVES = """
[file.people]
path = "people.csv"
each.hour = [0, 24]
each.half = ["a", "b"]
add.moment = { text = "{id} {hour}{half}" }
[file.mail]
path = "mail.csv"
add.moment = { text = "{who} {hour}{half}" }
[[decision]]
from = "people"
join.sent = { file = "mail", key = "moment", on = "moment" }
where = { "sent.who" = { present = false } }
decision_id = { text = "nothing {moment}" }
customer_id = "id"
action = { constant = "do_nothing" }
channel = { constant = "none" }
decided_at = { column = "hour", time = "hours", since = 2026-01-01T00:00:00Z }
action_probability = 0.5
"""


def test_every_row_is_seen_once_for_each_moment_so_that_who_got_nothing_is_decided_about_too(shop: Workshop) -> None:
    shop.write("people.csv", "id\n1\n2\n")
    shop.write("mail.csv", "who,hour,half\n1,0,a\n2,0,b\n2,24,b\n")
    assert shop.run(WAVES).tallies == {"decision": Tally(5, 5, 0, 0)}
    assert shop.run(WAVES).tallies == {"decision": Tally(5, 0, 5, 0)}
    made = shop.rows("SELECT decision_id, decided_at FROM decisions ORDER BY decision_id")
    assert [row["decision_id"].removeprefix("nothing ") for row in made] == ["1 0b", "1 24a", "1 24b", "2 0a", "2 24a"]
    assert made[1]["decided_at"] - made[0]["decided_at"] == DAY


def test_an_outcome_belongs_to_the_latest_earlier_decision_of_customer_and_action(shop: Workshop) -> None:
    shop.write(
        "mail.jsonl",
        [
            mail("o1", "seen", 6),
            mail("d1", "sent", 5),
            mail("d2", "sent", 10),
            mail("other", "sent", 11, who="c2"),
            mail("o2", "accepted", 10, euros=7),
            mail("o3", "seen", 99),
            mail("early", "seen", 4),
            mail("stranger", "seen", 99, who="c3"),
            mail("strange", "seen", 99, offer="z"),
            mail("nobody", "seen", 99, who=None),
        ],
    )
    assert shop.run(PAST).tallies["outcome"] == Tally(7, 3, 0, 4)
    assert attachments(shop) == {"o1": "d1", "o2": "d2", "o3": "d2"}
    assert {r["row"].get("outcome_id", r["row"].get("id")): r["reason"] for r in shop.rejects()} == {
        "early": "no earlier decision for this customer and action",
        "stranger": "no earlier decision for this customer and action",
        "strange": "no earlier decision for this customer and action",
        "nobody": "customer_id: is missing",
    }
    assert sorted(r["line"] for r in shop.rejects()) == [7, 8, 9, 10]
    assert shop.ledger.decision("d2").items[0].outcomes[0].value == 7.0


def test_an_outcome_finds_a_decision_of_an_earlier_import(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0)])
    shop.run(PAST)
    shop.write("mail.jsonl", [mail("o1", "seen", 1)])
    assert shop.run(PAST).tallies["outcome"] == Tally(1, 1, 0, 0)
    assert attachments(shop) == {"o1": "d1"}


def test_an_outcome_may_be_attached_within_some_days_only(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0), mail("o1", "seen", 24), mail("o2", "seen", 25)])
    mapping = PAST.replace('attach_to = "latest_decision"', 'attach_to = "latest_decision"\nattach_within_days = 1')
    assert shop.run(mapping).tallies["outcome"] == Tally(2, 1, 0, 1)
    assert shop.rejects()[0]["reason"] == "no decision for this customer and action within 1 days before"


def test_an_outcome_may_name_its_decision(shop: Workshop) -> None:
    rows = [
        mail("o1", "seen", 1, of="d1"),
        mail("d1", "sent", 0),
        mail("o2", "seen", 1, of="dx"),
        mail("o3", "seen", 1),
    ]
    shop.write("mail.jsonl", [*rows, mail("o4", "seen", 1, of="d1", who="c2")])
    mapping = PAST.replace('attach_to = "latest_decision"', 'decision_id = "of"')
    assert shop.run(mapping).tallies["outcome"] == Tally(4, 1, 0, 3)
    assert attachments(shop) == {"o1": "d1"}
    assert {r["reason"] for r in shop.rejects()} == {
        "decision_id: is missing",
        "decision_id: no decision 'dx' with an item 1",
        "decision_id: 'd1' is a decision for another customer or action",
    }


def test_an_outcome_id_used_again_for_something_else_is_rejected_with_its_line(shop: Workshop) -> None:
    shop.write("mail.jsonl", [mail("d1", "sent", 0), mail("o1", "seen", 1)])
    shop.run(PAST)
    shop.write("mail.jsonl", [mail("o1", "seen", 1), mail("o1", "accepted", 1)])
    assert shop.run(PAST).tallies["outcome"] == Tally(2, 0, 1, 1)
    assert [(r["line"], r["reason"]) for r in shop.rejects()] == [
        (2, "outcome_id: 'o1' is taken by an outcome that says something else")
    ]


# -- laws --------------------------------------------------------------------------------------------------------------

MIXED = [
    *[mail(f"d{n}", "sent", hour, who) for n, (hour, who) in enumerate([(0, "c1"), (5, "c1"), (5, "c2"), (9, "c1")])],
    *[mail(f"o{n}", "seen", hour, who) for n, (hour, who) in enumerate([(1, "c1"), (6, "c1"), (4, "c2"), (20, "c2")])],
    mail("o0", "seen", 1),
    mail("bad", "sent", 0, p="x"),
    mail("worse", "sent", 0, offer=["list"]),
]
EVERYTHING = PAST + EVENTS.replace('[file.log]\npath = "log.jsonl"\n', "").replace('"log"', '"mail"')


@given(st.permutations(MIXED))
def test_any_order_of_rows_gives_the_same_ledger(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    def content(order: list[dict[str, Any]]) -> dict[str, Any]:
        shop = Workshop(tmp_path_factory.mktemp("permuted"))
        shop.write("mail.jsonl", order)
        counts = shop.run(EVERYTHING).tallies
        columns = {
            "customers": "customer_id, created_at",
            "events": "event_id, customer_id, type, occurred_at",
            "decision_items": "decision_id, customer_id, decided_at, closes_at",
            "outcomes": "outcome_id, decision_id, occurred_at",
        }
        tables = {table: shop.rows(f"SELECT {names} FROM {table} ORDER BY 1") for table, names in columns.items()}
        shop.ledger.close()
        return {"counts": counts, "rejects": sorted(r["reason"] for r in shop.rejects())} | tables

    assert content(rows) == content(MIXED)


# -- what is shipped, and real data ------------------------------------------------------------------------------------


def shipped(name: str, source: Path, tmp_path: Path) -> tuple[ImportReport, ImportReport, Workshop]:
    shop = Workshop(tmp_path)
    first, second = (
        run_import(load_mapping(name), source, ledger=shop.ledger, settings=shop.settings, now=NOW + n * DAY)
        for n in range(2)
    )
    return first, second, shop


def test_the_sample_shop_can_be_imported(tmp_path: Path) -> None:
    first, second, shop = shipped("sample", SHIPPED / "samples", tmp_path)
    assert {target: tally.added for target, tally in first.tallies.items()} == {
        "channel": 3,
        "group": 3,
        "action": 4,
        "customer": 40,
        "event": 474,
        "decision": 85,
        "outcome": 41,
    }
    assert first.rejects is None
    assert all(tally == Tally(tally.read, 0, tally.read, 0) for tally in second.tallies.values())
    assert shop.ledger.latest_event_at() == NOW
    shop.ledger.close()


def test_the_telco_customers_are_imported(tmp_path: Path, shared_data: Path) -> None:
    first, second, shop = shipped("telco", shared_data / "telco", tmp_path)
    assert first.tallies == {"customer": Tally(7_043, 7_043, 0, 0)}
    assert second.tallies == {"customer": Tally(7_043, 0, 7_043, 0)}
    told = [msgspec.json.decode(row["attributes"]) for row in shop.rows("SELECT attributes FROM customers")]
    assert sum(attributes["churned"] for attributes in told) == 1_869
    assert sum("total_charges" not in attributes for attributes in told) == 11
    shop.ledger.close()


def test_the_email_experiment_is_imported_once_with_its_published_counts(tmp_path: Path, shared_data: Path) -> None:
    first, second, shop = shipped("hillstrom", shared_data / "hillstrom", tmp_path)
    counts = {"channel": 1, "group": 1, "action": 2, "customer": 64_000, "event": 9_394 + 578, "decision": 64_000}
    counts |= {"outcome": 9_394 + 578}
    assert first.tallies == {target: Tally(count, count, 0, 0) for target, count in counts.items()}
    assert second.tallies == {target: Tally(count, 0, count, 0) for target, count in counts.items()}
    assert (first.unreadable, first.rejects) == (0, None)
    drawn = shop.rows("SELECT action, count(*) AS n, min(action_probability) AS p FROM decision_items GROUP BY 1")
    assert {row["action"]: row["n"] for row in drawn} == {
        "do_nothing": 21_306,
        "mens_email": 21_307,
        "womens_email": 21_387,
    }
    assert {row["p"] for row in drawn} == {1 / 3}
    shop.ledger.close()


def test_the_whole_rewards_programme_is_imported_once(tmp_path: Path, shared_data: Path) -> None:
    first, second, shop = shipped("starbucks", shared_data / "starbucks", tmp_path)
    counts = {"channel": 4, "group": 3, "action": 10, "customer": 17_000, "event": 306_534}
    # 76,277 sendings, and everybody who was sent nothing at one of the six waves.
    counts |= {"decision": 6 * 17_000, "outcome": 91_304}
    assert first.tallies == {target: Tally(count, count, 0, 0) for target, count in counts.items()}
    assert second.tallies == {target: Tally(count, 0, count, 0) for target, count in counts.items()}
    assert (first.unreadable, first.rejects, second.shift) == (0, None, first.shift)
    assert {r["type"]: r["n"] for r in shop.rows("SELECT type, count(*) AS n FROM events GROUP BY 1")} == {
        "purchase": 138_953,
        "offer_received": 76_277,
        "offer_viewed": 57_725,
        "offer_completed": 33_579,
    }
    assert {r["kind"]: r["n"] for r in shop.rows("SELECT kind, count(*) AS n FROM outcomes GROUP BY 1")} == {
        "seen": 57_725,
        "accepted": 33_579,
    }
    sent = "SELECT count(*) AS n FROM decision_items WHERE action <> 'do_nothing'"
    assert shop.rows(sent) == [{"n": 76_277}]
    assert shop.rows("SELECT count(*) AS n FROM customers WHERE attributes NOT LIKE '%age%'") == [{"n": 2_175}]
    assert shop.ledger.latest_event_at() == NOW
    catalogue = load_catalogue(shop.settings.catalogue_folder)
    assert {channel.id: channel.outbound for channel in catalogue.channels.values()} == {
        "email": True,
        "mobile": True,
        "social": True,
        "web": False,
    }
    assert {"bogo_10_10_7", "bogo_10_10_5"} < set(catalogue.actions)
    assert {a.outcome for a in catalogue.actions.values() if a.group == "informational"} == {"seen"}
    assert all(arm.channel in catalogue.channels for arm in catalogue.arms())
    shop.ledger.close()
