"""JSON is compared as values in every store: how it is spaced, and in which order its members are, is no difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from async_loader import Column, Table, Type
from tests.sample import Place
from tests.stores import Databases

THINGS = Table("things", "things", (Column("id", Type.INTEGER), Column("data", Type.JSON, nullable=True)))

SAME = {
    "spacing": ('{"a":[1,2]}', '{ "a" : [ 1, 2 ] }'),
    "order": ('{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}'),
    "escapes": ('{"a":"\\u00e9"}', '{"a":"é"}'),
    "numbers": ("[1.0,1e2]", "[1,100]"),
}
OTHER = {
    "true": ("[1]", "[true]"),
    "false": ('{"a":0}', '{"a":false}'),
    "null": ('{"a":null}', "{}"),
    "text": ("[1]", '["1"]'),
    "order of elements": ("[1,2]", "[2,1]"),
    "digits": ("[12345678901234567890]", "[12345678901234567891]"),
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_a_record_is_unchanged_whose_value_is_the_same(
    tmp_path: Path, store: Databases, mode: str, texts: tuple[str, str]
) -> None:
    assert loaded(Place(tmp_path, (THINGS,), store=store), mode, *texts) == (1, 0)


@pytest.mark.parametrize("texts", OTHER.values(), ids=OTHER)
def test_a_row_is_updated_whose_value_is_another(
    tmp_path: Path, store: Databases, mode: str, texts: tuple[str, str]
) -> None:
    place = Place(tmp_path, (THINGS,), store=store)
    assert loaded(place, mode, *texts) == (0, 1)
    [(held,)] = place.query("things", "SELECT data FROM things")
    assert (json.loads(held) if isinstance(held, str) else held) == json.loads(texts[1])


def loaded(place: Place, mode: str, stored: str, read: str) -> tuple[int, int]:
    """Load one value over another. Returns how many records are unchanged, and how many update a row."""
    place.query("things", "INSERT INTO things VALUES (1, ?)", [stored])
    source = place.file("t.jsonl", f'{{"id": 1, "data": {read}}}\n')
    counts = place.load(mode, {"things": source}, on_conflict="update").tables["things"]
    return counts.unchanged, counts.updated
