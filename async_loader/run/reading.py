"""The sources of a run: opened before anything is written, and described as the ledger keeps them. Steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from async_loader.effects import Call, Steps
from async_loader.errors import SourceError
from async_loader.ledger.contents import Content, content_of
from async_loader.ledger.entries import DELETE_MISSING, PROCESS, RETRY, SHARE_SIZE, Facts
from async_loader.ledger.layouts import Layout
from async_loader.run.deletions import as_facts
from async_loader.run.state import RunState
from async_loader.sources import Reader, Source
from async_loader.sources.identity import Identity, identity, is_read_once
from async_loader.sources.reader import open_among
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.sources.stored_rejects import StoredReader


def open_sources(state: RunState) -> Steps[None]:
    """Open all that the run reads, so that a source that cannot be read shows before anything is locked. Of many
    sources, each is closed until its turn comes. Files of rejects are read as their runs read them.
    """
    problem = yield from _open_all(state)
    # A source that cannot be read at all says nothing of itself.
    if not state.plan.options.rejects_as_given and (
        (problem is not None and problem[1].__cause__ is None)
        or any(reader.is_rejects for readers in state.readers.values() for reader in readers)
    ):
        from async_loader.run.mended import plan_with_mended

        plan = yield from plan_with_mended(state.plan)
        if plan is not state.plan and (problem is None or not is_read_once(problem[0])):
            state.plan = plan
            problem = yield from _open_all(state)
    if problem is not None:
        raise problem[1]
    if any(table.links for table in state.plan.loaded):
        from async_loader.run.links import with_used_links

        state.plan = with_used_links(state.plan, state.readers)
    state.facts = yield Call(_facts, (state,))
    state.facts[PROCESS] = state.plan.run
    state.contents = {
        name: [known and content_of(known) for known in identities]
        for name, identities in state.facts["tables"].items()
    }


def _open_all(state: RunState) -> Steps[tuple[Source, SourceError] | None]:
    """Open what is not open yet. Returns the first source that does not fit, and why; None where all do."""
    plan = state.plan
    among = sum(map(len, plan.sources.values()))
    for table in plan.loaded:
        # Those of before are closed with the others where the run ends meanwhile.
        before = state.readers.get(table.name, ())
        state.readers[table.name] = opened = [*before]
        for source in plan.sources.get(table.name, ()):
            try:
                opened.append((yield Call(_opened, (before, among, source, table, plan.options.batch_size))))
            except SourceError as error:
                return source, error
        if table.name in plan.retried:
            from async_loader.sources.stored_rejects import StoredReader

            retried = plan.retried[table.name]
            opened += [StoredReader(selection, table, plan.options.batch_size) for selection in retried]
        del opened[: len(before)]
    return None


def _opened(before: Iterable[Reader], among: int, source: Source, table: Table, batch_size: int) -> Reader:
    """Open a source; what is read once stays open as it is."""
    for reader in before:
        if reader.source is source and not reader.can_be_opened_again:
            return reader
        if reader.source.name == source.name:
            reader.close()
    return open_among(among, source, table, batch_size)


def _facts(state: RunState) -> Facts:
    """Return what the run reads, as `loader_runs` keeps it."""
    plan = state.plan
    tables = {
        table.name: _identities(plan.sources.get(table.name, ()), state.readers[table.name]) for table in plan.loaded
    }
    facts: Facts = {"on_conflict": plan.options.on_conflict, "tables": tables}
    if plan.options.delete_missing:
        facts[DELETE_MISSING] = as_facts(plan.options.delete_missing)
    if plan.cluster is not None:
        facts[SHARE_SIZE] = plan.cluster.share_size
    return facts | ({RETRY: True} if plan.retried else {})


def _identities(sources: Iterable[Source], readers: Iterable[Any]) -> list[Identity | None]:
    """Return what identifies each source, with the one name of the part that is read."""
    return [identity(source, reader.part) for source, reader in zip(sources, readers, strict=False)]


def contents_read(state: RunState, table: Table) -> dict[str, list[Content]]:
    """Return the contents that a table is loaded from, by the names of the sources, as far as they are known: those of
    stdin and pipes when they have been read.
    """
    contents: dict[str, list[Content]] = {}
    for reader, known in zip(state.readers[table.name], state.contents[table.name], strict=False):
        content = known if known is not None else reader.content
        contents.setdefault(reader.source.name, []).extend([content] if content is not None else [])
    for selection in state.plan.retried.get(table.name, ()):
        contents.setdefault(selection.name, []).extend(selection.contents)
    return contents


def layouts_read(readers: Iterable[Reader | StoredReader]) -> list[tuple[str, Layout]]:
    """Return how a table's sources are read, as far as that is known: names and layouts."""
    return [(reader.source.name, layout) for reader in readers for layout in reader.layouts]
