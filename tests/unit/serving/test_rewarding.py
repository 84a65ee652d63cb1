"""What came of a decision is told with it."""

from __future__ import annotations

import pytest

from features.clock import DAY
from features.domain import DO_NOTHING, Arm, Outcome
from features.ledger import LearnableItem
from serving.rewarding import reward_sentence, reward_told

TOLD = (Outcome("o1", "d", "c", "offer", "clicked", DAY), Outcome("o2", "d", "c", "offer", "accepted", 2 * DAY, 1, 3.5))
ITEM = LearnableItem(
    "d", 1, "c", Arm("offer", "web"), 0.2, 0.2, 4.0, 0, DAY, "b",
    "provisional", 3_500_000, 1_000_000, DAY, 9 * DAY, TOLD,
)  # fmt: skip


def test_state_money_and_what_was_learned_are_told() -> None:
    assert reward_told(ITEM) == {
        "state": "provisional",
        "value": 3.5,
        "success": 1.0,
        "shown_at": "1970-01-02T00:00:00.000000Z",
        "due_at": "1970-01-10T00:00:00.000000Z",
        "outcomes": [
            {"kind": "clicked", "occurred_at": "1970-01-02T00:00:00.000000Z", "value": None},
            {"kind": "accepted", "occurred_at": "1970-01-03T00:00:00.000000Z", "value": 3.5},
        ],
    }


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (ITEM, ["offer by web is provisional", "clicked, accepted", "worth 3.50", "learned a success"]),
        (ITEM._replace(reward_state="final", success_units=0, outcomes=()), ["is final", "nothing;", "no success"]),
        (ITEM._replace(reward_state="open", success_units=None), ["is open", "learned nothing yet"]),
        (ITEM._replace(arm=DO_NOTHING), ["Doing nothing earns nothing"]),
    ],
)
def test_people_get_a_sentence(item: LearnableItem, words: list[str]) -> None:
    sentence = reward_sentence(item)
    assert [word for word in words if word not in sentence] == []
