"""Any mode, with any batch size, on any records, does what one INSERT per record does."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.sample import MODES, TABLES, Place

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


def oracle(stored: dict[str, dict[Any, tuple[Any, ...]]], given: Rows, on_conflict: str) -> dict[str, list[Any]]:
    """Load record by record into dicts; gives each table's rejects as (line, reasons)."""
    rejected: dict[str, list[Any]] = {}
    for table in TABLES:
        before, accepted, rejected[table.name] = dict(stored[table.name]), set[Any](), []
        for line, record in enumerate(given[table.name], 2):
            reasons, values = [], []
            for column, text in zip(table.columns, record, strict=True):
                values.append(CONVERT[column.type.value](text))
                reasons += [f"{column.name}.{'not_integer' if text else 'missing'}"] if values[-1] is None else []
            read = dict(zip(table.column_names, values, strict=True))
            reasons += [
                f"{r.column}.{r.code}"
                for r in table.rules
                if read[r.columns[0]] is not None and BROKEN[r.code](read[r.columns[0]])
            ]
            reasons += [
                f"{r.column}.exists_in"
                for r in table.references
                if read[r.column] is not None and read[r.column] not in stored[r.table]
            ]
            differs = read["id"] in before and before[read["id"]] != tuple(values) and None not in values
            if read["id"] in accepted:
                reasons.append("id.duplicate")
            elif differs and on_conflict == "reject":
                reasons.append("id.exists")
            if reasons:
                rejected[table.name].append((line, reasons))
            else:
                accepted.add(read["id"])
                stored[table.name][read["id"]] = tuple(values)
    return rejected


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
    """The records as CSV files."""
    paths = {}
    for table in TABLES:
        path = place.directory / f"{table.name}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([table.column_names, *given[table.name]])
        paths[table.name] = str(path)
    return paths


@settings(max_examples=60)
@given(first=records, second=records, size=st.integers(1, 14), on_conflict=st.sampled_from(["reject", "update"]))
@example(
    # 5 is in the database; in one batch and in two, the second record of it is a duplicate of the first.
    first={"users": [["5", "a", "@"]], "products": [], "orders": []},
    second={"users": [["5", "a", "@"], ["5", "b", "@"], ["5", "b", "@"]], "products": [], "orders": []},
    size=2,
    on_conflict="reject",
)
def test_every_mode_does_what_one_insert_per_record_does(
    first: Rows, second: Rows, size: int, on_conflict: str
) -> None:
    expected: dict[str, dict[Any, tuple[Any, ...]]] = {table.name: {} for table in TABLES}
    rejected = [oracle(expected, given, on_conflict) for given in (first, second)]
    for mode in MODES:
        with tempfile.TemporaryDirectory() as directory:
            place = Place(Path(directory))
            for given in (first, second):
                report = place.load(mode, write(place, given), batch_size=size, on_conflict=on_conflict)
            for table in TABLES:
                assert place.rows(table.name) == [expected[table.name][key] for key in sorted(expected[table.name])]
                found = [reasons for _, _, _, reasons in place.stored_rejects(table.name)]
                wanted = [reasons for rejects in rejected for _, reasons in rejects[table.name]]
                assert list(map(sorted, found)) == list(map(sorted, wanted))
                counts = report.tables[table.name]
                assert counts.given == len(second[table.name])
                assert counts.given == counts.inserted + counts.updated + counts.unchanged + counts.rejected
