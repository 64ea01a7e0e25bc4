"""JSON documents: an array is taken apart as it is read, however it is laid out and wherever it stands."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_loader import Column, ConfigurationError, Source, SourceError, Table, Type
from tests.sample import Place, reject_names
from tests.stores import Databases
from tests.tiers import amounts

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

TABLES = (
    Table(
        "people",
        "people",
        (
            Column("id", Type.INTEGER),
            Column("name", Type.TEXT, nullable=True),
            Column("city", Type.TEXT, nullable=True),
        ),
    ),
)
PEOPLE = [{"id": 1, "name": 'a]}\\"', "city": "[{"}, {"id": 2, "name": "ü\n", "city": None}, {"id": 3}]
ROWS = [(1, 'a]}\\"', "[{"), (2, "ü\n", None), (3, None, None)]


@pytest.fixture
def people(tmp_path: Path, store: Databases) -> Place:
    return Place(tmp_path, TABLES, store=store)


def load(place: Place, mode: str, content: Any, path: str = "", **options: Any) -> Any:
    file = place.file("p.json", content if isinstance(content, bytes) else json.dumps(content).encode())
    return place.load(mode, {"people": Source(file + path, **options)})


@pytest.mark.parametrize("indent", [None, 0, 2], ids=lambda indent: f"indented by {indent}")
@pytest.mark.parametrize("path", ["", "results", "data.page 1.results"], ids=lambda path: path or "bare")
def test_an_array_is_found_and_read_whatever_its_layout(people: Place, mode: str, indent: int, path: str) -> None:
    document: Any = PEOPLE
    for name in reversed(path.split(".") if path else []):
        document = {"count": 3, "first": [{"id": 9}], "[{": "]}", name: document, "last": {"id": [{}]}, "ok": True}
    content = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    report = load(people, mode, content, f"#{path}" if path else "")
    assert (report.tables["people"].inserted, report.tables["people"].given) == (3, 3)
    assert people.rows("people") == ROWS


def test_a_packed_document_is_read(people: Place, mode: str) -> None:
    file = people.file("p.json.gz", gzip.compress(json.dumps({"all": PEOPLE}).encode()))
    people.load(mode, {"people": f"{file}#all"})
    assert people.rows("people") == ROWS


def test_a_name_may_follow_the_sign_in_any_file_of_another_format(people: Place, mode: str) -> None:
    people.load(mode, {"people": people.file("p#1.csv", b"id,name,city\n1,a,\n")})
    assert people.rows("people") == [(1, "a", None)]


def test_each_bad_element_is_one_reject_with_its_place(people: Place, mode: str) -> None:
    content = (
        b'[{"id": 1}, 5, {"id": "2"}, "x", {"id":\n3,}, [1], null, {"id": 4, "id": 4}, '
        b'{"id": 5, "name": "\xff"}, {"id": 6}]'
    )
    report = load(people, mode, content)
    assert people.rows("people") == [(1, None, None), (6, None, None)]
    assert {line: names for line, _, _, names in people.stored_rejects("people")} == {
        2: ["invalid_json"],
        3: ["id.not_integer"],
        4: ["invalid_json"],
        5: ["invalid_json"],
        6: ["invalid_json"],
        7: ["invalid_json"],
        8: ["invalid_json"],
        9: ["invalid_utf8"],
    }
    assert [reject.line for reject in report.tables["people"].rejects] == [2, 3, 4, 5, 6, 7, 8, 9]


def test_a_rejected_object_is_kept_on_one_line_with_its_numbers_as_they_are_written(people: Place, mode: str) -> None:
    load(people, mode, b'[\n  {\n    "id": "x",\n    "weight": 1.50e3\n  }\n]', ignore=("weight",))
    [(_, _, record, _)] = people.stored_rejects("people")
    assert record["id"] == "x"
    assert people.query("people", "SELECT record FROM loader_rejects") == [('{"id": "x", "weight": 1.50e3}',)]


@pytest.mark.parametrize(
    ("content", "path", "problem"),
    [
        (b"", "", "the document is empty, not an array of objects"),
        (b"5", "", "the document is a single value, not an array"),
        (
            b'{"next": null, "found": {}, "items": [{}]}',
            "",
            "the document is one object, .*; name its array, as .*#items$",
        ),
        (
            b'{"a": {"b": {"tags": [1], "c": [{}]}}, "d": [ {} ]}',
            "",
            r"one of its arrays, 'a\.b\.c', 'd', as .*#a\.b\.c$",
        ),
        (b'{"a": {"tags": [1]}, "e.f": [{}], "g": []}', "", r"its arrays, 'a\.tags', 'g', as "),
        (b'{"a": 1, "b": {"c": {}}}', "", "the document is one object, .*; no array is in it"),
        (b'{"a": {"b": [1]', "", "ends within a value"),
        (b'{"a": {"b": [], "c": {}}}', "#a", r"a is one object, .*; name its array, as .*p.json#a\.b$"),
        (b'{"next": null}', "#items", "the document has no 'items'; it has 'next'"),
        (b'{"a": [1]}', "#a.b", "a is an array, so that it has no 'b'"),
        (b'{"a": "[]"}', "#a", "a is text, not an array of objects"),
        (b'[{"id": 1}, {"id": 2}', "", "after element 2 of the array: ends within a value: it is cut off"),
        (b'[{"id": 1}, {"id": "2', "", "after element 1 of the array: ends within a value"),
        (b'[{"id": 1} {"id": 2}]', "", "after element 1 of the array: there is no comma before the next"),
        (b'[{"id": 1},]', "", "a value is expected"),
        (b'[{"id": 1}]]', "", "there is more text after the document"),
        (b'{"a": [{"id": 1}], "b": ', "#a", "ends within a value"),
        (b'{"a": [{"id": 1}] "b": 1}', "#a", "there is no JSON"),
        (b"[\x00]\x00", "", "is UTF-16 without a byte order mark"),
    ],
)
def test_a_document_that_cannot_be_read_keeps_nothing(
    people: Place, mode: str, content: bytes, path: str, problem: str
) -> None:
    with pytest.raises(SourceError, match=problem):
        load(people, mode, content, path)
    assert people.rows("people") == []


def test_values_within_objects_are_columns_by_dotted_names(people: Place, mode: str) -> None:
    content = b"""[{"id": 1, "address": {"city": {"name": "Oslo"}}}, {"id": 2, "address": {"city": null}}, {"id": 3},
        {"id": 4, "address.city.name": "Rome"}, {"id": 5, "address": {"city": {"name": 5}}}]"""
    report = load(people, mode, content, names={"city": "address.city.name"})
    expected = [(1, None, "Oslo"), (2, None, None), (3, None, None), (4, None, "Rome")]
    assert people.rows("people") == expected
    assert reject_names(report, "people") == [(5, 5, ["city.not_text"])]
    # In JSON Lines as well.
    lines = people.file("p.jsonl", b'{"id": 6, "address": {"city": {"name": "Bern"}}}\n{"id": 7, "address": 1}\n')
    people.load(mode, {"people": Source(lines, names={"city": "address.city.name"})})
    assert people.rows("people")[-2:] == [(6, None, "Bern"), (7, None, None)]


def test_a_key_that_first_appears_late_is_taken(people: Place, mode: str) -> None:
    late: list[dict[str, Any]] = [{"id": key} for key in range(150_000)]
    load(people, mode, [*late, {"id": 150_000, "name": "late", "city": "Rome"}])
    assert people.rows("people")[-1] == (150_000, "late", "Rome")


def test_the_same_document_for_two_arrays_is_two_contents(people: Place, mode: str) -> None:
    document = {"a": [{"id": "x"}], "b": [{"id": "y"}, {"id": 1}]}
    load(people, mode, document, "#a")
    load(people, mode, document, "#b")
    load(people, mode, document, "#b")
    assert [line for line, *_ in people.stored_rejects("people")] == [1, 1]


def test_a_format_that_is_named_and_one_of_the_suffix_mean_the_same_part(people: Place, mode: str) -> None:
    file = people.file("answer", json.dumps({"items": PEOPLE}))
    people.load(mode, {"people": Source(f"{file}#items", "json")})
    assert people.rows("people") == ROWS
    with pytest.raises(ConfigurationError, match=r"unknown format 'xlsx\.gz'"):
        Source("answer.xlsx.gz")


ARRAYS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 10**6)},
        optional={
            "name": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
            "more": st.recursive(
                st.none() | st.booleans() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            ),
        },
    ),
    unique_by=lambda record: str(record["id"]),
)


@amounts(12, 60)
def test_any_array_is_read_as_the_standard_library_reads_it(people: Place, amount: int) -> None:
    @settings(max_examples=amount)
    @given(records=ARRAYS, indent=st.sampled_from([None, 1]), is_ascii=st.booleans())
    def agree(records: list[dict[str, Any]], indent: int | None, *, is_ascii: bool) -> None:
        people.query("people", "DELETE FROM people")
        try:
            content = json.dumps(records, indent=indent, ensure_ascii=is_ascii).encode()
        except UnicodeEncodeError:
            return
        load(people, "sequential", content, ignore=("more",))
        good = [record for record in records if "\0" not in (record.get("name") or "")]
        assert people.rows("people") == sorted((record["id"], record.get("name"), None) for record in good)

    agree()
