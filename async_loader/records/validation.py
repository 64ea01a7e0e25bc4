"""A batch, and what is known of the world, to a Verdict. Pure: the same answers for the same questions, no I/O.

Every check sees every record, so a rejected record carries all its reasons. The order of records is the order of the
source: of records with one key the first accepted one stays, however the source is cut into batches.
"""

from __future__ import annotations

import functools
import json
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from async_loader.constraints import Unique
from async_loader.records.arrays import all_false
from async_loader.records.batches import Batch
from async_loader.records.differences import OTHER_VALUES
from async_loader.records.judging_rules import broken_rules
from async_loader.records.parsing import shown_values
from async_loader.records.reasons import SHOWN, Check, fault_message, reason_json, reasons_json
from async_loader.records.world import UniqueInBatch, World
from async_loader.tables import Table

# The columns of a verdict's rejects.
REJECTS = {"line": pl.Int64, "line_end": pl.Int64, "record": pl.String, "reasons": pl.String}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a batch's records.

    accepted: in their order, the table's columns, typed; places: where they stand among the batch's records. Of these
    new, changed, unchanged: to insert, to replace, to leave alone; written: the first two, in their order.
    rejects: line, line_end, record and reasons (both JSON text), in order of lines.
    reasons: how often each came, by `column.code`, or `code` where the whole record is at fault.
    """

    accepted: pl.DataFrame
    places: pl.Series
    new: pl.DataFrame
    changed: pl.DataFrame
    written: pl.DataFrame
    unchanged: pl.DataFrame
    rejects: pl.DataFrame
    reasons: Counter[str]

    def __len__(self) -> int:
        return len(self.accepted) + len(self.rejects)

    def numbered(self, keys: pl.Series) -> Verdict:
        """Return it with these keys, in their order, for the accepted records that have none."""
        accepted, new, written = (_numbered(each, keys) for each in (self.accepted, self.new, self.written))
        return replace(self, accepted=accepted, new=new, written=written)


def with_computed(verdict: Verdict, key: str, keys: pl.Series, values: pl.Series) -> Verdict:
    """Return a verdict with values of a column, in their order, in the new rows that have these keys."""
    accepted, new, written = (
        each.with_columns(each[values.name].scatter(each[key].is_in(keys.implode()).arg_true(), values))
        for each in (verdict.accepted, verdict.new, verdict.written)
    )
    return replace(verdict, accepted=accepted, new=new, written=written)


def _numbered(records: pl.DataFrame, keys: pl.Series) -> pl.DataFrame:
    """Fill keys into the records that have none: the same records, in the same order, in each part of a verdict."""
    column = records[keys.name]
    places = column.is_null().arg_true()
    return records.with_columns(column.scatter(places, keys))


def judge(table: Table, batch: Batch, world: World) -> Verdict:
    """Return what becomes of each record: every check is asked about every record."""
    size = len(batch.lines)
    checks = _checks(table, batch, world)
    failed = _any((check.failed for check in checks), size)
    conflict = conflicting(batch, world)
    beside = list(_beside_others(table, batch, world, failed, conflict))
    # Of a duplicate nothing is said that depends on whether its row was looked at.
    checks = [_but_for(check, batch, beside[0].failed) for check in checks] + beside
    bad = _any((check.failed for check in checks), size)
    checks = [check for check in checks if check.failed.any()]
    accepted = _kept(batch.values, ~bad)
    held, differs = world.held.filter(~bad), world.differs.filter(~bad)
    return Verdict(
        accepted=accepted,
        places=(~bad).arg_true(),
        new=_kept(accepted, ~held),
        changed=_kept(accepted, differs),
        written=_kept(accepted, ~held | differs),
        unchanged=_kept(accepted, held & ~differs),
        rejects=_rejects(batch, checks, bad),
        reasons=_counted(batch, checks),
    )


def have_failed(table: Table, batch: Batch, world: World) -> pl.Series:
    """Return which records are rejected whatever other records have."""
    return _any((check.failed for check in _checks(table, batch, world)), len(batch.lines))


def conflicting(batch: Batch, world: World) -> pl.Series:
    """Return which records are rejected because the database has their keys with other values."""
    return world.differs & ~_faulty(batch) if world.conflicts_reject else all_false(len(batch.lines))


def _checks(table: Table, batch: Batch, world: World) -> list[Check]:
    """Return the checks that ask each record by itself."""
    others = [*broken_rules(table, batch), *_dangling(table, batch, world), *world.checks]
    checks = [*_faults(table, batch), *(_of_what_is_there(check, batch, world) for check in others)]
    if table.examine is None:
        return checks
    from async_loader.records.examining import examined

    has_failed = _any((check.failed for check in checks), len(batch.lines)) | world.taken
    return [*checks, *examined(table, batch.values, world.held, ~has_failed)]


def _beside_others(table: Table, batch: Batch, world: World, failed: pl.Series, conflict: pl.Series) -> Iterator[Check]:
    """Yield the checks of what other records and rows have: keys, and values of unique columns.

    A key that this run has accepted is no longer compared with what the database held before.
    """
    keys = batch.values[table.key] if world.identity is None else world.identity
    if world.settled is not None:
        duplicate, used = world.settled.duplicate, world.settled.used
    elif _have_own_values(world.unique):
        used = [unique.used for unique in world.unique]
        duplicate = _duplicates(keys, world.taken, _any(iter([failed, conflict, *used]), len(keys)))
    else:
        duplicate, used = _in_turn(keys, world, failed | conflict)
    names = world.identified_by or (table.key,)
    name, column, shown = " and ".join(names), only_column(names), shown_record(batch.values[list(names)])
    yield Check("duplicate", column, f"{name} {SHOWN} appears earlier in this run", duplicate, shown)
    yield Check("exists", column, f"{name} {SHOWN}", conflict & ~duplicate, _conflict(batch, world, shown))
    yield from _used(batch, world, [each & ~duplicate for each in used])


def _conflict(batch: Batch, world: World, shown: Callable[[pl.Series], pl.Series]) -> Callable[[pl.Series], pl.Series]:
    """Return a function that shows the records at some places, and says how their rows differ from them."""

    def at(places: pl.Series) -> pl.Series:
        rows = world.differing
        words = pl.Series([OTHER_VALUES]) if rows is None else rows.in_words(batch.values, places)
        return pl.select(pl.concat_str(shown(places), words, separator=" ")).to_series()

    return at


def used_values(rejects: pl.DataFrame, codes: Collection[str]) -> list[tuple[str, int]]:
    """Return the unique column, "" for a set of several, and the line, of each reject whose value was another row's,
    for which reasons have one of these codes.
    """
    if not codes:
        return []
    candidates = rejects.filter(pl.col("reasons").str.contains_any([f'"{code}"' for code in codes]))
    return [
        (reason["column"] or "", line)
        for line, reasons in candidates.select("line", "reasons").iter_rows()
        for reason in json.loads(reasons)
        if reason["code"] in codes
    ]


def _faults(table: Table, batch: Batch) -> Iterator[Check]:
    """Yield the checks of single values, in the order of the columns: what was read, and what is not there."""
    for column in table.column_names:
        if column in batch.faults:
            yield from _faults_of(column, batch.faults[column])
        if column in batch.missing:
            message = fault_message("missing", column)
            yield Check("missing", column, message, batch.missing[column], None, (column,))


def _of_what_is_there(check: Check, batch: Batch, world: World) -> Check:
    """Return the check less the records that lack all of its columns, and whose rows keep them."""
    kept = [_kept_by_row(batch, world, column) for column in check.columns]
    if not kept or any(mask is None for mask in kept):
        return check
    masks = iter(mask for mask in kept if mask is not None)
    return replace(check, failed=check.failed & ~functools.reduce(operator.and_, masks))


def _kept_by_row(batch: Batch, world: World, column: str) -> pl.Series | None:
    """Return which records leave a column to their rows; None where none does."""
    return world.held if column in batch.absent else batch.kept.get(column)


def _but_for(check: Check, batch: Batch, duplicate: pl.Series) -> Check:
    """Return the check less the duplicates that lack one of its columns."""
    lacks = [
        duplicate if column in batch.absent else duplicate & batch.lacking[column]
        for column in check.columns
        if column in batch.absent or column in batch.lacking
    ]
    return replace(check, failed=check.failed & ~_any(iter(lacks), len(duplicate))) if lacks else check


def _faults_of(column: str, fault: pl.DataFrame) -> Iterator[Check]:
    for code in fault["code"].drop_nulls().unique(maintain_order=True):
        message = fault_message(code, column)
        yield Check(code, column, message, fault["code"].eq_missing(pl.Series([code])), fault["shown"].gather)


def _dangling(table: Table, batch: Batch, world: World) -> Iterator[Check]:
    for reference, dangling in zip(table.references, world.dangling, strict=True):
        column = reference.column
        message = f"{column} {SHOWN} does not exist in {reference.table}"
        yield Check("exists_in", column, message, dangling, shown_record(batch.values[[column]]), (column,))


def _used(batch: Batch, world: World, used: Sequence[pl.Series]) -> Iterator[Check]:
    for unique, failed in zip(world.unique, used, strict=True):
        names = unique.unique.columns
        message = used_message(unique.unique, SHOWN)
        yield Check(unique.unique.code, only_column(names), message, failed, shown_record(batch.values[list(names)]))


def used_message(unique: Unique, shown: str) -> str:
    """Return the message for a record whose values, shown in this way, another row has."""
    return unique.message or f"{' and '.join(unique.columns)} {shown} is another row's already"


def _have_own_values(uniques: Sequence[UniqueInBatch]) -> bool:
    """Return whether no record takes a value that another one of the batch takes or gives up: the common case."""
    return all(
        unique.values.drop_nulls().is_unique().all()
        and not unique.values.is_in(unique.given_up.drop_nulls().implode()).any()
        for unique in uniques
    )


class _ByTurns:
    """The values of a unique column, as records of a batch take and give them up one after the other."""

    def __init__(self, unique: UniqueInBatch) -> None:
        self._values, self._taken_before = unique.values.to_list(), unique.used.to_list()
        self._given_up = unique.given_up.to_list()
        self._taken, self._free = set[Any](), set[Any]()

    def is_taken(self, place: int) -> bool:
        """Return whether another row has the value of the record at this place by now."""
        value = self._values[place]
        return value in self._taken or (self._taken_before[place] and value not in self._free)

    def accept(self, place: int) -> None:
        """Note that the record at this place takes its value, and gives up the one that its row had."""
        if self._values[place] is not None:
            self._taken.add(self._values[place])
        if self._given_up[place] is not None:
            self._free.add(self._given_up[place])


def _in_turn(keys: pl.Series, world: World, failed: pl.Series) -> tuple[pl.Series, list[pl.Series]]:
    """Return which records come after the first accepted one of their key, and for each unique column which have a
    value that is another's.

    One record is judged after the other, because each of these depends on which of the records before it are accepted:
    one that is not accepted takes neither its key nor its values. `failed` are those with other faults.
    """
    seen = set[Any]()
    columns = [_ByTurns(unique) for unique in world.unique]
    duplicate: list[bool] = []
    used: list[list[bool]] = [[] for _ in columns]
    for place, (key, is_taken, has_failed) in enumerate(zip(keys, world.taken, failed, strict=True)):
        are_taken = [column.is_taken(place) for column in columns]
        duplicate.append(is_taken or (key is not None and key in seen))
        for flags, flag in zip(used, are_taken, strict=True):
            flags.append(flag)
        if not (has_failed or duplicate[-1] or any(are_taken)):
            seen.add(key)
            for column in columns:
                column.accept(place)
    return pl.Series(duplicate, dtype=pl.Boolean), [pl.Series(flags, dtype=pl.Boolean) for flags in used]


def shown_record(values: pl.DataFrame) -> Callable[[pl.Series], pl.Series]:
    """Return a function that gives the values of the records at some places as messages show them."""

    def at(places: pl.Series) -> pl.Series:
        chosen = values[places]
        if chosen.width == 1:
            return shown_values(chosen.to_series())
        shown = pl.DataFrame({column.name: shown_values(column) for column in chosen})
        return shown.select(pl.concat_str(pl.all().fill_null("null"), separator=", ")).to_series()

    return at


def only_column(names: Sequence[str]) -> str | None:
    """Return the column that a reason names: the only one of these, or none."""
    return names[0] if len(names) == 1 else None


def _faulty(batch: Batch) -> pl.Series:
    return _any((fault["code"].is_not_null() for fault in batch.faults.values()), len(batch.lines))


def _any(masks: Iterator[pl.Series], size: int) -> pl.Series:
    return functools.reduce(operator.or_, masks, all_false(size))


def _duplicates(keys: pl.Series, taken: pl.Series, failed: pl.Series) -> pl.Series:
    """Return which records come after the first accepted one of their key, in this batch or before it."""
    if _increasing(keys):
        return taken
    frame = pl.DataFrame({"key": keys, "good": ~(failed | taken)}).with_row_index("place")
    first = pl.when("good").then("place").min().over("key")
    later = frame.select((pl.col("place") > first) & pl.col("key").is_not_null()).to_series()
    return taken | later.fill_null(value=False)


def _increasing(keys: pl.Series) -> bool:
    """Return whether each key is above the one before: the common case, in which none comes twice."""
    return not keys.null_count() and bool((keys.slice(1) > keys.head(-1)).all())


def _kept(frame: pl.DataFrame, keep: pl.Series) -> pl.DataFrame:
    if keep.all():
        return frame
    return frame.filter(keep) if keep.any() else frame.clear()


def _rejects(batch: Batch, checks: Sequence[Check], bad: pl.Series) -> pl.DataFrame:
    places = bad.arg_true()
    frames = []
    if len(places):
        as_read = batch.as_read[places]
        frames.append(
            pl.DataFrame(
                {
                    "line": batch.lines[places],
                    "line_end": batch.line_ends[places],
                    "record": batch.to_json(as_read),
                    "reasons": reasons_json(checks, places),
                }
            )
        )
    if batch.broken:
        frames.append(_broken(batch))
    return pl.concat(frames).sort("line") if frames else _NO_REJECTS


def _broken(batch: Batch) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (record.line, record.line_end, record.record, f"[{reason_json(record.code, None, record.message)}]")
            for record in batch.broken
        ],
        schema=REJECTS,
        orient="row",
    )


def _counted(batch: Batch, checks: Sequence[Check]) -> Counter[str]:
    counts = Counter(record.code for record in batch.broken)
    for check in checks:
        counts[check.name] += int(check.failed.sum())
    return counts


_NO_REJECTS = pl.DataFrame(schema=REJECTS)
