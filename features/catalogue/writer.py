"""Writing catalogue entries as the TOML that `load_catalogue` reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w

from features.catalogue.reader import load_catalogue
from features.catalogue.values import Action, Channel, Group
from features.clock import to_datetime


def write_catalogue(
    folder: Path,
    file_name: str,
    channels: Iterable[Channel],
    groups: Iterable[Group],
    actions: Iterable[Action],
    heading: str = "",
) -> dict[str, int]:
    """Adds to a catalogue folder the entries whose ids it does not have yet, at the end of `file_name`.

    What is there stays as it is: people edit these files. `heading` becomes the comment at the top of a new file. New
    entries stand in order of their ids, so that equal entries give equal bytes. Returns how many were added, by
    section. Raises CatalogueError where the folder has faults already.
    """
    there = load_catalogue(folder)
    new = {
        "channel": [_channel(c) for c in sorted(channels, key=lambda c: c.id) if c.id not in there.channels],
        "group": [_group(g) for g in sorted(groups, key=lambda g: g.id) if g.id not in there.groups],
        "action": [_action(a) for a in sorted(actions, key=lambda a: a.id) if a.id not in there.actions],
    }
    tables = [_table(section, values) for section, entries in new.items() for values in entries]
    if tables:
        _append(folder, file_name, "".join(f"# {line}".rstrip() + "\n" for line in heading.splitlines()), tables)
    return {section: len(entries) for section, entries in new.items()}


def _append(folder: Path, file_name: str, comment: str, tables: list[str]) -> None:
    """Whole or not at all: a running service reads this folder."""
    target, draft = folder / file_name, folder / f".{file_name}.draft"
    before = target.read_text(encoding="utf-8") if target.exists() else comment
    folder.mkdir(parents=True, exist_ok=True)
    draft.write_text("\n".join([before, *tables] if before else tables), encoding="utf-8", newline="\n")
    draft.replace(target)


def _table(section: str, values: dict[str, Any]) -> str:
    """One `[[section]]`, its inner tables below it. tomli_w by itself would write short ones on one line."""
    inner = {key: value for key, value in values.items() if isinstance(value, dict)}
    own = {key: value for key, value in values.items() if key not in inner}
    return f"[[{section}]]\n{tomli_w.dumps(own)}" + "".join(
        f"\n{tomli_w.dumps({section: {key: value}})}" for key, value in inner.items()
    )


def _channel(channel: Channel) -> dict[str, Any]:
    table = {"id": channel.id, "outbound": channel.outbound, "cost": channel.cost, "reports": channel.reports}
    return table | ({"reports_display": True, "display_days": channel.display_days} if channel.reports_display else {})


def _group(group: Group) -> dict[str, Any]:
    return {"id": group.id, "name": group.name or group.id} | ({"exclusive": True} if group.exclusive else {})


def _action(action: Action) -> dict[str, Any]:
    """What differs from the defaults, and always what a product team will want to change."""
    table: dict[str, Any] = {
        "id": action.id,
        "name": action.name or action.id,
        "group": action.group,
        "class": str(action.action_class),
        "value": action.value,
        "outcome": str(action.outcome),
        "window_days": action.window_days,
    }
    optional = {
        "purpose": action.purpose,
        "cost": action.cost,
        "lever": action.lever,
        "starts_at": None if action.starts_at is None else to_datetime(action.starts_at),
        "ends_at": None if action.ends_at is None else to_datetime(action.ends_at),
        "eligible": action.eligible,
        "applicable": action.applicable,
        "suitable": action.suitable,
        "placements": list(action.placements),
        "attributes": {name: value for name, value in action.attributes.items() if value is not None},
        "reward_rule": action.reward_rule if action.reward_rule != "earliest" else None,
        "default_reward": action.default_reward,
    }
    table |= {key: value for key, value in optional.items() if value}
    treatments = [{"channel": t.channel, "content": t.content, "cost": t.cost} for t in action.treatments]
    rewards = [{k: v for k, v in asdict(one).items() if v is not None} for one in action.rewards]
    table |= {"reward": rewards} if rewards else {}
    table["treatment"] = [{key: value for key, value in one.items() if value} for one in treatments]
    return table
