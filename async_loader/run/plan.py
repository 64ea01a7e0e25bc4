"""What a run is to do, checked before anything is opened: which tables from which sources into which databases, how.

Values only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from async_loader.errors import ConfigurationError
from async_loader.ledger.reject_groups import Selection
from async_loader.loading.sides import RejectFile
from async_loader.run.cluster import Cluster
from async_loader.run.deletions import Mark, Referrer, check_asked, check_deletions
from async_loader.sources import Source
from async_loader.sources.fields import fields_of
from async_loader.sources.headers import nearest_name
from async_loader.sources.opening import STDIN
from async_loader.stores.store import Store
from async_loader.table_order import databases_in_commit_order, in_reference_order
from async_loader.tables import Table

# Seconds to wait for a lock, unless the caller says otherwise.
LOCK_TIMEOUT = 30.0
# SQLite counts milliseconds in 32 bits.
LONGEST_LOCK_TIMEOUT = 2_147_483

ON_CONFLICT = ("reject", "update", "stop")
ON_MISSING = ("insert", "reject")


@dataclass(frozen=True, slots=True)
class Options:
    """How to load. Raises ConfigurationError for a value out of range.

    on_conflict: what to do with a key that the database holds with other values: reject the record, update the row, or
        stop the run.
    batch_size: records judged and written at a time, at most.
    max_rejects: more rejects than this end the run; None is any number.
    dry_run: read and check, write nothing to any database.
    report_rejects: how many rejects a table's report names.
    lock_timeout: seconds to wait for a database that another transaction holds.
    rejects_dir: where to write the rejects as files, `<run>/<table>.<format>`; None for nowhere.
    commit_every: records of a table per transaction, each with a checkpoint from which a later run goes on; 0 for one
        transaction per database.
    restart: begin anew, even where an earlier run of the same sources is unfinished.
    match: by table, the columns by which its records find their rows.
    append: the tables of which every record is a new row; again: also where a complete run has appended the same.
    on_missing: what becomes of a record that finds no row by its match columns, or by the key: insert it, or reject it.
        None is as the table is declared.
    delete_missing: the tables of which the rows are deleted, or marked, that no record of the run names.
    max_deletes: how many rows that may be: a number of all tables together, or a percentage of each table's rows as
        text, such as "5%". With more, nothing is kept.
    referrers: columns of other tables than the run's that may name such rows, which are kept then.
    rejects_as_given: read files of rejects with what is said of them alone, and not as their runs read their sources.
    """

    on_conflict: str = "reject"
    batch_size: int = 100_000
    max_rejects: int | None = None
    dry_run: bool = False
    report_rejects: int = 100
    lock_timeout: float = LOCK_TIMEOUT
    rejects_dir: Path | None = None
    commit_every: int = 0
    restart: bool = False
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    append: frozenset[str] = frozenset()
    again: bool = False
    on_missing: str | None = None
    delete_missing: Mapping[str, Mark | None] = field(default_factory=dict)
    max_deletes: int | str | None = None
    referrers: tuple[Referrer, ...] = ()
    rejects_as_given: bool = False

    def __post_init__(self) -> None:
        if self.on_conflict not in ON_CONFLICT:
            raise ConfigurationError(f"on_conflict is one of {', '.join(ON_CONFLICT)}, not {self.on_conflict!r}")
        if self.on_missing not in (None, *ON_MISSING):
            raise ConfigurationError(f"on_missing is one of {', '.join(ON_MISSING)}, not {self.on_missing!r}")
        for table in self.append & set(self.match):
            raise ConfigurationError(f"table {table}: --match finds rows, and --append makes new ones: choose one")
        check_asked(self.delete_missing, self.max_deletes)
        if self.batch_size < 1:
            raise ConfigurationError(f"batch_size is at least 1, not {self.batch_size}")
        for name in ("max_rejects", "report_rejects", "commit_every"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigurationError(f"{name} is at least 0, not {getattr(self, name)}")
        if self.commit_every and self.max_rejects is not None:
            raise ConfigurationError(
                "--max-rejects keeps nothing of a run, --commit-every keeps what came before: choose one"
            )
        if not 0 <= self.lock_timeout <= LONGEST_LOCK_TIMEOUT:
            raise ConfigurationError(f"lock_timeout is from 0 to {LONGEST_LOCK_TIMEOUT}, not {self.lock_timeout}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do: `tables` in reference order with all that they reference, `sources` by table name.

    cluster: the workers that the run is spread over; None where it goes on in this process alone.
    retried: by table name, stored rejects to try again in the place of sources.
    reject_file: makes, for a run's id and a table, a place for its rejects besides the database; None for none.

    Raises ConfigurationError where a source has no table, or names or constants for what is none of its columns or
    values; a table no database; or stdin two readers.
    """

    run: str
    mode: str
    tables: tuple[Table, ...]
    sources: Mapping[str, tuple[Source, ...]]
    databases: Mapping[str, Store]
    options: Options
    retried: Mapping[str, tuple[Selection, ...]] = field(default_factory=dict)
    cluster: Cluster | None = None
    reject_file: Callable[[str, Table], RejectFile] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", in_reference_order(self._in_turn(self._finding_rows())))
        databases_in_commit_order(self.tables if self.sources else self.loaded)
        names = [table.name for table in self.tables]
        for name in self.sources:
            if name not in names:
                near = nearest_name(name, names)
                hint = f"did you mean {near!r}?" if near else f"there are {', '.join(sorted(names))}"
                raise ConfigurationError(f"no table is called {name!r}; {hint}")
        check_databases(self.tables, self.databases)
        if any(table.parents for table in self.tables):
            from async_loader.stores.inherited import for_tables

            object.__setattr__(self, "databases", for_tables(self.databases, self.tables))
        if self.options.dry_run:
            from async_loader.stores.dry import dry

            object.__setattr__(self, "databases", {name: dry(store) for name, store in self.databases.items()})
        for table in self.tables:
            for source in self.sources.get(table.name, ()):
                fields_of(source, table)
        if sum(source.address == STDIN for sources in self.sources.values() for source in sources) > 1:
            raise ConfigurationError("stdin can be read for one source only")
        check_deletions(self)
        self._check_given()
        if self.cluster is not None:
            self._check_spread()

    def _check_given(self) -> None:
        """Raise ConfigurationError where records that come only once are to be read twice."""
        given = [source for sources in self.sources.values() for source in sources if source.data is not None]
        once = [source for source in given if hasattr(source.data, "__next__") or hasattr(source.data, "__anext__")]
        for place, source in enumerate(once):
            if any(source.data is other.data for other in once[:place]):
                raise ConfigurationError(f"{source.name}: an iterator can be read for one source only")

    def _finding_rows(self) -> list[Table]:
        """Return the tables whose records find their rows as the options say."""
        options, tables = self.options, {table.name: table for table in self.tables}
        for name in (*options.match, *options.append):
            if name not in tables:
                problem = f"no source is for {name!r}, of which match or append speaks"
                raise ConfigurationError(f"{problem}; there are tables {', '.join(sorted(tables))}")
        return [
            table.find_by(
                options.match.get(name, ()),
                append=name in options.append,
                on_missing=options.on_missing if self.sources.get(name) else None,
            )
            for name, table in tables.items()
        ]

    def _in_turn(self, tables: Sequence[Table]) -> list[Table]:
        """Return tables of which those come later that reference rows which a table with parents stores as well.
        ConfigurationError where two tables would store rows of one parent.
        """
        loaded = [table for table in tables if self.paths(table)]
        names = {table.name: {table.name, *(parent.name for parent in table.parents)} for table in loaded}
        for table, other in combinations(loaded, 2):
            if shared := names[table.name] & names[other.name]:
                rows = f"{table.name} and {other.name} both store rows of {min(shared)}"
                raise ConfigurationError(f"tables {rows}; load them one after the other")
        children = [table for table in loaded if table.parents]
        return [
            replace(
                table,
                after=tuple(
                    each.name for each in children if each.name != table.name and names[each.name] & {*table.targets}
                ),
            )
            if children
            else table
            for table in tables
        ]

    def _check_spread(self) -> None:
        """Raise ConfigurationError for what cannot be done by several workers."""
        if self.options.commit_every:
            raise ConfigurationError("--commit-every: workers commit share by share; say how large with --share-size")
        for table in self.loaded:
            if table.after:
                problem = f"it references rows that {', '.join(table.after)} stores too; load one after the other"
                raise ConfigurationError(f"table {table.name}: {problem}, or choose another mode")
        if self.retried:
            raise ConfigurationError("stored rejects are tried again in one process; choose another mode")
        for table in self.loaded + self.referenced_only:
            # Raises where it keeps none.
            _ = self.databases[table.database].shares
        if shared := self.path_of_two_tables:
            database, path = shared
            problem = f"{path} goes into two tables of one database; load them one after the other"
            raise ConfigurationError(f"database {database}: {problem}")
        for table in self.loaded:
            if any(source.address == STDIN for source in self.sources[table.name]):
                raise ConfigurationError(f"{table.name}: workers cannot read this process's stdin; name a file")
            if given := next((source.name for source in self.sources[table.name] if source.data is not None), None):
                problem = f"workers cannot read {given}, which this process alone has"
                raise ConfigurationError(f"{table.name}: {problem}; write it to a file, or choose another mode")

    @property
    def loaded(self) -> tuple[Table, ...]:
        """The tables that have sources, in reference order."""
        return tuple(table for table in self.tables if self.paths(table))

    @property
    def referenced_only(self) -> tuple[Table, ...]:
        """The tables that are referenced by those, and have no sources themselves."""
        names = {target for table in self.loaded for target in table.targets}
        return tuple(table for table in self.tables if table.name in names and table not in self.loaded)

    def link_tables(self, database: str) -> list[Table]:
        """Return the link tables of a database whose rows the run may change, each under that database's name."""
        here = [table for table in self.loaded if table.database == database]
        return [replace(links.rows, database=database) for table in here for links in table.used_links]

    def paths(self, table: Table) -> tuple[str, ...]:
        """Return what the table is loaded from, each path once where rejects are tried again."""
        again = dict.fromkeys(selection.name for selection in self.retried.get(table.name, ()))
        return (*(source.name for source in self.sources.get(table.name, ())), *again)

    @property
    def path_of_two_tables(self) -> tuple[str, str] | None:
        """A database, and a path that two of its tables are loaded from: a stored reject of it may be of either."""
        homes: dict[tuple[str, str], str] = {}
        for table in self.loaded:
            for path in self.paths(table):
                if homes.setdefault((table.database, path), table.name) != table.name:
                    return table.database, path
        return None


def check_databases(tables: Iterable[Table], databases: Mapping[str, Store]) -> None:
    """Raise ConfigurationError for a table in a database that is not configured."""
    for table in tables:
        if table.database not in databases:
            raise ConfigurationError(f"table {table.name} is in database {table.database!r}, which is not configured")
