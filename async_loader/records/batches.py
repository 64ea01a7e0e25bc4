"""A batch of records of one table, in columns, with where each was read: what sources hand to checks. Values only.

Series and frames of a batch are as long as it has readable records, and in their order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from async_loader.columns import Column

# Keys under which a record that has no columns, or too many, is kept as read.
RAW = "_raw"
EXTRA = "_extra"
# In a CSV file of rejects, stands before a whole record that could not be put into its columns.
RAW_MARK = "_raw:"
# Columns that the files of rejects add; a source may hold them, and they are passed over.
LINE = "_line"
REASONS = "_reasons"
# Which stored reject a record is mended from: the `name` of a `RejectRow`.
REJECT = "_reject"
MARKS = (LINE, REASONS, REJECT)


def are_of_rejects(names: Collection[str]) -> bool:
    """Return whether a source with columns of these names is a file of rejects."""
    return REJECT in names or (LINE in names and REASONS in names)


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that could not be read into columns. `record` is a JSON object; lines are 1-based and inclusive.

    `supersedes` is the stored reject that it names; None where it names none.
    """

    line: int
    line_end: int
    record: str
    code: str
    message: str
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records of one source, n of them readable.

    values: n x the table's columns, typed; null where nothing was read or what was read is at fault.
    faults: for each column that has any, n rows of `code` (what is wrong with the value, or null) and `shown` (the
        value as messages show it).
    lines, line_ends: n 1-based physical lines each (row numbers for Parquet).
    broken: the records that are in neither, in order of their lines.
    as_read: n rows; with `to_json` it gives the JSON objects of the values as read. Only rejects are ever turned so.
    read_to: how far the source has been read, in bytes, for showing progress.
    supersedes: n texts, the stored reject that each record names, or null; None where no record names any.
    absent: the columns that no record has. Their values are defaults, for new rows alone.
    lacking: for each column that only some records have, or that must be there and is not, n flags: which lack it.
        Values are null there, without a fault, until they are filled in by `completion`, which makes the next two.
    kept: for each column that a record may leave to its row, n flags: which do, of the records whose keys are held.
    missing: for each column that must be there, n flags: which records lack it and have no row that has it.
    lookups: by column that references another table and is null here, by column of `values` that stands for it, the
        column of that table in which a row has the value.
    links: by name of links of the table, by column of `values` that has lists of values for them, the column of the
        target in which a row has such a value. A list is null where the record leaves the row's links alone.
    linked: by name of links, n lists of the values that link rows hold; null as before. Made of those when links are
        resolved, and from then on there are no such columns in `values`.
    """

    source: str
    values: pl.DataFrame
    lines: pl.Series
    line_ends: pl.Series
    as_read: pl.DataFrame
    to_json: Callable[[pl.DataFrame], pl.Series]
    faults: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()
    read_to: int = 0
    supersedes: pl.Series | None = None
    absent: tuple[str, ...] = ()
    lookups: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    lacking: Mapping[str, pl.Series] = field(default_factory=dict)
    kept: Mapping[str, pl.Series] = field(default_factory=dict)
    missing: Mapping[str, pl.Series] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    linked: Mapping[str, pl.Series] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines) + len(self.broken)

    @property
    def named_rejects(self) -> pl.DataFrame | None:
        """The `line` of each record that names a stored reject, and the `name`; None where there is none."""
        broken = [(record.line, record.supersedes) for record in self.broken if record.supersedes is not None]
        if self.supersedes is None and not broken:
            return None
        named = pl.DataFrame(broken, schema={"line": pl.Int64, "name": pl.String}, orient="row")
        if self.supersedes is not None:
            readable = pl.DataFrame({"line": self.lines.cast(pl.Int64), "name": self.supersedes})
            named = pl.concat([named, readable.drop_nulls()])
        return named if len(named) else None


def slices(batch: Batch, size: int) -> list[Batch]:
    """Return the batch in parts of at most `size` records, in order of their lines."""
    return cut_batch(batch, range(size, len(batch), size))


def cut_batch(batch: Batch, places: Iterable[int]) -> list[Batch]:
    """Cut the batch into parts, in order of their lines: one begins at each of these ascending places above 0."""
    starts = [0, *places]
    if len(starts) == 1:
        return [batch]
    parts = []
    for (start, first), (stop, last) in itertools.pairwise(_cuts(batch, starts)):
        length = stop - start
        parts.append(
            replace(
                batch,
                values=batch.values.slice(start, length),
                lines=batch.lines.slice(start, length),
                line_ends=batch.line_ends.slice(start, length),
                as_read=batch.as_read.slice(start, length),
                faults={column: fault.slice(start, length) for column, fault in batch.faults.items()},
                lacking={column: flags.slice(start, length) for column, flags in batch.lacking.items()},
                kept={column: flags.slice(start, length) for column, flags in batch.kept.items()},
                missing={column: flags.slice(start, length) for column, flags in batch.missing.items()},
                linked={name: lists.slice(start, length) for name, lists in batch.linked.items()},
                broken=batch.broken[first:last],
                supersedes=None if batch.supersedes is None else batch.supersedes.slice(start, length),
            )
        )
    return parts


def chosen_records(batch: Batch, which: pl.Series, *, with_broken: bool) -> Batch:
    """Return some of the readable records, with those that could not be read or without them."""
    return replace(
        batch,
        values=batch.values.filter(which),
        lines=batch.lines.filter(which),
        line_ends=batch.line_ends.filter(which),
        as_read=batch.as_read.filter(which),
        faults={column: fault.filter(which) for column, fault in batch.faults.items()},
        lacking={column: flags.filter(which) for column, flags in batch.lacking.items()},
        kept={column: flags.filter(which) for column, flags in batch.kept.items()},
        missing={column: flags.filter(which) for column, flags in batch.missing.items()},
        linked={name: lists.filter(which) for name, lists in batch.linked.items()},
        broken=batch.broken if with_broken else (),
        supersedes=None if batch.supersedes is None else batch.supersedes.filter(which),
    )


def positions_of(batch: Batch, places: Sequence[int]) -> list[int]:
    """Return the positions, among all records of the batch, of the readable ones at these places."""
    broken_lines = pl.Series([record.line for record in batch.broken], dtype=batch.lines.dtype)
    before = broken_lines.search_sorted(batch.lines.gather(list(places))).to_list()
    return [place + broken for place, broken in zip(places, before, strict=True)]


def _cuts(batch: Batch, starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return where each part begins, among the readable records and among the broken ones; the end last."""
    readable = len(batch.lines)
    if not batch.broken:
        return [(start, 0) for start in starts] + [(readable, 0)]
    places = batch.lines.search_sorted(pl.Series([record.line for record in batch.broken], dtype=batch.lines.dtype))
    # The position, among all records, of each broken one.
    positions = pl.Series(places, dtype=pl.Int64) + pl.int_range(len(batch.broken), eager=True)
    passed = positions.search_sorted(pl.Series(starts, dtype=pl.Int64)).to_list()
    return [(start - broken, broken) for start, broken in zip(starts, passed, strict=True)] + [
        (readable, len(batch.broken))
    ]


def columns_as_json(as_read: pl.DataFrame) -> pl.Series:
    """Return JSON objects of whole rows: the `to_json` of sources whose records are columns."""
    if not as_read.height:
        return pl.Series("record", [], dtype=pl.String)
    return as_read.select(record=pl.struct(pl.all()).struct.json_encode()).to_series()
