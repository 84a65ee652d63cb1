"""Without a propensity model past decisions drawn at random teach the policy, and answers say what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from features.catalogue import load_catalogue
from features.clock import DAY, HOUR
from features.domain import DO_NOTHING, Arm, Customer, Decision, Item, Outcome, Versions
from features.ledger import Ledger, open_ledger
from features.settings import Settings
from serving.engine import decide
from serving.expressions import compile_catalogue
from serving.metrics import Metrics
from serving.replay import difference, make_again
from serving.request import Inputs, Knowledge, Request
from serving.strategy import Strategy
from training.bandit import PolicySnapshot
from training.bundle import Bundle, champion, load_bundle
from training.explorer import make_explorer
from training.pipeline import train
from training.release import promote_if_fit
from training.report import TrainingReport

START = 20_000 * DAY
CATALOGUE = """
[[group]]
id = "drinks"
[[channel]]
id = "web"
outbound = false
[[action]]
id = "coffee"
group = "drinks"
value = 10.0
window_days = 2
treatment = [{ channel = "web" }]
[[action]]
id = "tea"
group = "drinks"
value = 10.0
window_days = 2
treatment = [{ channel = "web" }]
"""


class Remembers:
    def record(self, report: TrainingReport) -> None:
        pass

    def promote(self, folder: Path) -> None:
        pass


def past(name: str, arm: Arm, moment: int, probability: float) -> Decision:
    item = Item(1, arm, "drinks", probability, None, None, 10.0, 0.0, 0.0, None, moment + DAY, moment + 2 * DAY)
    versions = Versions(None, "imported", "imported")
    return Decision(name, name, "anna", moment, (item,), "action", None, None, versions)


def fill(ledger: Ledger, probability: float, decisions: int = 300) -> None:
    """Coffee is accepted by four in ten and tea by one in ten; too few decisions for a model."""
    ledger.put_customers([Customer("anna", START)])
    made, told = [], []
    for n in range(decisions):
        arm, moment = Arm(("coffee", "tea")[n % 2], "web"), START + n * 6 * HOUR
        made.append(past(f"d{n}", arm, moment, probability))
        if n // 2 % 10 < (4 if arm.action == "coffee" else 1):
            told.append(Outcome(f"o{n}", f"d{n}", "anna", arm.action, "accepted", moment + HOUR))
    ledger.import_decisions(made)
    ledger.append_outcomes(told, START + 200 * DAY)


def home(folder: Path, probability: float) -> tuple[Settings, TrainingReport]:
    folder.mkdir(exist_ok=True)
    settings = Settings(home=folder)
    settings.catalogue_folder.mkdir()
    (settings.catalogue_folder / "all.toml").write_text(CATALOGUE)
    ledger = open_ledger(settings.ledger)
    fill(ledger, probability)
    ledger.close()
    return settings, train(settings, START + 90 * DAY, tracker=Remembers())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, TrainingReport]:
    """A home whose past decisions were drawn at random, trained: no model is released."""
    return home(tmp_path_factory.mktemp("drawn"), 0.5)


def strategy_of(settings: Settings, catalogue: str = CATALOGUE) -> Strategy:
    folder = champion(settings.bundle_folder)
    (settings.home / "other").mkdir(exist_ok=True)
    (settings.home / "other" / "all.toml").write_text(catalogue)
    compiled, faults = compile_catalogue(load_catalogue(settings.home / "other"), None)
    assert not faults
    bundle = None if folder is None else load_bundle(folder)
    return Strategy(compiled, bundle, PolicySnapshot(), make_explorer(settings))


def ask(strategy: Strategy, name: str = "r", **known: object) -> Decision:
    knowledge = Knowledge(Customer("anna", START), {}, **known)  # type: ignore[arg-type]
    request = Request(name, "anna")
    return decide(request, knowledge, strategy, decision_id=f"d-{name}", now=START + 91 * DAY, layers=(), salt="s")


def shares(decision: Decision) -> dict[str, float]:
    return {one.arm: one.probability for one in decision.candidates or ()}


def test_random_decisions_teach_the_policy_though_no_model_is_released(drawn: tuple[Settings, TrainingReport]) -> None:
    settings, report = drawn
    assert report.released == ()
    assert report.promoted
    assert "starts from" in report.note
    found = ask(strategy_of(settings))
    assert shares(found)["coffee@web"] > 0.95
    p_accept = {c.arm: c.p_accept for c in found.candidates or ()}
    assert p_accept["coffee@web"] == pytest.approx(0.38, abs=0.06)
    assert p_accept["tea@web"] == pytest.approx(0.13, abs=0.05)


def test_what_they_teach_is_the_same_every_time_to_the_last_bit(
    drawn: tuple[Settings, TrainingReport], tmp_path: Path
) -> None:
    _, again = home(tmp_path / "again", 0.5)
    assert again.folder is not None
    assert drawn[1].folder is not None
    assert load_bundle(again.folder).start == load_bundle(drawn[1].folder).start


def test_decisions_that_a_rule_chose_teach_nothing(tmp_path: Path) -> None:
    settings, report = home(tmp_path / "chosen", 1.0)
    assert report.folder is None
    assert "nothing was released" in report.note
    found = shares(ask(strategy_of(settings)))
    assert found["coffee@web"] == pytest.approx(found["tea@web"])


def test_a_bundle_without_models_gives_way_to_a_better_taught_one_but_replaces_no_model(
    drawn: tuple[Settings, TrainingReport],
) -> None:
    settings, report = drawn
    assert promote_if_fit(settings.bundle_folder, replace(report, promoted=False), Remembers()).promoted


def without(strategy: Strategy, *held: str) -> Strategy:
    """The strategy with a bundle that holds these models; nobody asks them."""
    bundle = strategy.bundle
    assert bundle is not None
    return replace(strategy, bundle=Holds(**{name: getattr(bundle, name) for name in Bundle.__slots__}, held=held))


class Holds(Bundle):
    """A bundle that says it holds models; those without a scorer answer with their base rate."""

    def __init__(self, held: tuple[str, ...], **fields: object) -> None:
        super().__init__(**fields)  # type: ignore[arg-type]
        object.__setattr__(self, "held", held)

    @property
    def models(self) -> tuple[str, ...]:
        return self.held  # type: ignore[attr-defined, no-any-return]


SCORED = CATALOGUE.replace("value = 10.0", 'value = "10.0 * score.churn"', 1)


@pytest.mark.parametrize(
    ("catalogue", "held", "reason", "missing"),
    [
        (CATALOGUE, (), "no_model", ("propensity",)),
        (CATALOGUE, ("churn", "conversion"), "no_propensity_model", ("propensity",)),
        (CATALOGUE, ("propensity",), None, ()),
        (SCORED, ("propensity",), "no_churn_model", ("churn",)),
        (SCORED, ("conversion",), "no_propensity_model", ("propensity", "churn")),
        (SCORED, ("propensity", "churn"), None, ()),
    ],
)
def test_an_answer_names_the_weightiest_model_that_is_missing(
    drawn: tuple[Settings, TrainingReport],
    catalogue: str,
    held: tuple[str, ...],
    reason: str | None,
    missing: tuple[str, ...],
) -> None:
    strategy = without(strategy_of(drawn[0], catalogue), *held)
    assert (ask(strategy).fallback_reason, strategy.missing_models) == (reason, missing)


def test_missing_features_are_said_first_and_where_nothing_was_chosen_no_model_was_missed(
    drawn: tuple[Settings, TrainingReport],
) -> None:
    strategy = without(strategy_of(drawn[0]), "churn")
    assert ask(strategy, fallback_reason="features_missing").fallback_reason == "features_missing"
    late = ask(strategy, fallback_reason="deadline_exceeded", out_of_time=True)
    assert late.fallback_reason == "deadline_exceeded"


def test_metrics_say_which_models_are_missing() -> None:
    metrics = Metrics()
    metrics.models_missing(("propensity",))
    text = metrics.text().decode()
    assert 'segue_model_missing{model="propensity"} 1.0' in text
    assert 'segue_model_missing{model="churn"} 0.0' in text


def test_a_decision_recorded_before_answers_named_models_is_made_again_the_same(
    drawn: tuple[Settings, TrainingReport],
) -> None:
    strategy = without(strategy_of(drawn[0]), "churn")
    now = ask(strategy)
    assert now.fallback_reason == "no_propensity_model"
    record = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(now, fallback_reason=None)))
    assert told(strategy, record, now) == ""
    forged = {**record, "fallback_reason": "features_stale"}
    assert told(strategy, forged, now).startswith("fallback_reason")


def told(strategy: Strategy, record: dict[str, object], made: Decision) -> str:
    """What replay finds different."""
    from features.ledger import DrawnItem, LiveRecord

    items = tuple(
        DrawnItem(i.rank, i.arm.action, i.arm.channel, i.action_probability, i.p_model, i.p_accept, i.covariates)
        for i in made.items
    )
    found = LiveRecord(
        1, made.decision_id, made.request_id, made.customer_id, made.decided_at, msgspec.json.encode(record), items
    )
    inputs = msgspec.convert(record["inputs"], Inputs)
    return difference(found, record, make_again(record, Request("r", "anna"), inputs, strategy))


def test_doing_nothing_stays_possible(drawn: tuple[Settings, TrainingReport]) -> None:
    assert shares(ask(strategy_of(drawn[0])))[DO_NOTHING.key] > 0.0
