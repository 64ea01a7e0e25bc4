"""How records stand in a source, and how the ledger keeps that, for stored rejects to be read in the same way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from async_loader.formats import (
    STANDARD_DIALECT,
    STANDARD_SPELLINGS,
    Dialect,
    Spellings,
    as_facts,
    dialect_from,
    spellings_from,
)
from async_loader.ledger.entries import TableRun, facts_of

# In the JSON of `loader_runs.sources`, beside what identifies each source: how each one of the line's table was read.
READ = "read"
# The kinds of sources whose rejects can be read again, each also the suffix of a file of rejects.
KINDS_OF_REJECTS = ("csv", "jsonl", "json", "parquet", "xlsx")


@dataclass(frozen=True, slots=True)
class Layout:
    """How records stand in a source. `kind` is csv, jsonl, ndjson (but another name of that), json, parquet or xlsx.

    dialect, columns: of CSV; of Parquet the columns that are read, with their `types` as pyarrow writes them.
    names, constants, means_null, ignore: how its fields become the table's columns, as in a `Source`; the first two as
        pairs.
    lookups: of JSON, the names under which it gives other columns of referenced tables than their keys.
    aliases: of JSON, in which each record may have a column under another name, the names of such columns.
    match, append, on_missing: how records found their rows, as in a `Table`.
    separators: what stands between the values of lists in text, as pairs.
    encoding: of text, if it is not UTF-8. spellings: how values are spelled.
    """

    kind: str
    dialect: Dialect = STANDARD_DIALECT
    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    means_null: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    match: tuple[str, ...] = ()
    append: bool = False
    on_missing: str = ""
    separators: tuple[tuple[str, str], ...] = ()
    encoding: str = ""
    spellings: Spellings = STANDARD_SPELLINGS


def mapping_parts(names: Any, constants: Any, means_null: Any) -> dict[str, Any]:
    """Return how a source's fields become columns, as parts of a layout."""
    pairs = {"names": names, "constants": constants}
    parts = {name: tuple(sorted(dict(value).items())) for name, value in pairs.items() if isinstance(value, Mapping)}
    return parts | {"means_null": _texts(means_null)}


def layout_as_json(path: str, layout: Layout) -> dict[str, Any]:
    """Return how a source was read, as `loader_runs` keeps it."""
    pairs = {name: dict(getattr(layout, name)) for name in ("names", "constants", "aliases", "separators")}
    facts = {each.name: getattr(layout, each.name) for each in fields(layout)} | pairs
    of_format = as_facts(facts.pop("dialect")) | as_facts(facts.pop("spellings"))
    if layout.kind == "csv":
        of_format = {"delimiter": layout.dialect.delimiter} | of_format
    return {"path": path} | {name: value for name, value in facts.items() if value} | of_format


# Each of a run's many sources asks the same line.
@lru_cache(maxsize=8)
def layouts_by_path(line: TableRun) -> Mapping[str, Sequence[Layout]]:
    """Return, by path, the layouts in which sources of the line's table were read, as far as the line says."""
    listed = facts_of(line).get(READ)
    layouts: dict[str, list[Layout]] = {}
    for entry in listed if isinstance(listed, list) else identities(line):
        facts = entry if isinstance(entry, dict) else {}
        if isinstance(path := facts.get("path"), str):
            layouts.setdefault(path, []).append(_layout_from(facts))
    return layouts


def layouts_by_table(lines: Iterable[TableRun], path: str) -> dict[str, Sequence[Layout]]:
    """Return, by table, how the lines of one run in one database say that the source of this path was read; an empty
    list where a line does not say how.
    """
    lines = list(lines)
    layouts = {line.table_name: layouts_by_path(line).get(path) for line in lines}
    known = {table: several for table, several in layouts.items() if several is not None}
    # Of an older line that names no path, all that can be said is that its source is the only one.
    return known or {line.table_name: [] for line in lines if _is_nameless(line)}


def layout_with_columns(layouts: Sequence[Layout], columns: Iterable[str]) -> Layout:
    """Return the layout, among these, that has just these columns; the first one where none has."""
    wanted = set(columns)
    return next((layout for layout in layouts if set(layout.columns) == wanted), layouts[0])


def identities(line: TableRun) -> Iterator[Any]:
    """Return what identifies each source of the line's table, as far as the line says."""
    tables = facts_of(line).get("tables")
    entries = tables.get(line.table_name) if isinstance(tables, dict) else None
    return iter(entries if isinstance(entries, list) else [])


def _layout_from(facts: Mapping[str, Any]) -> Layout:
    # A line that is older than layouts has the whole format.
    kind = str(facts.get("kind") or facts.get("format", "")).partition(".")[0]
    return Layout(
        kind="jsonl" if kind == "ndjson" else kind,
        dialect=dialect_from(facts) if kind == "csv" else STANDARD_DIALECT,
        columns=_texts(facts.get("columns")),
        types=_texts(facts.get("types")),
        ignore=_texts(facts.get("ignore")),
        lookups=_texts(facts.get("lookups")),
        aliases=_aliases(facts.get("aliases")),
        match=_texts(facts.get("match")),
        append=facts.get("append") is True,
        on_missing=str(facts.get("on_missing") or ""),
        separators=tuple(sorted((facts.get("separators") or {}).items())),
        encoding=str(facts.get("encoding") or ""),
        spellings=spellings_from(facts),
        **mapping_parts(*(facts.get(name) for name in ("names", "constants", "means_null"))),
    )


def _aliases(names: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    pairs = names.items() if isinstance(names, dict) else ()
    return tuple((str(column), _texts(several)) for column, several in pairs)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list | tuple) else ()


def _is_nameless(line: TableRun) -> bool:
    return READ not in facts_of(line) and None in identities(line)
