"""Questions about the stored rejects of a database: they are counted, read in pages, found by name, and deleted.

A page holds rejects whose ids follow the last one that was read, so that memory stays flat, and rejects may be deleted
or added between two pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from async_loader.effects import Change, Query, Steps
from async_loader.ledger.entries import TableRun
from async_loader.ledger.reject_groups import RejectGroup, RejectName, RejectRow
from async_loader.records.validation import REJECTS
from async_loader.stores.store import Store

# Rejects in a page: a few megabytes.
PAGE = 10_000
# The orders of pages: as rejects were stored, and as they stand in their source.
AS_STORED, BY_LINE = ("id",), ("line", "id")

_CODE, _COLUMN = "reason.value ->> 'code'", "reason.value ->> 'column'"
# As counts name a reason: `column.code`, or `code` where the whole record is at fault.
_REASON_NAME = f"coalesce(({_COLUMN}) || '.', '') || ({_CODE})"


def group_rows(database: Store) -> Steps[list[tuple[str, str, int, int, int]]]:
    """Return run, source, count, first and last id of all rejects that share the first two, ordered by first id."""
    sql = "SELECT run, source, count(*), min(id), max(id) FROM loader_rejects GROUP BY run, source ORDER BY min(id)"
    rows: list[tuple[str, str, int, int, int]] = yield Query(database.name, sql)
    return rows


def reason_counts(database: Store) -> Steps[list[tuple[str, str, str, int]]]:
    """Return run, source, a reason's name, and how many rejects of that run and source have it."""
    sql = f"""SELECT run, source, {_REASON_NAME} AS named, count(*)
        FROM loader_rejects, {database.each_reason} AS reason GROUP BY run, source, named"""
    rows: list[tuple[str, str, str, int]] = yield Query(database.name, sql)
    return rows


def lines_of_run(database: Store, run: str) -> Steps[list[TableRun]]:
    """Return the lines of the database's ledger about one run."""
    return (yield from database.lines(f"run = {database.mark}1", (run,)))


def page(database: Store, group: RejectGroup, reason: str | None, after: int) -> Steps[list[RejectRow]]:
    """Return some rejects of a group whose ids are greater than `after`, in order of ids; none at the end.

    reason: a code or `column.code`, which they have; None is any.
    """
    return (yield from _page(database, _condition(database, group, reason, after + 1), AS_STORED))


def page_of_source(
    database: Store, run: str, path: str, last: RejectRow | None, *, order: Sequence[str] = AS_STORED
) -> Steps[list[RejectRow]]:
    """Return a page of the rejects that a run has stored of a source, those after the last one of the page before; None
    is the beginning.
    """
    marks = [f"{database.mark}{number}" for number in range(1, 3 + len(order))]
    condition, parameters = f"run = {marks[0]} AND source = {marks[1]}", (run, path)
    if last is not None:
        condition += f" AND ({', '.join(order)}) > ({', '.join(marks[2:])})"
        parameters += tuple(getattr(last, column) for column in order)
    return (yield from _page(database, (condition, parameters), order))


def as_judged(rows: Iterable[RejectRow]) -> pl.DataFrame:
    """Return rejects as a verdict has them."""
    return pl.DataFrame(
        [(row.line, row.line_end, row.record, row.reasons) for row in rows], schema=REJECTS, orient="row"
    )


def _page(database: Store, wanted: tuple[str, tuple[Any, ...]], order: Sequence[str]) -> Steps[list[RejectRow]]:
    """Return the first rejects, in this order, that meet a condition, given with its values; none at the end."""
    condition, parameters = wanted
    sql = f"""SELECT id, line, line_end, record, reasons FROM loader_rejects
        WHERE {condition} ORDER BY {", ".join(order)} LIMIT {PAGE}"""
    rows = yield Query(database.name, sql, parameters)
    return [RejectRow(*row) for row in rows]


def count(database: Store, group: RejectGroup, reason: str | None) -> Steps[int]:
    """Return how many rejects of a group have a reason, as in `page`."""
    condition, parameters = _condition(database, group, reason, group.first)
    [(number,)] = yield Query(database.name, f"SELECT count(*) FROM loader_rejects WHERE {condition}", parameters)
    return int(number)


def delete(database: Store, group: RejectGroup, reason: str | None) -> Steps[int]:
    """Delete the rejects of a group that have a reason, as in `page`. Returns how many."""
    condition, parameters = _condition(database, group, reason, group.first)
    deleted: int = yield Change(database.name, f"DELETE FROM loader_rejects WHERE {condition}", parameters)
    return deleted


def delete_ids(database: Store, ids: Sequence[int]) -> Steps[int]:
    """Delete the rejects of these ids. Returns how many."""
    if not ids:
        return 0
    frame = pl.DataFrame({"id": ids}, schema={"id": pl.Int64})
    sql = f"DELETE FROM loader_rejects WHERE id IN (SELECT c0 FROM {database.batch})"
    deleted: int = yield Change(database.name, sql, (), database.pack(frame))
    return deleted


def find_named(database: Store, names: Iterable[RejectName]) -> Steps[list[tuple[int, str, str]]]:
    """Return id, run and source of the rejects that have these names. No other transaction deletes them before the open
    one ends; those that another one is deleting are waited for.
    """
    frame = pl.DataFrame(list(names), schema={"run": pl.String, "id": pl.Int64}, orient="row")
    if not len(frame):
        return []
    sql = f"""SELECT rejects.id, rejects.run, rejects.source
        FROM {database.batch} AS batch CROSS JOIN loader_rejects AS rejects
        WHERE rejects.id = batch.c1 AND rejects.run = batch.c0 ORDER BY rejects.id {database.keeping_rejects}"""
    rows: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=database.pack(frame))
    return rows


def records_of(database: Store, ids: Sequence[int]) -> Steps[list[tuple[int, str, str]]]:
    """Return id, record and reasons of the rejects of these ids."""
    frame = pl.DataFrame({"id": ids}, schema={"id": pl.Int64})
    sql = f"""SELECT rejects.id, rejects.record, rejects.reasons
        FROM {database.batch} AS batch CROSS JOIN loader_rejects AS rejects WHERE rejects.id = batch.c0"""
    rows: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=database.pack(frame))
    return rows


def _condition(database: Store, group: RejectGroup, reason: str | None, first: int) -> tuple[str, tuple[Any, ...]]:
    """Return a condition in SQL for the rejects of a group from this id on, and its values."""
    mark = database.mark
    condition = f"id BETWEEN {mark}1 AND {mark}2 AND run = {mark}3 AND source = {mark}4"
    parameters = (first, group.last, group.run, group.path)
    if reason is None:
        return condition, parameters
    has = f"EXISTS (SELECT 1 FROM {database.each_reason} AS reason WHERE {mark}5 IN ({_CODE}, {_REASON_NAME}))"
    return f"{condition} AND {has}", (*parameters, reason)
