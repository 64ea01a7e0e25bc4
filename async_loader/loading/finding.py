"""How records find rows by other values than a primary key: references by lookups, a table's own rows by match columns.

Steps. After them everything is about primary keys: the batch has them in its reference columns and, where its own row
was found, in its key column. What finds no row, or several, leaves a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from async_loader.columns import PLAIN_TYPES, Column
from async_loader.effects import Call, Finish, Start, Steps
from async_loader.loading.match_values import MatchValues
from async_loader.records.arrays import all_false
from async_loader.records.batches import Batch, chosen_records
from async_loader.records.identities import identities
from async_loader.records.reasons import SHOWN, Check
from async_loader.records.row_index import FoundRows, RowIndex
from async_loader.records.validation import only_column, shown_record
from async_loader.tables import Reference, Table

if TYPE_CHECKING:
    from async_loader.records.keys import AcceptedKeys
    from async_loader.stores.store import Store

# Rows of a table that are read at a time when all of them are.
ROWS_AT_ONCE = 100_000
# Rows of which an index is kept in memory, at most; of larger tables the database is asked about each batch.
MOST_INDEXED = 2_000_000


@dataclass(slots=True)
class Finder:
    """What is known of a table's rows by some of their columns: all of them, once they were read, or nothing.

    rows, is_indexed: how many rows the table has and whether an index leads to them, as first asked.
    wanted: the column whose value is found. accepted: of a dry run, the rows that it would have stored.
    """

    table: Table
    database: Store
    columns: tuple[Column, ...]
    wanted: Column
    accepted: RowIndex | None = None
    index: RowIndex | None = None
    asked: int = 0
    rows: int | None = None
    is_indexed: bool = False

    def forget(self) -> None:
        """Forget the rows: others may have been stored since they were read. Reading them has to pay again."""
        self.index, self.rows, self.asked = None, None, 0

    def find(self, values: pl.DataFrame) -> Steps[FoundRows]:
        """Find the rows that n records name by these columns; a record with a null among them finds none."""
        if self.index is None:
            distinct: pl.DataFrame = yield Call(_distinct, (values,))
            if not len(distinct):
                return FoundRows(_nothing(self.wanted, len(values)), all_false(len(values)))
            self.asked += len(distinct)
            if not (yield from self._is_cheaper_to_read()):
                return self._with_accepted((yield from self._ask(values, distinct)), values)
            yield from self._read_all()
        assert self.index is not None
        if not len(self.index):
            return self._with_accepted(FoundRows(_nothing(self.wanted, len(values)), all_false(len(values))), values)
        answer: FoundRows = yield Call(self.index.find, (values,))
        return self._with_accepted(answer, values)

    def _ask(self, values: pl.DataFrame, distinct: pl.DataFrame) -> Steps[FoundRows]:
        answers = yield from self.database.find(
            self.table, self.columns, self.wanted, distinct, is_indexed=self.is_indexed
        )
        answer: FoundRows = yield Call(_of_all, (values, distinct, answers))
        return answer

    def _with_accepted(self, answer: FoundRows, values: pl.DataFrame) -> FoundRows:
        """Return what was found with the rows that a dry run would have stored."""
        if self.accepted is None or not len(self.accepted):
            return answer
        more = self.accepted.find(values)
        both = answer.keys.is_not_null() & more.keys.is_not_null() & (answer.keys != more.keys)
        keys = pl.select(pl.when(both).then(None).otherwise(pl.coalesce(more.keys, answer.keys))).to_series()
        return FoundRows(keys, answer.is_ambiguous | more.is_ambiguous | both.fill_null(value=False))

    def _is_cheaper_to_read(self) -> Steps[bool]:
        """Return whether to read all rows once: there is no index to ask by, or as much was asked as reading costs."""
        if self.rows is None:
            self.rows = yield from self.database.count(self.table)
            self.is_indexed = yield from self.database.is_indexed(self.table, self.columns)
        if self.rows > MOST_INDEXED or not all(column.type in PLAIN_TYPES for column in (*self.columns, self.wanted)):
            return False
        return self.asked * self.database.price_of_finding >= self.rows or not self.is_indexed

    def _read_all(self) -> Steps[None]:
        """Read the values of all rows, part after part."""
        index, after = RowIndex(), None
        rows = yield from self.database.rows(self.table)
        names = [column.name for column in self.columns]
        while (part := (yield from rows.read([*names, self.wanted.name], after, ROWS_AT_ONCE))) is not None:
            values = pl.DataFrame(dict(zip(names, part.keys, strict=False)))
            yield Call(index.add, (values, part.keys[-1]))
            after = part.last
        self.index = index


def _distinct(values: pl.DataFrame) -> pl.DataFrame:
    """Return the values that records have without a null among them, each once, in the order in which an index has
    them: rows that lie side by side are found together.
    """
    return values.drop_nulls().unique().sort(values.columns)


def _of_all(values: pl.DataFrame, distinct: pl.DataFrame, answers: FoundRows) -> FoundRows:
    """Return what all records find from what their distinct values find."""
    answered = distinct.with_columns(answers.keys.alias("\0key"), answers.is_ambiguous.alias("\0several"))
    joined = values.join(answered, on=values.columns, how="left", maintain_order="left")
    return FoundRows(joined["\0key"], joined["\0several"].fill_null(value=False))


@dataclass(slots=True)
class Finding:
    """How the records of one table find rows, and what a load has learned of that.

    targets: by name, the referenced tables with the database of each. dry: by table, of a dry run, the rows that it
    would have stored, by some of their columns. accepted, match_values: keys and match values of accepted records.
    """

    table: Table
    database: Store
    targets: Mapping[str, tuple[Table, Store]]
    accepted: AcceptedKeys
    dry: DryRows | None = None
    match_values: MatchValues = field(default_factory=MatchValues)
    _finders: dict[tuple[str, ...], Finder] = field(default_factory=dict)

    def resolve(self, batch: Batch) -> Steps[Resolved]:
        """Fill in the keys that a batch's records name by other values, and find their own rows."""
        references = [each for each in self.table.references if each.column in batch.lookups]
        resolved = yield from self._look_up(batch, [each for each in references if each.table != self.table.name])
        if own := [each for each in references if each.table == self.table.name]:
            from async_loader.loading.parents import with_names

            resolved = yield Call(with_names, (self.table, own, resolved))
        if self.table.match:
            resolved = yield from self._match(resolved)
        elif self.table.append:
            size = len(batch.lines)
            resolved = replace(resolved, identity=pl.Series([None], dtype=pl.Int64).new_from_index(0, size))
        if batch.links:
            from async_loader.loading.linking import resolve_links

            resolved = yield from resolve_links(self, resolved)
        return resolved

    def identities_of(self, batch: Batch) -> Steps[pl.Series]:
        """Return for each record what only those have in common with it that stand for the same row; null for null."""
        matched = [
            each for each in self.table.references if each.column in batch.lookups and each.column in self.table.match
        ]
        resolved = yield from self._look_up(batch, matched)
        values: pl.Series = yield Call(identities, (resolved.batch.values.select(self.table.match),))
        return values

    def _look_up(self, batch: Batch, references: Sequence[Reference]) -> Steps[Resolved]:
        """Fill in the references that the source gives by other columns of their targets, which are asked together."""
        asked = []
        for reference in references:
            parts = batch.lookups[reference.column]
            values = batch.values.select(pl.col(header).alias(column.name) for header, column in parts.items())
            finder = self.target_finder(reference, tuple(parts.values()))
            asked.append((reference, values, (yield Start(finder.find(values)))))
        resolved = Resolved(batch)
        for reference, values, token in asked:
            answer: FoundRows = yield Finish(token)
            resolved = yield Call(_looked_up, (self.table, reference, resolved, values, answer))
        return resolved

    def parent_finder(self, reference: Reference, columns: tuple[Column, ...]) -> Finder:
        """Return how rows of the table itself are found by these columns, as it is by now."""
        name = (f"parent {reference.column}", *(column.name for column in columns))
        self._finders.pop(name, None)
        return self._finder(name, self.table, self.database, columns, self.table.column(reference.to or self.table.key))

    def _match(self, resolved: Resolved) -> Steps[Resolved]:
        """Find the rows that records name by the match columns; nothing is asked of records whose row is taken."""
        table, batch = self.table, resolved.batch
        values = batch.values.select(table.match)
        identity: pl.Series = yield Call(identities, (values,))
        taken: pl.Series = yield Call(self.taken, (identity,))
        asked = pl.select(pl.when(~taken).then(pl.struct(values))).to_series().struct.unnest()
        answer = yield from self._own_finder().find(asked)
        given = batch.values[table.key]
        checks: list[Check] = yield Call(_match_checks, (table, batch, values, taken, answer))
        wrong = yield from self._wrong_keys(given.zip_with(~taken, given.clear(len(given))), identity, answer)
        message = f"{table.key} {SHOWN} is not the key of the row that {_named(table.match)} finds"
        checks.append(Check("exists", table.key, message, wrong, shown_record(given.to_frame())))
        usable = pl.when(~wrong).then(given)
        keys = pl.select(pl.coalesce(answer.keys, usable).alias(table.key)).to_series()
        return replace(resolved.with_values(batch.values.with_columns(keys), checks), identity=identity)

    def _wrong_keys(self, given: pl.Series, identity: pl.Series, answer: FoundRows) -> Steps[pl.Series]:
        """Return for each record whether the key that the source gives is not that of its row, or is another row's, or
        that of an earlier record which has other match values.
        """
        if given.null_count() == len(given):
            return all_false(len(given))
        other = (answer.keys != given).fill_null(value=False)
        occupied = yield from self._occupied(given.filter(answer.keys.is_null()).drop_nulls())
        first = pl.DataFrame({"key": given, "first": identity}).select(pl.col("first").first().over("key")).to_series()
        taken = given.is_in(occupied.implode()) | (given.is_not_null() & (identity != first))
        return other | (answer.keys.is_null() & taken).fill_null(value=False)

    def _occupied(self, keys: pl.Series) -> Steps[pl.Series]:
        """Return those of some keys that rows have, or accepted records whose rows may not be stored yet."""
        if not len(keys):
            return keys
        stored = yield from self.database.present(self.table, keys.unique())
        return pl.concat([stored, keys.filter(self.accepted.are_taken(keys))])

    def taken(self, identity: pl.Series) -> pl.Series:
        """Return for each record whether one of the same match values was accepted before."""
        return self.match_values.holds(identity)

    def forget(self, databases: Iterable[str]) -> None:
        """Forget the rows of databases in which others may have been stored since they were read."""
        names = set(databases)
        for finder in self._finders.values():
            if finder.database.name in names:
                finder.forget()

    def remember(self, identity: pl.Series) -> None:
        """Take in the match values of accepted records."""
        self.match_values.add(identity)

    def _own_finder(self) -> Finder:
        table = self.table
        columns = tuple(table.column(name) for name in table.match)
        return self._finder(("", *table.match), table, self.database, columns, table.column(table.key))

    def target_finder(self, reference: Reference, columns: tuple[Column, ...]) -> Finder:
        """Return what finds the rows that a reference may name, by some of their columns."""
        target, database = self.targets[reference.table]
        names = (reference.table, reference.column, *(column.name for column in columns))
        return self._finder(names, target, database, columns, target.column(reference.to or target.key))

    def _finder(
        self, name: tuple[str, ...], table: Table, database: Store, columns: tuple[Column, ...], wanted: Column
    ) -> Finder:
        if name not in self._finders:
            accepted = None if self.dry is None else self.dry.rows(table.name, columns, wanted)
            self._finders[name] = Finder(table, database, columns, wanted, accepted)
        return self._finders[name]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A batch whose records name rows by primary keys alone.

    checks: what was found wrong on the way. identity: for each record what no other record of the run may have in
    common with it, null where that is nothing; None where it is the primary key. names: by reference to the table
    itself that is looked up, the values that are given, under the names of their columns.
    """

    batch: Batch
    checks: Sequence[Check] = ()
    identity: pl.Series | None = None
    names: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def chosen(self, which: pl.Series, *, with_broken: bool) -> Resolved:
        """Return some of the records."""
        return Resolved(
            batch=chosen_records(self.batch, which, with_broken=with_broken),
            checks=[check.chosen(which) for check in self.checks],
            identity=None if self.identity is None else self.identity.filter(which),
            names={column: values.filter(which) for column, values in self.names.items()},
        )

    def with_values(self, values: pl.DataFrame, checks: Sequence[Check]) -> Resolved:
        """Return the batch with other values, and more checks."""
        return replace(self, batch=replace(self.batch, values=values), checks=[*self.checks, *checks])


class DryRows:
    """The rows that a dry run would have stored, by the columns by which others look them up."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._frames: dict[str, list[pl.DataFrame]] = {table: [] for table in tables}

    def keep(self, table: str, rows: pl.DataFrame) -> None:
        """Take in accepted rows of a table, unless nothing looks them up."""
        if table in self._frames:
            self._frames[table].append(rows)

    def rows(self, table: str, columns: Sequence[Column], wanted: Column) -> RowIndex:
        """Return the rows of a table that is complete, by these columns."""
        index = RowIndex()
        for rows in self._frames.get(table, ()):
            index.add(rows.select(column.name for column in columns), rows[wanted.name])
        return index


def _looked_up(
    table: Table, reference: Reference, resolved: Resolved, values: pl.DataFrame, answer: FoundRows
) -> Resolved:
    """Return a batch with the keys that one reference has found in the place of the values that it was given by."""
    batch = resolved.batch
    checks = _lookup_checks(table, reference, batch, values, answer)
    extra = [header for header in batch.lookups[reference.column] if header not in table.column_names]
    return resolved.with_values(batch.values.with_columns(answer.keys.alias(reference.column)).drop(extra), checks)


def _lookup_checks(
    table: Table, reference: Reference, batch: Batch, values: pl.DataFrame, answer: FoundRows
) -> list[Check]:
    headers = batch.lookups[reference.column]
    faulty = _faulty(batch, headers)
    unknown = _are_whole(values) & ~faulty & answer.keys.is_null() & ~answer.is_ambiguous
    shown, name = shown_record(values), _named(headers)
    return [
        missing_check(table, reference, batch, values),
        Check("exists_in", reference.column, f"{name} {SHOWN} does not exist in {reference.table}", unknown, shown),
        Check(
            "ambiguous",
            reference.column,
            f"{name} {SHOWN} is in several rows of {reference.table}",
            answer.is_ambiguous & ~faulty,
            shown,
        ),
    ]


def missing_check(table: Table, reference: Reference, batch: Batch, values: pl.DataFrame) -> Check:
    """Return the check of records that give some of the values by which a reference is looked up, or none."""
    headers = batch.lookups[reference.column]
    some, every = values.select(
        some=pl.any_horizontal(pl.all().is_null()), every=pl.all_horizontal(pl.all().is_null())
    ).get_columns()
    missing = some if not table.column(reference.column).nullable else some & ~every
    message = f"{_named(headers)} is missing"
    return Check("missing", reference.column, message, missing & ~_faulty(batch, headers), None, (reference.column,))


def _match_checks(table: Table, batch: Batch, values: pl.DataFrame, taken: pl.Series, answer: FoundRows) -> list[Check]:
    faulty = _faulty(batch, [*table.match, *(header for parts in batch.lookups.values() for header in parts)])
    checks = [
        Check("missing", name, f"{name} is missing", values[name].is_null() & ~faulty)
        for name in table.match
        if name not in batch.lookups
    ]
    shown, name, column = shown_record(values), _named(table.match), only_column(table.match)
    message = f"{name} {SHOWN} is in several rows of {table.name}"
    checks.append(Check("ambiguous", column, message, answer.is_ambiguous, shown))
    if table.on_missing == "reject":
        unmatched = _are_whole(values) & ~taken & ~faulty & answer.keys.is_null() & ~answer.is_ambiguous
        checks.append(Check("no_match", column, f"{name} {SHOWN} is in no row of {table.name}", unmatched, shown))
    return checks


def _are_whole(values: pl.DataFrame) -> pl.Series:
    """Return for each record whether none of its values is null."""
    return values.select(pl.all_horizontal(pl.all().is_not_null())).to_series()


def _faulty(batch: Batch, columns: Sequence[str] | Mapping[str, Column]) -> pl.Series:
    """Return for each record whether a value of one of these columns could not be read."""
    faulty = all_false(len(batch.lines))
    for name in columns:
        if name in batch.faults:
            faulty |= batch.faults[name]["code"].is_not_null()
    return faulty


def _nothing(column: Column, size: int) -> pl.Series:
    return pl.Series("key", [None], dtype=column.dtype).new_from_index(0, size)


def _named(names: Sequence[str] | Mapping[str, Column]) -> str:
    return " and ".join(names)
