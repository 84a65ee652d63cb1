"""A recorded decision in words: every arm considered, what removed it or what it was worth. Read, never recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from features.clock import format_time
from features.domain import DO_NOTHING, Candidates
from features.figures import number, to_the_minute
from features.ledger import LearnableItem
from serving.rewarding import reward_sentence, reward_told

_FACTORS = ("p_model", "p_accept", "context_weight", "action_value", "lever", "contact_cost", "priority", "deviation")
_STAGES = {
    "catalogue": "was not on offer",
    "consent": "may not be contacted on this channel",
    "eligibility": "did not qualify",
    "contact_policy": "was held back by a contact limit",
}


def explanation(record: dict[str, Any], came_of: Sequence[LearnableItem] = ()) -> dict[str, Any]:
    """The decision's record with times as text, candidates best first, and a plain-English `summary`.

    With its items as the ledger has them by now, `came_of`, also what came of each.
    """
    rewards = {item.rank: {"reward": reward_told(item)} for item in came_of}
    candidates = sorted(_candidates(record), key=_order)
    best = max((c["priority"] for c in candidates if c["stage"] is None), default=0.0)
    candidates = [{**c, "to_win": to_win(c, best)} for c in candidates]
    return {
        **{k: v for k, v in record.items() if k not in ("candidates", "items", "inputs")},
        "decided_at": format_time(record["decided_at"]),
        "items": [
            {
                **{k: v for k, v in item.items() if k not in ("arm", "closes_at")},
                **_arm(item["arm"]["action"], item["arm"]["channel"]),
                "expires_at": format_time(item["expires_at"]),
                **rewards.get(item["rank"], {}),
            }
            for item in record["items"]
        ],
        "candidates": candidates,
        "summary": summary(record, candidates) + [reward_sentence(item) for item in came_of],
    }


def _candidates(record: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an arm, out of the record's columns."""
    if record["candidates"] is None:
        return []
    rows = []
    for one in msgspec.convert(record["candidates"], Candidates):
        action, channel = one.arm.rsplit("@", 1)
        removal = one.removal
        rows.append(
            {
                **_arm(action, channel),
                "stage": removal and removal.stage,
                "rule": removal and removal.rule,
                "seen": removal and removal.seen,
                "limit": removal and removal.limit,
                **{name: getattr(one, name) for name in _FACTORS if removal is None},
                "probability": one.probability,
            }
        )
    return rows


def to_win(candidate: dict[str, Any], best: float) -> str | None:
    """What would have given this arm the highest priority, all else as it was; None where it has it.

    Not what would have had it drawn most often, which is the policy's to say. A priority is P x C x V x L - cost, so
    the P or V it needs to reach the `best` one is told by division.
    """
    if candidate["stage"] is not None:
        return f"{candidate['rule']} to be {to_the_minute(str(candidate['limit']))}"
    if candidate["priority"] >= best:
        return None
    if candidate["action"] == DO_NOTHING.action:
        return f"every other arm to be worth less than {candidate['priority']:.2f}"
    p, value = (1.0 if candidate[name] is None else candidate[name] for name in ("p_accept", "action_value"))
    others = candidate["context_weight"] * candidate["lever"]
    wanted = best + candidate["contact_cost"]
    ways = []
    if value * others > 0 and wanted / (value * others) <= 1.0:
        ways.append(f"a response probability of {number(wanted / (value * others))} instead of {number(p)}")
    if p * others > 0:
        ways.append(f"a success worth {wanted / (p * others):.2f} instead of {value:.2f}")
    return ", or ".join(ways) or None


def summary(record: dict[str, Any], candidates: list[dict[str, Any]]) -> list[str]:
    """Sentences for people who do not read code."""
    first = record["items"][0]
    lines = headline(record, candidates)
    for candidate in candidates:
        if (candidate["action"], candidate["channel"] or "none") == (first["arm"]["action"], first["arm"]["channel"]):
            continue
        name = _name(candidate)
        if candidate["stage"] is not None:
            lines.append(
                f"{name} {_STAGES.get(candidate['stage'], candidate['stage'])}: {candidate['rule']} "
                f"(seen: {to_the_minute(str(candidate['seen']))}; needed: {to_the_minute(str(candidate['limit']))})."
            )
        else:
            lines.append(
                f"{name} was possible: priority {worth(candidate)}, "
                f"drawn with probability {number(candidate['probability'])}."
                + (f" To have the highest it needs {candidate['to_win']}." if candidate["to_win"] else "")
            )
    return lines


def headline(record: dict[str, Any], candidates: list[dict[str, Any]]) -> list[str]:
    """What was chosen and why, before anything is said of other arms."""
    why = _apprentice(record) or _others_too(record, candidates)
    lines = [_choice(record, record["items"][0]), *why, *_unknown_channels(record, candidates), *_warnings(record)]
    if record["fallback_reason"]:
        lines.append(f"Something was missing ({record['fallback_reason']}), so this was decided with what was left.")
    return lines


def worth(candidate: Mapping[str, Any]) -> str:
    """A survivor's priority and, where it is known, one standard deviation of it.

    >>> worth({"priority": 4.003, "deviation": 1.07}), worth({"priority": 0.0, "deviation": 0.0})
    ('4.00, give or take 1.07', '0.00')
    """
    deviation = candidate["deviation"]
    return f"{candidate['priority']:.2f}" + (f", give or take {deviation:.2f}" if deviation else "")


def _others_too(record: dict[str, Any], candidates: list[dict[str, Any]]) -> list[str]:
    """Where the arm drawn is not of the highest priority, which one is, and why it was not simply taken."""
    possible = [c for c in candidates if c["stage"] is None]
    drawn = record["items"][0]["arm"]
    taken = [c["priority"] for c in possible if _arm(drawn["action"], drawn["channel"]).items() <= c.items()]
    if not taken or taken[0] >= possible[0]["priority"]:
        return []
    return [
        f"The highest priority had {_name(possible[0], first=False)} ({worth(possible[0])}), drawn with probability "
        f"{number(possible[0]['probability'])}: others are drawn too, so that what they bring is learned."
    ]


def _apprentice(record: dict[str, Any]) -> list[str]:
    """Where the answer was an incumbent's choice, what Segue would have done."""
    told = record.get("apprentice")
    if told is None:
        return []
    return [
        f"It was the incumbent's choice, {told['incumbent']}; Segue would have drawn {told['own']} (probability "
        f"{number(told['own_probability'])}), and the incumbent's with probability "
        f"{number(told['incumbent_probability'])}."
    ]


def _unknown_channels(record: dict[str, Any], candidates: list[dict[str, Any]]) -> list[str]:
    """Channels asked for on which the catalogue had nothing at all: most often a misspelling."""
    there = sorted({c["channel"] for c in candidates if c["channel"]})
    missing = [channel for channel in record["channels"] or () if channel not in there]
    if not missing or not candidates:
        return []
    return [
        f"The catalogue had nothing on {', '.join(missing)}, which the request asked for; it had {', '.join(there)}."
    ]


def _warnings(record: dict[str, Any]) -> list[str]:
    """What the request named and the catalogue does not know; a record from before warnings has none."""
    sentences = {
        "unknown_intent": "The catalogue has no intent {intent}, which the request named: it weighed nothing.",
        "unknown_placement": "No action is made for the placement {placement}, which the request named.",
    }
    return [sentences[warning].format_map(record) for warning in record.get("warnings", ())]


def _choice(record: dict[str, Any], first: dict[str, Any]) -> str:
    reasons = {
        "incumbent_not_allowed": "The incumbent's choice was not allowed for this customer now, so nothing was done.",
        "holdout": "This customer is in the holdout, which gets no actions so that the programme can be measured.",
        "unknown_customer": "This customer is not known, so nothing was done.",
        "empty_catalogue": "The catalogue has no actions, so nothing was done.",
        "unknown_channel": "The catalogue has none of the channels asked for, so nothing was done.",
        "no_eligible_action": "No action was allowed for this customer now, so nothing was done.",
        "deadline_exceeded": "The time for an answer ran out before anything could be weighed, so nothing was done.",
    }
    if record["reason"] in reasons:
        return reasons[record["reason"]]
    if first["arm"]["action"] == DO_NOTHING.action:
        return f"Doing nothing was chosen, with probability {number(first['action_probability'])}."
    return (
        f"{_name(first['arm'])} was chosen with probability {number(first['action_probability'])}: "
        f"the customer accepts with probability {number(first['p_accept'])}, "
        f"a success is worth {first['action_value']:.2f}, which after costs and levers makes {first['priority']:.2f}."
    )


def _order(candidate: dict[str, Any]) -> tuple[bool, float]:
    return candidate["stage"] is not None, -candidate.get("priority", 0.0)


def _name(arm: dict[str, Any], first: bool = True) -> str:
    """`first`: of a sentence."""
    if arm["action"] == DO_NOTHING.action:
        return "Doing nothing" if first else "doing nothing"
    return f"{arm['action']} by {arm['channel']}"


def _arm(action: str, channel: str) -> dict[str, str | None]:
    return {"action": action, "channel": None if action == DO_NOTHING.action else channel}
