"""Questions about the stored rejects of a database: they are counted, read in pages, found by name, and deleted.

A page holds rejects whose ids follow the last one that was read, so that memory stays flat, and rejects may be deleted
or added between two pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import polars as pl

from async_loader.effects import Change, Query, Steps
from async_loader.ledger.entries import TableRun
from async_loader.ledger.reject_groups import RejectGroup, RejectRow
from async_loader.records.validation import REJECTS
from async_loader.stores.store import Store

# Rejects in a page, at most, and letters of them, but for the first one: a few megabytes.
PAGE = 10_000
LETTERS = 8 << 20
# The orders of pages: as rejects were stored, and as they stand in their source.
AS_STORED, BY_LINE = ("id",), ("line", "id")

# A reject, and the name by which a record calls it.
NAMED = {"name": pl.String, "id": pl.Int64, "run": pl.String, "path": pl.String}
# How a reject is called: by a name that it has from a reject whose place it took, unless another one has the name too
# (a person has made two records of one); else by its own run and id.
_CALLED = """coalesce((SELECT min(names.name) FROM loader_reject_names AS names
    WHERE names.run = loader_rejects.run AND names.id = loader_rejects.id AND NOT EXISTS (
        SELECT 1 FROM loader_reject_names AS others
        WHERE others.name = names.name AND (others.run <> names.run OR others.id <> names.id))), run || ':' || id)"""
# The tables that say more of a reject, which go with it.
_OF_REJECTS = ("loader_reject_names", "loader_good_rejects")
# The run that has made a reject good.
_MADE_GOOD_BY = """(SELECT good.made_good_by FROM loader_good_rejects AS good
    WHERE good.run = loader_rejects.run AND good.id = loader_rejects.id)"""
_CODE, _COLUMN = "reason.value ->> 'code'", "reason.value ->> 'column'"
# As counts name a reason: `column.code`, or `code` where the whole record is at fault.
_REASON_NAME = f"coalesce(({_COLUMN}) || '.', '') || ({_CODE})"


def group_rows(database: Store, runs: Collection[str] | None = None) -> Steps[list[tuple[str, str, int, int, int]]]:
    """Return run, source, count, first and last id of the rejects that share the first two, ordered by first id.

    runs: those whose rejects count; None is all.
    """
    if runs is not None and not runs:
        return []
    select = "SELECT run, source, count(*), min(id), max(id) FROM loader_rejects"
    grouped = "GROUP BY run, source ORDER BY min(id)"
    rows: list[tuple[str, str, int, int, int]]
    if runs is None:
        rows = yield Query(database.name, f"{select} {grouped}")
    else:
        packed = database.pack(pl.DataFrame({"run": sorted(runs)}))
        rows = yield Query(
            database.name, f"{select} WHERE run IN (SELECT c0 FROM {database.batch}) {grouped}", batch=packed
        )
    return rows


def reason_counts(database: Store) -> Steps[list[tuple[str, str, str, int]]]:
    """Return run, source, a reason's name, and how many rejects of that run and source have it."""
    sql = f"""SELECT run, source, {_REASON_NAME} AS named, count(*)
        FROM loader_rejects, {database.each_reason} AS reason GROUP BY run, source, named"""
    rows: list[tuple[str, str, str, int]] = yield Query(database.name, sql)
    return rows


def rejecting_lines(database: Store, table: str, run: str, marks: Sequence[str] | None = None) -> Steps[list[TableRun]]:
    """Return the lines of other runs than this that rejected records of a table; with marks, those whose sources have
    one of these in their JSON.
    """
    condition = f"table_name = {database.mark(1)} AND run <> {database.mark(2)} AND rejected > 0"
    if marks is not None:
        likes = " OR ".join(f"sources LIKE {database.mark(number)}" for number in range(3, 3 + len(marks)))
        condition += f" AND ({likes})"
    return (yield from database.lines(condition, (table, run, *(f"%{mark}%" for mark in marks or ()))))


def keep_made_good(database: Store, run: str, rejecting: str, ids: Sequence[int]) -> Steps[None]:
    """Keep that a run has made rejects of another run good."""
    if not ids:
        return
    packed = database.pack(pl.DataFrame({"id": ids}, schema={"id": pl.Int64}))
    first, second = database.mark(1), database.mark(2)
    chosen = f"SELECT c0 FROM {database.batch}"
    delete = f"DELETE FROM loader_good_rejects WHERE run = {first} AND id IN ({chosen})"
    yield Change(database.name, delete, (rejecting,), packed)
    # PostgreSQL has no type for a bound value that is only selected.
    columns = f"CAST({first} AS text), c0, CAST({second} AS text)"
    insert = f"INSERT INTO loader_good_rejects (run, id, made_good_by) SELECT {columns} FROM {database.batch}"
    yield Change(database.name, insert, (rejecting, run), packed)


def made_good(database: Store, ids: pl.Series) -> Steps[pl.DataFrame]:
    """Return, of the rejects of these ids, the id and the run that has made it good, of those that were."""
    schema = {"id": pl.Int64, "made_good_by": pl.String}
    if not len(ids):
        return pl.DataFrame(schema=schema)
    sql = f"""SELECT good.id, good.made_good_by FROM {database.batch} AS batch
        CROSS JOIN loader_rejects AS rejects CROSS JOIN loader_good_rejects AS good
        WHERE rejects.id = batch.c0 AND good.run = rejects.run AND good.id = rejects.id"""
    rows = yield Query(database.name, sql, batch=database.pack(ids.to_frame()))
    return pl.DataFrame(rows, schema=schema, orient="row")


def keep_good_lines(database: Store, run: str, path: str, after: int, good: pl.DataFrame) -> Steps[None]:
    """Keep which runs have made rejects good that a run has added of a source, as in `keep_names`."""
    if not len(good):
        return
    yield from _keep_by_line(database, "loader_good_rejects (run, id, made_good_by)", (after, run, path), good)


def good_counts(database: Store) -> Steps[list[tuple[str, str, str, int]]]:
    """Return run, source, the run that has made rejects good, and how many rejects of that run and source those are."""
    sql = """SELECT rejects.run, rejects.source, good.made_good_by, count(*) FROM loader_good_rejects AS good
        JOIN loader_rejects AS rejects ON rejects.run = good.run AND rejects.id = good.id
        GROUP BY rejects.run, rejects.source, good.made_good_by"""
    rows: list[tuple[str, str, str, int]] = yield Query(database.name, sql)
    return rows


def lines_of_run(database: Store, run: str) -> Steps[list[TableRun]]:
    """Return the lines of the database's ledger about one run."""
    return (yield from database.lines(f"run = {database.mark(1)}", (run,)))


def page(database: Store, group: RejectGroup, reason: str | None, after: int) -> Steps[list[RejectRow]]:
    """Return some rejects of a group whose ids are greater than `after`, in order of ids; none at the end.

    reason: a code or `column.code`, which they have; None is any.
    """
    return (yield from _page(database, _condition(database, group, reason, after + 1), AS_STORED))


def unnamed_page(database: Store, group: RejectGroup, after: int) -> Steps[list[RejectRow]]:
    """Return some rejects of a group as `page` does, named by their ids alone: names take a third of its time."""
    condition = _condition(database, group, None, after + 1)
    return (yield from _page(database, condition, AS_STORED, naming="'' || id, NULL"))


def page_of_source(
    database: Store, run: str, path: str, last: RejectRow | None, *, order: Sequence[str] = AS_STORED
) -> Steps[list[RejectRow]]:
    """Return a page of the rejects that a run has stored of a source, those after the last one of the page before; None
    is the beginning.
    """
    marks = [database.mark(number) for number in range(1, 3 + len(order))]
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


def _page(
    database: Store,
    wanted: tuple[str, tuple[Any, ...]],
    order: Sequence[str],
    naming: str = f"{_CALLED}, {_MADE_GOOD_BY}",
) -> Steps[list[RejectRow]]:
    """Return the first rejects, in this order, that meet a condition, given with its values; none at the end.

    naming: in SQL, the name of a reject, and the run that has made it good.
    """
    condition, parameters = wanted
    placed = ", ".join(order)
    some = f"""SELECT id, run, line, line_end, record, reasons, length(record) + length(reasons) AS size
        FROM loader_rejects WHERE {condition} ORDER BY {placed} LIMIT {PAGE}"""
    summed = f"SELECT *, sum(size) OVER (ORDER BY {placed}) - size AS before FROM ({some}) AS chosen"
    sql = f"""SELECT id, line, line_end, record, reasons, {naming} FROM ({summed}) AS loader_rejects
        WHERE before < {LETTERS} ORDER BY {placed}"""
    rows = yield Query(database.name, sql, parameters)
    return [RejectRow(*row) for row in rows]


def count(database: Store, group: RejectGroup, reason: str | None, *, is_open: bool = False) -> Steps[int]:
    """Return how many rejects of a group have a reason, as in `page`; `is_open`: and have not been made good."""
    condition, parameters = _condition(database, group, reason, group.first)
    condition += f" AND {_MADE_GOOD_BY} IS NULL" if is_open else ""
    [(number,)] = yield Query(database.name, f"SELECT count(*) FROM loader_rejects WHERE {condition}", parameters)
    return int(number)


def delete(database: Store, group: RejectGroup, reason: str | None) -> Steps[int]:
    """Delete the rejects of a group that have a reason, as in `page`. Returns how many."""
    condition, parameters = _condition(database, group, reason, group.first)
    gone = f"(run, id) IN (SELECT run, id FROM loader_rejects WHERE {condition})"
    for table in _OF_REJECTS:
        yield Change(database.name, f"DELETE FROM {table} WHERE {gone}", parameters)
    deleted: int = yield Change(database.name, f"DELETE FROM loader_rejects WHERE {condition}", parameters)
    return deleted


def delete_ids(database: Store, ids: Iterable[int]) -> Steps[int]:
    """Delete the rejects of these ids. Returns how many."""
    frame = pl.DataFrame({"id": list(ids)}, schema={"id": pl.Int64})
    if not len(frame):
        return 0
    condition, packed = f"id IN (SELECT c0 FROM {database.batch})", database.pack(frame)
    gone = f"(run, id) IN (SELECT run, id FROM loader_rejects WHERE {condition})"
    for table in _OF_REJECTS:
        yield Change(database.name, f"DELETE FROM {table} WHERE {gone}", (), packed)
    deleted: int = yield Change(database.name, f"DELETE FROM loader_rejects WHERE {condition}", (), packed)
    return deleted


def find_named(database: Store, names: pl.DataFrame, *, is_kept: bool = True) -> Steps[pl.DataFrame]:
    """Return name, id, run and path of the rejects that are, or were, called by these names, which are given with the
    run and the id in them. With `is_kept`, no other transaction deletes these rejects before the open one ends; those
    that another one is deleting are waited for.
    """
    keeping = database.keeping_rejects if is_kept else ""
    packed = database.pack_question(names.select("name", "run", "id").unique().sort("id"))
    select = "SELECT batch.c0, rejects.id, rejects.run, rejects.source"
    own = f"""{select} FROM {database.batch} AS batch CROSS JOIN loader_rejects AS rejects
        WHERE rejects.id = batch.c2 AND rejects.run = batch.c1 ORDER BY rejects.id {keeping}"""
    earlier = f"""{select} FROM {database.batch} AS batch
        CROSS JOIN loader_reject_names AS names CROSS JOIN loader_rejects AS rejects
        WHERE names.name = batch.c0 AND rejects.id = names.id AND rejects.run = names.run
        ORDER BY rejects.id {keeping}"""
    rows: list[tuple[str, int, str, str]] = yield Query(database.name, own, batch=packed)
    rows += yield Query(database.name, earlier, batch=packed)
    return pl.DataFrame(rows, schema=NAMED, orient="row").unique()


def earlier_names(database: Store, ids: pl.Series) -> Steps[pl.DataFrame]:
    """Return id and name, of the rejects of these ids, for each name that one has from a reject whose place it took."""
    sql = f"""SELECT rejects.id, names.name FROM {database.batch} AS batch
        CROSS JOIN loader_rejects AS rejects CROSS JOIN loader_reject_names AS names
        WHERE rejects.id = batch.c0 AND names.run = rejects.run AND names.id = rejects.id"""
    rows = yield Query(database.name, sql, batch=database.pack(ids.to_frame()))
    return pl.DataFrame(rows, schema={"id": pl.Int64, "name": pl.String}, orient="row")


def last_id(database: Store) -> Steps[int]:
    """Return the greatest id of all stored rejects, or 0: those that are added later in the transaction have greater
    ones.
    """
    [(last,)] = yield Query(database.name, "SELECT max(id) FROM loader_rejects")
    return last or 0


def keep_names(database: Store, run: str, path: str, after: int, names: pl.DataFrame) -> Steps[None]:
    """Keep names for the rejects that a run has added of a source, with ids greater than `after`; given with their
    lines.
    """
    yield from _keep_by_line(database, "loader_reject_names (run, id, name)", (after, run, path), names)


def _keep_by_line(database: Store, target: str, added: tuple[int, str, str], frame: pl.DataFrame) -> Steps[None]:
    """Put into a table what a frame's last column says of rejects, which are those of its lines among the added ones:
    with ids after one, of a run and a source.
    """
    marks = [database.mark(number) for number in (1, 2, 3)]
    sql = f"""INSERT INTO {target} SELECT rejects.run, rejects.id, batch.c1
        FROM (SELECT run, id, line FROM loader_rejects
            WHERE id > {marks[0]} AND run = {marks[1]} AND source = {marks[2]}) AS rejects
        JOIN {database.batch} AS batch ON batch.c0 = rejects.line"""
    yield Change(database.name, sql, added, database.pack(frame.select("line", frame.columns[-1]).unique()))


def records_of(database: Store, ids: Iterable[int]) -> Steps[list[tuple[int, str, str]]]:
    """Return id, record and reasons of the rejects of these ids."""
    frame = pl.DataFrame({"id": list(ids)}, schema={"id": pl.Int64})
    sql = f"""SELECT rejects.id, rejects.record, rejects.reasons
        FROM {database.batch} AS batch CROSS JOIN loader_rejects AS rejects WHERE rejects.id = batch.c0"""
    rows: list[tuple[int, str, str]] = yield Query(database.name, sql, batch=database.pack(frame))
    return rows


def _condition(database: Store, group: RejectGroup, reason: str | None, first: int) -> tuple[str, tuple[Any, ...]]:
    """Return a condition in SQL for the rejects of a group from this id on, and its values."""
    low, high, run, source = (database.mark(number) for number in (1, 2, 3, 4))
    condition = f"id BETWEEN {low} AND {high} AND run = {run} AND source = {source}"
    parameters = (first, group.last, group.run, group.path)
    if reason is None:
        return condition, parameters
    has = (
        f"EXISTS (SELECT 1 FROM {database.each_reason} AS reason WHERE {database.mark(5)} IN ({_CODE}, {_REASON_NAME}))"
    )
    return f"{condition} AND {has}", (*parameters, reason)
