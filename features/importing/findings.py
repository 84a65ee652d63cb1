"""What an import did not use, and how much of what it wanted it could not: for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from features.importing.report import Tally
from features.importing.rules import ReadyRule


@dataclass(slots=True)
class Readings:
    """How many rows each file of the mapping has, and how many of them could not be read."""

    rows: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)

    def share_unreadable(self, files: Iterable[str]) -> float:
        names = set(files)
        rows = sum(self.rows[name] for name in names)
        return sum(self.unreadable[name] for name in names) / rows if rows else 0.0


def left_out(rules: Iterable[ReadyRule]) -> dict[str, int]:
    """For each target how many rows its `where` left out, where it did."""
    counts: Counter[str] = Counter()
    for rule in rules:
        counts[rule.target] += rule.seen - rule.taken
    return {target: count for target, count in counts.items() if count}


def lost(rules: Iterable[ReadyRule], tallies: Mapping[str, Tally], readings: Readings) -> dict[str, float]:
    """For each target the share of its rows that was rejected, as if the unreadable rows were like the others.

    For a file that is only joined, as `[file.goods]`, the share of its rows that could not be read.
    """
    files: dict[str, set[str]] = {}
    for rule in rules:
        files.setdefault(rule.target, set()).add(rule.rule.file)
    shares = {}
    for target, names in files.items():
        tally, unread = tallies[target], readings.share_unreadable(names)
        rejected = tally.rejected / tally.read if tally.read else 0.0
        shares[f"{target}s"] = unread + (1.0 - unread) * rejected
    joined = [name for name in readings.rows if not any(name in names for names in files.values())]
    return shares | {f"[file.{name}]": readings.share_unreadable([name]) for name in joined}


def never_met(rules: Iterable[ReadyRule]) -> list[str]:
    """A sentence for each condition that no row met at all."""
    sentences = []
    for rule in rules:
        condition = rule.never_met()
        if condition is not None:
            sentences.append(
                f"[[{rule.target}]]: no row of [file.{rule.rule.file}] met where {condition},"
                f" and all {rule.seen:,} were left out; see how the file spells it"
            )
    return sentences


def without_rows(readings: Readings, files: Iterable[str]) -> list[str]:
    """A sentence for each file that had no row at all."""
    return [f"[file.{name}] has no rows" for name in files if not readings.rows[name]]
