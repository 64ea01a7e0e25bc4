"""Many-to-many: the sets of rows that records are linked to are resolved, compared with the stored ones, and written.

Steps. A set is found as references and lookups are: the answer is the values that link rows hold. It is compared where
a record's row is there and otherwise unchanged, and written after the row, in the same transaction: what is missing is
inserted, what is too many is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from async_loader.effects import Call, Packed, Steps
from async_loader.errors import RefusedError, SourceError, StoreError
from async_loader.records.arrays import are_among
from async_loader.records.batches import Batch
from async_loader.records.differences import DifferingRows
from async_loader.records.lists import elements_of, first_of_each, in_lists, places_of
from async_loader.records.reasons import SHOWN, Check, fault_message
from async_loader.records.validation import shown_record
from async_loader.stores.new_keys import new_keys
from async_loader.tables import Links, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from async_loader.loading.finding import Finding, Resolved
    from async_loader.loading.judging import Answers, Knowledge
    from async_loader.loading.load import Load
    from async_loader.loading.writing import Judged
    from async_loader.records.row_index import FoundRows
    from async_loader.stores.store import Store

# The columns of link rows: the place of the row that is linked, the value to which it is, and their own key.
_PLACE, _VALUE, _KEY = "place", "value", "key"


def resolve_links(finding: Finding, resolved: Resolved) -> Steps[Resolved]:
    """Find the rows that a batch's records are to be linked to."""
    for name in resolved.batch.links:
        links = next((each for each in finding.table.used_links if each.name == name), None)
        if links is None:
            raise SourceError(resolved.batch.source, f"has {name!r}, which cannot be loaded beside what else is loaded")
        resolved = yield from _resolve(finding, resolved, links)
    return replace(resolved, batch=replace(resolved.batch, links={}))


def _resolve(finding: Finding, resolved: Resolved, links: Links) -> Steps[Resolved]:
    batch, parts = resolved.batch, resolved.batch.links[links.name]
    given: _Given = yield Call(_given, (batch, links))
    answer = yield from finding.target_finder(links.reference, tuple(parts.values())).find(given.values)

    def made() -> Resolved:
        linked = {**batch.linked, links.name: _sets(given.lists, answer.keys)}
        rest = replace(batch, values=batch.values.drop(parts), linked=linked)
        faults = [check for header in parts for check in _faults(batch, links, header)]
        return replace(resolved, batch=rest, checks=[*resolved.checks, *faults, *_checks(links, given, answer)])

    whole: Resolved = yield Call(made)
    return whole


@dataclass(frozen=True, slots=True)
class _Given:
    """What n records give of rows to be linked to.

    headers: the names of what they give. lists: the lists under the first of them, null where those of the others have
    another length. values: of each value in these lists and those beside it, under the names of their columns. lengths:
    of the lists under each header. is_uneven: whether these differ.
    """

    headers: Sequence[str]
    lists: pl.Series
    values: pl.DataFrame
    lengths: pl.DataFrame
    is_uneven: pl.Series


def _given(batch: Batch, links: Links) -> _Given:
    parts = batch.links[links.name]
    lengths = batch.values.select(pl.col(header).list.len() for header in parts)
    first, *others = parts
    differs = [pl.col(first).ne_missing(pl.col(each)) for each in others]
    is_uneven = lengths.select(uneven=pl.any_horizontal(*differs, False)).to_series()  # noqa: FBT003 - a value
    lists = {header: pl.select(pl.when(~is_uneven).then(batch.values[header])).to_series() for header in parts}
    values = [elements_of(lists[header]).alias(column.name) for header, column in parts.items()]
    return _Given([*parts], lists[first], pl.DataFrame(values), lengths, is_uneven)


def _sets(lists: pl.Series, keys: pl.Series) -> pl.Series:
    """Return for each record the values that its link rows hold, each once; null where its list is null."""
    pairs = pl.DataFrame({_PLACE: places_of(lists), _VALUE: keys}).drop_nulls().unique(maintain_order=True)
    lengths = np.bincount(pairs[_PLACE].to_numpy(), minlength=len(lists)).astype(np.int64)
    return in_lists(pairs[_VALUE], lengths, is_null=lists.is_null())


def _faults(batch: Batch, links: Links, header: str) -> Iterator[Check]:
    """Yield the checks of values that could not be read."""
    if (fault := batch.faults.get(header)) is None:
        return
    for code in fault["code"].drop_nulls().unique(maintain_order=True):
        message = fault_message(code, header)
        failed = fault["code"].eq_missing(pl.Series([code]))
        yield Check(code, links.name, message, failed, fault["shown"].gather)


def _checks(links: Links, given: _Given, answer: FoundRows) -> Iterator[Check]:
    """Yield the checks of lists that do not go together, and of values that find no row, or several."""
    target, name = links.reference.table, " and ".join(given.headers)
    if given.is_uneven.any():
        message = f"{name} must have the same number of values, not {SHOWN}"
        yield Check("missing", links.name, message, given.is_uneven, shown_record(given.lengths))
    is_whole = given.values.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    asked = (
        ("exists_in", f"{name} {SHOWN} does not exist in {target}", is_whole & answer.keys.is_null()),
        ("ambiguous", f"{name} {SHOWN} is in several rows of {target}", answer.is_ambiguous),
    )
    for code, message, wrong in asked:
        first = first_of_each(given.lists, given.values, wrong & (answer.is_ambiguous == (code == "ambiguous")))
        yield Check(code, links.name, message, first.to_series().is_not_null(), shown_record(first))


def with_other_sets(known: Knowledge, batch: Batch, answers: Answers) -> Steps[Answers]:
    """Return what the database says of a batch's records, where a row that is linked to other rows than its record says
    is one with other values.
    """
    table, rows, others = known.table, answers.rows, list[pl.Series]()
    there = pl.concat([answers.same, answers.differing])
    for links in table.used_links:
        lists = batch.linked.get(links.name)
        if lists is None or not len(asked := there.filter(lists.gather(there).is_not_null())):
            continue
        keys = batch.values[table.key].gather(asked)
        owners = yield from _owners(known.database, table, links, keys)
        stored = yield from _stored(known.database, links, owners)
        found: pl.Series = yield Call(_other_places, (lists.gather(asked), stored, asked))
        others.append(found)
        if known.conflicts_reject and len(found):
            rows = (rows or DifferingRows((), {}, known.database.read_back)).linked_otherwise(links.name, found)
    if not others:
        return answers
    other = pl.concat(others).unique()
    is_other = answers.same.is_in(other.implode())
    differing = pl.concat([answers.differing, answers.same.filter(is_other)])
    return replace(answers, same=answers.same.filter(~is_other), differing=differing, rows=rows)


def _stored(database: Store, links: Links, owners: pl.Series) -> Steps[pl.DataFrame]:
    """Return the link rows of some rows: the place of the row among them, the value, and the link row's own key."""
    column, wanted = links.rows.column(links.column), links.rows.column(links.target_column)
    return (yield from database.linked(links.rows, column, wanted, owners))


def _owners(database: Store, table: Table, links: Links, keys: pl.Series) -> Steps[pl.Series]:
    """Return what link rows hold of the rows of these keys: the key, or another column that is unique."""
    name = links.own.to or table.key
    if name == table.key:
        return keys
    column = table.column(name)
    rows = yield from database.values_of(table, [column], keys)
    held = {place: database.read_back(column, value)[0] for place, value in rows}
    return pl.Series(name, [held.get(place) for place in range(len(keys))], dtype=column.dtype)


def _other_places(lists: pl.Series, stored: pl.DataFrame, places: pl.Series) -> pl.Series:
    """Return those of the places whose lists differ from what is stored."""
    missing, surplus = _difference(_pairs(lists), stored)
    return places.gather(pl.concat([missing[_PLACE], surplus[_PLACE]]).unique().sort())


def _pairs(lists: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({_PLACE: pl.Series(places_of(lists), dtype=pl.Int64), _VALUE: elements_of(lists)})


def _difference(wanted: pl.DataFrame, stored: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the pairs that are wanted and not stored, and the link rows that are stored and not wanted."""
    pair = [_PLACE, _VALUE]
    return wanted.join(stored, on=pair, how="anti", maintain_order="left"), stored.join(wanted, on=pair, how="anti")


def write_links(load: Load, judged: Judged, refused: Sequence[object]) -> Steps[None]:
    """Link the rows of accepted records, which have been written but for those of some keys, as the records say."""
    if not load.database.writes:
        return
    for links in load.table.used_links:
        if links.name in judged.batch.linked:
            yield from _write(load, judged, links, refused)


def _write(load: Load, judged: Judged, links: Links, refused: Sequence[object]) -> Steps[None]:
    database, table = load.database, load.table
    wanted: pl.DataFrame = yield Call(_wanted, (table, judged, links, refused))
    if not len(wanted):
        return
    keys, lists = wanted[table.key], wanted["lists"]
    # A row that is new has no links yet, unless others have stored it meanwhile.
    may_have = keys.is_in(judged.verdict.changed[table.key].implode()) | load.commits.others_write
    owners = yield from _owners(database, table, links, keys)
    stored = yield from _stored(database, links, pl.select(pl.when(may_have).then(owners)).to_series())
    missing, surplus = yield Call(_difference, (_pairs(lists), stored))
    try:
        if len(surplus):
            yield from database.delete(links.rows, surplus[_KEY])
        if len(missing):
            yield from _insert(load, links, owners, missing)
    except RefusedError as error:
        advice = f"load {links.rows.name} by itself, which rejects such rows one by one"
        raise StoreError(database.name, f"table {links.rows.name}: {error.problem}; {advice}") from error


def _wanted(table: Table, judged: Judged, links: Links, refused: Sequence[object]) -> pl.DataFrame:
    """Return the keys of rows that have been written, and the sets of what they are to be linked to."""
    verdict = judged.verdict
    keys = verdict.accepted[table.key]
    lists = judged.batch.linked[links.name].gather(verdict.places)
    is_written = keys.is_in(verdict.written[table.key].implode()) & lists.is_not_null()
    if refused:
        is_written &= ~are_among(keys, refused)
    return pl.DataFrame([keys, lists.alias("lists")]).filter(is_written)


def _insert(load: Load, links: Links, owners: pl.Series, missing: pl.DataFrame) -> Steps[None]:
    """Insert link rows, with keys and whatever else such a row has by default."""
    database, table = load.database, links.rows
    if table.stamps:
        table = table.stamped_at(datetime.fromisoformat(load.started_at))
    made = (yield from (yield from new_keys(database, table)).take(len(missing))).alias(table.key)

    def packed() -> Sequence[Packed]:
        given = {
            table.key: made,
            links.column: owners.gather(missing[_PLACE]),
            links.target_column: missing[_VALUE],
        }
        columns = [
            given[column.name].alias(column.name) if column.name in given else column.defaults(len(missing))
            for column in table.columns
        ]
        return database.pack(pl.DataFrame(columns), table)

    rows: Sequence[Packed] = yield Call(packed)
    yield from database.write(table, rows, len(missing), replace=False)
