"""Constraints of databases as tables declare them: which values no two rows may share, and what a refusal is called.

Values only, as in `tables.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

# The code of a record that passed every rule, and that the database itself did not take.
REFUSED = "refused"
# The code of a record whose values of unique columns another row has, or an earlier record.
UNIQUE = "unique"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of the database, by its name: the code and the message of a record's reason that it refuses.

    columns: those that it is about, by which SQLite names a unique index. Without a message, what the database says.
    is_rule: whether a rule of the table says the same, so that the loader asks it as well.
    """

    name: str
    code: str = REFUSED
    message: str = ""
    columns: frozenset[str] = frozenset()
    is_rule: bool = False

    def is_meant_by(self, name: str, columns: Collection[str]) -> bool:
        """Return whether a refusal that has this name, or else these columns, is of the constraint."""
        return self.name == name or (not name and bool(columns) and self.columns == columns)


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """The condition of a partial unique index: rows of which it is true are in the index, no others.

    index: the name of the index in the database. A database that has no such index refuses nothing, nor does the load.
    columns, holds: an expression over these columns, one boolean a record.
    sql: the same as the index has it; filled in by the run.
    """

    index: str
    columns: tuple[str, ...]
    holds: pl.Expr
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Unique:
    """Columns of which no two rows may have the same values together.

    message: what a record's reason says whose values another row has; without it, the loader's own words.
    nulls_equal: whether null is a value like others; else a row with a null among its values is like no other.
    code: that of the reason.
    where: of which rows alone this is so; None where it is so of all.
    """

    columns: tuple[str, ...]
    message: str = ""
    nulls_equal: bool = False
    code: str = UNIQUE
    where: Where | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that say which values a row has in the set: its own, then others of its condition."""
        more = () if self.where is None else self.where.columns
        return tuple(dict.fromkeys([*self.columns, *more]))
