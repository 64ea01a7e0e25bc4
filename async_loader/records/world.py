"""What is known outside a batch of records when it is judged: values, of which each series is as long as the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from async_loader.constraints import Unique
from async_loader.records.differences import DifferingRows
from async_loader.records.reasons import Check


@dataclass(frozen=True, slots=True)
class UniqueInBatch:
    """A unique set of columns in n records. All series are n long.

    values: as the database stores them; of several columns as one text; null where the set says nothing of the record.
    taken: whether an earlier record of the run has the value.
    owned: whether another row of the database has it, and no earlier record gave it up.
    given_up: the value that the row has now which the record would replace; null where it keeps its value.
    """

    unique: Unique
    values: pl.Series
    taken: pl.Series
    owned: pl.Series
    given_up: pl.Series

    @property
    def used(self) -> pl.Series:
        """Whether a record's value is another's."""
        return self.taken | self.owned

    def chosen(self, which: pl.Series) -> UniqueInBatch:
        """Return what is known of some of the records."""
        parts = (each.filter(which) for each in (self.values, self.taken, self.owned, self.given_up))
        return UniqueInBatch(self.unique, *parts)


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided of n records that had to wait for others: which are duplicates, and for each unique set which
    have a value that is another's.
    """

    duplicate: pl.Series
    used: Sequence[pl.Series]

    def part(self, records: slice) -> Settled:
        """Return what was decided of some records that follow each other."""
        return Settled(self.duplicate[records], [each[records] for each in self.used])


@dataclass(frozen=True, slots=True)
class World:
    """What is known outside a batch of n readable records; each series is n long.

    taken: the key was accepted earlier in this run.
    held, differs: the database held the key before this run; and with other values than the record's.
    dangling: for each of the table's references, whether the key that the record names exists nowhere.
    conflicts_reject: whether a record that differs is rejected (else it replaces what is held).
    unique: the table's unique sets.
    settled: what was decided of all records at once; None where they are judged in their order.
    identity: what no two records of the run may have in common, null where that is nothing; None where it is the key.
    identified_by: the names of the columns that make the identity; none where it is the key.
    checks: what was found wrong when the records' rows were looked for.
    differing: the rows from which records differ, where these are rejected for it.
    """

    taken: pl.Series
    held: pl.Series
    differs: pl.Series
    dangling: Sequence[pl.Series]
    conflicts_reject: bool
    unique: Sequence[UniqueInBatch] = ()
    settled: Settled | None = None
    identity: pl.Series | None = None
    identified_by: Sequence[str] = ()
    checks: Sequence[Check] = ()
    differing: DifferingRows | None = None

    def chosen(self, which: pl.Series) -> World:
        """Return what is known of some of the records."""
        return replace(
            self,
            taken=self.taken.filter(which),
            held=self.held.filter(which),
            differs=self.differs.filter(which),
            dangling=[each.filter(which) for each in self.dangling],
            unique=[each.chosen(which) for each in self.unique],
            identity=None if self.identity is None else self.identity.filter(which),
            checks=[check.chosen(which) for check in self.checks],
            differing=None if self.differing is None else self.differing.chosen(which),
        )
