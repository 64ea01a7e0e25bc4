"""What is PostgreSQL's alone: types of its own, constraints that wait, what cuts a value, and servers that go away."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from async_loader import (
    Column,
    Reference,
    ReferenceCheck,
    RejectFilter,
    Retry,
    StoredRejects,
    StoreError,
    Table,
    Type,
    Verification,
)
from async_loader.checks import references
from tests.integration.test_refused import reasons_of
from tests.processes import PATIENCE
from tests.sample import Place, reject_names
from tests.stores import Databases

pytestmark = pytest.mark.only("postgresql", "postgresql 15", "postgresql 18")

EVERY = (
    Column("id", Type.INTEGER),
    Column("whole", Type.INTEGER, nullable=True),
    Column("real", Type.REAL, nullable=True),
    Column("text", Type.TEXT, nullable=True),
    Column("price", Type.DECIMAL, digits=38, places=10, nullable=True),
    Column("yes", Type.BOOLEAN, nullable=True),
    Column("day", Type.DATE, nullable=True),
    Column("at", Type.DATETIME, zone="UTC", nullable=True),
    Column("local", Type.DATETIME, nullable=True),
    Column("name", Type.UUID, nullable=True),
    Column("more", Type.JSON, nullable=True),
)
THINGS = Table("things", "things", EVERY)
NAME = uuid.UUID("00000000-0000-0000-0000-00000000000a")
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


def table_with(*columns: Column) -> Table:
    return Table("things", "things", (Column("id", Type.INTEGER), *columns))


def made(directory: Path, store: Databases, declaration: str, *columns: Column) -> Place:
    """Create a table as its user has declared it."""
    place = Place(directory, (table_with(*columns),), store=store)
    place.query("things", "DROP TABLE things")
    place.query("things", f"CREATE TABLE things (id bigint PRIMARY KEY, {declaration})")
    return place


def messages(place: Place, lines: str, **options: Any) -> list[tuple[int, str]]:
    """Return by line why records were not stored."""
    report = place.load("sequential", {"things": place.file("t.csv", lines)}, **options)
    return [(reject.line, reason.message) for reject in report.tables["things"].rejects for reason in reject.reasons]


TEXT = Column("x", Type.TEXT)
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


CONFLICT = "Key (x)=(7) conflicts with existing key (x)=(7)."
CONSTRAINTS = {
    "unique": (
        "x bigint UNIQUE DEFERRABLE INITIALLY DEFERRED",
        'duplicate key value violates unique constraint "things_x_key"; Key (x)=(7) already exists.',
    ),
    "exclusion": (
        "x bigint, EXCLUDE (x WITH =) DEFERRABLE INITIALLY DEFERRED",
        f'conflicting key value violates exclusion constraint "things_x_excl"; {CONFLICT}',
    ),
}


@pytest.mark.parametrize("commit_every", [0, 2])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_constraint_that_waits_for_the_commit_is_asked_about_each_statement(
    tmp_path: Path, store: Databases, mode: str, constraint: str, commit_every: int
) -> None:
    declaration, message = CONSTRAINTS[constraint]
    place = made(tmp_path, store, declaration, Column("x", Type.INTEGER))
    source = place.file("t.csv", "id,x\n1,7\n2,8\n3,7\n4,9\n5,7\n")
    for _ in range(2):
        report = place.load(mode, {"things": source}, batch_size=2, commit_every=commit_every)
        assert reasons_of(report, "things") == [(line, [("refused", None, message)]) for line in (4, 6)]
    assert place.rows("things") == [(1, 7), (2, 8), (4, 9)]


def test_a_foreign_key_of_several_columns_that_waits_refuses_rows(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (table_with(Column("x", Type.INTEGER)),), store=store)
    place.query("things", "CREATE TABLE parents (id bigint, x bigint, PRIMARY KEY (id, x))")
    place.query("things", "INSERT INTO parents VALUES (1, 1), (3, 1)")
    place.query("things", "ALTER TABLE things ADD FOREIGN KEY (id, x) REFERENCES parents DEFERRABLE INITIALLY DEFERRED")
    report = place.load(mode, {"things": place.file("t.csv", "id,x\n1,1\n2,2\n3,1\n")})
    message = (
        'insert or update on table "things" violates foreign key constraint "things_id_x_fkey"; '
        'Key (id, x)=(2, 2) is not present in table "parents".'
    )
    assert reasons_of(report, "things") == [(3, [("refused", None, message)])]
    assert place.rows("things") == [(1, 1), (3, 1)]


def test_a_key_that_waits_for_the_commit_is_one_line(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, (table_with(),), store=store)
    place.query("things", "DROP TABLE things")
    place.query("things", "CREATE TABLE things (id bigint PRIMARY KEY DEFERRABLE)")
    with pytest.raises(StoreError, match="table things: key id is neither primary key nor unique"):
        messages(place, "id\n1\n")


@pytest.mark.parametrize("identity", ["ALWAYS", "BY DEFAULT"])
def test_a_key_that_the_server_counts_up_takes_the_records_own(
    tmp_path: Path, store: Databases, mode: str, identity: str
) -> None:
    place = Place(tmp_path, (table_with(TEXT),), store=store)
    place.query("things", "DROP TABLE things")
    counted, computed = f"GENERATED {identity} AS IDENTITY PRIMARY KEY", "GENERATED ALWAYS AS (length(x)) STORED"
    place.query("things", f"CREATE TABLE things (id bigint {counted}, x text UNIQUE, size int {computed})")
    for content in ("id,x\n5,a\n6,a\n", "id,x\n5,bb\n7,c\n8,c\n"):
        report = place.load(mode, {"things": place.file("t.csv", content)}, on_conflict="update")
        assert report.tables["things"].rejected == 1
    assert place.rows("things") == [(5, "bb", 2), (7, "c", 1)]


@pytest.mark.parametrize("counted", ["bigserial", "bigint DEFAULT nextval('counter')"], ids=["owned", "unowned"])
@pytest.mark.parametrize("options", [{}, {"commit_every": 1}])
@pytest.mark.parametrize(("keys", "following"), [((5, 9, 2), 10), ((), 1), ((-3,), 1)])
def test_keys_that_the_server_generates_come_after_those_that_were_loaded(
    tmp_path: Path, store: Databases, counted: str, keys: tuple[int, ...], following: int, *, options: dict[str, int]
) -> None:
    place = Place(tmp_path, (table_with(TEXT),), store=store)
    place.query("things", "DROP TABLE things")
    place.query("things", "CREATE SEQUENCE counter")
    place.query("things", f"CREATE TABLE things (id {counted} PRIMARY KEY, x text)")
    given = place.file("t.csv", "id,x\n" + "".join(f"{key},a\n" for key in keys))
    for _ in range(2):
        place.load("async", {"things": given}, **options)
    assert place.query("things", "INSERT INTO things (x) VALUES ('own') RETURNING id") == [(following,)]
    place.load("async", {"things": place.file("t.csv", "id,x\n1,a\n")}, on_conflict="update")
    assert place.query("things", "INSERT INTO things (x) VALUES ('own') RETURNING id") == [(following + 1,)]


def test_a_table_that_the_planner_believes_to_be_empty_is_looked_up_by_its_index(place: Place, mode: str) -> None:
    with psycopg.connect(str(place.databases["products"])) as other:
        other.execute("INSERT INTO products SELECT key, 'p', 1 FROM generate_series(1, 20000) AS key")
        # It sees rows that are not committed, and takes the table for one of many pages and none.
        place.query("products", "VACUUM products")
    orders = "id,user_id,product_id,quantity\n" + "".join(f"{key},1,{key * 19},1\n" for key in range(1, 1001))
    sources = {"users": place.file("u.csv", "id,name,email\n1,a,@\n"), "orders": place.file("o.csv", orders)}
    assert place.load(mode, sources).tables["orders"].inserted == 1000
    wait_until(lambda: looked_up(place) >= 1000)


def looked_up(place: Place) -> int:
    """Return how often the products' index has been used, as far as sessions that have ended reported."""
    [(stored_rows,)] = place.query(
        "products", "SELECT idx_scan FROM pg_stat_user_tables WHERE relid = to_regclass('products')"
    )
    return int(stored_rows)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the server has done what it does a little later."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)


def test_a_trigger_of_each_statement_refuses_rows(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (table_with(TEXT),), store=store)
    place.query(
        "things",
        """CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM added WHERE x = 'no') THEN RAISE 'not that'; END IF; RETURN NULL; END $$;
        CREATE TRIGGER guard AFTER INSERT ON things REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION guard()""",
    )
    lines = "id,x\n" + "".join(f"{key},{'no' if key in (3, 900) else 'yes'}\n" for key in range(1, 1000))
    report = place.load(mode, {"things": place.file("t.csv", lines)})
    assert reasons_of(report, "things") == [(line, [("refused", None, "not that")]) for line in (4, 901)]
    assert len(place.rows("things")) == 997


NAMES = Table("names", "names", (Column("name", Type.UUID),), key="name")
USES = Table("uses", "things", (*EVERY, Column("used", Type.UUID)), references=(Reference("used", "names"),))


def test_keys_that_are_uuids_are_found_however_they_are_spelled(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (NAMES, USES), store=store)
    names = place.file("n.csv", f"name\n{NAME}\n{str(NAME).upper()}\n{uuid.UUID(int=5).hex}\n")
    assert reject_names(place.load(mode, {"names": names}), "names") == [(3, 3, ["name.duplicate"])]
    assert place.load(mode, {"names": names}).tables["names"].unchanged == 2
    lines = "".join(
        f'{{"id": {key}, "used": "{name}"}}\n' for key, name in enumerate([NAME, uuid.UUID(int=6), uuid.UUID(int=5)])
    )
    report = place.load(mode, {"uses": place.file("u.jsonl", lines)})
    assert reject_names(report, "uses") == [(2, 2, ["used.exists_in"])]


def test_rows_that_reference_nothing_are_shown_whatever_they_hold(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, (NAMES, USES), store=store)
    columns = '"id", "real", "text", "price", "yes", "day", "at", "local", "name", "more", "used"'
    plain = f"1, 'NaN', '', 1.5, TRUE, '2024-02-29', '2024-01-01 00:00+00', '2024-01-01', '{NAME}', '[1]'"
    endless = "2, '-Infinity', NULL, 'NaN', FALSE, 'infinity', '-infinity', '0044-03-15 BC', NULL, 'null'"
    for values in (plain, endless):
        place.query("things", f"INSERT INTO uses ({columns}) VALUES ({values}, '{NAME}')")
    report = ReferenceCheck(place.tables, place.databases).perform()
    first, second = report.tables["uses"].rejects
    json.dumps(report.as_dict(), allow_nan=False)
    assert [reason.message for reason in first.reasons] == [f"used '{NAME.hex}' does not exist in names"]
    assert list(first.record.values()) == [
        *(1, None, "nan", "", "1.5000000000", True, "2024-02-29", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00"),
        *(NAME.hex, "[1]", NAME.hex),
    ]
    assert list(second.record.values())[2:8] == ["-inf", None, "NaN", False, "infinity", "-infinity"]


def test_text_keys_in_an_order_of_their_own_are_read_in_parts(
    tmp_path: Path, store: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 2)
    words = Table("words", "words", (Column("word", Type.TEXT), Column("next", Type.TEXT, nullable=True)), key="word")
    texts = Table("texts", "texts", words.columns, "word", (), (Reference("next", "words"),))
    place = Place(tmp_path, (words, texts), store=store)
    place.query("texts", 'ALTER TABLE texts ALTER word TYPE text COLLATE "C.utf8"')
    place.query("words", 'ALTER TABLE words ALTER word TYPE varchar(9) COLLATE "C.utf8"')
    keys = ["", " ", "a", "A", "B", "b", "é", "É", "\U0001f600", "\uffff", "a b", "a,b", "\n", "'"]
    for key in keys:
        place.query("words", "INSERT INTO words VALUES (?, NULL)", (key,))
        place.query("texts", "INSERT INTO texts VALUES (?, ?)", (f"{key}!", key))
    place.query("texts", "INSERT INTO texts VALUES ('lost', 'e')")
    stored_rows = ReferenceCheck(place.tables, place.databases).perform().tables["texts"]
    assert (stored_rows.given, [orphan.key for orphan in stored_rows.rejects]) == (len(keys) + 1, ["lost"])
    lines = "".join(json.dumps({"word": key, "next": key}) + "\n" for key in [*keys, "E"])
    report = place.load("sequential", {"words": place.file("w.jsonl", lines)}, on_conflict="update", batch_size=4)
    assert (report.tables["words"].updated, report.tables["words"].inserted) == (len(keys), 1)
