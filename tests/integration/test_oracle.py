"""Any mode, with any batch size, on any records, does what one INSERT per record does."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_loader import Column, Table, Type
from tests.sample import MODES, TABLES, Place, reject_names
from tests.stores import STORES, Databases, examples
from tests.tiers import amounts

INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
CONVERT: dict[str, Callable[[str], Any]] = {
    "integer": lambda text: int(text) if INTEGER.fullmatch(text) else None,
    "real": float,
    "text": str,
}
BROKEN: dict[str, Callable[[Any], bool]] = {
    "not_empty": lambda value: value == "",
    "contains": lambda value: "@" not in value,
    "greater_than": lambda value: value <= 0,
}

Rows = dict[str, list[list[str]]]
Stored = dict[str, dict[Any, tuple[Any, ...]]]


@dataclass
class Outcome:
    """What became of one table's records; rejects as (number of the record from 2, reasons)."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: list[tuple[int, list[str]]] = field(default_factory=list)


def oracle(stored: Stored, given: Rows, on_conflict: str) -> dict[str, Outcome]:
    """Load record by record into dicts."""
    outcomes = {table.name: Outcome() for table in TABLES}
    for table in TABLES:
        before, accepted, outcome = dict(stored[table.name]), set[Any](), outcomes[table.name]
        for line, record in enumerate(given[table.name], 2):
            if not any(record):
                # Nothing in any field is no record.
                continue
            values = [CONVERT[column.type.value](text) for column, text in zip(table.columns, record, strict=True)]
            read = dict(zip(table.column_names, values, strict=True))
            reasons = [
                f"{name}.{'not_integer' if text else 'missing'}"
                for (name, value), text in zip(read.items(), record, strict=True)
                if value is None
            ]
            rules = [rule for rule in table.rules if read[rule.columns[0]] is not None]
            reasons += [f"{rule.column}.{rule.code}" for rule in rules if BROKEN[rule.code](read[rule.columns[0]])]
            references = [reference for reference in table.references if read[reference.column] is not None]
            reasons += [f"{r.column}.exists_in" for r in references if read[r.column] not in stored[r.table]]
            held = before.get(read["id"])
            if read["id"] in accepted:
                reasons.append("id.duplicate")
            elif held not in (None, tuple(values)) and None not in values and on_conflict == "reject":
                reasons.append("id.exists")
            if reasons:
                outcome.rejects.append((line, sorted(reasons)))
                continue
            accepted.add(read["id"])
            stored[table.name][read["id"]] = tuple(values)
            outcome.inserted += held is None
            outcome.updated += held not in (None, tuple(values))
            outcome.unchanged += held == tuple(values)
    return outcomes


keys = st.integers(-2, 6).map(str) | st.sampled_from(["x", "1.5", "", "+3", "007"])
words = st.sampled_from(["", "a", "a@b", "a,b@", 'q"@', "line\n@", "\r\n@"])
prices = st.sampled_from(["1.5", "-1", "0", "1e3", ".5"])
records = st.fixed_dictionaries(
    {
        "users": st.lists(st.tuples(keys, words, words).map(list), max_size=12),
        "products": st.lists(st.tuples(keys, words, prices).map(list), max_size=12),
        "orders": st.lists(st.tuples(keys, keys, keys, keys).map(list), max_size=12),
    }
)


def write(place: Place, given: Rows) -> dict[str, str]:
    """Write the records as CSV files."""
    paths = {}
    for table in TABLES:
        path = place.directory / f"{table.name}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([table.column_names, *given[table.name]])
        paths[table.name] = str(path)
    return paths


@pytest.mark.short(*STORES, "users in sqlite")
@amounts(4, 35)
def test_every_mode_does_what_one_insert_per_record_does(store: Databases, amount: int) -> None:
    @examples(amount, store)
    @given(first=records, second=records, size=st.integers(1, 14), on_conflict=st.sampled_from(["reject", "update"]))
    @example(
        # 5 is in the database; in one batch and in two, the second record of it is a duplicate of the first.
        first={"users": [["5", "a", "@"]], "products": [], "orders": []},
        second={"users": [["5", "a", "@"], ["5", "b", "@"], ["5", "b", "@"]], "products": [], "orders": []},
        size=2,
        on_conflict="reject",
    )
    def holds(first: Rows, second: Rows, size: int, on_conflict: str) -> None:
        for mode in MODES:
            stored: Stored = {table.name: {} for table in TABLES}
            with tempfile.TemporaryDirectory() as directory:
                place = Place(Path(directory), store=store)
                for given in (first, second):
                    expected = oracle(stored, given, on_conflict)
                    sources = write(place, given)
                    report = place.load(mode, sources, batch_size=size, on_conflict=on_conflict)
                    for table in TABLES:
                        found, wanted = report.tables[table.name], expected[table.name]
                        assert place.rows(table.name) == [row for _, row in sorted(stored[table.name].items())]
                        assert found.given == sum(map(any, given[table.name]))
                        assert found.rejected == len(wanted.rejects)
                        assert (found.inserted, found.updated, found.unchanged) == (
                            wanted.inserted,
                            wanted.updated,
                            wanted.unchanged,
                        )
                        # Lines are those of the file; the order says which record is which.
                        names = [reasons for _, _, reasons in reject_names(report, table.name)]
                        assert list(map(sorted, names)) == [reasons for _, reasons in wanted.rejects]

    holds()


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_values_stay_in_their_columns_whichever_of_them_a_batch_lacks(
    tmp_path: Path, mode: str, size: int, store: Databases
) -> None:
    """Rows with and without each of two numbers, so that batches with and without nulls follow each other."""
    numbers = [Column(name, Type.REAL, nullable=True) for name in ("price", "weight")]
    columns = (Column("id", Type.INTEGER), Column("name", Type.TEXT), *numbers)
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    rows = [
        (key, f"n{key}", None if key // 3 % 2 else key + 0.5, None if key // 2 % 3 else key + 0.25)
        for key in range(1, 40)
    ]
    lines = ["id,name,price,weight", *(",".join("" if value is None else str(value) for value in row) for row in rows)]
    source = place.file("things.csv", "\n".join(lines))
    assert place.load(mode, {"things": source}, batch_size=size).tables["things"].inserted == len(rows)
    assert place.rows("things") == rows
    assert place.load(mode, {"things": source}, batch_size=size).tables["things"].unchanged == len(rows)
