"""What a database holds of rejects: counted, read part after part, found by name, and deleted. SQL only.

Reading in parts goes on behind an id, so that memory stays flat and rejects may be deleted or added on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import polars as pl

from async_loader.effects import Change, Query, Steps
from async_loader.origins import Name, Origin, Stored
from async_loader.resume import TableRun
from async_loader.stores import images
from async_loader.stores.sqlite import BATCH, REJECTS_PER_QUERY, Database, quoted

_CODE, _COLUMN = "json_extract(reason.value, '$.code')", "json_extract(reason.value, '$.column')"
# As counts name a reason: `column.code`, or `code` where the whole record is at fault.
_NAME = f"ifnull({_COLUMN} || '.', '') || {_CODE}"
_OF_ORIGIN = "id BETWEEN ? AND ? AND run = ? AND source = ?"


def groups(database: Database) -> Steps[list[tuple[str, str, int, int, int]]]:
    """run, source, count, first and last id of all rejects that share the first two, in order of their first ids."""
    sql = (
        "SELECT run, source, count(*), min(id), max(id) FROM main.loader_rejects GROUP BY run, source ORDER BY min(id)"
    )
    found: list[tuple[str, str, int, int, int]] = yield Query(database.name, sql)
    return found


def reasons(database: Database) -> Steps[list[tuple[str, str, str, int]]]:
    """run, source, reason as counts name it, and how many rejects have it."""
    sql = f"""SELECT run, source, {_NAME} AS named, count(*)
        FROM main.loader_rejects, json_each(reasons) AS reason GROUP BY run, source, named"""
    found: list[tuple[str, str, str, int]] = yield Query(database.name, sql)
    return found


def lines_of(database: Database, run: str) -> Steps[list[TableRun]]:
    """The lines of the database's ledger about one run."""
    columns = ", ".join(quoted(field.name) for field in fields(TableRun))
    sql = f"SELECT {columns} FROM main.loader_runs WHERE run = ? ORDER BY rowid"
    rows = yield Query(database.name, sql, (run,))
    return [TableRun(*row) for row in rows]


def part(database: Database, origin: Origin, reason: str | None, after: int) -> Steps[list[Stored]]:
    """Some of an origin's rejects, behind an id, in order of ids; none at the end. `reason`: those that have it, which
    is a code or `column.code`; None is all.
    """
    condition, parameters = _of(origin, reason, after + 1)
    sql = f"""SELECT id, line, line_end, record, reasons FROM main.loader_rejects
        WHERE {condition} ORDER BY id LIMIT {REJECTS_PER_QUERY}"""
    rows = yield Query(database.name, sql, parameters)
    return [Stored(*row) for row in rows]


def count(database: Database, origin: Origin, reason: str | None) -> Steps[int]:
    """How many of an origin's rejects have a reason, as in `part`."""
    condition, parameters = _of(origin, reason, origin.first)
    [(found,)] = yield Query(database.name, f"SELECT count(*) FROM main.loader_rejects WHERE {condition}", parameters)
    return int(found)


def delete(database: Database, origin: Origin, reason: str | None) -> Steps[int]:
    """Delete an origin's rejects that have a reason, as in `part`. Returns how many."""
    condition, parameters = _of(origin, reason, origin.first)
    deleted: int = yield Change(database.name, f"DELETE FROM main.loader_rejects WHERE {condition}", parameters)
    return deleted


def delete_each(database: Database, numbers: Sequence[int]) -> Steps[int]:
    """Delete the rejects of these ids. Returns how many."""
    if not numbers:
        return 0
    frame = pl.DataFrame({"id": numbers}, schema={"id": pl.Int64})
    sql = f"DELETE FROM main.loader_rejects WHERE id IN (SELECT c0 FROM {BATCH})"
    deleted: int = yield Change(database.name, sql, (), tuple(images.images(frame)))
    return deleted


def of_names(database: Database, names: Iterable[Name]) -> Steps[list[tuple[int, str, str]]]:
    """id, run and source of those rejects, among these runs and ids, that there are."""
    frame = pl.DataFrame(list(names), schema={"run": pl.String, "id": pl.Int64}, orient="row")
    if not len(frame):
        return []
    sql = f"""SELECT rejects.id, rejects.run, rejects.source
        FROM {BATCH} AS batch CROSS JOIN main.loader_rejects AS rejects ON rejects.id = batch.c1
        WHERE rejects.run = batch.c0"""
    found: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=images.images(frame))
    return found


def of_ids(database: Database, numbers: Sequence[int]) -> Steps[list[tuple[int, str, str]]]:
    """id, record and reasons of the rejects of these ids."""
    frame = pl.DataFrame({"id": numbers}, schema={"id": pl.Int64})
    sql = f"""SELECT rejects.id, rejects.record, rejects.reasons
        FROM {BATCH} AS batch CROSS JOIN main.loader_rejects AS rejects ON rejects.id = batch.c0"""
    found: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=images.images(frame))
    return found


def _of(origin: Origin, reason: str | None, first: int) -> tuple[str, tuple[Any, ...]]:
    parameters = (first, origin.last, origin.run, origin.source)
    if reason is None:
        return _OF_ORIGIN, parameters
    has = f"EXISTS (SELECT 1 FROM json_each(reasons) AS reason WHERE ? IN ({_CODE}, {_NAME}))"
    return f"{_OF_ORIGIN} AND {has}", (*parameters, reason)
