"""What a study asks of a log, read from a TOML file: rewards, their window, and what must be told of the data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.catalogue.entry import Entry, Wrong
from features.errors import InvalidInput, NotFound
from features.settings import SHIPPED
from features.toml_text import read_toml

MEASURES = ("happened", "value")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Reward:
    """What a decision earned: a customer's events of one type within the window after it.

    `measure`: happened (1 if there was any, else 0) or value (the sum of their values). `less` is a type of event whose
    values are taken off, what the policy paid out; None for nothing.
    """

    name: str
    plain: str
    event: str
    measure: str
    less: str | None = None

    @property
    def share(self) -> bool:
        """Whether it is a yes or no, shown in percent."""
        return self.measure == "happened" and self.less is None


@dataclass(frozen=True, slots=True)
class Study:
    """A question to the imported decisions of a home. `label` stands on everything that is shown of it."""

    name: str
    about: str
    label: str
    window_days: float
    rewards: tuple[Reward, ...]

    @property
    def event_types(self) -> tuple[str, ...]:
        """Every type of event it needs, each once."""
        return tuple(dict.fromkeys(t for r in self.rewards for t in (r.event, r.less) if t is not None))


def load_study(name_or_path: str, shipped: Path = SHIPPED / "studies") -> Study:
    """The study at a path, or the shipped one of that name. Raises NotFound, or InvalidInput naming file and key."""
    path = Path(name_or_path)
    if not path.is_file():
        path = shipped / f"{name_or_path}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in shipped.glob("*.toml")))
            raise NotFound(f"{name_or_path}: no such file, and no shipped study of this name ({known})", field="name")
    if not _NAME.fullmatch(path.stem):
        raise InvalidInput(f"{path}: name the file with letters, digits, '_' and '-' only", field="name")
    try:
        return _study(path.stem, read_toml(path))
    except Wrong as wrong:
        raise InvalidInput(f"{path}: {wrong.key}: {wrong.message}", field=wrong.key) from wrong


def _study(name: str, content: dict[str, Any]) -> Study:
    entry = Entry(content, taken=())
    days = entry.number("window_days", 0.0)
    if not 0.0 < days <= 3_650.0:
        raise Wrong("window_days", f"must be a number of days above 0 and at most 3650, not {days:g}")
    tables = entry.items("reward", dict)
    if not tables:
        raise Wrong("reward", "is needed: write [[reward]] with name, event and measure")
    rewards = tuple(_reward(table) for table in tables)
    if len({r.name for r in rewards}) < len(rewards):
        raise Wrong("reward", "two rewards have the same name")
    study = Study(name, entry.take("about", str, None), entry.take("label", str, None), days, rewards)
    entry.finish()
    return study


def _reward(table: dict[str, Any]) -> Reward:
    entry = Entry(table, taken=())
    try:
        name = entry.take("name", str, None)
        made = Reward(
            name,
            entry.take("plain", str, name),
            entry.take("event", str, None),
            entry.choice("measure", MEASURES, None),
            entry.take("less", str, "") or None,
        )
        entry.finish()
    except Wrong as wrong:
        raise Wrong(f"reward.{wrong.key}", wrong.message) from wrong
    return made
