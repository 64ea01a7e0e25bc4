"""How far a run has come with a table, kept in the table's own database with its records. Steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from async_loader.effects import Call, Now, Steps
from async_loader.errors import StoreError
from async_loader.ledger.contents import CONTENTS, Content, contents_as_json
from async_loader.ledger.counts import NOTHING
from async_loader.ledger.entries import (
    COMPLETE,
    MISSING,
    PROCESS,
    RUNNING,
    SUPERSEDED,
    WAITING,
    Facts,
    TableRun,
    facts_of,
)
from async_loader.ledger.layouts import READ, layout_as_json
from async_loader.ledger.positions import positions_as_text
from async_loader.ledger.tally import Tally
from async_loader.loading.repeated_content import earlier_loads, supersede_repeated
from async_loader.run.reading import contents_read, layouts_read
from async_loader.run.state import RunState
from async_loader.sources.identity import with_checksum
from async_loader.tables import Table


def save(run: RunState, table: Table, state: str, facts: Facts | None = None) -> Steps[None]:
    """Keep in the ledger, in the open transaction, how far the run has come with a table; `facts` are more of these.

    A load that is complete supersedes the rejects that earlier loads of the same content have stored.
    """
    tally, database = run.tallies[table.name], run.database(table)
    contents: Mapping[str, Sequence[Content]] = contents_read(run, table)
    if state == COMPLETE and not run.plan.retried:
        contents = yield from _supersede_repeated(run, table, contents)
    sources, is_unchanged = _sources(run, table, contents, facts or {})
    line = TableRun(
        run=run.run,
        table_name=table.name,
        mode=run.plan.mode,
        sources=sources,
        state=state,
        counts=tally.counts,
        checkpoint=tally.records,
        started_at=run.began,
        finished_at=(yield Now()).isoformat() if state == COMPLETE else None,
    )
    yield from database.save_run(line, {"sources"} if is_unchanged else ())
    if state == COMPLETE:
        yield from database.go_on_counting(table)


def _sources(run: RunState, table: Table, contents: Mapping[str, Sequence[Content]], more: Facts) -> tuple[str, bool]:
    """Return what the ledger keeps of a table's sources, and whether that is what it has. Of a thousand sources it
    takes longer to make and to write than what a checkpoint is about.
    """
    tally, layouts = run.tallies[table.name], layouts_read(run.readers[table.name])
    superseded, missing = tally.superseded + tally.repeated, _missing(tally)
    described = (layouts, contents, superseded, missing, more, tally.waiting is None)
    before, text = run.described.get(table.name, (None, ""))
    if tally.waiting is None and described == before:
        return text, True
    facts = run.facts | more | {CONTENTS: contents_as_json(contents)}
    facts[READ] = [layout_as_json(path, layout) for path, layout in dict.fromkeys(layouts)]
    if tally.waiting is not None:
        facts[WAITING] = positions_as_text(tally.waiting)
    if missing:
        facts[MISSING] = missing
    if superseded:
        facts[SUPERSEDED] = dict(superseded)
    run.described[table.name] = described, (text := json.dumps(facts))
    return text, False


def _missing(tally: Tally) -> Facts:
    """Return what the ledger keeps of rows that no record names; nothing where none are deleted."""
    if tally.rows_before is None:
        return {}
    return {"rows": tally.rows_before, "referenced": tally.referenced, "not_deleted": tally.not_deleted}


def _supersede_repeated(
    run: RunState, table: Table, contents: Mapping[str, Sequence[Content]]
) -> Steps[Mapping[str, Sequence[Content]]]:
    """Delete the rejects of earlier loads of the same content. Returns the contents, with checksums where this load or
    an earlier one has rejects: without any, nothing needs to be compared.
    """
    tally, superseding = run.tallies[table.name], run.superseding(table)
    lines = yield from earlier_loads(superseding, chain.from_iterable(contents.values()))
    if lines or tally.counts.rejected:
        read = zip(run.plan.sources[table.name], run.readers[table.name], strict=True)
        sources = {source.name: (source.address, reader.content) for source, reader in read}
        contents = yield Call(_with_checksums, (contents, sources))
    tally.repeated = yield from supersede_repeated(superseding, lines, [*chain.from_iterable(contents.values())])
    return contents


def _with_checksums(
    contents: Mapping[str, Sequence[Content]], sources: Mapping[str, tuple[str, Content | None]]
) -> dict[str, list[Content]]:
    return {name: [with_checksum(each, *sources[name]) for each in several] for name, several in contents.items()}


def claim(run: RunState) -> Steps[None]:
    """Say in the ledgers of all tables that are left, in open transactions, that this process goes on with the run."""
    for table in run.remaining:
        line = run.committed.get(table.name) or TableRun(
            run=run.run,
            table_name=table.name,
            mode=run.plan.mode,
            sources=json.dumps(run.facts),
            state=RUNNING,
            counts=NOTHING,
            checkpoint=0,
            started_at=run.began,
            finished_at=None,
        )
        facts = facts_of(line) | {PROCESS: run.plan.run}
        yield from run.database(table).save_run(replace(line, sources=json.dumps(facts)))


def confirm(run: RunState, table: Table) -> Steps[None]:
    """Raise StoreError where another load has resumed this run, while no transaction of this one was open."""
    is_line = [run.database(table).mark(number) for number in (1, 2)]
    condition = f"run = {is_line[0]} AND table_name = {is_line[1]}"
    lines = yield from run.database(table).lines(condition, (run.run, table.name))
    committed = lines[0].checkpoint if lines else 0
    _, text = run.described.get(table.name, (None, None))
    is_own = not lines or lines[0].sources == text or facts_of(lines[0]).get(PROCESS, run.plan.run) == run.plan.run
    if not is_own or committed != run.tallies[table.name].kept.records:
        problem = f"another load goes on with run {run.run}, and has come to record {committed:,}"
        raise StoreError(table.database, f"table {table.name}: {problem}; let it finish")
