"""The facts by which a part of a source is read as a reader of the whole source reads it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# The facts by which a source is known to be still the one that was divided: its size, and its time of change or what
# replaces it.
Version: TypeAlias = tuple[int | None, int | str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records of a source from the byte `start` to the byte `stop`.

    version: of the source when it was divided.
    line: the physical line on which they begin; of Parquet the row.
    columns: of CSV, the header as it was read; of JSON Lines, what of the table the records at the front have, or None
        where there are none.
    groups: of Parquet, the row groups; the bytes are then their share of the source by rows.
    """

    version: Version
    start: int
    stop: int
    line: int = 1
    columns: tuple[str, ...] | None = None
    groups: tuple[int, ...] = ()
