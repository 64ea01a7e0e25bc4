"""What a record of JSON Lines lacks, its row keeps: record by record, whatever the batches, stores and modes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader import Column, Options, Reference, Rule, Run, SQLite, Table, Type, not_empty
from tests.integration.stored import retry
from tests.integration.test_crashes import crash_after
from tests.sample import MODES, Place, reject_names
from tests.stores import Databases, examples
from tests.tiers import amounts

SPAN = Rule("span", ("first", "last"), "first must not be above last", pl.col("first") <= pl.col("last"))
THINGS = Table(
    "things",
    "things",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT),
        Column("first", Type.INTEGER, nullable=True),
        Column("last", Type.INTEGER, default=5),
        Column("code", Type.TEXT, nullable=True, default=None, unique=True),
    ),
    rules=(not_empty("name"), SPAN),
)
NAMES = THINGS.column_names
DEFAULTS = {"last": 5, "code": None}
Record = Mapping[str, Any]


@dataclass
class Outcome:
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    rejects: list[tuple[int, list[str]]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("inserted", "updated", "unchanged"), 0))


def oracle(held: Mapping[int, Record], records: Sequence[Record], on_conflict: str) -> Outcome:
    """Load record by record into a plain dict."""
    outcome, accepted = Outcome({key: dict(row) for key, row in held.items()}), set[int]()
    for line, record in enumerate(records, 1):
        reasons = judged(held, outcome, record, record["id"] in accepted, on_conflict)
        if reasons:
            outcome.rejects.append((line, reasons))
            continue
        key = record["id"]
        row = {**(held.get(key) or {"first": None, **DEFAULTS}), **record}
        outcome.counts["inserted" if key not in held else "unchanged" if row == held[key] else "updated"] += 1
        outcome.rows[key] = row
        accepted.add(key)
    return outcome


def judged(
    held: Mapping[int, Record],
    outcome: Outcome,
    record: Record,
    is_duplicate: bool,  # noqa: FBT001
    on_conflict: str,
) -> list[str]:
    before = held.get(record["id"])
    row = {**(before or {"first": None, **DEFAULTS}), **record}
    reasons = []
    if "name" not in row and not is_duplicate:
        reasons.append("name.missing")
    if record.get("name") == "":
        reasons.append("name.not_empty")
    in_rule = {"first", "last"} & record.keys()
    # Of a duplicate that lacks one of them, nothing is said; nor of a row that keeps both.
    is_asked = (in_rule or before is None) and not (is_duplicate and len(in_rule) < 2)
    if is_asked and None not in (row["first"], row["last"]) and row["first"] > row["last"]:
        reasons.append("span")
    if is_duplicate:
        return [*reasons, "id.duplicate"]
    if on_conflict == "reject" and before is not None and row != before:
        reasons.append("id.exists")
    code = record.get("code")
    if code is not None and any(row["code"] == code for key, row in outcome.rows.items() if key != record["id"]):
        reasons.append("code.unique")
    return reasons


KEYS, NUMBERS = st.integers(0, 5), st.none() | st.integers(0, 9)
MEMBERS = {
    "name": st.sampled_from(["", "a", "b"]),
    "first": NUMBERS,
    "last": st.integers(0, 9),
    "code": st.sampled_from([None, "x", "y"]),
}
RECORDS = st.lists(st.fixed_dictionaries({"id": KEYS}, optional=MEMBERS), max_size=10)
ROWS = st.dictionaries(KEYS, st.tuples(st.sampled_from(["", "a"]), NUMBERS, st.integers(0, 9)), max_size=5).map(
    lambda rows: {
        key: {"id": key, "name": name, "first": first, "last": last, "code": f"c{key}"}
        for key, (name, first, last) in rows.items()
    }
)


def fill(place: Place, rows: Mapping[int, Record]) -> None:
    for row in rows.values():
        place.query("things", "INSERT INTO things VALUES (?, ?, ?, ?, ?)", [row[name] for name in NAMES])


def lines(records: Sequence[Record]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@amounts(8, 100)
def test_each_record_is_judged_and_stored_as_its_row_will_be(store: Databases, amount: int) -> None:
    @examples(amount, store)
    @given(ROWS, RECORDS, st.sampled_from(["reject", "update"]), st.sampled_from(MODES), st.integers(1, 4))
    def agree(held: dict[int, Record], records: list[Record], on_conflict: str, mode: str, batch_size: int) -> None:
        expected = oracle(held, records, on_conflict)
        with tempfile.TemporaryDirectory() as directory:
            place = Place(Path(directory), (THINGS,), store=store)
            fill(place, held)
            source = place.file("t.jsonl", lines(records))
            report = place.load(mode, {"things": source}, on_conflict=on_conflict, batch_size=batch_size)
            stored = {row[0]: dict(zip(NAMES, row, strict=True)) for row in place.rows("things")}
            assert stored == expected.rows
            assert [(line, names) for line, _, names in reject_names(report, "things")] == expected.rejects
            table = report.tables["things"]
            assert {name: getattr(table, name) for name in expected.counts} == expected.counts

    agree()


@pytest.mark.parametrize("batch_size", [1, 100])
def test_the_other_members_stay_as_they_are(tmp_path: Path, mode: str, batch_size: int, store: Databases) -> None:
    table = Table("people", "d", (Column("id", Type.INTEGER), Column("name", Type.TEXT), Column("age", Type.INTEGER)))
    place = Place(tmp_path, (table,), store=store)
    place.load(mode, {"people": place.file("a.csv", "id,name,age\n1,Ann,41\n2,Bob,42\n3,Cy,43\n")})
    records: list[Record] = [
        {"id": 1, "age": 51},
        {"id": 2, "name": "Rob"},
        {"id": 3, "name": "Cy"},
        {"id": 4, "name": "Di"},
    ]
    source = place.file("b.jsonl", lines(records))
    for updated in (2, 0):
        report = place.load(mode, {"people": source}, on_conflict="update", batch_size=batch_size).tables["people"]
        assert (report.updated, report.unchanged, report.reasons) == (updated, 3 - updated, {"age.missing": 1})
        assert place.rows("people") == [(1, "Ann", 51), (2, "Rob", 42), (3, "Cy", 43)]


@pytest.mark.parametrize("batch_size", [1, 100])
def test_rows_that_match_columns_find_keep_the_other_members_too(
    tmp_path: Path, mode: str, batch_size: int, store: Databases
) -> None:
    columns = (
        Column("id", Type.INTEGER, generated=True),
        Column("code", Type.TEXT, unique=True),
        Column("name", Type.TEXT),
        Column("age", Type.INTEGER, default=7),
        Column("note", Type.TEXT, nullable=True, default=None),
    )
    place = Place(tmp_path, (Table("people", "d", columns, match=("code",)),), store=store)
    place.load(mode, {"people": place.file("a.csv", "code,name,age,note\na,Ann,41,x\nb,Bob,42,y\nc,Cy,43,\n")})
    keys = [row[0] for row in place.rows("people")]
    records: list[Record] = [
        {"code": "c", "age": 53},
        {"code": "b", "name": "Rob", "note": None},
        {"code": "a"},
        {"code": "d", "name": "Di"},
        {"code": "e", "age": 1},
    ]
    source = place.file("b.jsonl", lines(records))
    for inserted, updated in ((1, 2), (0, 0)):
        report = place.load(mode, {"people": source}, on_conflict="update", batch_size=batch_size).tables["people"]
        assert (report.inserted, report.updated, report.reasons) == (inserted, updated, {"name.missing": 1})
        rows = place.rows("people")
        assert [row[0] for row in rows[:3]] == keys
        assert [row[1:] for row in rows] == [
            ("a", "Ann", 41, "x"),
            ("b", "Rob", 42, None),
            ("c", "Cy", 53, None),
            ("d", "Di", 7, None),
        ]


ODD = Table(
    "odd",
    "d",
    (
        Column("id", Type.INTEGER),
        Column("price", Type.DECIMAL, digits=6, places=2),
        Column("at", Type.DATETIME, nullable=True, zone="Europe/Berlin"),
        Column("day", Type.DATE, nullable=True),
        Column("uid", Type.UUID, nullable=True),
        Column("note", Type.JSON, nullable=True),
        Column("flag", Type.BOOLEAN, nullable=True),
        Column("size", Type.REAL, nullable=True),
        Column("rest", Type.TEXT, default=""),
    ),
)
PLAIN = {
    "id": 1,
    "price": "1.50",
    "at": "2026-07-01 12:00:00.5",
    "day": "2026-07-01",
    "uid": "0" * 31 + "a",
    "note": {"b": [1.0], "a": 1},
    "flag": True,
    "size": 0.1,
    "rest": "x",
}


def test_a_row_keeps_values_of_every_type(tmp_path: Path, mode: str, store: Databases) -> None:
    place = Place(tmp_path, (ODD,), store=store)
    place.load(mode, {"odd": place.file("a.jsonl", lines([PLAIN, PLAIN | {"id": 2}]))})
    [first, second] = place.rows("odd")
    for name in PLAIN:
        changes = [{"id": 1, "rest": name}, {key: value for key, value in PLAIN.items() if key != name} | {"id": 2}]
        report = place.load(mode, {"odd": place.file("b.jsonl", lines(changes))}, on_conflict="update")
        assert report.tables["odd"].rejected == 0
    assert place.rows("odd") == [(*first[:-1], "rest"), second]


@pytest.mark.only("sqlite")
def test_a_row_keeps_what_another_program_stored_in_its_own_way(tmp_path: Path, mode: str, store: Databases) -> None:
    """Values that no record can have stay byte for byte, and those of other records are loaded in their order."""
    place = Place(tmp_path, (ODD,), store=store)
    rows = [
        (1, 1.239, "2026-07-01T12:00", "1 July", "{a}", "[1,", 7, "much", b"x"),
        (2, "dear", 5, 20260701, "0" * 32, "[]", "yes", 1, "y"),
        (3, 2, None, None, None, "[]", 0, 0.5, "z"),
    ]
    for row in rows:
        place.query("d", "INSERT INTO odd VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    records: list[Record] = [
        {"id": 0, "price": 1},
        {"id": 3, "rest": "new"},
        {"id": 1, "size": 2},
        {"id": 2, "rest": "new"},
        {"id": 4, "rest": "lacks its price"},
    ]
    source = place.file("a.jsonl", "no json\n" + lines(records) + "no json\n")
    report = place.load(mode, {"odd": source}, on_conflict="update").tables["odd"]
    assert report.reasons == {"invalid_json": 2, "price.missing": 1}
    assert (report.inserted, report.updated) == (1, 3)
    assert place.rows("odd")[1:] == [(*rows[0][:-2], 2.0, b"x"), (*rows[1][:-1], "new"), (*rows[2][:-1], "new")]
    again = place.load(mode, {"odd": source}, on_conflict="update").tables["odd"]
    assert (again.updated, again.unchanged) == (0, 4)


def test_a_reference_that_a_record_lacks_is_not_looked_up(tmp_path: Path, mode: str, store: Databases) -> None:
    towns = Table("towns", "d", (Column("id", Type.INTEGER),))
    people = Table(
        "people",
        "d",
        (Column("id", Type.INTEGER), Column("town", Type.INTEGER), Column("name", Type.TEXT, default="")),
        references=(Reference("town", "towns"),),
    )
    place = Place(tmp_path, (towns, people), store=store)
    place.query("d", "INSERT INTO people VALUES (1, 9, 'a'), (2, 9, 'b')")
    records: list[Record] = [{"id": 1, "name": "c"}, {"id": 2, "town": 9}, {"id": 3, "name": "d"}]
    source = place.file("p.jsonl", lines(records))
    report = place.load(mode, {"people": source}, on_conflict="update").tables["people"]
    assert report.reasons == {"town.exists_in": 1, "town.missing": 1}
    assert place.rows("people") == [(1, 9, "c"), (2, 9, "b")]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_rule_of_two_columns_is_asked_about_the_row_where_a_file_lacks_one(
    tmp_path: Path, mode: str, suffix: str, store: Databases
) -> None:
    """And about the default in a new row."""
    place = Place(tmp_path, (THINGS,), store=store)
    fill(place, {1: {"id": 1, "name": "a", "first": 1, "last": 9, "code": "x"}})
    frame = pl.DataFrame({"id": [1, 2, 3], "name": ["a"] * 3, "first": [8, 8, 2]})
    path = tmp_path / f"t.{suffix}"
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    report = place.load(mode, {"things": str(path)}, on_conflict="update").tables["things"]
    assert report.reasons == {"span": 1}
    assert place.rows("things") == [(1, "a", 8, 9, "x"), (3, "a", 2, 5, None)]


def test_rejects_of_records_that_lack_members_can_be_tried_again(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, (THINGS,), store=store)
    records: list[Record] = [
        {"id": 1, "first": 3},
        {"id": 2, "name": "b", "last": 4, "code": "y"},
        {"id": 1, "last": 4},
    ]
    report = place.load("sequential", {"things": place.file("t.jsonl", lines(records))})
    assert report.tables["things"].reasons == {"name.missing": 2}
    fill(place, {1: {"id": 1, "name": "a", "first": 1, "last": 9, "code": "x"}})
    again = retry(place, "sequential", on_conflict="update").tables["things"]
    assert (again.updated, again.reasons) == (1, {"id.duplicate": 1})
    assert place.rows("things") == [(1, "a", 3, 9, "x"), (2, "b", None, 4, "y")]


@pytest.mark.wide
def test_an_interrupted_load_goes_on_record_by_record(tmp_path: Path, store: Databases) -> None:
    records: list[Record] = [{"id": key, **({"name": "n"} if key % 3 else {"last": 6})} for key in range(1, 30)]
    options, resumed = Options(on_conflict="update", commit_every=4, batch_size=3), 0
    for effects in range(60, 240, 60):
        (tmp_path / str(effects)).mkdir()
        place = Place(tmp_path / str(effects), (THINGS,), store=store)
        fill(place, {1: {"id": 1, "name": "a", "first": 1, "last": 9, "code": "x"}})
        source = place.file("t.jsonl", lines(records))
        crash_after(effects, "sequential", Run(place.tables, {"things": source}, place.databases, options))
        resumed += len(place.query("things", "SELECT 1 FROM loader_runs WHERE state = 'running'"))
        report = Run(place.tables, {"things": source}, place.databases, options).perform().tables["things"]
        assert report.reasons == {"name.missing": 9}
        assert len(place.rows("things")) == 20
        assert place.rows("things")[0] == (1, "n", 1, 9, "x")
    assert resumed > 1


@pytest.mark.only("sqlite")
def test_a_time_that_a_record_lacks_stays_in_the_zone_in_which_the_database_keeps_it(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    """As Django keeps times in SQLite where DATABASES has a TIME_ZONE."""
    at = Column("at", Type.DATETIME, zone="UTC", nullable=True, default=None)
    table = Table("visits", "visits", (Column("id", Type.INTEGER), at, Column("n", Type.INTEGER)))
    place = Place(tmp_path, (table,), store=store)
    databases = {"visits": SQLite(place.files["visits"], zone="Europe/Berlin")}
    first: list[Record] = [
        {"id": 1, "at": "2024-07-01T12:00:00Z", "n": 1},
        {"id": 2, "at": "2024-10-27T01:30:00Z", "n": 1},
    ]
    Run((table,), {"visits": place.file("a.jsonl", lines(first))}, databases, mode=mode).perform()
    before = [(1, "2024-07-01 14:00:00", 1), (2, "2024-10-27 02:30:00", 1)]
    assert place.rows("visits") == before
    others: list[Record] = [{"id": 1, "n": 2}, {"id": 2, "n": 2}, {"id": 3, "at": None, "n": 3}]
    source = place.file("b.jsonl", lines(others))
    report = Run((table,), {"visits": source}, databases, Options(on_conflict="update"), mode=mode).perform()
    assert report.tables["visits"].updated == 2
    assert [row[:2] for row in place.rows("visits")] == [row[:2] for row in before] + [(3, None)]
