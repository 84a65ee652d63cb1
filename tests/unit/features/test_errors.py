"""The tree of errors: complete in its picture, each with a code and a status."""

from __future__ import annotations

import inspect
import re

import pytest

from features import errors
from features.errors import MappingError, SegueError

ALL = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, SegueError)]


def depth(error: type[SegueError]) -> int:
    return error.__mro__.index(SegueError)


def test_the_picture_in_the_docstring_shows_every_error_at_its_depth() -> None:
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)", line)
        if found and found.group(2) in {error.__name__ for error in ALL}:
            drawn[found.group(2)] = len(found.group(1)) // 4
    assert drawn == {error.__name__: depth(error) for error in ALL}


@pytest.mark.parametrize("error", ALL)
def test_an_error_has_a_code_a_status_a_message_and_a_field(error: type[SegueError]) -> None:
    made = error("say what to do", field="x")
    assert (str(made), made.message, made.field) == ("say what to do", "say what to do", "x")
    assert re.fullmatch(r"[a-z_]+", made.code)
    assert 400 <= made.status < 600


def test_a_code_can_be_more_exact_than_the_kind() -> None:
    assert MappingError("m", code="no_file").code == "no_file"
    assert MappingError("m").code == "invalid_mapping"
