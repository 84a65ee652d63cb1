"""Priority is P x C x V x L minus cost, as the golden cases say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from serving.arbitration import factor, priorities, worth

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "priorities.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: c["say"])
def test_priorities_are_those_on_file(case: dict) -> None:
    lever = factor(case["lever_percent"])
    given = (case["p_accept"], case["action_value"], case["context_weight"], lever, case["cost"])
    p, value, weight, factors, cost = (np.array([np.nan if number is None else number]) for number in given)
    assert priorities(p, worth(value, weight, factors), cost)[0] == pytest.approx(case["priority"], abs=1e-12)
