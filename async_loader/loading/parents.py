"""Records that name rows of their own table which may still come: children wait for their parents.

A record that names no stored row waits, and with it all records that have its key or a unique value of its. When those
have come which it names, or all have been read, they are judged together (`loading/trees.py`). With checkpoints, what
waits is not committed: the ledger keeps the positions of these records beside the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from async_loader.errors import ConfigurationError
from async_loader.loading.finding import Resolved, missing_check
from async_loader.loading.waiting import as_text, shared
from async_loader.records.arrays import all_false, flags_at
from async_loader.records.batches import Batch, positions_of
from async_loader.records.identities import identities
from async_loader.records.text_keys import TextKeys
from async_loader.records.world import World
from async_loader.tables import Reference, Table

if TYPE_CHECKING:
    from async_loader.loading.sides import Readable

# Records that wait before it is tried whether some of them need not wait any more; after that, when they are twice as
# many as were left.
MANY = 200_000

# How a reference is given: its column, and the columns of the table by which rows are named.
Way: TypeAlias = tuple[str, tuple[str, ...]]
# By way, names of records with the number of their source, their line, and their source.
Names: TypeAlias = dict[Way, list[pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class Children:
    """Records of one batch that wait; `positions` are their places among all records of the table's sources, from 0."""

    reader: Readable
    resolved: Resolved
    positions: pl.Series

    def chosen(self, which: pl.Series) -> Children:
        """Return some of them."""
        return Children(self.reader, self.resolved.chosen(which, with_broken=False), self.positions.filter(which))

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(slots=True)
class Family:
    """The records of a table that wait for their parents, in their order.

    moves: whether records may change rows, and so give up unique values that others want.
    before: positions of the records that waited when an earlier process committed.
    rejected: by way, the names under which records were rejected, each with its source and line. refused: of those that
        had been accepted, and that the database did not take or that descend from such.
    greatest_key: the greatest of the keys that records which waited have had; no new row is to get one of these.
    """

    table: Table
    moves: bool
    before: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.Int64))
    waiting: list[Children] = field(default_factory=list)
    rejected: Names = field(default_factory=dict)
    refused: Names = field(default_factory=dict)
    greatest_key: Any = None
    _identities: TextKeys = field(default_factory=TextKeys)
    _values: list[TextKeys] = field(default_factory=list)
    _left: int = 0
    _sources: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.waiting))

    @property
    def positions(self) -> pl.Series:
        """The positions of all that wait, ascending."""
        return pl.concat([each.positions for each in self.waiting]).sort() if self.waiting else self.before.clear()

    @property
    def is_worth_trying(self) -> bool:
        """Whether enough records wait to try whether some of them need not."""
        return len(self) > max(MANY, 2 * self._left)

    def above(self, key: Any) -> Any:
        """Return the greater of a key and of those that records which waited have had; no key is less than any."""
        return max((each for each in (key, self.greatest_key) if each is not None), default=None)

    def take(self) -> list[Children]:
        """Return all that wait, and forget them."""
        children, self.waiting = self.waiting, []
        self._identities, self._values, self._left = TextKeys(), [], 0
        return children

    def put_back(self, children: Iterable[tuple[Children, World]]) -> None:
        """Let records wait on."""
        for each, world in children:
            self._keep(each, world)
        self._left = len(self)

    def add_again(
        self, reader: Readable, resolved: Resolved, world_of: Callable[[], World], first: int
    ) -> tuple[Resolved, Callable[[], World]]:
        """Let those records of a batch wait that waited when an earlier process committed; see `set_aside`."""
        return self._divided(
            reader, resolved, world_of(), first, _positions(resolved.batch, first).is_in(self.before.implode())
        )

    def set_aside(
        self, reader: Readable, resolved: Resolved, world_of: Callable[[], World], first: int
    ) -> tuple[Resolved, Callable[[], World]]:
        """Let those records of a batch wait whose fate is not known, the first of which has that position. Returns the
        others, and the world to judge them by.
        """
        world = world_of()
        return self._divided(reader, resolved, world, first, self._undecided(resolved, world))

    def _divided(
        self, reader: Readable, resolved: Resolved, world: World, first: int, waits: pl.Series
    ) -> tuple[Resolved, Callable[[], World]]:
        self._sources.setdefault(resolved.batch.source, len(self._sources))
        if not waits.any():
            return resolved, lambda: world
        children = Children(reader, resolved, _positions(resolved.batch, first)).chosen(waits)
        self._keep(children, world.chosen(waits))
        others = world.chosen(~waits)
        return resolved.chosen(~waits, with_broken=True), lambda: others

    def _keep(self, children: Children, world: World) -> None:
        self.waiting.append(children)
        self.greatest_key = self.above(children.resolved.batch.values[self.table.key].max())
        self._identities.add(identity_of(self.table, children.resolved.batch, world))
        self._values = self._values or [TextKeys() for _ in world.unique]
        for known, each in zip(self._values, world.unique, strict=True):
            known.add(as_text(each.values))

    def _undecided(self, resolved: Resolved, world: World) -> pl.Series:
        opens = are_open(self.table, resolved, world)
        identity = identity_of(self.table, resolved.batch, world)
        values = [as_text(each.values) for each in world.unique]
        waits = opens
        for each in world.unique if self.moves else ():
            waits |= each.owned & ~world.taken
        if self.waiting:
            waits |= self._identities.holds(identity)
            for known, texts in zip(self._values, values, strict=True):
                waits |= known.holds(texts)
        if not waits.any():
            return waits
        # Records that have something in common with one that waits wait with it.
        alike = shared(identity)
        for texts in values:
            alike |= shared(texts)
        return waits | alike if (waits & alike).any() else waits

    def note_rejected(self, batch: Batch, accepted: pl.Series) -> None:
        """Note under which names records of a batch were rejected: those that are not at the accepted places."""
        if len(accepted) < len(batch.lines):
            self._note(self.rejected, batch, ~flags_at(len(batch.lines), accepted))

    def note_refused(self, batch: Batch, places: pl.Series) -> None:
        """Note under which names records of a batch were accepted that are not stored after all."""
        self._note(self.refused, batch, flags_at(len(batch.lines), places))

    def _note(self, noted: Names, batch: Batch, which: pl.Series) -> None:
        lines, source = batch.lines.filter(which).cast(pl.Int64), self._sources[batch.source]
        for way in self.ways(batch):
            names = names_by(batch, way).filter(which)
            frame = pl.DataFrame({"name": names, "number": source, "line": lines, "source": batch.source})
            noted.setdefault(way, []).append(frame.drop_nulls("name"))

    def are_refused(self, way: Way, names: pl.Series) -> pl.Series:
        """Return which names are those of records that were accepted and are not stored after all."""
        every = [frame["name"] for frame in self.refused.get(way, ())]
        return names.is_in(pl.concat(every).implode()).fill_null(value=False) if every else all_false(len(names))

    def where_rejected(self, way: Way, names: pl.Series) -> pl.Series:
        """Return where the records of these names stand, if they were rejected when they were judged."""
        return _where(self.rejected.get(way, ()), names)

    def where_refused(self, way: Way, names: pl.Series) -> pl.Series:
        """Return where the records of these names stand, if they were accepted and are not stored after all."""
        return _where(self.refused.get(way, ()), names)

    def ways(self, batch: Batch) -> list[Way]:
        """Return how the records of a batch name rows of the table."""
        return [way_of(self.table, reference, batch) for reference in self.table.own_references]


def with_names(table: Table, references: Iterable[Reference], resolved: Resolved) -> Resolved:
    """Keep what records give of rows of their own table, which may be stored later than they are read."""
    for reference in references:
        if reference.column in table.match:
            problem = f"match column {reference.column} is looked up in the table itself"
            raise ConfigurationError(f"table {table.name}: {problem}; match by other columns, or give its keys")
        batch = resolved.batch
        parts = batch.lookups[reference.column]
        values = batch.values.select(pl.col(header).alias(column.name) for header, column in parts.items())
        extra = [header for header in parts if header not in table.column_names]
        checks = [missing_check(table, reference, batch, values)]
        resolved = resolved.with_values(batch.values.drop(extra), checks)
        resolved = replace(resolved, names={**resolved.names, reference.column: values})
    return resolved


def way_of(table: Table, reference: Reference, batch: Batch) -> Way:
    """Return how records of a batch give a reference to their own table."""
    parts = batch.lookups.get(reference.column)
    return reference.column, (table.key,) if parts is None else tuple(column.name for column in parts.values())


def names_by(batch: Batch, way: Way) -> pl.Series:
    """Return by what the records of a batch are named in this way."""
    return as_text(identities(batch.values.select(way[1])))


def names_given(resolved: Resolved, way: Way) -> pl.Series:
    """Return what records name in this way: null where they name nothing."""
    return names_in(resolved.batch, resolved.names, way)


def names_in(batch: Batch, given: Mapping[str, pl.DataFrame], way: Way) -> pl.Series:
    """Return what the records of a batch name in this way; `given` is what they give of rows that are looked up."""
    column, _ = way
    values = given.get(column)
    return as_text(batch.values[column] if values is None else identities(values))


def _where(frames: Sequence[pl.DataFrame], names: pl.Series) -> pl.Series:
    """Return where the first record of each of these names stands, among noted ones; null where there is none."""
    if not frames:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(names))
    first = pl.concat(frames).sort("number", "line").unique("name", keep="first", maintain_order=True)
    where = pl.concat_str(pl.lit("line "), pl.col("line"), pl.lit(" of "), pl.col("source"))
    stands = first.select("name", where=where)
    return names.to_frame("name").join(stands, on="name", how="left", maintain_order="left")["where"]


def are_open(table: Table, resolved: Resolved, world: World) -> pl.Series:
    """Return which records name a row of their own table of which is not known that it is there."""
    opens = all_false(len(resolved.batch.lines))
    for reference, dangling in zip(table.references, world.dangling, strict=True):
        if reference.table == table.name:
            values = resolved.names.get(reference.column)
            opens |= dangling if values is None else identities(values).is_not_null()
    return opens


def without_own(table: Table, world: World) -> World:
    """Return the world in which nothing is said of references to the table itself."""
    pairs = zip(table.references, world.dangling, strict=True)
    return replace(
        world,
        dangling=[all_false(len(each)) if reference.table == table.name else each for reference, each in pairs],
    )


def identity_of(table: Table, batch: Batch, world: World) -> pl.Series:
    """Return what no two records may have in common, as text."""
    return as_text(batch.values[table.key] if world.identity is None else world.identity)


def _positions(batch: Batch, first: int) -> pl.Series:
    """Return the positions of the readable records of a batch, whose first record, readable or not, has this one."""
    if not batch.broken:
        return pl.int_range(first, first + len(batch.lines), eager=True)
    return pl.Series(positions_of(batch, range(len(batch.lines))), dtype=pl.Int64) + first
