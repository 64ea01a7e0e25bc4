"""How many records were given, and what became of them: one value for the ledger, tallies, reports and shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# What becomes of records: each one that was given is counted under one of these names.
OUTCOMES = ("inserted", "updated", "unchanged", "rejected")
# The names of the counts in the ledger, in reports and in the outcomes of shares. `deleted` counts no records.
NAMES = ("given", *OUTCOMES, "deleted")


@dataclass(frozen=True, slots=True)
class Counts:
    """Records that were given, and what became of each of them; `deleted` counts rows that no record named.

    A line of the ledger that another program wrote may hold values of any type here: see `are_readable`.
    """

    given: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sum of each count."""
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Counts)))

    @property
    def outcomes(self) -> int:
        """The number of records of which it is counted what became of them."""
        return self.inserted + self.updated + self.unchanged + self.rejected

    @property
    def stored(self) -> int:
        """The number of rows that the records have now, each under a key of its own."""
        return self.inserted + self.updated + self.unchanged

    @property
    def are_whole(self) -> bool:
        """Whether of every record that was given it is counted what became of it."""
        return self.given == self.outcomes

    @property
    def are_readable(self) -> bool:
        """Whether all of them are numbers that count something."""
        return all(is_count(value) for value in self.by_name().values())

    def by_name(self) -> dict[str, Any]:
        """Return the counts under the names that the ledger and reports have for them."""
        return {name: getattr(self, name) for name in NAMES}


# The counts of a load that has not begun.
NOTHING = Counts()


class HasCounts:
    """A value that has `counts`, and gives each of them as an attribute of its own."""

    __slots__ = ()

    counts: Counts

    @property
    def given(self) -> int:
        """The number of records that were given."""
        return self.counts.given

    @property
    def inserted(self) -> int:
        """The number of records that became new rows."""
        return self.counts.inserted

    @property
    def updated(self) -> int:
        """The number of records that changed a row."""
        return self.counts.updated

    @property
    def unchanged(self) -> int:
        """The number of records whose rows were there with the same values."""
        return self.counts.unchanged

    @property
    def rejected(self) -> int:
        """The number of records that were rejected."""
        return self.counts.rejected

    @property
    def deleted(self) -> int:
        """The number of rows that no record named, and that were deleted or marked for it."""
        return self.counts.deleted


def is_count(value: Any) -> bool:
    """Return whether a value of the ledger counts something."""
    return type(value) is int and value >= 0


def flattened(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a value as JSON has them: each count by its name in the place of `counts`."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        flat |= {each: value[each] for each in NAMES} if name == "counts" else {name: value}
    return flat
