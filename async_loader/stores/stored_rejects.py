"""What a database holds of rejects: counted, read part after part, found by name, and deleted. SQL only.

Reading in parts goes on behind an id, so that memory stays flat and rejects may be deleted or added on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from async_loader.effects import Change, Query, Steps
from async_loader.ledger.entries import TableRun
from async_loader.ledger.layouts import Name, Origin, RejectRow
from async_loader.records.validation import REJECTS
from async_loader.stores.store import Store

# Rejects in a page: a few megabytes.
PAGE = 10_000
# The orders of pages: as rejects were stored, and as they stand in their source.
AS_STORED, BY_LINE = ("id",), ("line", "id")

_CODE, _COLUMN = "reason.value ->> 'code'", "reason.value ->> 'column'"
# As counts name a reason: `column.code`, or `code` where the whole record is at fault.
_NAME = f"coalesce(({_COLUMN}) || '.', '') || ({_CODE})"


def groups(database: Store) -> Steps[list[tuple[str, str, int, int, int]]]:
    """run, source, count, first and last id of all rejects that share the first two, in order of their first ids."""
    sql = "SELECT run, source, count(*), min(id), max(id) FROM loader_rejects GROUP BY run, source ORDER BY min(id)"
    found: list[tuple[str, str, int, int, int]] = yield Query(database.name, sql)
    return found


def reasons(database: Store) -> Steps[list[tuple[str, str, str, int]]]:
    """run, source, reason as counts name it, and how many rejects have it."""
    sql = f"""SELECT run, source, {_NAME} AS named, count(*)
        FROM loader_rejects, {database.each_reason} AS reason GROUP BY run, source, named"""
    found: list[tuple[str, str, str, int]] = yield Query(database.name, sql)
    return found


def lines_of(database: Store, run: str) -> Steps[list[TableRun]]:
    """The lines of the database's ledger about one run."""
    return (yield from database.lines(f"run = {database.mark}1", (run,)))


def part(database: Store, origin: Origin, reason: str | None, after: int) -> Steps[list[RejectRow]]:
    """Return a page of an origin's rejects, those after an id, in the order of ids. `reason`: only rejects that have
    it, which is a code or `column.code`; None is all.
    """
    return (yield from _page(database, _of(database, origin, reason, after + 1), AS_STORED))


def of_source(
    database: Store, run: str, source: str, last: RejectRow | None, *, order: Sequence[str] = AS_STORED
) -> Steps[list[RejectRow]]:
    """Return a page of the rejects that a run has stored of a source, those after the last one of the page before; None
    is the beginning.
    """
    marks = [f"{database.mark}{number}" for number in range(1, 3 + len(order))]
    condition, parameters = f"run = {marks[0]} AND source = {marks[1]}", (run, source)
    if last is not None:
        condition += f" AND ({', '.join(order)}) > ({', '.join(marks[2:])})"
        parameters += tuple(getattr(last, column) for column in order)
    return (yield from _page(database, (condition, parameters), order))


def as_judged(page: Iterable[RejectRow]) -> pl.DataFrame:
    """Return rejects as a verdict has them."""
    rows = [(reject.line, reject.line_end, reject.record, reject.reasons) for reject in page]
    return pl.DataFrame(rows, schema=REJECTS, orient="row")


def _page(database: Store, wanted: tuple[str, tuple[Any, ...]], order: Sequence[str]) -> Steps[list[RejectRow]]:
    """Return the first rejects, in this order, of which a condition with its values is true; none at the end."""
    condition, parameters = wanted
    sql = f"""SELECT id, line, line_end, record, reasons FROM loader_rejects
        WHERE {condition} ORDER BY {", ".join(order)} LIMIT {PAGE}"""
    rows = yield Query(database.name, sql, parameters)
    return [RejectRow(*row) for row in rows]


def count(database: Store, origin: Origin, reason: str | None) -> Steps[int]:
    """How many of an origin's rejects have a reason, as in `part`."""
    condition, parameters = _of(database, origin, reason, origin.first)
    [(found,)] = yield Query(database.name, f"SELECT count(*) FROM loader_rejects WHERE {condition}", parameters)
    return int(found)


def delete(database: Store, origin: Origin, reason: str | None) -> Steps[int]:
    """Delete an origin's rejects that have a reason, as in `part`. Returns how many."""
    condition, parameters = _of(database, origin, reason, origin.first)
    deleted: int = yield Change(database.name, f"DELETE FROM loader_rejects WHERE {condition}", parameters)
    return deleted


def delete_each(database: Store, numbers: Sequence[int]) -> Steps[int]:
    """Delete the rejects of these ids. Returns how many."""
    if not numbers:
        return 0
    frame = pl.DataFrame({"id": numbers}, schema={"id": pl.Int64})
    sql = f"DELETE FROM loader_rejects WHERE id IN (SELECT c0 FROM {database.batch})"
    deleted: int = yield Change(database.name, sql, (), database.pack(frame))
    return deleted


def of_names(database: Store, names: Iterable[Name]) -> Steps[list[tuple[int, str, str]]]:
    """id, run and source of those rejects, among these runs and ids, that there are. Nobody else deletes them before
    the open transaction ends; those that another transaction is deleting are waited for.
    """
    frame = pl.DataFrame(list(names), schema={"run": pl.String, "id": pl.Int64}, orient="row")
    if not len(frame):
        return []
    sql = f"""SELECT rejects.id, rejects.run, rejects.source
        FROM {database.batch} AS batch CROSS JOIN loader_rejects AS rejects
        WHERE rejects.id = batch.c1 AND rejects.run = batch.c0 ORDER BY rejects.id {database.keeping_rejects}"""
    found: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=database.pack(frame))
    return found


def of_ids(database: Store, numbers: Sequence[int]) -> Steps[list[tuple[int, str, str]]]:
    """id, record and reasons of the rejects of these ids."""
    frame = pl.DataFrame({"id": numbers}, schema={"id": pl.Int64})
    sql = f"""SELECT rejects.id, rejects.record, rejects.reasons
        FROM {database.batch} AS batch CROSS JOIN loader_rejects AS rejects WHERE rejects.id = batch.c0"""
    found: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=database.pack(frame))
    return found


def _of(database: Store, origin: Origin, reason: str | None, first: int) -> tuple[str, tuple[Any, ...]]:
    """A condition and its values."""
    mark = database.mark
    condition = f"id BETWEEN {mark}1 AND {mark}2 AND run = {mark}3 AND source = {mark}4"
    parameters = (first, origin.last, origin.run, origin.source)
    if reason is None:
        return condition, parameters
    has = f"EXISTS (SELECT 1 FROM {database.each_reason} AS reason WHERE {mark}5 IN ({_CODE}, {_NAME}))"
    return f"{condition} AND {has}", (*parameters, reason)
