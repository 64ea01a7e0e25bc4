"""Files of mended rejects: their records are read, and find their rows, as those of the run that rejected them. Steps.

The ledger has how that run read its sources. What the options of this run say comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from async_loader.effects import Call, Connect, Steps, Tell
from async_loader.errors import SourceError
from async_loader.formats import STANDARD_DIALECT, STANDARD_SPELLINGS
from async_loader.ledger.layouts import Layout, layouts_by_path, layouts_by_table
from async_loader.ledger.reject_groups import with_parsed_names
from async_loader.run.inspection import Inspection
from async_loader.run.plan import Options, Plan
from async_loader.sources import Source
from async_loader.sources.fields import fields_of
from async_loader.sources.mended import FileOfRejects, as_its_run_read_it, file_of_rejects, options_of
from async_loader.sources.saved import why_another_encoding
from async_loader.stores import reject_queries
from async_loader.stores.store import Store
from async_loader.tables import Table


@dataclass(frozen=True, slots=True)
class _Mended:
    """A file of rejects, the run that rejected its records, and how that run read them, as far as its options said."""

    file: FileOfRejects
    run: str
    layout: Layout

    def source(self) -> Source:
        """Return the file as a source that is read as the run read its own."""
        return as_its_run_read_it(self.file.source, self.layout, self.file.columns)

    def found_as_before(self, table: Table, on_missing: str | None) -> Table:
        """Return the table whose records find their rows as those of the run did."""
        layout = self.layout
        return table.find_by(layout.match, append=layout.append, on_missing=on_missing or layout.on_missing or "insert")


@dataclass(frozen=True, slots=True)
class Mended:
    """A file of rejects, as the run that rejected them read its source.

    source: the file, with all that is to be said of how it is read. match, append, on_missing: how its records find
        their rows, as in a `Table`.
    """

    run: str
    source: Source
    match: tuple[str, ...]
    append: bool
    on_missing: str


def find_mended(inspection: Inspection, table: Table, source: Source) -> Steps[Mended | None]:
    """Return how the run of a file of rejects read them; None for another file, and where the ledger does not say."""
    file: FileOfRejects | None = yield Call(file_of_rejects, (source,))
    if file is None:
        return None
    database = inspection.databases[table.database]
    [found] = yield from _mended(database, inspection.options.lock_timeout, table, [file])
    if found is None:
        return None
    as_before = found.found_as_before(table, None)
    return Mended(found.run, found.source(), as_before.match, as_before.append, as_before.on_missing)


def plan_with_mended(plan: Plan) -> Steps[Plan]:
    """Return the plan whose files of rejects are read as their runs read them; as it is where there is nothing to say
    of them.
    """
    tables, sources = {table.name: table for table in plan.tables}, dict(plan.sources)
    for table in plan.loaded:
        given = plan.sources.get(table.name, ())
        files: list[FileOfRejects | None] = yield Call(_files, (given,))
        if not any(files):
            continue
        mended = yield from _mended(plan.databases[table.database], plan.options.lock_timeout, table, files)
        found = _found_as_before(plan.options, table, mended)
        read = [source if each is None else each.source() for source, each in zip(given, mended, strict=True)]
        for source, now, each in zip(given, read, mended, strict=True):
            for line in () if each is None else _lines(each, (table, source), (found, now)):
                yield Tell(line)
        # What is read as it was stays the same source, which is open.
        same = zip(given, read, strict=True)
        tables[table.name], sources[table.name] = found, tuple(old if old == new else new for old, new in same)
    if tables == {table.name: table for table in plan.tables} and sources == plan.sources:
        return plan
    return replace(plan, tables=tuple(tables.values()), sources=sources)


def _files(sources: Iterable[Source]) -> list[FileOfRejects | None]:
    return [file_of_rejects(source) for source in sources]


def _mended(
    database: Store, lock_timeout: float, table: Table, files: Iterable[FileOfRejects | None]
) -> Steps[list[_Mended | None]]:
    """Ask the table's ledger how the rejects of each file were read; None for another source, and where it says
    nothing.
    """
    yield Connect(database, lock_timeout, writable=False)
    yield from database.begin_reading()
    yield from database.check(table)
    mended: list[_Mended | None] = []
    for file in files:
        each = None if file is None else (yield from _mended_file(database, table, file))
        mended.append(each)
    yield from database.roll_back()
    return mended


def _mended_file(database: Store, table: Table, file: FileOfRejects) -> Steps[_Mended | None]:
    """Ask for the rejects that a file names; if none of them is stored any more, for the runs that they were of."""
    named = with_parsed_names(pl.DataFrame({"name": file.names}, schema={"name": pl.String}))
    stored = (yield from reject_queries.find_named(database, named, is_kept=False)) if len(named) else named
    runs = named["run"].unique(maintain_order=True).to_list() or [file.run]
    layouts: list[Layout] = []
    if is_stored := "path" in stored.columns and len(stored) > 0:
        runs = stored["run"].unique(maintain_order=True).to_list()
        for run, path in stored.select("run", "path").unique(maintain_order=True).rows():
            lines = yield from reject_queries.lines_of_run(database, run)
            layouts += layouts_by_table(lines, path).get(table.name, ())
    else:
        for run in runs:
            for line in (yield from reject_queries.lines_of_run(database, run)):
                if line.table_name == table.name:
                    layouts += [layout for several in layouts_by_path(line).values() for layout in several]
    ways = _ways(table, file, layouts)
    if is_stored and len(ways) > 1:
        problem = f"has rejects of {table.name} that were read in different ways, by run {' and run '.join(runs)}"
        raise SourceError(file.source.name, f"{problem}; `rejects export` writes a file for each")
    if len(ways) > 1:
        problem = f"names rejects that are gone, and run {runs[0]} read its sources in different ways"
        yield Tell(f"{file.source.name}: {problem}; it is read with the options given alone")
    if len(ways) != 1:
        return None
    layout = ways[0]
    if why := (yield Call(why_another_encoding, (file.source, layout.encoding))):
        keep = f"if it is {layout.encoding} as in run {runs[0]}, say --encoding {layout.encoding}"
        yield Tell(f"{file.source.name}: {why}: it is read so; {keep}")
        layout = replace(layout, encoding="")
    return _Mended(file, runs[0], layout)


def _ways(table: Table, file: FileOfRejects, layouts: Sequence[Layout]) -> list[Layout]:
    """Return what distinguishes some layouts, and is no fact of the file itself."""
    fitting = [layout for layout in layouts if file.columns and file.columns == set(layout.columns)]
    candidates = fields_of(file.source, table).candidates
    ways: dict[Layout, None] = {}
    for layout in fitting or layouts:
        # Under such a name the column is found anyway.
        names = tuple((column, name) for column, name in layout.names if name not in candidates.get(column, ()))
        dialect = layout.dialect.of_rejects
        way = replace(layout, kind="", dialect=dialect, columns=(), types=(), lookups=(), aliases=(), names=names)
        ways[way] = None
    return list(ways)


def _found_as_before(options: Options, table: Table, mended: Sequence[_Mended | None]) -> Table:
    """Return the table with the one way in which the records of all its sources find rows. SourceError where there are
    several.
    """
    if table.name in options.match or table.name in options.append:
        return table
    ways = [table if each is None else each.found_as_before(table, options.on_missing) for each in mended]
    other = next((each for each in ways if each != ways[0]), None)
    if other is None:
        return ways[0]
    name = next(each.file.source.name for each in mended if each is not None)
    problem = f"records of {table.name} find their rows in another way than those of other sources"
    raise SourceError(name, f"{problem}; load it by itself, or say how with --match or --append")


def _lines(mended: _Mended, given: tuple[Table, Source], now: tuple[Table, Source]) -> Iterator[str]:
    """Return lines about the options that come from the run, and those of it that do not count."""
    table, source = given
    name, said, effective = source.name, [*_options(*given)], [*_options(*now)]
    as_read = as_its_run_read_it(_plain(source), mended.layout, mended.file.columns)
    of_run = _options(mended.found_as_before(table, None), as_read)
    if added := [option for option in effective if option not in said]:
        yield f"{name}: read as in run {mended.run}, with {' '.join(added)}"
    if overruled := [option for option in of_run if option not in effective]:
        yield f"{name}: the options given come before those of run {mended.run}, which had {' '.join(overruled)}"


def _plain(source: Source) -> Source:
    plain = source.read_as("", STANDARD_DIALECT, STANDARD_SPELLINGS)
    return replace(plain, names={}, constants={}, means_null=(), ignore=(), separators={})


def _options(table: Table, source: Source) -> Iterator[str]:
    yield from options_of(table.name, source)
    if table.match:
        yield f"--match {table.name}={','.join(table.match)}"
    if table.append:
        yield f"--append {table.name}"
    if table.on_missing != "insert":
        yield f"--on-missing {table.on_missing}"
