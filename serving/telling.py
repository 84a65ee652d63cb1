"""A decision told in the terminal: the choice and why, the runners-up, and what held back the others, by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from features.domain import DO_NOTHING
from features.figures import number, to_the_minute
from features.ledger import LearnableItem
from serving.explain import explanation, headline
from serving.rewarding import reward_sentence

#: Runners-up shown unless all are asked for.
RUNNERS_UP = 5
#: Different values, or names, listed in one cell.
_LISTED = 3
_HELD_BACK = "What held back the others"
_KINDS = {
    "channels": "on a channel that was not asked for",
    "placements": "not made for this placement",
    "starts_at": "not on offer yet",
    "ends_at": "no longer on offer",
    "suppression": "the customer is on the suppression list",
    "eligible": "the customer is not entitled to it",
    "applicable": "it has no use for the customer now",
    "suitable": "it is not right for this customer",
}
_STAGES = {
    "consent": "the customer has not agreed to it",
    "contact_policy": "a contact limit or quiet hours",
    "eligibility": "a condition of the action",
}

Candidate = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Arms removed by the same rule: `why` in plain English, their names, and the values seen and needed."""

    why: str
    rule: str
    arms: tuple[str, ...]
    seen: tuple[str, ...]
    needed: tuple[str, ...]


def held_back(candidates: Sequence[Candidate]) -> list[HeldBack]:
    """The removed arms by rule, the rule that removed most first."""
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for one in candidates:
        if one["stage"] is not None:
            groups.setdefault((str(one["stage"]), one["rule"]), []).append(one)
    told = [
        HeldBack(
            _KINDS.get(rule) or _STAGES.get(stage, stage),
            rule,
            tuple(arm_name(one) for one in arms),
            _distinct(arms, "seen"),
            _distinct(arms, "limit"),
        )
        for (stage, rule), arms in groups.items()
    ]
    return sorted(told, key=lambda group: (-len(group.arms), group.rule))


def tell(
    record: dict[str, Any], screen: Console, *, everything: bool = False, came_of: Sequence[LearnableItem] = ()
) -> None:
    """Prints why a recorded decision was made, and what came of it so far; the other arms one by one with `everything`,
    else in groups."""
    told = explanation(record)
    chosen = [(item["action"], item["channel"]) for item in told["items"]]
    candidates = [c for c in told["candidates"] if (c["action"], c["channel"]) not in chosen]
    for line in headline(record, told["candidates"]):
        screen.print(line, highlight=False, markup=False)
    for item in told["items"][1:]:
        words = f"Place {item['rank']}: {arm_name(item)}, drawn with {share(item['action_probability'])}."
        screen.print(words, highlight=False, markup=False)
    for one in came_of:
        screen.print(reward_sentence(one), highlight=False, markup=False)
    possible = [c for c in candidates if c["stage"] is None]
    if possible:
        screen.print(_possible(possible if everything else possible[:RUNNERS_UP], everything))
        if not everything:
            _runners_up(possible, screen)
    removed = [c for c in candidates if c["stage"] is not None]
    if removed:
        if everything:
            screen.print(_each(removed))
        else:
            _groups(held_back(removed), screen)


def arm_name(arm: Candidate) -> str:
    return "doing nothing" if arm["action"] == DO_NOTHING.action else f"{arm['action']} by {arm['channel']}"


def share(probability: float) -> str:
    """A probability in percent, with as many digits as it needs to tell it from nothing."""
    return f"{number(100 * probability, 3)} %"


def _runners_up(possible: Sequence[Candidate], screen: Console) -> None:
    if len(possible) > RUNNERS_UP:
        screen.print(f"and {len(possible) - RUNNERS_UP} more")
    if possible[0]["to_win"]:
        words = f"To have the highest priority, {arm_name(possible[0])} needed {possible[0]['to_win']}."
        screen.print(words, highlight=False, markup=False)


def _possible(candidates: Sequence[Candidate], everything: bool) -> Table:
    heads = ["arm", "drawn with", "accepts", "worth", "priority"] + ["to have the highest it needs"] * everything
    table = _table("What else was possible", heads, numbers=(1, 2, 3, 4))
    for c in candidates:
        accepts = "" if c["p_accept"] is None else share(c["p_accept"])
        worth = "" if c["action_value"] is None else f"{c['action_value']:.2f}"
        # With one standard deviation: a policy may well draw the less sure of two arms more often.
        unsure = f" ± {c['deviation']:.2f}" if c["deviation"] else ""
        cells = [arm_name(c), share(c["probability"]), accepts, worth, f"{c['priority']:.2f}{unsure}"]
        _row(table, *cells, *[c["to_win"] or "it has it"] * everything)
    return table


def _groups(groups: Sequence[HeldBack], screen: Console) -> None:
    """A line each, and no table: what was seen and needed is longer than a column."""
    screen.print(_HELD_BACK, style="italic")
    for group in groups:
        arms = f"{len(group.arms)} arms, as {group.arms[0]}" if len(group.arms) > 1 else group.arms[0]
        words = f"- {group.why} ({group.rule}): {arms}. Seen: {_some(group.seen)}. Needed: {_some(group.needed)}."
        screen.print(words, highlight=False, markup=False)


def _each(candidates: Sequence[Candidate]) -> Table:
    table = _table(_HELD_BACK, ("arm", "stage", "rule", "seen", "needed"), numbers=())
    for c in candidates:
        seen, needed = (to_the_minute(str(c[key])) for key in ("seen", "limit"))
        _row(table, arm_name(c), str(c["stage"]), c["rule"], seen, needed)
    return table


def _table(title: str, heads: Sequence[str], numbers: Sequence[int]) -> Table:
    # Folded: a long name that is cut off cannot be looked up.
    columns = [
        Column(head, justify="right" if n in numbers else "left", overflow="fold") for n, head in enumerate(heads)
    ]
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(cell) for cell in cells))  # as it is: an expression may well hold what is markup to rich


def _distinct(arms: Sequence[Candidate], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(to_the_minute(str(one[key])) for one in arms))


def _some(values: Sequence[str]) -> str:
    return "; ".join(values[:_LISTED]) + (" …" if len(values) > _LISTED else "")
