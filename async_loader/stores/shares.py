"""Shares of a load that several workers carry out, as a store keeps them: steps that a run takes in any store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from async_loader.effects import Steps


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sessions of a process find tables. settings: those that say so. schemas: what they come to, in words.
    ledger: a number that distinguishes the tables `loader_runs` in one database of a server.
    """

    settings: Mapping[str, str]
    schemas: str
    ledger: int | None


@dataclass(frozen=True, slots=True)
class Shares(ABC):
    """The shares that a database keeps: which of them is claimed, by the transaction that loads it, and its outcome.

    A share is called by its claim, which is the same however often the share is begun.
    """

    database: str

    @abstractmethod
    def place(self) -> Steps[Place]:
        """Return where this session finds tables."""

    @abstractmethod
    def guard(self) -> Steps[None]:
        """Begin a transaction that keeps loads from beginning in the database, but for shares, until it ends. One that
        has begun is waited for; LockedError where that takes too long.
        """

    @abstractmethod
    def claim(self, claim: str, run: str, table: str) -> Steps[bool]:
        """Take a share, in the open transaction. Returns whether it is taken by this one, and not by another that has
        been committed. While another transaction, not committed yet, has it, this waits; LockedError where that takes
        too long.
        """

    @abstractmethod
    def check_current(self, run: str, table: str) -> Steps[None]:
        """Raise StoreError where another load of the table has begun since this run did. None begins until the open
        transaction ends.
        """

    @abstractmethod
    def wait_for_others(self, table: str) -> Steps[None]:
        """Wait, in the open transaction, until no other one writes to the table; none does until this one ends."""

    @abstractmethod
    def conclude(self, claim: str, outcome: str) -> Steps[None]:
        """Keep the outcome of a share, in the open transaction."""

    @abstractmethod
    def outcome(self, claim: str) -> Steps[str | None]:
        """Return the outcome of a share; None where the share is not committed."""

    @abstractmethod
    def outcomes(self, run: str, table: str) -> Steps[list[str]]:
        """Return the outcomes of all shares of a table that are committed."""

    @abstractmethod
    def end_silent(self, session: str, seconds: float) -> Steps[bool]:
        """End the sessions of that name that have waited for their client for this many seconds: it no longer answers.
        Returns whether there were other sessions of the name at all.
        """
