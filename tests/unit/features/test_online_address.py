"""The address of an online store is read as people write it, and what is wrong with one is said in a line."""

from __future__ import annotations

import pytest

from features.errors import InvalidInput
from features.online_address import parse_online_address


def test_server_project_and_options_are_told_apart() -> None:
    found = parse_online_address("redis.shop:6379, db=2 ,project=two,password=a=b")
    assert (found.servers, found.project) == (("redis.shop:6379",), "two")
    assert found.options == {"db": "2", "password": "a=b"}
    assert parse_online_address("10.0.0.1:6379,10.0.0.2:6380").servers == ("10.0.0.1:6379", "10.0.0.2:6380")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "must be host:port .*, not 'nonsense'"),
        ("localhost:99999", "not 'localhost:99999'"),
        ("localhost:", "not 'localhost:'"),
        (":6379", "not ':6379'"),
        ("redis://localhost:6379", "not 'redis://localhost:6379'"),
        ("me:secret@localhost:6379", "not what is written there"),
        ("localhost:6379,foo", "not 'foo'"),
        ("localhost:6379,", "must be host:port"),
        ("db=1", "no host:port"),
        ("localhost:6379,dbx=secret", "option 'dbx'"),
        ("localhost:6379,db=secret", "whole number as db"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line_without_a_password(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        parse_online_address(text)
    assert caught.value.field == "online_store"
    assert "secret" not in caught.value.message
    assert "\n" not in caught.value.message
