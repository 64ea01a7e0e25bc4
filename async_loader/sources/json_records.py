"""Records of JSON, whatever they are cut from: each object is decoded by itself, so that a bad one is one reject.

The records at the front, those of the first batch that has any, say which columns the source has. A later record may
have others, and lack any: what it lacks is its own affair. But where the front lacks optional columns, a name that the
table does not know is refused wherever it stands, so that the answer depends on no cut into blocks or parts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec
import polars as pl

from async_loader.errors import SourceError
from async_loader.records.batches import MARKS, REASONS, REJECT, Batch, Broken
from async_loader.sources.fields import Fields
from async_loader.sources.flat_json import decoder_of, field_of
from async_loader.sources.headers import (
    listed,
    misspelt,
    misspelt_problem,
    names_no_column,
    nearest_name,
    refused_column,
    several_names,
    unknown_beside_absent,
    wrong_lookup,
)
from async_loader.sources.json_objects import exact_reals, nested_names, object_reader, transcoded
from async_loader.sources.json_values import Lines, Typed, column_values, typed, under_two_names
from async_loader.sources.streams import Stream

# Names that the table does not know and that are remembered; more are read past without a word.
MOST_IGNORED = 1_000


class JsonRecords:
    """Records of a source, made of objects of JSON. `ignored` grows by the keys met that the table does not have."""

    schema = None
    part = ""

    def __init__(self, stream: Stream, fields: Fields) -> None:
        self._stream = stream
        self.fields = fields
        self.columns = list(fields.names.values())
        self.ignored: list[str] = []
        self.is_rejects = False
        # The names of columns that the records at the front have; None as long as there was no record.
        self._front: tuple[str, ...] | None = None
        self._read, self._real = object_reader(fields), exact_reals(fields)
        # Members in which others are looked for are known.
        self._parents = {name.partition(".")[0] for name in nested_names(fields)}

    def batch(self, lines: list[tuple[int, bytes]]) -> Batch:
        """Return the records that stand in these texts, each with its number, read one by one."""
        records, broken, numbers, texts = [], [], [], []
        for number, line in lines:
            record = self._read(number, line)
            if isinstance(record, Broken):
                broken.append(transcoded(record, line) if self._stream.encoding else record)
                continue
            records.append(record)
            numbers.append(number)
            texts.append(line)
        met = dict.fromkeys(chain.from_iterable(records))
        if records:
            self.notice(met, records, numbers)
        batch = self.made(typed(self.fields, records, texts), numbers, texts)
        return replace(batch, broken=tuple(broken), supersedes=_supersedes(records) if REJECT in met else None)

    def made(self, columns: Typed, numbers: Sequence[int] | pl.Series, texts: Any) -> Batch:
        """Return a batch of the records that stand on these lines."""
        at = pl.Series(numbers, dtype=pl.Int64)
        return Batch(
            source=self._stream.name,
            values=columns.values,
            absent=columns.absent,
            lookups=self.fields.lookups,
            links=self.fields.links,
            lacking=columns.lacking,
            lines=at,
            line_ends=at,
            as_read=pl.DataFrame({"line": pl.Series(texts, dtype=pl.Binary)}),
            to_json=_as_read,
            faults=columns.faults,
            read_to=self._stream.read_to,
        )

    def notice(self, met: Collection[str], records: list[dict[str, Any]], numbers: list[int]) -> None:
        """Take note of the keys that some records have. SourceError for keys that cannot be taken as they are."""
        if self._front is None:
            self.settle(met)
        name = self._stream.name
        self._take_links(met)
        if under_two_names(self.fields, met):
            for number, record in zip(numbers, records, strict=True):
                if (problem := several_names(self.fields, list(record), "the record")) is not None:
                    raise SourceError(name, problem, number)
        keys = [key for key in met if key not in MARKS and key not in self._parents]
        unknown = self.fields.unknown(keys)
        reports = (
            report(self.fields, keys, "the record") for report in (refused_column, wrong_lookup, unknown_beside_absent)
        )
        if unknown and (problem := next(filter(None, reports), None)) is not None:
            odd = set(unknown)
            line = next(number for number, record in zip(numbers, records, strict=True) if odd.intersection(record))
            raise SourceError(name, problem, line)
        if unknown and (twins := misspelt(self.fields, unknown)):
            self._refuse_misspelt(twins, records, numbers)
        if len(self.ignored) < MOST_IGNORED:
            self.ignored = list(dict.fromkeys([*self.ignored, *unknown]))[:MOST_IGNORED]

    def _take_links(self, met: Collection[str]) -> None:
        """Take links that no record had before. SourceError where records cannot give them so."""
        self.fields = self.fields.with_links_of(met)
        if (problem := self.fields.wrong_links(met)) is not None:
            raise SourceError(self._stream.name, problem)

    def _refuse_misspelt(self, twins: Mapping[str, str], records: list[dict[str, Any]], numbers: list[int]) -> None:
        """Raise SourceError for a record that lacks a column, and has a name that is nearly the column's."""
        for number, record in zip(numbers, records, strict=True):
            for key, column in twins.items():
                if key in record and not self.fields.present(column, record):
                    problem = misspelt_problem(self.fields, key, column, "the record")
                    raise SourceError(self._stream.name, problem, number)

    def settle(self, met: Collection[str]) -> None:
        """Take from the records at the front which columns there are, and under which names."""
        mapped = [self.fields.names[column] for column in sorted(self.fields.mapped)]
        given = (*self.fields.lookups.values(), *self.fields.links.values())
        for name in [*mapped, *chain.from_iterable(given)]:
            if name not in met:
                near = nearest_name(name, met)
                hint = f"did you mean {near!r}?" if near else f"they have {listed(met)}"
                raise SourceError(self._stream.name, f"no record at the front has {name!r}, named by --map; {hint}")
        self.fields = self.fields.matched(met)
        if refusal := self._names_no_column(met) or self.fields.refusal(met):
            raise SourceError(self._stream.name, refusal)
        names = {name for candidates in self.fields.candidates.values() for name in candidates}
        names = names.union(*self.fields.lookups.values(), *self.fields.links.values())
        self._front = tuple(name for name in met if name in names)

    def _names_no_column(self, met: Collection[str]) -> str | None:
        # What is looked up may stand within a member; where the key alone is read, a record may lack it; and an empty
        # object names nothing that would be wrong.
        if self.fields.lookups or len(self.fields.table.columns) == 1 or not met:
            return None
        return names_no_column(self.fields, list(met), "its first record")

    def decoded(self, lines: list[bytes]) -> pl.DataFrame | None:
        """Return the values of lines, without a look at what else they hold; None where that is not simple for one of
        them.
        """
        if self.fields.links:
            return None
        names = [self.fields.names[column.name] for column in self.fields.columns]
        decoder = decoder_of(names, self._real, alone=False)
        if decoder is None or any(
            len(self.fields.candidates.get(column.name, ())) > 1 for column in self.fields.columns
        ):
            return None
        try:
            objects = [decoder.decode(line) for line in lines]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        values = {}
        for place, (column, name) in enumerate(zip(self.fields.columns, names, strict=True)):
            read = [getattr(each, field_of(place)) for each in objects]
            nulls = self.fields.nulls(column.name)
            values[column.name], _ = column_values(
                column, read, Lines([name], lines), means_null=nulls, spellings=self.fields.spellings
            )
        return self.fields.complete(values, len(objects))


def _supersedes(records: list[dict[str, Any]]) -> pl.Series:
    """Return the stored reject that each record names."""
    named = [record.get(REJECT) for record in records]
    return pl.Series([text if isinstance(text, str) else None for text in named], dtype=pl.String)


def names_rejects(text: bytes) -> bool:
    """Return whether JSON may be of a file of rejects."""
    return any(f'"{mark}"'.encode() in text for mark in (REJECT, REASONS))


def _as_read(rows: pl.DataFrame) -> pl.Series:
    return rows["line"].cast(pl.String).str.strip_chars().rename("record")
