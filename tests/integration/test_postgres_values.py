"""PostgreSQL: values of every type come back as they are, and nothing is cut."""

from __future__ import annotations

import json
import math
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Column,
    RejectFilter,
    Retry,
    StoredRejects,
    StoreError,
    Table,
    Type,
    Verification,
)
from tests.integration.guards import reasons_of
from tests.integration.things import NAME, TEXT, THINGS, made, messages
from tests.sample import Place, reject_names
from tests.stores import Databases

pytestmark = pytest.mark.only("postgresql", "postgresql 15", "postgresql 18")
# Values by column, all of which must come back as they are.
VALUES: dict[str, list[Any]] = {
    "whole": [-(2**63), 2**63 - 1, 0],
    "real": [5e-324, -0.0, 1.7976931348623157e308, 0.1, 1e23, 2.2250738585072014e-308],
    "text": [
        "",
        " ",
        "\\.",
        "\\N",
        "NULL",
        '"',
        '""',
        "a,b",
        "a\r\nb",
        "\n",
        "\r",
        "\t\\t",
        "'",
        "$1 %s {}",
        "é\u2028\U0001f600",
    ],
    "price": [Decimal("0.0000000001"), Decimal("-9999999999999999999999999999.9999999999"), Decimal("0E-10")],
    "yes": [True, False],
    "day": [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)],
    "at": [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
    ],
    "local": [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(2024, 3, 31, 2, 30, 0, 1)],  # noqa: DTZ001
    "name": [NAME, uuid.UUID(int=2**128 - 1)],
    "more": [{"b": [1, None, "\\u0000 is no NUL"], "a": {}}, [], "text", 1.5, False, "\U0001f600\\ud83d"],
}
ROWS = [
    (number, *(value if name == column else None for name in THINGS.column_names[1:]))
    for number, (column, value) in enumerate([(name, value) for name, values in VALUES.items() for value in values], 1)
]


def as_json(row: tuple[Any, ...]) -> str:
    """Return a row as a line of JSON."""
    record = dict(zip(THINGS.column_names, row, strict=True))
    price, more = record["price"], record["more"]
    record["price"] = None if price is None else "PRICE"
    text = json.dumps(
        {name: str(value) if isinstance(value, (date, uuid.UUID)) else value for name, value in record.items()}
    )
    assert more is None or json.loads(text)["more"] == more
    return text.replace('"PRICE"', f"{price:f}" if price is not None else "")


def stored_rows(place: Place) -> list[tuple[Any, ...]]:
    """Return all rows, with times in UTC."""
    return [
        tuple(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value for value in row)
        for row in place.rows("things")
    ]


def test_values_of_every_type_come_back_as_they_are(tmp_path: Path, mode: str, store: Databases) -> None:
    place = Place(tmp_path, (THINGS,), store=store)
    source = place.file("things.jsonl", "".join(as_json(row) + "\n" for row in ROWS))
    report = place.load(mode, {"things": source}, batch_size=20)
    assert report.tables["things"].rejects == ()
    assert stored_rows(place) == ROWS
    assert [math.copysign(1, row[2]) for row in stored_rows(place) if row[2] == 0] == [-1]
    again = place.load(mode, {"things": source}, batch_size=20, on_conflict="update")
    assert (again.tables["things"].unchanged, again.tables["things"].rejected) == (len(ROWS), 0)


@pytest.mark.parametrize("refused", [False, True], ids=["in one statement", "row by row"])
def test_values_that_take_the_place_of_others_come_back_too(
    tmp_path: Path,
    store: Databases,
    refused: bool,  # noqa: FBT001
) -> None:
    place = Place(tmp_path, (THINGS,), store=store)
    place.query("things", "ALTER TABLE things ADD CHECK (id <> 0)")
    for key, *_ in ROWS[::2]:
        place.query("things", "INSERT INTO things (id) VALUES (?)", (key,))
    lines = [as_json(row) for row in ROWS] + ([as_json((0, *ROWS[0][1:]))] if refused else [])
    report = place.load("sequential", {"things": place.file("t.jsonl", "\n".join(lines))}, on_conflict="update")
    counts = report.tables["things"]
    assert (counts.inserted, counts.updated, counts.rejected) == (len(ROWS) // 2, (len(ROWS) + 1) // 2, int(refused))
    assert stored_rows(place) == ROWS


# What a column is, what it is declared as, records, and by line what the server says of some.
NARROW: dict[str, tuple[str, Column, str, list[tuple[int, str]]]] = {
    "smallint": (
        "x smallint",
        Column("x", Type.INTEGER),
        "id,x\n1,32767\n2,32768\n3,-32768\n",
        [(3, 'value "32768" is out of range for type smallint')],
    ),
    "integer": (
        "x integer",
        Column("x", Type.INTEGER),
        "id,x\n1,2147483647\n2,9223372036854775807\n3,5\n",
        [(3, "integer out of range")],
    ),
    "numeric": (
        "x numeric(4, 2)",
        Column("x", Type.DECIMAL, digits=6, places=2),
        "id,x\n1,99.99\n2,100.00\n3,-0.01\n",
        [(3, "numeric field overflow; A field with precision 4, scale 2 must round to")],
    ),
    "varchar": (
        "x varchar(3)",
        TEXT,
        "id,x\n1,abc\n2,abcd\n3,ééé\n",
        [(3, "value too long for type character varying(3)")],
    ),
    "varchar and spaces": (
        "x varchar(3)",
        TEXT,
        'id,x\n1,abc\n2,"abc "\n3,"a    "\n4,"a  "\n5,"    "\n',
        [(line, "value too long for type character varying(3)") for line in (3, 4, 6)],
    ),
    "a key that no index can hold": (
        "x text UNIQUE",
        TEXT,
        "id,x\n1,a\n2," + "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(9000)) + "\n3,b\n",
        [(3, "index row requires 27016 bytes, maximum size is 8191")],
    ),
}


@pytest.mark.parametrize("held", [False, True], ids=["new", "beside updates"])
@pytest.mark.parametrize("narrow", NARROW)
def test_what_a_narrow_column_cannot_hold_is_refused_and_nothing_is_cut(
    tmp_path: Path,
    store: Databases,
    narrow: str,
    held: bool,  # noqa: FBT001
) -> None:
    declaration, column, lines, wanted = NARROW[narrow]
    place = made(tmp_path, store, declaration, column)
    if held:
        place.query("things", "INSERT INTO things (id) VALUES (1)")
    told = messages(place, lines, on_conflict="update")
    assert [line for line, _ in told] == [line for line, _ in wanted]
    good = [line for number, line in enumerate(lines.splitlines()[1:], 2) if number not in dict(wanted)]
    assert [(str(key), str(value)) for key, value in place.rows("things")] == [
        (key, value.strip('"')) for key, value in (line.split(",") for line in good)
    ]
    for (_, message), (_, start) in zip(told, wanted, strict=True):
        assert message.startswith(start) or "out of range" in start
    assert messages(place, "\n".join([lines.splitlines()[0], *good])) == []


def test_a_text_key_that_the_server_would_cut_is_refused(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (Table("words", "words", (Column("word", Type.TEXT),), key="word"),), store=store)
    place.query("words", "DROP TABLE words")
    place.query("words", "CREATE TABLE words (word varchar(2) PRIMARY KEY)")
    report = place.load(mode, {"words": place.file("w.csv", 'word\n"a "\n"a  "\nb\n')})
    assert reasons_of(report, "words") == [(3, [("refused", None, "value too long for type character varying(2)")])]
    assert place.rows("words") == [("a ",), ("b",)]


@pytest.mark.parametrize(
    ("declaration", "column", "problem"),
    [
        ("x numeric(5, 1)", Column("x", Type.DECIMAL, digits=5, places=2), "numeric of 1 decimals, not numeric(5, 2)"),
        ("x numeric(5, -2)", Column("x", Type.DECIMAL, digits=5), "numeric of -2 decimals, not numeric(5, 0)"),
        ("x real", Column("x", Type.REAL), "float4, not double precision"),
        ("x timestamp(3)", Column("x", Type.DATETIME), "timestamp(3), not timestamp"),
        ("x timestamptz(0)", Column("x", Type.DATETIME, zone="UTC"), "timestamptz(0), not timestamptz"),
        ("x timestamp", Column("x", Type.DATETIME, zone="UTC"), "timestamp, not timestamptz"),
        ("x char(3)", TEXT, "bpchar(7), not text"),
        ("x integer", TEXT, "int4, not text"),
        ("x text", Column("x", Type.JSON), "text, not jsonb"),
        ("x text[]", TEXT, "_text, not text"),
    ],
)
def test_a_column_in_which_a_value_could_change_is_one_line(
    tmp_path: Path, store: Databases, declaration: str, column: Column, problem: str
) -> None:
    place = made(tmp_path, store, declaration, column)
    with pytest.raises(StoreError) as caught:
        messages(place, "id,x\n1,1\n")
    assert str(caught.value) == f"database things: table things: column x is {problem}; alter the table"


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_json_that_the_server_cannot_hold_is_a_reject_and_never_an_end(
    tmp_path: Path, store: Databases, mode: str, kind: str
) -> None:
    place = made(tmp_path, store, f"x {kind}", Column("x", Type.JSON, nullable=True))
    texts = [
        '"\\u0000"',
        '{"a": "\\\\u0000"}',
        '"\\ud83d\\ude00"',
        '["\\\\\\u0000"]',
        '{"\\u0000": 1}',
        '"\\\\\\\\ud800"',
    ]
    lines = [f'{{"id": {number}, "x": {text}}}' for number, text in enumerate(texts, 1)] + ['{"id": 9}']
    source = place.file("t.jsonl", "\n".join(lines))
    first = place.load(mode, {"things": source})
    refused = [] if kind == "json" else [1, 4, 5]
    assert [line for line, *_ in reject_names(first, "things")] == refused
    stored = [
        (key, json.loads(value))
        for key, value in place.query("things", "SELECT id, x::text FROM things WHERE x IS NOT NULL ORDER BY id")
    ]
    assert stored == [(key, json.loads(text)) for key, text in enumerate(texts, 1) if key not in refused]
    for on_conflict in ("reject", "update"):
        again = place.load(mode, {"things": source}, on_conflict=on_conflict)
        assert again.tables["things"].unchanged == len(lines) - len(refused)
        assert reject_names(again, "things") == [(line, line, ["refused"]) for line in refused]
    other = place.file("o.jsonl", "\n".join(f'{{"id": {key}, "x": "\\u0000"}}' for key in range(2, 10)))
    counts = place.load(mode, {"things": other}).tables["things"]
    assert (counts.given, counts.unchanged + counts.rejected + counts.inserted) == (8, 8)


def test_a_nul_in_a_record_does_not_hide_its_reject(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", "id,name,email\n1,a\0b,@\n\0,b,@\n2,,@\n")})
    stored = StoredRejects(place.tables, place.databases)
    [run] = stored.overview()
    assert run.tables[0].reasons == {"id.nul_character": 1, "name.not_empty": 1, "name.nul_character": 1}
    assert stored.count(RejectFilter(reason="nul_character")) == {"users": 2}
    again = Retry(place.tables, RejectFilter(), place.databases, mode=mode).perform()
    assert again.tables["users"].rejected == 3
    assert [run.findings for run in Verification(place.tables, place.databases).perform().runs] == [(), ()]
