"""Files of rejects as sources: which stored rejects their records name, and how they are read as their run read them.

Such a file has the columns of its source. How else its run read the source, the ledger has.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from async_loader.columns import Column, Type
from async_loader.errors import SourceError
from async_loader.formats import EVERY_COLUMN, STANDARD_DIALECT, STANDARD_SPELLINGS, as_facts
from async_loader.ledger.entries import is_run_id
from async_loader.ledger.layouts import Layout
from async_loader.records.batches import MARKS, REASONS, REJECT, are_of_rejects
from async_loader.sources.identity import is_read_once
from async_loader.sources.reader import Reader
from async_loader.sources.source import EVERYTHING, Source
from async_loader.sources.streams import BLOCK, Stream
from async_loader.tables import Table

# Records at the front that are asked which rejects they name.
_RECORDS = 1_000
# An encoding in which all bytes are text.
_ANY_BYTES = "latin-1"
# A column that no source has by itself, and what stands before or after it: the delimiter of the file, whatever program
# has saved it.
_BESIDE_MARK = re.compile(rb'(?:^|([^\w"]))"?(?:_reject|_reasons)"?(?:([^\w"])|$)')
# A table of which a file of rejects has every column that it must have: all that is read are the names of rejects.
_ANY = Table(
    "rejects",
    "",
    (
        Column("\0", Type.INTEGER, generated=True),
        Column(REASONS, Type.TEXT, nullable=True, default=None),
        Column(REJECT, Type.TEXT, nullable=True, default=None),
    ),
    key="\0",
    append=True,
)


@dataclass(frozen=True, slots=True)
class FileOfRejects:
    """A source that is a file of rejects.

    source: the source, with the delimiter that the file has. columns: those of the rejects, where the format has any.
    names: the stored rejects that the first records name. run: of a file without such names, the run by whose id its
    directory is called; empty where there is none.
    """

    source: Source
    columns: frozenset[str]
    names: tuple[str, ...]
    run: str


def file_of_rejects(source: Source) -> FileOfRejects | None:
    """Return what a file of rejects says of itself; None for another source, and for one that is read only once."""
    try:
        if is_read_once(source):
            return None
        source = _with_its_delimiter(source)
        columns, names = _front(source)
    except (OSError, SourceError):
        # What is wrong with the source is said where it is read.
        return None
    run = source.file.resolve().parent.name if source.file is not None else ""
    of_directory = run if not names and are_of_rejects(columns) and is_run_id(run) else ""
    return FileOfRejects(source, columns - {*MARKS, _ANY.key}, names, of_directory) if names or of_directory else None


def _with_its_delimiter(source: Source) -> Source:
    if source.kind != "csv":
        return source
    stream = Stream(source.address, source.codec, name=source.name, encoding=source.encoding, member=source.member)
    try:
        header = stream.read(BLOCK).removeprefix(codecs.BOM_UTF8).partition(b"\n")[0].removesuffix(b"\r")
    finally:
        stream.close()
    found = _BESIDE_MARK.search(header)
    beside = b"" if found is None else found[1] or found[2] or b""
    # Another one than the comma, which is the default, was given.
    if not (beside and beside.isascii()) or source.dialect.delimiter != ",":
        return source
    return replace(source, delimiter=beside.decode())


def _front(source: Source) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the columns of a source, and the stored rejects that its first records name."""
    spelled = source.read_as(source.encoding, source.dialect, STANDARD_SPELLINGS)
    plain = replace(spelled, names={}, constants={}, means_null=(), aliases={}, ignore=(EVERYTHING,), separators={})
    try:
        return _read_front(plain)
    except SourceError:
        if source.kind != "csv" or source.encoding:
            raise
        # The names of rejects can be read in whatever encoding their run read.
        return _read_front(plain.read_as(_ANY_BYTES, plain.dialect, STANDARD_SPELLINGS))


def _read_front(plain: Source) -> tuple[frozenset[str], tuple[str, ...]]:
    reader = Reader(plain, _ANY, _RECORDS)
    try:
        if not reader.is_rejects:
            return frozenset(), ()
        batch = reader.read()
        named = None if batch is None else batch.named_rejects
        names = () if named is None else tuple(named["name"])
        return frozenset(reader.columns), names
    finally:
        reader.close()


def as_its_run_read_it(source: Source, layout: Layout, columns: Collection[str] = ()) -> Source:
    """Return a source that is read as another one was. What was said of the source itself comes first.

    columns: those that the source has, if they are known; others, which a person has left out, are not asked for.
    """
    said = {*source.names, *source.constants}
    names = {column: name for column, name in layout.names if column not in said and name in (columns or (name,))}
    constants = {column: text for column, text in layout.constants if column not in said}
    is_plain = source.kind == "csv" and source.dialect == replace(STANDARD_DIALECT, delimiter=source.dialect.delimiter)
    # A program that saved the file may have chosen another delimiter.
    dialect = replace(layout.dialect.of_rejects, delimiter=source.dialect.delimiter) if is_plain else source.dialect
    spellings = source.spellings if source.spellings != STANDARD_SPELLINGS else layout.spellings
    return replace(
        source.read_as(source.encoding or (layout.encoding if source.is_text else ""), dialect, spellings),
        names={**names, **source.names},
        constants={**constants, **source.constants},
        means_null=source.means_null or layout.means_null,
        ignore=tuple(dict.fromkeys([*source.ignore, *layout.ignore])),
        separators={**dict(layout.separators), **source.separators},
    )


def options_of(table: str, source: Source) -> Iterator[str]:
    """Yield, as options of a command line, what is said of how a source is read."""
    yield from _format_options(table, source)
    for option, texts in (("--map", source.names), ("--set", source.constants)):
        for column, text in texts.items():
            yield f"{option} {table}.{column}={text}"
    for text in source.means_null:
        yield f"--null {table}={text}"
    for name in source.ignore:
        yield f"--ignore {table}.{name}"
    for field, text in source.separators.items():
        yield f"--separator {table}.{field}={text}" if field else f"--separator {text}"


def _format_options(table: str, source: Source) -> Iterator[str]:
    said = {"encoding": source.encoding} if source.encoding else {}
    said |= as_facts(replace(source.dialect, delimiter=",")) | as_facts(source.spellings)
    for name, value in said.items():
        option = f"--{name.replace('_', '-')}"
        match value:
            case True:
                yield option
            case dict():
                for column, texts in value.items():
                    target = table if column == EVERY_COLUMN else f"{table}.{column}"
                    yield from (f"{option} {target}={text}" for text in texts)
            case tuple() if name == "header":
                yield f"{option} {table}={','.join(value)}"
            case tuple():
                yield from (f"{option} {table}={text}" for text in value)
            case _:
                yield f"{option} {table}={value}"
