"""What an earlier run has committed, found in the ledgers and counted before this one goes on with it. Steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from async_loader.effects import Call, Steps, Tell
from async_loader.errors import SourceError
from async_loader.ledger.appending import earlier_appends
from async_loader.ledger.entries import COMPLETE, PREVIOUS, SHARE_SIZE, TableRun, facts_of
from async_loader.ledger.outcomes import outcome_from
from async_loader.ledger.resuming import NotResumable, UnfinishedRun, run_to_resume
from async_loader.records.validation import used_values
from async_loader.run.plan import Plan
from async_loader.run.state import RunState
from async_loader.stores import reject_queries
from async_loader.tables import Table

# By source and unique column, lines of records that were rejected because their value was another row's.
UsedValues: TypeAlias = Mapping[tuple[str, str], Sequence[int]]


def resume(state: RunState) -> Steps[None]:
    """Find the earlier run that this one resumes, if there is one; where one is not resumed, report why."""
    last = {}
    for table in state.plan.loaded:
        line = yield from state.database(table).last_run(table)
        if line is not None:
            last[table.name] = line
    state.facts[PREVIOUS] = {name: line.run for name, line in last.items()}
    earlier = None if state.plan.options.restart else run_to_resume(state.facts, last)
    if isinstance(earlier, UnfinishedRun) and (why := obstacle(state.plan)):
        earlier = NotResumable(earlier.run, why)
    match earlier:
        case NotResumable():
            yield Tell(earlier.message)
        case UnfinishedRun():
            yield Tell(earlier.message([table.name for table in state.plan.loaded]))
            state.resume(earlier)


def refuse_repeated(state: RunState) -> Steps[None]:
    """Raise SourceError where what is to be appended has been appended before: every record would be a second row."""
    if state.plan.options.again:
        return
    for table in state.remaining:
        if not table.append or table.name in state.committed:
            continue
        lines = yield from state.database(table).loads_of(table)
        for path, line in earlier_appends(state.facts["tables"][table.name], lines):
            if line.state == COMPLETE:
                when = (line.finished_at or line.started_at).partition(".")[0]
                problem = f"was loaded into {table.name} by run {line.run}, complete at {when}"
                raise SourceError(path, f"{problem}; to append it once more, load with --again")
            if (part := (yield from _appended_part(state, table, line))) is not None:
                problem = f"run {line.run}, which is not resumed, has appended {part} of its sources to {table.name}"
                advice = "load only what is missing, or append all of it with --again"
                raise SourceError(path, f"{problem}, and this is one of them; {advice}")


def _appended_part(state: RunState, table: Table, line: TableRun) -> Steps[str | None]:
    """Return how much of a table's sources an unfinished run has appended, in words; None where it is nothing."""
    if SHARE_SIZE not in facts_of(line):
        records = line.checkpoint
    else:
        shares = yield from state.database(table).shares.outcomes(line.run, table.name)
        records = sum(outcome_from(share, table).counts.given for share in shares)
    return f"{records:,} records" if records else None


def obstacle(plan: Plan) -> str | None:
    """Return why the rejects of an earlier run could not be attributed to their records; None where they can."""
    if twice := _path_read_twice(plan):
        return f"{twice} is read twice, and its rejects cannot be attributed"
    if shared := plan.path_of_two_tables:
        return f"{shared[1]} went into two tables of one database, whose rejects cannot be attributed"
    return None


def _path_read_twice(plan: Plan) -> str | None:
    """Return a path that a table with unique columns is loaded from twice."""
    for table in plan.loaded:
        paths = plan.paths(table)
        for path in paths:
            if table.judged_sets and paths.count(path) > 1:
                return path
    return None


def restore(state: RunState, line: TableRun) -> Steps[UsedValues]:
    """Count what has been committed of a table, and write the files of its rejects anew. Returns, by source and unique
    column, the lines of the records that were rejected because their value was another row's.
    """
    used: dict[tuple[str, str], list[int]] = {}
    tally, readers, files = state.tallies[line.table_name], state.readers[line.table_name], state.files
    tally.restore(line)
    for reader in readers:
        tally.notice(reader.ignored)
    database = state.plan.databases[tally.database]
    codes = {each.code for table in state.plan.loaded if table.name == line.table_name for each in table.judged_sets}
    for reader in {reader.source.name: reader for reader in readers}.values():
        last = None
        while page := (yield from reject_queries.page_of_source(database, state.run, reader.source.name, last)):
            last, rejects = page[-1], reject_queries.as_judged(page)
            yield Call(tally.restore_rejects, (reader.source.name, rejects))
            if line.table_name in files:
                yield Call(files[line.table_name].write, (reader, rejects))
            for column, number in (yield Call(used_values, (rejects, codes))):
                used.setdefault((reader.source.name, column), []).append(number)
    return used
