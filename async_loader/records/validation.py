"""A batch, and what is known of the world, to a Verdict. Pure: the same answers for the same questions, no I/O.

Every check sees every record, so a rejected record carries all its reasons. The order of records is the order of the
source: of records with one key the first accepted one stays, however the source is cut into batches.
"""

from __future__ import annotations

import functools
import json
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from async_loader.errors import ConfigurationError, one_line
from async_loader.records.arrays import all_false
from async_loader.records.batches import Batch
from async_loader.records.parsing import shown_text
from async_loader.records.reasons import FAULT_MESSAGES, SHOWN, Check, reason_json, reasons_json
from async_loader.tables import Table

# The columns of a verdict's rejects.
REJECTS = {"line": pl.Int64, "line_end": pl.Int64, "record": pl.String, "reasons": pl.String}


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique column of n records, with the values as the database stores them.

    taken: whether another row, or an earlier record of the run, has the value.
    given_up: by place, the value that the row has now which the record would replace.
    """

    column: str
    values: pl.Series
    taken: pl.Series
    given_up: Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class World:
    """What is known outside a batch of n readable records; each series is n long.

    taken: the key was accepted earlier in this run.
    held, differs: the database held the key before this run; and with other values than the record's.
    absent: for each of the table's references, whether the key that the record names exists nowhere.
    conflicts_reject: whether a record that differs is rejected (else it replaces what is held).
    unique: the table's unique columns.
    """

    taken: pl.Series
    held: pl.Series
    differs: pl.Series
    absent: Sequence[pl.Series]
    conflicts_reject: bool
    unique: Sequence[Unique] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a batch's records.

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


def judge(table: Table, batch: Batch, world: World) -> Verdict:
    """Every check on every record."""
    size = len(batch.lines)
    checks = [*_faults(batch), *_broken_rules(table, batch), *_absent(table, batch, world)]
    failed = _any((check.failed for check in checks), size)
    conflict = world.differs & ~_faulty(batch) if world.conflicts_reject else all_false(size)
    keys = batch.values[table.key]
    if _stand_apart(world.unique):
        used = [unique.taken for unique in world.unique]
        duplicate = _duplicates(keys, world.taken, _any(iter([failed, conflict, *used]), size))
    else:
        duplicate, used = _in_turn(keys, world, failed | conflict)
    shown = _shown(keys)
    message = f"{table.key} {SHOWN} appears earlier in this run"
    checks.append(Check("duplicate", table.key, message, duplicate, shown))
    # A key that this run has accepted is no longer compared with what the database held before.
    exists = conflict & ~duplicate
    message = f"{table.key} {SHOWN} is in the database with other values"
    checks.append(Check("exists", table.key, message, exists, shown))
    checks += _used(batch, world, [each & ~duplicate for each in used])
    bad = _any((check.failed for check in checks), size)
    checks = [check for check in checks if check.failed.any()]
    accepted = _kept(batch.values, ~bad)
    held, differs = world.held.filter(~bad), world.differs.filter(~bad)
    return Verdict(
        accepted=accepted,
        places=(~bad).arg_true(),
        new=_kept(accepted, ~held),
        changed=accepted.filter(differs),
        written=_kept(accepted, ~held | differs),
        unchanged=accepted.filter(held & ~differs),
        rejects=_rejects(batch, checks, bad),
        reasons=_counted(batch, checks),
    )


def used_values(rejects: pl.DataFrame) -> list[tuple[str, int]]:
    """The unique column, and the line, of each reject whose value was another row's."""
    found = rejects.filter(pl.col("reasons").str.contains('"unique"', literal=True))
    return [
        (reason["column"], line)
        for line, reasons in found.select("line", "reasons").iter_rows()
        for reason in json.loads(reasons)
        if reason["code"] == "unique"
    ]


def _faults(batch: Batch) -> Iterator[Check]:
    for column, fault in batch.faults.items():
        for code in fault["code"].drop_nulls().unique(maintain_order=True):
            message = FAULT_MESSAGES[code].replace("{column}", column)
            yield Check(code, column, message, fault["code"].eq_missing(pl.Series([code])), fault["shown"].gather)


def _broken_rules(table: Table, batch: Batch) -> Iterator[Check]:
    broken = [(~rule.holds).fill_null(value=False).alias(str(number)) for number, rule in enumerate(table.rules)]
    failure = f"table {table.name}: one of the rules {', '.join(rule.code for rule in table.rules)} failed: "
    try:
        answers = batch.values.select(broken)
    except (Exception, pl.exceptions.PanicException) as error:
        raise ConfigurationError(failure + one_line(error)) from error
    if broken and len(answers) != len(batch.values):
        raise ConfigurationError(f"{failure}{len(answers)} answers for {len(batch.values)} records")
    for rule, failed in zip(table.rules, answers, strict=True):
        if rule.explain is None:
            yield Check(rule.code, rule.column, rule.message, failed)
        else:
            shown = _explained(rule.explain, batch.values[rule.columns[0]])
            yield Check(rule.code, rule.column, SHOWN, failed, shown)


def _explained(explain: Callable[[Any], str], values: pl.Series) -> Callable[[pl.Series], pl.Series]:
    return lambda places: pl.Series(map(explain, values.gather(places)), dtype=pl.String)


def _absent(table: Table, batch: Batch, world: World) -> Iterator[Check]:
    for reference, absent in zip(table.references, world.absent, strict=True):
        column = reference.column
        message = f"{column} {SHOWN} does not exist in {reference.table}"
        yield Check("exists_in", column, message, absent, _shown(batch.values[column]))


def _used(batch: Batch, world: World, used: Sequence[pl.Series]) -> Iterator[Check]:
    for unique, failed in zip(world.unique, used, strict=True):
        message = f"{unique.column} {SHOWN} is another row's already"
        yield Check("unique", unique.column, message, failed, _shown(batch.values[unique.column]))


def _stand_apart(uniques: Sequence[Unique]) -> bool:
    """Whether no record takes a value that another one of the batch takes or gives up: the common case."""
    return all(
        unique.values.drop_nulls().is_unique().all()
        and not (unique.given_up and set(unique.given_up.values()) & set(unique.values))
        for unique in uniques
    )


def _in_turn(keys: pl.Series, world: World, failed: pl.Series) -> tuple[pl.Series, list[pl.Series]]:
    """Which records come behind the first accepted one of their key, and which have a value of each unique column that
    is another's: one record after the other, because that depends on which of those before it are accepted.
    """
    seen = set[Any]()
    taken: list[set[Any]] = [set() for _ in world.unique]
    free: list[set[Any]] = [set() for _ in world.unique]
    duplicate: list[bool] = []
    used: list[list[bool]] = []
    values_of = zip(*(unique.values for unique in world.unique), strict=True)
    taken_before = zip(*(unique.taken for unique in world.unique), strict=True)
    rows = zip(keys, world.taken, failed, values_of, taken_before, strict=True)
    for place, (key, is_taken, has_failed, values, before) in enumerate(rows):
        duplicate.append(is_taken or key in seen)
        used.append([value in taken[n] or (before[n] and value not in free[n]) for n, value in enumerate(values)])
        if has_failed or duplicate[-1] or any(used[-1]):
            continue
        seen.add(key)
        for n, (unique, value) in enumerate(zip(world.unique, values, strict=True)):
            if value is not None:
                taken[n].add(value)
            if place in unique.given_up:
                free[n].add(unique.given_up[place])
    columns = [pl.Series(column, dtype=pl.Boolean) for column in zip(*used, strict=True)]
    return pl.Series(duplicate, dtype=pl.Boolean), columns or [all_false(0) for _ in world.unique]


def _shown(keys: pl.Series) -> Callable[[pl.Series], pl.Series]:
    def at(places: pl.Series) -> pl.Series:
        chosen = keys.gather(places)
        return shown_text(chosen) if keys.dtype == pl.String else chosen.cast(pl.String)

    return at


def _faulty(batch: Batch) -> pl.Series:
    return _any((fault["code"].is_not_null() for fault in batch.faults.values()), len(batch.lines))


def _any(masks: Iterator[pl.Series], size: int) -> pl.Series:
    return functools.reduce(operator.or_, masks, all_false(size))


def _duplicates(keys: pl.Series, taken: pl.Series, failed: pl.Series) -> pl.Series:
    """Records behind the first accepted one of their key, in this batch or before it."""
    if _increasing(keys):
        return taken
    frame = pl.DataFrame({"key": keys, "good": ~(failed | taken)}).with_row_index("place")
    first = pl.when("good").then("place").min().over("key")
    behind = frame.select((pl.col("place") > first) & pl.col("key").is_not_null()).to_series()
    return taken | behind.fill_null(value=False)


def _increasing(keys: pl.Series) -> bool:
    """Whether each key is above the one before: the common case, in which none comes twice."""
    return not keys.null_count() and bool((keys.slice(1) > keys.head(-1)).all())


def _kept(frame: pl.DataFrame, keep: pl.Series) -> pl.DataFrame:
    return frame if keep.all() else frame.filter(keep)


def _rejects(batch: Batch, checks: Sequence[Check], bad: pl.Series) -> pl.DataFrame:
    places = bad.arg_true()
    frames = []
    if len(places):
        as_read = batch.as_read[places]
        frames.append(
            pl.DataFrame(
                {
                    "line": batch.lines.gather(places),
                    "line_end": batch.line_ends.gather(places),
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
