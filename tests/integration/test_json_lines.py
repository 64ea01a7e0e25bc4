"""JSON Lines: a bad line is one reject; text and numbers are what JSON says they are."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from async_loader import Column, Source, SourceError, Table, Type
from async_loader.sources import Reader
from tests.sample import USERS, Place, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

COLUMNS = (
    Column("id", Type.INTEGER),
    Column("whole", Type.INTEGER, nullable=True),
    Column("real", Type.REAL, nullable=True),
    Column("text", Type.TEXT, nullable=True),
)
TABLES = (Table("things", "things", COLUMNS),)

# A JSON value: what it is as an integer, as a real and as text; of the str, those in `codes` are codes of rejects.
VALUES: dict[str, tuple[object, object, object]] = {
    "5": (5, 5.0, "!not_text"),
    "-0": (0, 0.0, "!not_text"),
    '"5"': ("!not_integer", "!not_number", "5"),
    '""': ("!not_integer", "!not_number", ""),
    "null": (None, None, None),
    "true": ("!not_integer", "!not_number", "!not_text"),
    "1.0": ("!not_integer", 1.0, "!not_text"),
    "1e3": ("!not_integer", 1000.0, "!not_text"),
    "0.0": ("!not_integer", 0.0, "!not_text"),
    "9223372036854775807": (2**63 - 1, "!out_of_range", "!not_text"),
    "9223372036854775808": ("!out_of_range", 2.0**63, "!not_text"),
    "-9223372036854775809": ("!out_of_range", "!out_of_range", "!not_text"),
    "18446744073709551617": ("!out_of_range", "!out_of_range", "!not_text"),
    "9007199254740993": (2**53 + 1, "!out_of_range", "!not_text"),
    "1e400": ("!not_integer", "!out_of_range", "!not_text"),
    "1e-400": ("!not_integer", "!out_of_range", "!not_text"),
    "9" * 5_000: ("!out_of_range", "!out_of_range", "!not_text"),
    '"a\\u0000b"': ("!not_integer", "!not_number", "!nul_character"),
    '"\\ud83d\\ude00\\u001b[1m: {\\"a\\": 1}"': ("!not_integer", "!not_number", '😀\x1b[1m: {"a": 1}'),
    '["a"]': ("!not_integer", "!not_number", "!not_text"),
    '{"a": {"b": 1}}': ("!not_integer", "!not_number", "!not_text"),
}


@pytest.mark.parametrize("value", VALUES)
def test_each_value_is_what_the_column_wants_or_a_reject(
    tmp_path: Path, mode: str, value: str, store: Databases
) -> None:
    place = Place(tmp_path, TABLES, store=store)
    lines = [f'{{"id": {key}, "{column.name}": {value}}}\n' for key, column in enumerate(COLUMNS) if key]
    place.load(mode, {"things": place.file("t.jsonl", "".join(lines))})
    stored = {row[0]: row for row in place.rows("things")}
    codes = {line: names for line, _, _, names in place.stored_rejects("things")}
    for key, expected in enumerate(VALUES[value], 1):
        if isinstance(expected, str) and expected.startswith("!"):
            assert codes[key] == [f"{COLUMNS[key].name}.{expected[1:]}"]
        else:
            assert stored[key][key] == expected
            assert type(stored[key][key]) is type(expected)


BROKEN = {
    b"{": "invalid_json",
    b'{"id": 2,}': "invalid_json",
    b'{"id": 2} x': "invalid_json",
    b'{"id": 2}, {"id": 3}': "invalid_json",
    b"[2]": "invalid_json",
    b'"text"': "invalid_json",
    b"2": "invalid_json",
    b"null": "invalid_json",
    b'{"id": 2, "id": 3}': "invalid_json",
    b'{"id": 2, "text": {"a": 1, "a": 2}}': "invalid_json",
    b'{"id": NaN}': "invalid_json",
    b'{"id": 2, "text": "\\ud800"}': "invalid_json",
    b'{"id": 2, "text": "a\tb"}': "invalid_json",
    b'{"id": 2, "text": "\xff"}': "invalid_utf8",
    b'{"id": 2, "\xff": 1}': "invalid_utf8",
    b"[" * 100_000: "invalid_json",
    b'{"a":' * 100_000: "invalid_json",
    b"\xef\xbb\xbf{}": "invalid_json",
    b"'": "invalid_json",
    b'{"id": 2, "x": ' + b"[" * 65 + b"]" * 65 + b"}": "invalid_json",
}


@pytest.mark.parametrize("line", BROKEN, ids=lambda line: repr(line[:20]))
def test_a_broken_line_is_one_reject(tmp_path: Path, mode: str, line: bytes, store: Databases) -> None:
    place = Place(tmp_path, TABLES, store=store)
    report = place.load(mode, {"things": place.file("t.ndjson", b'{"id": 1}\n\n' + line + b'\r\n{"id": 4}')})
    assert [row[0] for row in place.rows("things")] == [1, 4]
    assert reject_names(report, "things") == [(3, 3, [BROKEN[line]])]


def test_a_missing_key_is_missing_and_an_unknown_one_is_named(place: Place, mode: str) -> None:
    content = b'\xef\xbb\xbf{"id": 1, "name": "a", "email": "@", "age": 7}\n{"id": 2, "zip": 1, "email": null}\n'
    report = place.load(mode, {"users": place.file("u.jsonl", content)})
    assert place.rows("users") == [(1, "a", "@")]
    assert reject_names(report, "users") == [(2, 2, ["name.missing", "email.missing"])]
    assert report.tables["users"].ignored_columns == ("age", "zip")


def test_the_record_is_kept_as_it_stands(place: Place) -> None:
    place.load("sequential", {"users": place.file("u.jsonl", b' {"id":1e400,"name":1.50,"more":["x",{}]} \n')})
    [(record,)] = place.query("users", "SELECT record FROM loader_rejects")
    assert record == '{"id":1e400,"name":1.50,"more":["x",{}]}'


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1,"x":"' + b'\\"[' * 500_000,
        b'{"id":1,"x":"' + b"[" * 500_000 + b"\\",
        b"{" + b",".join(b'"%d":1' % key for key in range(100_000)) + b',"99999":1}',
    ],
    ids=["escaped quotes", "a last backslash", "many keys"],
)
def test_a_hostile_line_takes_no_more_than_its_length(place: Place, mode: str, line: bytes) -> None:
    report = place.load(mode, {"users": place.file("u.jsonl", line)})
    assert report.tables["users"].reasons == {"invalid_json": 1}


def test_a_number_past_all_bounds_is_shown_as_it_stands(place: Place) -> None:
    report = place.load("sequential", {"products": place.file("p.jsonl", b'{"id": 1, "name": "a", "price": 1e400}')})
    assert report.tables["products"].rejects[0].reasons[0].message == "price is out of range: 1e400"


def test_lines_longer_than_a_block_are_whole(place: Place, mode: str) -> None:
    long = "x" * 5_000_000
    lines = [f'{{"id": {key}, "name": "{long}", "email": "@"}}\n' for key in range(3)]
    place.load(mode, {"users": place.file("u.jsonl", "".join(lines))})
    assert place.rows("users") == [(key, long, "@") for key in range(3)]


def test_no_batch_is_the_rest_of_a_block(tmp_path: Path) -> None:
    path = tmp_path / "u.jsonl"
    path.write_text("".join(f'{{"id": {key}, "name": "name", "email": "@"}}\n' for key in range(200_000)))
    with closing(Reader(Source(str(path)), USERS, 100_000)) as reader:
        sizes = [len(batch) for batch in iter(reader.read, None)]
    assert sum(sizes) == 200_000
    assert min(sizes[:-1]) > 10_000


def test_brackets_in_text_and_side_by_side_are_no_nesting(place: Place, mode: str) -> None:
    line = {"id": 1, "name": '["{' * 100, "email": "@", "x": [[]] * 100, "y": json.loads("[" * 60 + "]" * 60)}
    report = place.load(mode, {"users": place.file("u.jsonl", json.dumps(line))}, max_rejects=0)
    assert report.tables["users"].inserted == 1
    assert json.dumps(report.as_dict())


def test_a_line_without_end_is_refused(place: Place, mode: str) -> None:
    with pytest.raises(SourceError, match="a line longer than 64 MiB; is this JSON Lines"):
        place.load(mode, {"users": place.file("u.jsonl", b"x" * (65 << 20))})


def test_an_empty_file_has_no_records_and_utf_16_is_read_by_its_mark(place: Place, mode: str) -> None:
    assert place.load(mode, {"users": place.file("u.jsonl", b"")}).tables["users"].given == 0
    line = '{"id": 1, "name": "A", "email": "@"}'
    place.load(mode, {"users": place.file("v.jsonl", line.encode("utf-16"))})
    assert place.rows("users") == [(1, "A", "@")]
    with pytest.raises(SourceError, match="say so: --encoding utf-16-le"):
        place.load(mode, {"users": place.file("w.jsonl", line.encode("utf-16-le"))})


LINES = (
    '{"id": 1, "text": "a", "whole": 1}',
    '{"whole": 2, "id": 2, "text": "b: b"}',
    '{"id": 3, "text": 3, "whole": 1e300}',
    '{"id": 1, "text": "of another", "whole": 4}',
    '{"id": null, "text": "", "whole": null}',
    '{"id": 6, "text": "\\u0000", "whole": 99999999999999999999}',
    '{"id": 7, "text": "ü", "whole": 7.5}',
)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    "extra", ["", ', "more": 1', ', "\\u0000": 1'], ids=["columns alone", "another key", "an odd key"]
)
def test_lines_decoded_at_once_are_read_as_one_by_one(
    tmp_path: Path, mode: str, extra: str, end: str, store: Databases
) -> None:
    """A blank line has all of them read one by one: values, faults, lines and records as read are the same."""
    content = end.join(line[:-1] + extra + "}" for line in LINES) + end
    found = []
    for name, behind in (("at-once", ""), ("one-by-one", f" {end}")):
        (tmp_path / name).mkdir()
        place = Place(tmp_path / name, TABLES, store=store)
        report = place.load(mode, {"things": place.file("t.jsonl", content + behind)})
        rejects = place.query("things", "SELECT line, line_end, record, reasons FROM loader_rejects ORDER BY id")
        found.append((place.rows("things"), rejects, report.tables["things"].ignored_columns))
    assert found[0] == found[1]
    assert len(found[0][1]) == len(LINES) - 2
