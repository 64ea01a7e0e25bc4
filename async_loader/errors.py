"""Every error the engine raises, by whose fault it is.

Facts are attributes; the text is one line for a person: what is wrong, where, and what to do. All of them can be
pickled, because they cross threads today and may cross processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from async_loader.effects import Refusal
    from async_loader.ledger.report import Report


class LoaderError(Exception):
    """The root. On an error that ended a run, `report` is what the run had counted by then, and `kept` what it had
    committed and what to do about the rest, in words; empty where nothing is committed. `status` is that of a run that
    it ended.
    """

    status = "failed"
    report: Report | None = None
    kept: str = ""

    @property
    def text(self) -> str:
        """The whole line: what went wrong, and what was kept."""
        return f"{self}; {self.kept}" if self.kept else str(self)


class InvalidValueError(ValueError):
    """Raised by the `convert` of a column for what is no value of it: no error of the loader, but a record's reason.

    code: of the reason; one by which the loader calls a fault of its own is made "invalid".
    """

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


class ConfigurationError(LoaderError):
    """The declaration or the call is at fault: a rule on an unknown column, a reference that leads nowhere."""


class ClusterError(LoaderError):
    """Workers cannot be had, or were lost: the scheduler, or what a worker needs."""

    def __init__(self, cluster: str, problem: str) -> None:
        super().__init__(cluster, problem)
        self.cluster = cluster
        self.problem = problem

    def __str__(self) -> str:
        return f"cluster {self.cluster}: {self.problem}"


class SourceError(LoaderError):
    """A source cannot be read to its end. Single bad records are rejects, never this error."""

    def __init__(self, source: str, problem: str, line: int | None = None) -> None:
        super().__init__(source, problem, line)
        self.source = source
        self.problem = problem
        self.line = line

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{where}: {self.problem}"


class StoreError(LoaderError):
    """A database cannot take or give records: locked, full, read-only, or of another shape than declared."""

    def __init__(self, database: str, problem: str) -> None:
        super().__init__(database, problem)
        self.database = database
        self.problem = problem

    def __str__(self) -> str:
        return f"database {self.database}: {self.problem}"


class UnreachableError(StoreError):
    """A database's server went away, cannot be reached, or ended a deadlock: the same may succeed a little later."""


class LockedError(StoreError):
    """Another session held a lock for too long."""


class RefusedError(StoreError):
    """A constraint or a trigger of the database refused a row of a statement, of which nothing was done.

    refusal: what the database said of it, with the constraint; None where it was not a constraint.
    """

    refusal: Refusal | None = None


class ConflictError(StoreError):
    """With `on_conflict="stop"`: the database holds a key of the source with other values."""


class OverLimitError(LoaderError):
    """More records were rejected than `max_rejects` allows."""

    status = "over-limit"

    def __init__(self, rejected: int, limit: int) -> None:
        super().__init__(rejected, limit)
        self.rejected = rejected
        self.limit = limit

    def __str__(self) -> str:
        so_far = f"more rejects than the {self.limit} allowed, {self.rejected} so far"
        return f"{so_far}{'' if self.kept else ': nothing was kept'}; mend the source or allow more"


class DeleteLimitError(LoaderError):
    """More rows would be deleted than `max_deletes` allows."""

    status = "over-limit"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        nothing = "nothing was deleted" if self.kept else "nothing was kept"
        return f"{self.problem}: {nothing}; look at the sources, or allow more"


class OutputError(LoaderError):
    """A file of rejects cannot be written."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: cannot be written: {self.problem}"


class LedgerError(LoaderError):
    """Counts that must agree do not: a defect of the loader or of a store. Nothing is kept."""


def one_line(error: BaseException) -> str:
    """Return what an error of a library says, as one line."""
    return " ".join(str(error).split()) or type(error).__name__
