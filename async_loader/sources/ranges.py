"""Stretches of a source, with what a reader of one must know to read it as a reader of the whole does. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# By this a source is known to be the one that was divided: its size, and its time of change or what stands for it.
Version: TypeAlias = tuple[int | None, int | str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records of a source from the byte `start` to the byte `stop`.

    version: of the source when it was divided.
    line: the physical line on which they begin; of Parquet the row.
    columns: of CSV, the header as it was read; of JSON Lines, the names of the table's columns that the records at the
        front have, or None where there are no records.
    groups: of Parquet, the row groups; the bytes are then their share of the source by rows.
    """

    version: Version
    start: int
    stop: int
    line: int = 1
    columns: tuple[str, ...] | None = None
    groups: tuple[int, ...] = ()
