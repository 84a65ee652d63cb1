"""Reading and writing a catalogue: what is right comes back, what is wrong is named by file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import (
    EMPTY_CATALOGUE,
    Action,
    Channel,
    ContactRule,
    Group,
    QuietHours,
    Treatment,
    load_catalogue,
    read_catalogue,
    write_catalogue,
)
from features.clock import parse_time
from features.domain import ActionClass, Arm
from features.errors import CatalogueError
from features.settings import SHIPPED

GOOD = """\
[[channel]]
id = "mail"
cost = 0.5

[[group]]
id = "sell"

[[action]]
id = "offer"
group = "sell"
class = "service"
value = "2.0 * score.churn"
starts_at = 2026-01-01T00:00:00Z
ends_at = "2027-01-01"
cost = 1
treatment = [{ channel = "mail", content = "x", cost = 0.25 }]

[action.attributes]
colour = "red"

[[contact_policy]]
id = "daily"
scope = "arm"
of = "offer@mail"
limit = 1
window_days = 0.5
"""


def folder_with(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def test_a_catalogue_is_read_into_values(tmp_path: Path) -> None:
    catalogue = load_catalogue(folder_with(tmp_path, all=GOOD))
    action = catalogue.actions["offer"]
    assert catalogue.groups == ("sell",)
    assert catalogue.channels["mail"] == Channel("mail", True, 0.5, "acceptances")
    assert (action.action_class, action.value, action.name) == (ActionClass.SERVICE, "2.0 * score.churn", "offer")
    assert (action.starts_at, action.ends_at) == (parse_time("2026-01-01"), parse_time("2027-01-01"))
    assert action.attributes == {"colour": "red"}
    assert list(catalogue.arms()) == [Arm("offer", "mail")]
    assert catalogue.treatment(Arm("offer", "mail")) == Treatment("mail", "x", 0.25)
    assert catalogue.contact_cost(Arm("offer", "mail")) == 1.75
    assert catalogue.contact_rules[0].window_seconds == 43_200


def test_an_arm_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        load_catalogue(folder_with(tmp_path, all=GOOD)).treatment(Arm("offer", "web"))


def test_no_folder_and_no_files_are_the_empty_catalogue(tmp_path: Path) -> None:
    assert load_catalogue(tmp_path / "nowhere") == EMPTY_CATALOGUE
    assert load_catalogue(tmp_path) == EMPTY_CATALOGUE


def test_several_files_are_one_catalogue_and_the_version_is_of_the_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    parts = {"a": GOOD.split("[[action]]")[0], "b": "[[action]]" + GOOD.split("[[action]]")[1]}
    assert load_catalogue(folder_with(one, **parts)) == load_catalogue(folder_with(two, **parts))
    (two / "b.toml").write_text(parts["b"] + "# another\n")
    assert load_catalogue(one).version != load_catalogue(two).version


def test_the_shipped_catalogue_has_no_faults() -> None:
    assert read_catalogue(SHIPPED / "catalogue")[1] == []


def test_the_shipped_limits_cap_service_messages_too_more_generously_than_marketing() -> None:
    rules = [r for r in load_catalogue(SHIPPED / "catalogue").contact_rules if r.window_seconds == 86_400]
    limits = {r.action_class: r.limit for r in rules if r.counts == "decided"}
    assert limits == {ActionClass.MARKETING: 2, ActionClass.SERVICE: 5}


HEAD = '[[channel]]\nid = "web"\n[[group]]\nid = "g"\n'  # 4 lines
RULE = '[[contact_policy]]\nid = "r"\nlimit = 1\nwindow_days = 1\n'  # 4 lines
QUIET = '[[quiet_hours]]\nid = "night"\nstart = "21:00"\n'  # 3 lines
INTENT = '[[intent]]\nid = "cancel"\n'  # 2 lines
ACTION = HEAD + '[[action]]\nid = "a"\ngroup = "g"\n'  # 7 lines


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("[[channel\n", 1, "", "not TOML"),
        ("\n[[chanel]]\nid = 'x'\n", 2, "chanel", "unknown section"),
        ("\n[channel]\nid = 'x'\n", 2, "channel", "two brackets"),
        ("channel = [1]\n", 1, "channel", "two brackets"),
        ("[[channel]]\ncost = 1\n", 1, "channel.id", "is needed"),
        ('[[channel]]\nid = "a b"\n', 2, "channel.id", "letters, digits"),
        (HEAD + '[[action]]\nid = "do_nothing"\ngroup = "g"\n', 6, "action.id", "taken"),
        ('[[channel]]\nid = "none"\n', 2, "channel.id", "taken"),
        ('[[channel]]\nid = "x"\n\n[[channel]]\nid = "x"\n', 5, "channel.id", "already defined at c.toml:2"),
        ('[[channel]]\nid = "x"\ncost = -1\n', 3, "channel.cost", "at least 0"),
        ('[[channel]]\nid = "x"\ncost = nan\n', 3, "channel.cost", "must be a number"),
        ('[[channel]]\nid = "x"\noutbound = 1\n', 3, "channel.outbound", "true or false"),
        ('[[channel]]\nid = "x"\nreports = "all"\n', 3, "channel.reports", "one of responses, acceptances"),
        ('[[channel]]\nid = "x"\ncolour = 1\n', 3, "channel.colour", "unknown key"),
        ('[[action]]\nid = "a"\n', 1, "action.group", "is needed"),
        (ACTION + 'value = ""\n', 8, "action.value", "must be a number"),
        (ACTION + "value = true\n", 8, "action.value", "must be a number, not true"),
        (ACTION + "value = inf\n", 8, "action.value", "must be a number, not inf"),
        (ACTION + "value = 1e13\n", 8, "action.value", "must be at most 1,000,000,000,000"),
        (ACTION + f"value = {'9' * 400}\n", 8, "action.value", "must be a number"),
        (ACTION + "attributes = { x = nan }\n", 8, "action.attributes.x", "a number, true or false, not nan"),
        (ACTION + "starts_at = 0001-01-01T00:00:00+05:00\n", 8, "action.starts_at", "must be a time"),
        (ACTION + "starts_at = 9999-12-31T23:00:00-05:00\n", 8, "action.starts_at", "must be a time"),
        (RULE.replace("limit = 1", "limit = true"), 3, "contact_policy.limit", "a whole number, not true"),
        (RULE.replace("limit = 1", "limit = 1.0"), 3, "contact_policy.limit", "a whole number, not 1.0"),
        ('[[channel]]\nid = "x"\ncosts = 1\n', 3, "channel.costs", "did you mean cost?"),
        (ACTION + 'class = "fun"\n', 8, "action.class", "one of marketing"),
        (ACTION + 'outcome = "won"\n', 8, "action.outcome", "one of seen"),
        (ACTION + "lever = -101\n", 8, "action.lever", "at least -100"),
        (ACTION + "window_days = 0\n", 8, "action.window_days", "at least"),
        (ACTION + 'starts_at = "soon"\n', 8, "action.starts_at", "must be a time"),
        (ACTION + "starts_at = 2026-01-02\nends_at = 2026-01-01\n", 9, "action.ends_at", "before it starts"),
        (ACTION + "placements = [1]\n", 8, "action.placements", "list of text"),
        (ACTION + "attributes = { x = [1] }\n", 8, "action.attributes.x", "must be text"),
        (ACTION + 'treatment = ["web"]\n', 8, "action.treatment", "list of a table"),
        (ACTION + "treatment = [\n  { content = 'x' },\n]\n", 8, "action.treatment.channel", "is needed"),
        (ACTION + 'treatment = [\n  { channel = "web", size = 1 },\n]\n', 9, "action.treatment.size", "unknown key"),
        (
            ACTION + 'treatment = [{ channel = "web" }, { channel = "web" }]\n',
            8,
            "action.treatment",
            "two treatments for one channel",
        ),
        (
            ACTION + 'treatment = [\n  { channel = "web" },\n  { channel = "fax" },\n]\n',
            10,
            "action.treatment.channel",
            "no channel 'fax'",
        ),
        (HEAD + '[[action]]\nid = "a"\ngroup = "h"\n', 7, "action.group", "no group 'h'"),
        ('[[contact_policy]]\nid = "r"\nwindow_days = 1\n', 1, "contact_policy.limit", "is needed"),
        ('[[contact_policy]]\nid = "r"\nlimit = 0\nwindow_days = 1\n', 3, "contact_policy.limit", "at least 1"),
        ('[[contact_policy]]\nid = "r"\nlimit = true\nwindow_days = 1\n', 3, "contact_policy.limit", "a whole number"),
        ('[[contact_policy]]\nid = "r"\nlimit = 1\n', 1, "contact_policy.window_seconds", "give window_seconds"),
        (
            '[[contact_policy]]\nid = "r"\nlimit = 1\nscope = "moon"\ncalendar = "day"\n',
            4,
            "contact_policy.scope",
            "one of all",
        ),
        (
            '[[contact_policy]]\nid = "r"\nlimit = 1\nwindow_days = 1\nof = "x"\n',
            5,
            "contact_policy.of",
            "takes no 'of'",
        ),
        (
            '[[contact_policy]]\nid = "r"\nlimit = 1\nwindow_days = 1\nscope = "channel"\nof = "x"\n',
            6,
            "contact_policy.of",
            "no channel 'x'",
        ),
        (RULE + 'scope = "channel"\n', 5, "contact_policy.scope", "needs an 'of'"),
        (RULE + 'mode = "forbid"\n', 3, "contact_policy.limit", "mode 'forbid' is a limit of 0"),
        (RULE + 'calendar = "day"\n', 5, "contact_policy.calendar", "either calendar or window"),
        (RULE.replace("window_days = 1", 'calendar = "year"'), 4, "contact_policy.calendar", "one of day, week, month"),
        (RULE + 'counts = "thought"\n', 5, "contact_policy.counts", "one of decided"),
        (RULE + 'counts = "outcome"\n', 1, "contact_policy.outcome", "is needed"),
        (RULE + 'outcome = "rejected"\n', 5, "contact_policy.outcome", "only counts"),
        (RULE + 'effect = "pause"\n', 1, "contact_policy.pause_days", "needs pause_days"),
        (RULE + 'effect = "block"\npause_days = 2\n', 6, "contact_policy.pause_days", "only effect"),
        (RULE + 'zones = ["Mars/Olympus"]\n', 5, "contact_policy.zones", "no time zone 'Mars/Olympus'"),
        (QUIET + 'end = "21:00"\n', 4, "quiet_hours.end", "start and end are the same"),
        (QUIET, 1, "quiet_hours.end", "is needed"),
        (QUIET + 'end = "8 am"\n', 4, "quiet_hours.end", "a time of day"),
        (QUIET + "end = 8\n", 4, "quiet_hours.end", "a time of day"),
        (QUIET + 'end = "08:00"\nzones = ["", "UTC"]\n', 5, "quiet_hours.zones", "no time zone ''"),
        (QUIET + 'end = "08:00"\nchannels = ["fax"]\n', 5, "quiet_hours.channels", "no channel 'fax'"),
        (RULE + QUIET.replace("night", "r") + 'end = "08:00"\n', 6, "quiet_hours.id", "already defined at c.toml:2"),
        ('[[group]]\nid = "g"\nexclusive = "yes"\n', 3, "group.exclusive", "true or false"),
        (ACTION + 'purpose = "a/b"\n', 8, "action.purpose", "without '/'"),
        (INTENT + "weight = [{ percent = 5 }]\n", 3, "intent.weight.group", "either a group or an action"),
        (HEAD + INTENT + 'weight = [\n  { group = "g" },\n]\n', 7, "intent.weight.percent", "is needed"),
        (
            HEAD + INTENT + 'weight = [\n  { group = "g", percent = 1 },\n  { action = "x", percent = 1 },\n]\n',
            9,
            "intent.weight.action",
            "no action 'x'",
        ),
        (HEAD + INTENT + 'weight = [{ group = "g", percent = -101 }]\n', 7, "intent.weight.percent", "at least -100"),
    ],
)
def test_a_fault_names_file_line_and_key(tmp_path: Path, text: str, line: int, key: str, said: str) -> None:
    faults = read_catalogue(folder_with(tmp_path, c=text))[1]
    assert [(f.file, f.line, f.key) for f in faults] == [("c.toml", line, key)], [str(f) for f in faults]
    assert said in faults[0].message
    with pytest.raises(CatalogueError, match=rf"c\.toml:{line}"):
        load_catalogue(tmp_path)


def test_a_fault_of_no_key_has_no_stray_colon(tmp_path: Path) -> None:
    told = str(read_catalogue(folder_with(tmp_path, c="[[channel\n"))[1][0])
    assert told.startswith("c.toml:1: not TOML: ")


def test_a_file_that_is_not_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    assert read_catalogue(tmp_path)[1][0].file == "c.toml"


def test_every_fault_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    bad = GOOD.replace("cost = 0.5", "cost = -1") + '[[group]]\nid = "other"\nwhat = 1\n'
    catalogue, faults = read_catalogue(folder_with(tmp_path, all=bad))
    assert [f.key for f in faults] == ["channel.cost", "group.what"]
    assert list(catalogue.actions) == ["offer"]
    with pytest.raises(CatalogueError, match="and 1 more"):
        load_catalogue(tmp_path)


def test_every_fault_of_one_entry_is_told(tmp_path: Path) -> None:
    text = ACTION + 'value = true\nlever = "much"\ncolour = 1\n'
    faults = read_catalogue(folder_with(tmp_path, c=text))[1]
    assert [(f.line, f.key) for f in faults] == [(8, "action.value"), (9, "action.lever"), (10, "action.colour")]


def test_every_unknown_key_is_told_also_within_treatments_and_where_something_else_is_missing(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
[[action]]
id = "a"
colour = 1
size = 2
treatment = [
  { channel = "web", font = 1, face = 2 },
  { channel = "fax", font = 1 },
]
[[contact_policy]]
id = "r"
limt = 1
windw_days = 1
"""
    )
    faults = read_catalogue(folder_with(tmp_path, c=text))[1]
    assert sorted((f.line, f.key) for f in faults) == [
        (5, "action.group"),
        (7, "action.colour"),
        (8, "action.size"),
        (10, "action.treatment.face"),
        (10, "action.treatment.font"),
        (11, "action.treatment.channel"),
        (11, "action.treatment.font"),
        (13, "contact_policy.limit"),
        (13, "contact_policy.window_seconds"),
        (15, "contact_policy.limt"),
        (16, "contact_policy.windw_days"),
    ]


def test_nothing_is_said_to_follow_from_a_value_that_is_itself_at_fault(tmp_path: Path) -> None:
    text = RULE.replace("limit = 1", "limit = 'x'").replace("= 1", "= 'y'") + 'scope = "moon"\nof = "x"\neffect = "?"\n'
    faults = read_catalogue(
        folder_with(tmp_path, c=text + 'pause_days = "z"\n' + QUIET.replace("21", "x") + "end = 0\n")
    )
    assert [f.line for f in faults[1]] == [5, 3, 4, 8, 7, 11, 12]


def test_limits_are_read_into_values(tmp_path: Path) -> None:
    text = """
[[contact_policy]]
id = "after-two-refusals"
scope = "all"
counts = "outcome"
outcome = "rejected"
limit = 2
window_days = 30
effect = "pause"
pause_days = 90
class = "regulatory"
[[contact_policy]]
id = "weekly"
counts = "delivered"
limit = 3
calendar = "week"
zones = ["UTC"]
[[contact_policy]]
id = "never"
mode = "forbid"
[[quiet_hours]]
id = "night"
start = "21:30"
end = 08:00:00
zones = ["Europe/Berlin"]
"""
    catalogue = load_catalogue(folder_with(tmp_path, c=text))
    assert catalogue.contact_rules == (
        ContactRule(
            "after-two-refusals",
            "all",
            2,
            30 * 86_400,
            action_class=ActionClass.REGULATORY,
            counts="outcome",
            outcome="rejected",
            pause_days=90.0,
        ),
        ContactRule("weekly", "all", 3, 0, counts="delivered", calendar="week", zones=("UTC",)),
        ContactRule("never", "all", 0, 0),
    )
    assert catalogue.quiet_hours == (QuietHours("night", 1290, 480, zones=("Europe/Berlin",)),)
    assert catalogue.quiet_hours[0].hours == "21:30-08:00"


def test_intents_weigh_actions_by_their_own_percent_and_their_groups(tmp_path: Path) -> None:
    text = ACTION + INTENT + 'weight = [{ group = "g", percent = 80 }, { action = "a", percent = -30 }]\n'
    catalogue = load_catalogue(folder_with(tmp_path, c=text))
    assert catalogue.intents["cancel"].percents(catalogue.actions["a"]) == [80.0, -30.0]
    assert catalogue.intents["cancel"].percents(Action("b", "g")) == [80.0]
    assert catalogue.intents["cancel"].percents(Action("g", "a")) == []


def test_groups_say_whether_their_actions_exclude_each_other(tmp_path: Path) -> None:
    text = '[[group]]\nid = "one"\nexclusive = true\n[[group]]\nid = "many"\n'
    catalogue = load_catalogue(folder_with(tmp_path, c=text))
    assert (catalogue.groups, catalogue.exclusive_groups) == (("one", "many"), {"one"})


def test_the_line_is_that_of_the_right_entry_though_ids_repeat_elsewhere(tmp_path: Path) -> None:
    text = '[[group]]\nid = "x"\n[[channel]]\nid = "x"\ncost = 0\n[[action]]\nid = "x"\ngroup = "x"\ncost = -1\n'
    assert [f.line for f in read_catalogue(folder_with(tmp_path, c=text))[1]] == [9]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    catalogue = load_catalogue(folder_with(tmp_path, all=GOOD))
    assert write_catalogue(
        tmp_path / "o",
        "x.toml",
        catalogue.channels.values(),
        [Group("sell", "Sell", exclusive=True)],
        [*catalogue.actions.values()],
    )
    again = load_catalogue(tmp_path / "o")
    assert (again.channels, again.groups, again.actions) == (catalogue.channels, catalogue.groups, catalogue.actions)
    assert again.exclusive_groups == {"sell"}


def test_writing_the_same_again_does_not_touch_the_file(tmp_path: Path) -> None:
    action = Action("a", "g", treatments=(Treatment("c"),))
    added = write_catalogue(tmp_path, "x.toml", [Channel("c")], [Group("g", "G")], [action], "Two\nlines")
    assert added == {"channel": 1, "group": 1, "action": 1}
    before = (tmp_path / "x.toml").stat()
    again = write_catalogue(tmp_path, "x.toml", [Channel("c")], [Group("g", "G")], [action], "Two\nlines")
    assert again == {"channel": 0, "group": 0, "action": 0}
    assert (tmp_path / "x.toml").stat() == before
    assert (tmp_path / "x.toml").read_text().startswith("# Two\n# lines\n\n[[channel]]")
    assert [p.name for p in tmp_path.iterdir()] == ["x.toml"]


def test_writing_adds_what_is_missing_and_keeps_what_people_edited(tmp_path: Path) -> None:
    write_catalogue(tmp_path, "x.toml", [Channel("c")], [Group("g", "G")], [Action("a", "g")])
    file = tmp_path / "x.toml"
    file.write_text(file.read_text().replace("value = 1.0", "value = 9.0  # said the product team"))
    (tmp_path / "other.toml").write_text('[[channel]]\nid = "d"\n')
    added = write_catalogue(
        tmp_path, "x.toml", [Channel("c"), Channel("d")], [Group("g", "G")], [Action("a", "g"), Action("b", "g")]
    )
    assert added == {"channel": 0, "group": 0, "action": 1}
    assert "said the product team" in file.read_text()
    assert {a.id: a.value for a in load_catalogue(tmp_path).actions.values()} == {"a": 9.0, "b": 1.0}


def test_nothing_is_written_into_a_catalogue_with_faults(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[[channel\n")
    with pytest.raises(CatalogueError, match=r"x\.toml:1"):
        write_catalogue(tmp_path, "y.toml", [Channel("c")], [], [])
    assert not (tmp_path / "y.toml").exists()


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(
    name=names.filter(bool),
    content=names.filter(bool),
    value=st.floats(-1e12, 1e12),
    attributes=st.dictionaries(names, names | st.booleans() | st.integers(-(2**60), 2**60), max_size=3),
    order=st.permutations(["a", "b", "c"]),
)
def test_any_entry_survives_the_file_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: str, value: float, attributes: dict, order: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("catalogue")
    treatments = (Treatment("web", content), Treatment("mail"))
    actions = [Action(i, "g", name=name, value=value, attributes=attributes, treatments=treatments) for i in order]
    write_catalogue(folder, "x.toml", [Channel("web", False), Channel("mail")], [Group("g", name)], actions)
    assert load_catalogue(folder).actions == {action.id: action for action in actions}
    assert list(load_catalogue(folder).actions) == ["a", "b", "c"]


def test_files_of_other_editors_are_read_or_told(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert list(load_catalogue(tmp_path).channels) == ["web"]
    file.write_bytes('[[channel]]\nid = "web"\n# für'.encode("latin-1"))
    (fault,) = read_catalogue(tmp_path)[1]
    assert (fault.line, "save the file as UTF-8" in fault.message) == (3, True)
    file.write_bytes('[[channel]]\nid = "web"\n'.encode("utf-16"))
    (fault,) = read_catalogue(tmp_path)[1]
    assert "saved as UTF-16" in fault.message
    file.unlink()
    file.mkdir()
    assert read_catalogue(tmp_path)[1] == []
