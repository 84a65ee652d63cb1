"""A catalogue may keep what its content keys stand for: checked like all of it, and part of its version."""

from __future__ import annotations

from pathlib import Path

from features.catalogue import load_catalogue
from features.catalogue.notes import notes
from features.catalogue.reader import read_catalogue

BEGINNING = """
[[group]]
id = "g"
[[channel]]
id = "web"
[[action]]
id = "offer"
group = "g"
value = 2.0
treatment = [{ channel = "web", content = "g/offer/web" }]
"""
CONTENT = """
[[content]]
id = "g/offer/web"
title = "Come back"
body = "Ten percent off"
url = "https://shop.example/offer"
data = { image = "/a.png", percent = 10 }
"""


def written(folder: Path, text: str) -> Path:
    (folder / "all.toml").write_text(text)
    return folder


def test_content_is_read_and_another_text_is_another_version(tmp_path: Path) -> None:
    one = load_catalogue(written(tmp_path, BEGINNING + CONTENT))
    other = load_catalogue(written(tmp_path, BEGINNING + CONTENT.replace("Ten", "Twenty")))
    found = one.content["g/offer/web"]
    assert (found.title, found.body, found.url) == ("Come back", "Ten percent off", "https://shop.example/offer")
    assert found.data == {"image": "/a.png", "percent": 10}
    assert one.version != other.version


def test_a_catalogue_without_content_says_nothing_of_it(tmp_path: Path) -> None:
    catalogue = load_catalogue(written(tmp_path, BEGINNING))
    assert not catalogue.content
    assert notes(catalogue) == []


def test_what_is_wrong_with_content_is_named(tmp_path: Path) -> None:
    bad = '[[content]]\nid = "/x"\n[[content]]\nid = "g/offer/web"\ntitel = "x"\nbody = 5\ndata = { a = [1] }\n'
    faults = read_catalogue(written(tmp_path, BEGINNING + bad + CONTENT))[1]
    assert {fault.key for fault in faults} == {"content.id", "content.titel", "content.body", "content.data.a"}
    assert sum(fault.key == "content.id" for fault in faults) == 2  # the shape of one, the other twice


def test_a_key_that_is_not_written_is_noted_where_others_are(tmp_path: Path) -> None:
    text = BEGINNING + CONTENT.replace('"g/offer/web"', '"g/ofer/web"')
    told = notes(load_catalogue(written(tmp_path, text)))
    assert [str(note).partition(": ")[2].count("there is no [[content]] 'g/offer/web'") for note in told] == [1]
