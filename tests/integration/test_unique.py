"""Unique values: whatever the batches and interruptions, records are judged by the state in which they end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_loader import Column, Options, Run, Table, Tell, Type, Unique, Where
from async_loader.loading import waiting
from tests.integration.test_crashes import crash_after
from tests.integration.test_order_of_runs import crash_after_commits
from tests.integration.unique_values import NAMES, THINGS, Record, Rows, existing, files, oracle, whole
from tests.sample import MODES, Place, reject_names
from tests.stores import Databases, examples


def fresh(directory: str, store: Databases) -> Place:
    return Place(Path(directory), (THINGS,), store=store)


def write(place: Place, records: Sequence[Sequence[Record]]) -> list[str]:
    return [
        place.file(f"{number}.jsonl", "".join(json.dumps(record) + "\n" for record in each))
        for number, each in enumerate(records)
    ]


def fill(place: Place, rows: Rows) -> None:
    for row in rows.values():
        values = ", ".join("NULL" if row[name] is None else repr(row[name]) for name in NAMES)
        place.query("things", f"INSERT INTO things VALUES ({values})")


def stored(place: Place) -> Rows:
    return {row[0]: dict(zip(NAMES, row, strict=True)) for row in place.rows("things")}


SWAP = [{"id": 1, "name": "b", "number": None, "note": ""}, {"id": 2, "name": "a", "number": None, "note": ""}]
MOVES = [
    {"id": 1, "name": "c", "number": None, "note": ""},
    {"id": 2, "name": "a", "number": 8, "note": ""},
    {"id": 3, "name": "b", "number": 9, "note": ""},
]
HELD = [{"id": 1, "name": "a", "number": 9, "note": ""}, {"id": 2, "name": "b", "number": None, "note": ""}]


MANY = [
    pytest.param(2, id="few"),
    pytest.param(20, id="some", marks=pytest.mark.wide),
    pytest.param(500, id="many", marks=pytest.mark.long),
]


@pytest.mark.parametrize("many", MANY)
def test_every_mode_judges_unique_values_by_the_state_at_the_end(many: int, store: Databases) -> None:
    @examples(many, store)
    @given(
        held=st.lists(whole, max_size=6),
        given=files,
        on_conflict=st.sampled_from(["reject", "update"]),
        size=st.integers(1, 12),
        every=st.integers(0, 7),
    )
    @example(held=HELD, given=[SWAP], on_conflict="update", size=1, every=0)
    @example(held=HELD, given=[MOVES], on_conflict="update", size=5, every=0)
    @example(held=HELD, given=[MOVES], on_conflict="update", size=1, every=1)
    def holds(held: list[Record], given: list[list[Record]], on_conflict: str, size: int, every: int) -> None:
        for mode in MODES:
            with tempfile.TemporaryDirectory() as directory:
                place, rows = fresh(directory, store), existing(held)
                fill(place, rows)
                wanted = oracle(rows, given, on_conflict, every)
                report = place.load(
                    mode, {"things": write(place, given)}, on_conflict=on_conflict, batch_size=size, commit_every=every
                )
                table = report.tables["things"]
                rejects = [(line, reasons) for line, _, reasons in reject_names(report, "things")]
                assert rejects == wanted.rejects
                counts = (table.inserted, table.updated, table.unchanged)
                assert counts == (wanted.inserted, wanted.updated, wanted.unchanged)
                assert stored(place) == rows

    holds()


# The value for which an early record was refused is given up later, and taken once more after a crash.
REFUSED_ONCE = [
    {"id": 2, "name": "a", "number": None, "note": ""},
    {"id": 1, "name": "c", "number": None, "note": ""},
    {"id": 2, "name": "A", "number": None, "note": ""},
    {"id": 3, "name": "a", "number": None, "note": ""},
]


@pytest.mark.parametrize("many", MANY)
def test_a_load_that_is_resumed_judges_unique_values_as_an_undisturbed_one(many: int, store: Databases) -> None:
    @examples(many, store)
    @given(
        mode=st.sampled_from(MODES),
        held=st.lists(whole, max_size=6),
        given=files,
        cuts=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(5, 120)),
    )
    @example(mode="sequential", held=HELD[:1], given=[REFUSED_ONCE], cuts=(2, 2, 47))
    def holds(mode: str, held: list[Record], given: list[list[Record]], cuts: tuple[int, int, int]) -> None:
        size, every, steps = cuts
        options = Options(on_conflict="update", batch_size=size, commit_every=every)
        with tempfile.TemporaryDirectory() as directory:
            place, rows = fresh(directory, store), existing(held)
            fill(place, rows)
            wanted = oracle(rows, given, "update", every)
            sources = {"things": write(place, given)}
            crash_after(steps, mode, Run(place.tables, sources, place.databases, options, mode=mode))
            finished = place.query("things", "SELECT count(*) FROM loader_runs WHERE state = 'complete'") == [(1,)]
            if finished:
                # What comes next is a load of its own, and what this one gave up is free in it.
                assert stored(place) == rows
                return
            report = Run(place.tables, sources, place.databases, options, mode=mode).perform()
            assert stored(place) == rows
            rejects = [(line, reasons) for line, _, reasons in reject_names(report, "things")]
            assert rejects == wanted.rejects

    holds()


PLACES = Table(
    "places",
    "things",
    (
        Column("id", Type.INTEGER),
        Column("hall", Type.TEXT),
        Column("number", Type.INTEGER),
        Column("day", Type.DATE, nullable=True, default=None),
        Column("note", Type.TEXT, default="-"),
    ),
    unique_together=(Unique(("hall", "number"), "This place is taken."), ("day", "note")),
)


def test_of_too_many_records_that_wait_those_are_judged_by_then_and_a_line_says_so(
    tmp_path: Path, store: Databases, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_BYTES", 0)
    place = fresh(str(tmp_path), store)
    for key, name in enumerate("abcd", 1):
        place.query("things", f"INSERT INTO things VALUES ({key}, '{name}', NULL, '')")
    swaps = [{"id": key, "name": name, "number": None, "note": ""} for key, name in enumerate("badc", 1)]
    told: list[str] = []
    run = Run(
        (THINGS,),
        {"things": write(place, [swaps])},
        place.databases,
        Options(on_conflict="update", batch_size=2),
        mode=mode,
        show=lambda event: told.append(event.text) if isinstance(event, Tell) else None,
    )
    report = run.perform()
    # The first two are judged together. Of the others, each finds its value with a row that has it still.
    assert reject_names(report, "things") == [(3, 3, ["name.unique"]), (4, 4, ["name.unique"])]
    assert "".join(row["name"] for row in stored(place).values()) == "bacd"
    [line] = told
    assert line.endswith("they are judged now, and the rest in the order of records")


@pytest.fixture
def places(tmp_path: Path, store: Databases) -> Place:
    """Return a fresh database of places in halls."""
    return Place(tmp_path, (PLACES,), store)


def halls(place: Place) -> list[tuple[Any, ...]]:
    return place.query("things", "SELECT id, hall, number FROM places ORDER BY id")


def test_values_of_several_columns_are_unique_together_and_a_dry_run_says_so(places: Place, mode: str) -> None:
    places.load(mode, {"places": places.file("old.csv", "id,hall,number,day\n1,A,1,2024-01-01\n")})
    source = places.file("new.csv", "id,hall,number,day\n2,A,1,2024-01-02\n3,A,2,2024-01-01\n4,A,2,\n5,A,3,\n6,A,3,\n")
    expected = [(2, 2, ["unique"]), (3, 3, ["unique"]), (6, 6, ["unique"])]
    dry = places.load(mode, {"places": source}, dry_run=True)
    report = places.load(mode, {"places": source})
    assert reject_names(dry, "places") == reject_names(report, "places") == expected
    messages = [reject.reasons[0].message for reject in report.tables["places"].rejects]
    assert messages[0] == "This place is taken."
    assert messages[1] == "day and note 2024-01-01, '-' is another row's already"
    assert halls(places) == [(1, "A", 1), (4, "A", 2), (5, "A", 3)]


@pytest.mark.parametrize("nulls_equal", [False, True])
def test_values_are_unique_among_rows_of_a_partial_index(
    tmp_path: Path, store: Databases, mode: str, *, nulls_equal: bool
) -> None:
    where = Where("noted", ("note",), pl.col("note") == "x")
    table = replace(PLACES, unique_together=(Unique(("hall", "day"), nulls_equal=nulls_equal, where=where),))
    place = Place(tmp_path, (table,), store)
    place.query("things", "CREATE UNIQUE INDEX noted ON places (hall, day) WHERE (note = 'x')")
    place.load(mode, {"places": place.file("old.csv", "id,hall,number,day,note\n1,A,1,2024-01-01,x\n2,A,1,,x\n")})
    new = "3,A,1,2024-01-01,x\n4,A,1,2024-01-01,y\n5,A,1,,x\n6,B,1,,x\n7,B,1,,x\n8,B,1,,y\n"
    source = place.file("new.csv", f"id,hall,number,day,note\n{new}")
    dry = place.load(mode, {"places": source}, dry_run=True)
    report = place.load(mode, {"places": source})
    wanted = [2, 4, 6] if nulls_equal else [2]
    for each in (dry, report):
        assert reject_names(each, "places") == [(line, line, ["unique"]) for line in wanted]


@pytest.mark.parametrize("columns", [("hall", "number"), ("hall",)])
def test_a_resumed_load_knows_reasons_of_a_code_of_their_own(
    tmp_path: Path, store: Databases, mode: str, columns: tuple[str, ...]
) -> None:
    """The value of the first record is another row's until the second one gives it up; its key stays free."""
    table = replace(PLACES, unique_together=(Unique(columns, code="taken"),))
    outcomes = []
    for name, commits in (("undisturbed", None), ("resumed", 2)):
        directory = tmp_path / name
        directory.mkdir()
        place = Place(directory, (table,), store)
        place.load(mode, {"places": place.file("old.csv", "id,hall,number\n1,A,1\n")})
        source = {"places": place.file("new.csv", "id,hall,number\n2,A,1\n1,B,9\n2,C,5\n")}
        options = Options(on_conflict="update", commit_every=1)
        if commits is not None:
            crash_after_commits(commits, mode, Run(place.tables, source, place.databases, options, mode=mode))
        report = Run(place.tables, source, place.databases, options, mode=mode).perform()
        assert report.resumed is (commits is not None)
        outcomes.append((halls(place), report.tables["places"].reasons))
    assert outcomes[0] == outcomes[1] == ([(1, "B", 9), (2, "C", 5)], {_named(columns): 1})


def _named(columns: tuple[str, ...]) -> str:
    return "taken" if len(columns) > 1 else f"{columns[0]}.taken"


@pytest.mark.parametrize("size", [1, 2, 100])
def test_rows_exchange_values_of_several_columns(places: Place, mode: str, size: int) -> None:
    places.load(mode, {"places": places.file("old.csv", "id,hall,number\n1,A,1\n2,A,2\n3,A,3\n4,B,1\n")})
    moved = places.file("new.csv", "number,id,hall\n2,1,A\n3,2,A\n1,3,B\n1,4,A\n4,5,A\n")
    dry = places.load(mode, {"places": moved}, on_conflict="update", batch_size=size, dry_run=True)
    first = places.load(mode, {"places": moved}, on_conflict="update", batch_size=size)
    again = places.load(mode, {"places": moved}, on_conflict="update", batch_size=size)
    assert halls(places) == [(1, "A", 2), (2, "A", 3), (3, "B", 1), (4, "A", 1), (5, "A", 4)]
    counts = [
        (table.inserted, table.updated, table.unchanged) for table in (r.tables["places"] for r in (dry, first, again))
    ]
    assert counts == [(1, 4, 0), (1, 4, 0), (0, 0, 5)]


def test_a_column_that_the_source_lacks_is_looked_at_as_the_row_has_it(places: Place, mode: str) -> None:
    places.load(mode, {"places": places.file("old.csv", "id,hall,number\n1,A,1\n2,A,2\n3,B,3\n")})
    numbers = places.file("new.csv", "id,number\n1,2\n2,1\n3,1\n")
    options: dict[str, Any] = {"match": {"places": ("id",)}, "on_missing": "reject", "on_conflict": "update"}
    report = places.load(mode, {"places": numbers}, **options)
    assert report.tables["places"].updated == 3
    assert halls(places) == [(1, "A", 2), (2, "A", 1), (3, "B", 1)]


CHECKED = Table(
    "checked",
    "things",
    (Column("id", Type.INTEGER), Column("code", Type.TEXT, unique=True), Column("size", Type.INTEGER, default=0)),
)


def test_what_the_database_refuses_takes_along_only_what_depends_on_it(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    place = Place(tmp_path, (CHECKED,), store)
    place.query("things", "DROP TABLE checked")
    place.query(
        "things",
        "CREATE TABLE checked (id BIGINT PRIMARY KEY, code TEXT NOT NULL UNIQUE, size BIGINT CHECK (size < 9))",
    )
    place.load(mode, {"checked": place.file("old.csv", "id,code\n" + "".join(f"{n},c{n}\n" for n in range(1, 8)))})
    # 1 and 2 swap; 3 waits for 4, which is refused; 5 takes the value of 6, which takes a new one; 7 is a new value.
    moved = "1,c2,0\n2,c1,0\n3,c4,0\n4,c9,9\n5,c6,0\n6,c8,0\n7,c7,1\n"
    source = place.file("new.csv", f"id,code,size\n{moved}")
    report = place.load(mode, {"checked": source}, on_conflict="update")
    rows = place.query("things", "SELECT id, code FROM checked ORDER BY id")
    assert rows == [(1, "c2"), (2, "c1"), (3, "c3"), (4, "c4"), (5, "c6"), (6, "c8"), (7, "c7")]
    assert [line for line, _, _ in reject_names(report, "checked")] == [4, 5]
    assert report.tables["checked"].updated == 5
