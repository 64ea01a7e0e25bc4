"""What a load of unique values must come to: an oracle in plain Python, and any records for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from async_loader import Column, Table, Type

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


UNIQUE = ("name", "number")


def oracle(rows: Rows, files: Sequence[Sequence[Record]], on_conflict: str, every: int = 0) -> Outcome:
    """Load records into a plain dict: one by one, or, where they may change rows, those of a transaction together."""
    before, outcome = {key: dict(row) for key, row in rows.items()}, Outcome()
    records = [(line, record) for file in files for line, record in enumerate(file, 1)]
    accepted = set[int]()
    size = (every or len(records) or 1) if on_conflict == "update" else 1
    for start in range(0, len(records), size):
        load_together(rows, before, records[start : start + size], accepted, on_conflict=on_conflict, outcome=outcome)
    return outcome


def load_together(
    rows: Rows,
    before: Rows,
    records: Sequence[tuple[int, Record]],
    accepted: set[int],
    *,
    on_conflict: str,
    outcome: Outcome,
) -> None:
    """Load those of the records that can be stored side by side, in place of rows that they replace."""
    started = {key: dict(row) for key, row in rows.items()}
    wanted = [{"number": 7, "note": "", **before.get(record["id"], {}), **record} for _, record in records]
    conflict = [on_conflict == "reject" and before.get(row["id"]) not in (None, row) for row in wanted]
    already, stored = set(accepted), dict[int, int]()
    while more := stored_together(rows, [*enumerate(wanted)], conflict, accepted):
        for place in more:
            rows[wanted[place]["id"]] = wanted[place]
            accepted.add(wanted[place]["id"])
            stored[wanted[place]["id"]] = place
    for place, (row, (line, _)) in enumerate(zip(wanted, records, strict=True)):
        key = row["id"]
        if stored.get(key) == place:
            outcome.inserted += key not in before
            outcome.updated += before.get(key) not in (None, row)
            outcome.unchanged += before.get(key) == row
        elif key in already or stored.get(key, place) < place:
            outcome.rejects.append((line, ["id.duplicate"]))
        else:
            used = [name for name in UNIQUE if is_used(started, rows, wanted, stored, place=place, name=name)]
            if not (used or conflict[place]):
                used = [name for name in UNIQUE if is_lost(wanted, stored, place, name)]
            if not (used or conflict[place]):
                # A later record of its key was stored.
                used = [name for name in UNIQUE if is_owned(started, row, name)]
            if not (used or conflict[place]):
                # So was it of an earlier record that lost its value then.
                used = [name for name in UNIQUE if row[name] is not None]
            reasons = (["id.exists"] if conflict[place] else []) + [f"{name}.unique" for name in used]
            outcome.rejects.append((line, reasons))


def is_used(started: Rows, rows: Rows, wanted: list[Record], stored: dict[int, int], *, place: int, name: str) -> bool:
    """Return whether the value of a record that is not stored is another row's, or an earlier record's."""
    value, key = wanted[place][name], wanted[place]["id"]
    if value is None:
        return False
    kept = any(row[name] == value and rows[other][name] == value for other, row in started.items() if other != key)
    return kept or any(wanted[other][name] == value and other < place for other in stored.values())


def is_owned(started: Rows, row: Record, name: str) -> bool:
    """Return whether another row had the value of a record at the start."""
    others = [held[name] for other, held in started.items() if other != row["id"]]
    return row[name] is not None and row[name] in others


def is_lost(wanted: list[Record], stored: dict[int, int], place: int, name: str) -> bool:
    """Return whether a record that is stored has the value of one that is not."""
    value = wanted[place][name]
    return value is not None and any(wanted[other][name] == value for other in stored.values())


def stored_together(
    rows: Rows, candidates: list[tuple[int, Record]], conflict: Sequence[bool], accepted: set[int]
) -> list[int]:
    """Return the places of the records that can all be stored: of each key the first that is left is tried."""
    left = [(place, row) for place, row in candidates if row["id"] not in accepted and not conflict[place]]
    while True:
        tried: dict[int, tuple[int, Record]] = {}
        for place, row in left:
            tried.setdefault(row["id"], (place, row))
        end = rows | {key: row for key, (_, row) in tried.items()}
        blocked = (
            [
                (place, row)
                for place, row in tried.values()
                for name in UNIQUE
                for other, held in rows.items()
                if row[name] is not None and held[name] == row[name] and other != row["id"] and end[other] is held
            ]
            or [
                (place, row)
                for place, row in tried.values()
                for name in UNIQUE
                for other, held in rows.items()
                if row[name] is not None and held[name] == row[name] == end[other][name] and other != row["id"]
            ]
            or [
                later
                for first in sorted(tried.values(), key=lambda each: each[0])
                for later in sorted(tried.values(), key=lambda each: each[0])
                if first[0] < later[0] and any(first[1][name] == later[1][name] is not None for name in UNIQUE)
            ][:1]
        )
        if not blocked:
            return [place for place, _ in tried.values()] or stored_alone(rows, candidates, conflict, accepted)
        left.remove(blocked[0])


def stored_alone(
    rows: Rows, candidates: list[tuple[int, Record]], conflict: Sequence[bool], accepted: set[int]
) -> list[int]:
    """Return the place of the first record that can be stored as the rows are."""
    return [
        place
        for place, row in candidates
        if row["id"] not in accepted
        and not conflict[place]
        and not any(
            row[name] is not None and held[name] == row[name]
            for name in UNIQUE
            for other, held in rows.items()
            if other != row["id"]
        )
    ][:1]


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


def existing(records: Sequence[Record]) -> Rows:
    """Return the records that can be stored side by side."""
    rows: Rows = {}
    oracle(rows, [records], "reject")
    return rows
