"""The studies that are shipped, on the real data: the published numbers, and what may be claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.inference import Verdict
from experiments.studies.answer import Answer, answer
from experiments.studies.study import load_study
from experiments.studies.units import read_units
from features.clock import now
from features.importing import load_mapping, run_import
from features.ledger import open_ledger
from features.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answers(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    found = {}
    for name in ("hillstrom", "starbucks"):
        settings = Settings(home=tmp_path_factory.mktemp(name))
        ledger = open_ledger(settings.ledger)
        run_import(load_mapping(name), shared_data / name, ledger=ledger, settings=settings, now=now())
        study = load_study(name)
        found[name] = answer(study, read_units(ledger.url, study, now()))
        ledger.close()
    return found


def plain(found: Answer, reward: str) -> dict[str, float | None]:
    valuation = next(one for one in found.valuations if one.reward == reward)
    return {one.name: None if one.plain is None else round(one.plain, 4) for one in valuation.constants}


def test_constant_policies_of_the_email_experiment_have_the_published_values(answers: dict[str, Answer]) -> None:
    found = answers["hillstrom"]
    assert plain(found, "visit") == {"mens_email": 0.1828, "womens_email": 0.1514, "do_nothing": 0.1062}
    assert plain(found, "conversion") == {"mens_email": 0.0125, "womens_email": 0.0088, "do_nothing": 0.0057}
    assert plain(found, "spend") == {"mens_email": 1.4226, "womens_email": 1.0772, "do_nothing": 0.6528}


def test_no_policy_learned_from_the_email_experiment_is_claimed_to_beat_mens_to_all(answers: dict[str, Answer]) -> None:
    found = answers["hillstrom"]
    assert found.balance.passed
    for valuation in found.valuations:
        assert valuation.best_constant is not None
        assert valuation.best_constant.name == "mens_email"
        assert found.verdict(valuation) == Verdict.INSUFFICIENT


def test_the_offers_went_out_at_random_in_six_waves(answers: dict[str, Answer]) -> None:
    found = answers["starbucks"]
    assert (found.rows, found.customers, len(found.balance.waves)) == (102_000, 17_000, 6)
    assert sorted(round(p, 3) for p in found.design) == [0.075] * 10 + [0.25]
    assert found.balance.passed
    assert [sum(wave.counts) for wave in found.balance.waves] == [17_000] * 6


def test_the_values_of_the_offers_are_the_means_of_those_who_got_them(answers: dict[str, Answer]) -> None:
    values = plain(answers["starbucks"], "spend")
    assert (values["discount_10_2_10"], values["do_nothing"]) == (15.7342, 7.5754)
    net = plain(answers["starbucks"], "spend-less-rewards")
    assert (net["discount_10_2_10"], net["do_nothing"]) == (14.6767, 7.3398)
    assert all(np.array(list(net.values()), float) < [values[name] for name in net])


def test_no_policy_learned_from_the_offers_is_claimed_to_beat_the_best_one(answers: dict[str, Answer]) -> None:
    found = answers["starbucks"]
    for valuation in found.valuations:
        assert valuation.best_constant is not None
        assert valuation.best_constant.name == "discount_10_2_10"
        assert found.verdict(valuation) == Verdict.INSUFFICIENT
