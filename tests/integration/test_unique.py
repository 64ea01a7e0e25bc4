"""Unique columns: whatever the batches, transactions and interruptions, each record is judged as if it came alone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_loader import Column, Options, Run, Table, Type
from tests.integration.test_crashes import crash_after
from tests.sample import MODES, Place, reject_names
from tests.stores import Databases, examples

THINGS = Table(
    "things",
    "things",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT, nullable=True, unique=True),
        Column("number", Type.INTEGER, nullable=True, unique=True, default=7),
        Column("note", Type.TEXT, default=""),
    ),
)
NAMES = THINGS.column_names
Record = dict[str, Any]
Rows = dict[int, dict[str, Any]]


@dataclass
class Outcome:
    """What became of the records; rejects as (line of all, reasons)."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: list[tuple[int, list[str]]] = field(default_factory=list)


def oracle(rows: Rows, files: Sequence[Sequence[Record]], on_conflict: str) -> Outcome:
    """Load record by record into a plain dict."""
    before, accepted, outcome = {key: dict(row) for key, row in rows.items()}, set[int](), Outcome()
    for line, record in [each for records in files for each in enumerate(records, 1)]:
        key = record["id"]
        held = before.get(key)
        new = {"number": 7, "note": "", **(held or {}), **record}
        taken = [
            f"{name}.unique"
            for name in ("name", "number")
            if new[name] is not None and any(row[name] == new[name] for other, row in rows.items() if other != key)
        ]
        if key in accepted:
            reasons = ["id.duplicate"]
        else:
            reasons = (["id.exists"] if on_conflict == "reject" and held not in (None, new) else []) + taken
        if reasons:
            outcome.rejects.append((line, reasons))
            continue
        accepted.add(key)
        rows[key] = new
        outcome.inserted += held is None
        outcome.updated += held not in (None, new)
        outcome.unchanged += held == new
    return outcome


keys = st.integers(0, 6)
names = st.sampled_from([None, "a", "b", "c", "A", "ä"])
numbers = st.sampled_from([None, 7, 8, 9])
notes = st.sampled_from(["", "x"])
whole = st.fixed_dictionaries({"id": keys, "name": names, "number": numbers, "note": notes})
# Of which one column lacks in all records.
lacking = st.sampled_from(["number", "note"]).flatmap(
    lambda absent: st.lists(whole, max_size=10).map(
        lambda records: [{name: each[name] for name in NAMES if name != absent} for each in records]
    )
)
files = st.lists(st.lists(whole, max_size=10) | lacking, min_size=1, max_size=2)


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


def existing(records: Sequence[Record]) -> Rows:
    """Return the records that can be stored side by side."""
    rows: Rows = {}
    oracle(rows, [records], "reject")
    return rows


SWAP = [{"id": 1, "name": "b", "number": None, "note": ""}, {"id": 2, "name": "a", "number": None, "note": ""}]
MOVES = [
    {"id": 1, "name": "c", "number": None, "note": ""},
    {"id": 2, "name": "a", "number": 8, "note": ""},
    {"id": 3, "name": "b", "number": 9, "note": ""},
]
HELD = [{"id": 1, "name": "a", "number": 9, "note": ""}, {"id": 2, "name": "b", "number": None, "note": ""}]


MANY = [
    pytest.param(5, id="few"),
    pytest.param(20, id="some", marks=pytest.mark.wide),
    pytest.param(500, id="many", marks=pytest.mark.long),
]


@pytest.mark.parametrize("many", MANY)
def test_every_mode_judges_unique_values_one_record_at_a_time(many: int, store: Databases) -> None:
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
                wanted = oracle(rows, given, on_conflict)
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
            wanted = oracle(rows, given, "update")
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
