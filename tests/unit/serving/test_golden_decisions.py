"""Whole decisions as files: catalogue, customer and request in, the complete record out.

A file of tests/golden/decisions holds what is given and the decision that must come of it. Where a change is meant,
look at the difference the test shows, then renew the files with

    SEGUE_RENEW_GOLDEN=1 python -m pytest tests/unit/serving/test_golden_decisions.py
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from features.catalogue import load_catalogue
from features.clock import parse_time
from serving.assignment import holdout_layer
from serving.engine import decide
from serving.expressions import compile_catalogue
from serving.replay import readable
from serving.request import Knowledge, Request
from serving.schema import answer
from serving.strategy import Strategy
from training.bandit import PolicySnapshot
from training.explorer import Explorer
from training.policies import EpsilonGreedy

FOLDER = Path(__file__).parents[2] / "golden" / "decisions"
RENEW = os.environ.get("SEGUE_RENEW_GOLDEN") == "1"


def decided(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The record and the answer of the decision that a file describes, as JSON has them."""
    (folder / "catalogue.toml").write_text("\n".join(given["catalogue"]) + "\n")
    knowledge = msgspec.convert(given["knowledge"], Knowledge)
    compiled, faults = compile_catalogue(load_catalogue(folder), tuple(knowledge.features))
    assert faults == []
    decision = decide(
        msgspec.convert(given["request"], Request),
        knowledge,
        Strategy(compiled, None, PolicySnapshot(), Explorer(EpsilonGreedy(0.1))),
        decision_id=given["decision_id"],
        now=parse_time(given["now"]),
        layers=[holdout_layer(given.get("holdout_share", 0.0))],
        salt="golden",
    )
    record = readable(msgspec.json.decode(msgspec.json.encode(decision)))
    del record["inputs"]  # what was given
    return {"record": record, "answer": msgspec.json.decode(msgspec.json.encode(answer(decision)))}


def shown(value: Any) -> list[str]:
    return json.dumps(value, indent=1, ensure_ascii=False).splitlines(keepends=True)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_a_decision_is_the_one_on_file(file: Path, tmp_path: Path) -> None:
    case = json.loads(file.read_text())
    found = decided(case["given"], tmp_path)
    if RENEW:
        file.write_text("".join(shown(case | {"decided": found})) + "\n")
        return
    difference = difflib.unified_diff(shown(case["decided"]), shown(found), "on file", "decided now", n=1)
    assert found == case["decided"], "".join(["\n", *difference, "\nmeant? see the top of this test for how to renew"])


def test_there_are_cases() -> None:
    assert len(list(FOLDER.glob("*.json"))) >= 4
