"""Sources: what is read. Each format turns a stream into batches; a Reader counts them and cuts them to size.

To add a format: a module here with a class like the others', and a line in `_OPEN`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.types as kinds

from async_loader.errors import ConfigurationError, SourceError
from async_loader.ledger.contents import Content
from async_loader.ledger.layouts import Layout, mapping_parts
from async_loader.records.batches import MARKS, Batch, slices
from async_loader.sources.addresses import has_secret, is_remote, last_name, local_path, shown, without_secrets
from async_loader.sources.fields import Fields, fields_of
from async_loader.sources.opening import STDIN
from async_loader.sources.ranges import Stretch
from async_loader.sources.signatures import advice
from async_loader.sources.streams import CODECS, Stream
from async_loader.tables import Column, Table


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a path, an address that fsspec opens (`s3://bucket/users.csv`), or `-` for stdin.

    `format` is csv, jsonl, ndjson or parquet, the first three also with .gz, .bz2 or .zst added. By default the
    suffixes of the path name it, and stdin is csv. `delimiter` is for CSV.

    Raises ConfigurationError for an unknown format.

    names: by column of the table, the source's name of it if it has another; the source must have such a column.
    expected: by column, the source's name of it unless the source has a column of its own name.
    constants: by column, text that is the value of all records, even if the source has the column.
    means_null: text that stands for null.
    """

    path: str
    format: str = ""
    delimiter: str = ","
    names: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    means_null: tuple[str, ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if has_secret(self.path):
            raise ConfigurationError(
                f"{without_secrets(self.name)}: the address holds a secret, and every report would show it; "
                "give it in the environment"
            )
        self._refuse_bytes_that_are_no_text()
        if not self.format:
            object.__setattr__(self, "format", _format_of(self.path))
        kind, codec = self._parts()
        if kind not in _OPEN or codec not in ("", *CODECS) or (codec and kind == "parquet"):
            raise ConfigurationError(
                f"{self.name}: unknown format {self.format!r}; "
                f"known are {', '.join(_OPEN)}, the first three may end in {', '.join(CODECS)}"
            )
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n' or not self.delimiter.isascii():
            raise ConfigurationError(
                f"{self.name}: a delimiter is one ASCII character and no quote, not {self.delimiter!r}"
            )

    def _refuse_bytes_that_are_no_text(self) -> None:
        """Raise ConfigurationError for text with bytes that are not UTF-8; in the path of a file they may be."""
        texts = [*self.names.values(), *self.constants.values(), *self.means_null]
        if is_remote(self.path):
            texts.append(self.path)
        for text in texts:
            if shown(text) != text:
                raise ConfigurationError(f"{self.name}: '{shown(text)}' holds bytes that are not UTF-8")
        if "\0" in self.path:
            raise ConfigurationError(f"{self.name}: the name of a file holds no NUL")

    @property
    def name(self) -> str:
        """The path as reports, rejects and the ledger have it: a byte of it that is not UTF-8 is an escape."""
        return shown(self.path)

    @property
    def file(self) -> Path | None:
        """The local file that it is; None for stdin and for what is stored elsewhere."""
        return None if self.path == STDIN or is_remote(self.path) else Path(local_path(self.path))

    @property
    def kind(self) -> str:
        """The format less its compression."""
        return self._parts()[0]

    @property
    def suffix(self) -> str:
        """What of the format says how it is compressed, such as .gz; empty where it is not."""
        return self._parts()[1]

    @property
    def codec(self) -> str | None:
        """Pyarrow's name of the compression."""
        return CODECS.get(self.suffix)

    def _parts(self) -> tuple[str, str]:
        kind, dot, codec = self.format.partition(".")
        return kind, dot + codec


class Format(Protocol):
    """What a format's class offers once it has opened a stream and checked its columns against the table."""

    columns: list[str]
    # How these become the table's.
    fields: Fields
    ignored: list[str]
    # The types of the columns, for a format that has them.
    schema: pa.Schema | None

    def batches(self) -> Iterator[Batch]:
        """Yield all records, in order; they are read when they are asked for."""

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of all readable records, and maybe of some broken ones; null for one that is at fault."""

    def stretches(self, size: int) -> list[Stretch]:
        """Return all records, in parts of some `size` bytes as far as is known without reading them.

        It is asked of a whole source, and then nothing else is.
        """


class Reader:
    """An open source, or a stretch of one: its batches, cut to size, and how many records it has delivered."""

    def __init__(self, source: Source, table: Table, batch_size: int, stretch: Stretch | None = None) -> None:
        self.source = source
        self.delivered = 0
        self._batch_size = batch_size
        self._stream, self._format = opened_format(source, fields_of(source, table), stretch)
        self._batches = self._format.batches()
        self._waiting: deque[Batch] = deque()

    @property
    def layouts(self) -> tuple[Layout]:
        """How its records stand in it."""
        return (self._layout(),)

    def _names(self) -> dict[str, str]:
        """Return by column the source's name of it, if it is another."""
        return {column: name for column, name in self._format.fields.names.items() if column != name}

    def _layout(self) -> Layout:
        source, schema = self.source, self._format.schema
        table = self._format.fields.table
        finding = Layout(
            source.kind,
            match=table.match,
            append=table.append,
            on_missing=table.on_missing if table.on_missing != "insert" else "",
        )
        fields = replace(finding, **mapping_parts(self._names(), source.constants, source.means_null))
        if source.kind == "csv":
            columns = tuple(name for name in self._format.columns if name not in MARKS)
            return replace(fields, delimiter=source.delimiter, columns=columns)
        if schema is not None:
            return replace(fields, columns=tuple(schema.names), types=tuple(str(plain(each.type)) for each in schema))
        lookups = tuple(name for parts in self._format.fields.lookups.values() for name in parts)
        return replace(fields, absent=self._format.fields.absent, lookups=lookups)

    @property
    def ignored(self) -> list[str]:
        """The columns met so far that the table does not have."""
        return self._format.ignored

    @property
    def lookups(self) -> Mapping[str, Mapping[str, Column]]:
        """By column that references another table, the columns that the source gives in its place; see `Fields`."""
        return self._format.fields.lookups

    @property
    def content(self) -> Content | None:
        """The content of what can be read only once, when all of it has been read; None for all other sources."""
        content, constants = self._stream.content, tuple(sorted(self.source.constants.items()))
        return None if content is None else replace(content, constants=constants)

    @property
    def size(self) -> int | None:
        """In bytes on disk; None where unknown."""
        return self._stream.size

    def read(self) -> Batch | None:
        """Return the next records, one at least; None at the end. Raises SourceError if reading fails."""
        while not self._waiting:
            with self._stream.failures():
                batch = next(self._batches, None)
            if batch is None:
                self._stream.check_unchanged()
                self._stream.close()
                return None
            if len(batch):
                self._waiting.extend(slices(batch, self._batch_size))
        self.delivered += len(self._waiting[0])
        return self._waiting.popleft()

    def stretches(self, size: int) -> list[Stretch]:
        """Return all records, as the format divides them; then nothing can be read. Raises SourceError."""
        with self._stream.failures():
            return self._format.stretches(size)

    def close(self) -> None:
        """Release the source; harmless if that was done already."""
        self._stream.close()


def opened_format(source: Source, fields: Fields, stretch: Stretch | None = None) -> tuple[Stream, Format]:
    """Open a source, or a stretch of it, with its columns as these fields. The caller closes the stream.

    A SourceError says what else the source seems to be, if that can be seen.
    """
    stream = Stream(source.path, source.codec, stretch)
    try:
        return stream, _OPEN[source.kind](stream, fields, source, stretch)
    except BaseException as error:
        stream.close()
        if not isinstance(error, SourceError):
            raise
        other = advice(stream.front, fields.table.name, source.kind, source.suffix, source.name)
        if other is None:
            raise
        raise SourceError(source.name, other) from error


# Each format's libraries are imported when a source of it is read.
def _csv(stream: Stream, fields: Fields, source: Source, stretch: Stretch | None) -> Format:
    from async_loader.sources.csv import CsvSource

    return CsvSource(stream, fields, source.delimiter, stretch)


def _json_lines(stream: Stream, fields: Fields, _: Source, stretch: Stretch | None) -> Format:
    from async_loader.sources.jsonl import JsonLinesSource

    return JsonLinesSource(stream, fields, stretch)


def _parquet(stream: Stream, fields: Fields, _: Source, stretch: Stretch | None) -> Format:
    from async_loader.sources.parquet import ParquetSource

    return ParquetSource(stream, fields, stretch)


_OPEN: dict[str, Callable[[Stream, Fields, Source, Stretch | None], Format]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "parquet": _parquet,
}


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values alone, however the file keeps them."""
    if kinds.is_dictionary(kind):
        return plain(kind.value_type)
    if kinds.is_date64(kind):
        return pa.date32()
    return pa.string() if kinds.is_string_view(kind) else kind


def _format_of(path: str) -> str:
    if path == STDIN:
        return "csv"
    suffixes = [suffix.lower() for suffix in PurePath(last_name(path)).suffixes]
    if suffixes and suffixes[-1] in CODECS:
        return "".join(suffixes[-2:]).removeprefix(".")
    if suffixes:
        return suffixes[-1].removeprefix(".")
    raise ConfigurationError(f"{path}: has no suffix that names its format; name it, as in users:csv={path}")
