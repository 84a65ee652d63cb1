"""Why rows were rejected: alike reasons counted together, and the line of the mapping that would mend the most."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.importing.mapping import UTF_8, FileSpec
from features.importing.number_form import POINT, likely_form

#: What differs between reasons of one sort: values, which stand in quotes, and numbers.
_VALUES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[0-9][0-9.,]*")
_NO_NUMBER = re.compile(r"(?:.*: )?'(.*)' is not a (?:whole )?number\b(?! written)")
#: Sorts kept apart, and texts looked at for the form of a file's numbers: a bound to memory, whatever a file holds.
_SORTS, _TEXTS = 1_000, 200


@dataclass(slots=True)
class Reason:
    """Rows rejected for one sort of reason: how many, and where and why the first of them was."""

    target: str | None
    file: str
    line: int
    text: str
    count: int = 0


class Reasons:
    """All reasons of one import, by sort."""

    def __init__(self) -> None:
        self._sorts: dict[tuple[str | None, str], Reason] = {}
        self._no_numbers: dict[str, list[str]] = {}
        self._other_encoding: set[str] = set()

    def add(self, file: str, line: int, target: str | None, reason: str) -> None:
        sort = target, _VALUES.sub("_", reason)
        if sort not in self._sorts and len(self._sorts) >= _SORTS:
            sort = None, "another"
        self._sorts.setdefault(sort, Reason(sort[0], file, line, reason)).count += 1
        no_number = _NO_NUMBER.fullmatch(reason)
        if no_number is not None:
            texts = self._no_numbers.setdefault(file, [])
            if len(texts) < _TEXTS:
                texts.append(no_number.group(1))
        if target is None and reason == f"not {UTF_8.upper()}":
            self._other_encoding.add(file)

    def commonest(self) -> tuple[Reason, ...]:
        """Every sort of reason, the commonest first."""
        return tuple(sorted(self._sorts.values(), key=lambda reason: -reason.count))

    def hints(self, specs: Mapping[str, FileSpec]) -> Iterator[tuple[str, str]]:
        """(what seems to be so, the lines to write in the mapping) of every file; `specs` by the names of files."""
        for file, texts in self._no_numbers.items():
            form = likely_form(texts)
            if form is not None and specs[file].form == POINT:
                yield f"numbers in {file} are written like {texts[0]}; say so in [file.{specs[file].name}]", str(form)
        for file in sorted(self._other_encoding):
            where = f"[file.{specs[file].name}]"
            yield (
                f"{file} is not UTF-8; if it comes from Windows in western Europe, say in {where}",
                'encoding = "cp1252"',
            )
