"""A ledger that cannot be opened is told in one line that says what to do, and no password with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import InvalidInput, NotReady
from features.ledger import open_ledger


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:secret@host/x", "there is no ledger on mysql; write sqlite:///"),
        ("secret", "is not the address of a database; write sqlite:///"),
        ("postgresql+nothing://me:secret@host/x", "cannot be used"),
    ],
)
def test_an_address_that_is_none_of_ours_is_refused_with_what_to_write(url: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        open_ledger(url)
    assert "secret" not in caught.value.message
    assert "\n" not in caught.value.message


def test_a_database_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    for url, said in (
        ("postgresql://me:secret@127.0.0.1:1/x", "me:\\*\\*\\*@127.0.0.1:1/x cannot be opened"),
        (f"sqlite:///{tmp_path}/no/folder/x.db", "its folder is not there"),
    ):
        with pytest.raises(NotReady, match=said) as caught:
            open_ledger(url)
        assert "secret" not in caught.value.message
        assert "\n" not in caught.value.message
