"""A recorded decision in words: every arm considered, what removed it or what it was worth. Read, never recomputed."""

from __future__ import annotations

from typing import Any

from features.clock import format_time
from features.domain import DO_NOTHING

_STAGES = {
    "catalogue": "was not on offer",
    "consent": "may not be contacted on this channel",
    "eligibility": "did not qualify",
    "contact_policy": "was held back by a contact limit",
}


def explanation(record: dict[str, Any]) -> dict[str, Any]:
    """The decision's record with times as text, candidates best first, and a plain-English `summary`."""
    candidates = sorted(record["candidates"], key=_order)
    return {
        **{k: v for k, v in record.items() if k not in ("candidates", "items")},
        "decided_at": format_time(record["decided_at"]),
        "items": [
            {
                **{k: v for k, v in item.items() if k not in ("arm", "closes_at")},
                **_arm(item["arm"]),
                "expires_at": format_time(item["expires_at"]),
            }
            for item in record["items"]
        ],
        "candidates": [{**_arm(c["arm"]), **{k: v for k, v in c.items() if k != "arm"}} for c in candidates],
        "summary": summary(record, candidates),
    }


def summary(record: dict[str, Any], candidates: list[dict[str, Any]]) -> list[str]:
    """Sentences for people who do not read code."""
    first = record["items"][0]
    lines = [_choice(record, first)]
    if record["fallback_reason"]:
        lines.append(f"Something was missing ({record['fallback_reason']}), so this was decided with what was left.")
    for candidate in candidates:
        arm = candidate["arm"]
        if arm == first["arm"]:
            continue
        name = _name(arm)
        if candidate["stage"] is not None:
            lines.append(
                f"{name} {_STAGES.get(candidate['stage'], candidate['stage'])}: {candidate['rule']} "
                f"(seen: {candidate['seen']}; needed: {candidate['limit']})."
            )
        elif candidate["priority"] is not None:
            lines.append(
                f"{name} was possible: worth {candidate['priority']:.2f}, "
                f"drawn with probability {candidate['probability']:.4g}."
            )
    return lines


def _choice(record: dict[str, Any], first: dict[str, Any]) -> str:
    reasons = {
        "holdout": "This customer is in the holdout, which gets no actions so that the programme can be measured.",
        "unknown_customer": "This customer is not known, so nothing was done.",
        "empty_catalogue": "The catalogue has no actions, so nothing was done.",
        "no_eligible_action": "No action was allowed for this customer now, so nothing was done.",
    }
    if record["reason"] in reasons:
        return reasons[record["reason"]]
    if first["arm"]["action"] == DO_NOTHING.action:
        return f"Doing nothing was chosen, with probability {first['action_probability']:.4g}."
    return (
        f"{_name(first['arm'])} was chosen with probability {first['action_probability']:.4g}: "
        f"the customer accepts with probability {first['p_accept']:.4g}, "
        f"a success is worth {first['action_value']:.2f}, which after costs and levers makes {first['priority']:.2f}."
    )


def _order(candidate: dict[str, Any]) -> tuple[bool, float]:
    priority = candidate["priority"]
    return candidate["stage"] is not None, -(priority if priority is not None else 0.0)


def _name(arm: dict[str, str]) -> str:
    return "Doing nothing" if arm["action"] == DO_NOTHING.action else f"{arm['action']} by {arm['channel']}"


def _arm(arm: dict[str, str]) -> dict[str, str | None]:
    nothing = arm["action"] == DO_NOTHING.action
    return {"action": arm["action"], "channel": None if nothing else arm["channel"]}
