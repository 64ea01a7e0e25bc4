"""JSON documents: an array of objects, which may stand within others (`FILE#results.items`), cut into its elements as
they are read; each is decoded by itself, so that a bad one is one reject.

A record's line is its place in the array, from 1. The whole document is read: one that was cut off is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import msgspec
import polars as pl

from async_loader.errors import SourceError
from async_loader.records.batches import Batch
from async_loader.sources.fields import Fields
from async_loader.sources.headers import listed
from async_loader.sources.json_records import JsonRecords, names_rejects
from async_loader.sources.ranges import Stretch
from async_loader.sources.streams import BLOCK, RECORD_LIMIT, Stream, without_bom

# Records and bytes of a batch.
_RECORDS, _BYTES = 10_000, BLOCK
# Names of members that a message may list, and how deep objects are looked into for arrays.
_LISTED = 100
_DEEPEST = 10

_BLANKS = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,\]\[{}":]++')
# Everything up to the next bracket that stands in no text.
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL)
_OF_OBJECTS = re.compile(rb"\[[ \t\r\n]*+\{")
_OPENING = b"[{"


class JsonDocumentSource(JsonRecords):
    """A source that is a document of JSON.

    path: the names of the members within which the array stands, from the outside; none for a document that is one.
    Raises SourceError where there is no array.
    """

    def __init__(self, stream: Stream, fields: Fields, path: Sequence[str] = ()) -> None:
        super().__init__(stream, fields)
        self._text = _Text(stream)
        self._path = tuple(path)
        self.is_rejects = names_rejects(self._text.front)
        self.part = ".".join(path)
        self._text.enter(self._path)

    def batches(self) -> Iterator[Batch]:
        """Yield the array's elements, in order."""
        elements: list[tuple[int, bytes]] = []
        size = 0
        for number, element in enumerate(self._text.elements(), 1):
            elements.append((number, element))
            size += len(element)
            if len(elements) == _RECORDS or size > _BYTES:
                yield self._compact(elements)
                elements, size = [], 0
        yield self._compact(elements)
        self._text.leave(len(self._path))

    def values(self) -> Iterator[pl.DataFrame]:
        """Yield the values of each batch."""
        for batch in self.batches():
            yield batch.values

    def stretches(self, _: int) -> list[Stretch]:
        """Return everything, as one: an element is known as one only when all before it has been read."""
        return [Stretch(self._stream.version, 0, self._stream.size or 0)]

    def _compact(self, elements: list[tuple[int, bytes]]) -> Batch:
        """Return a batch whose rejects stand on one line each, however the document is laid out."""
        return replace(self.batch(elements), to_json=_on_one_line)


def arrays_of(stream: Stream) -> dict[str, bool]:
    """Return where arrays stand in a document, itself as "", each with whether it begins with an object."""
    return _Text(stream).arrays()


class _Text:
    """The text of a document, and the place up to which it has been read. A value is whole in memory while it is
    looked at, but for those that are passed over.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = without_bom(stream.name, stream.read(BLOCK))
        self._at = 0
        self._elements = 0

    @property
    def front(self) -> bytes:
        """What has been read before anything is entered."""
        return self._buffer

    def enter(self, path: Sequence[str]) -> None:
        """Go to the first element of the array that stands in these members."""
        for depth, name in enumerate(path):
            if self._next() != b"{":
                raise self._error(f"{_where(path[:depth])} is {_kind(self._next())}, so that it has no {name!r}")
            self._at += 1
            self._find(name, path[:depth])
        first = self._next()
        if first == b"[":
            self._at += 1
            return
        if first != b"{":
            raise self._error(f"{_where(path)} is {_kind(first)}, not an array of objects")
        raise self._error(f"{_where(path)} is one object, not an array of objects; {self._arrays_in_words(path)}")

    def arrays(self) -> dict[str, bool]:
        """Return where arrays stand, as far as they can be named; asked before anything is entered."""
        first = self._next()
        if first == b"[":
            return {"": True}
        return dict(islice(self._arrays(()), _LISTED)) if first == b"{" else {}

    def _arrays_in_words(self, path: Sequence[str]) -> str:
        """Return which arrays stand in the object that begins here, and how to name one."""
        found = dict(islice(self._arrays(path), _LISTED))
        if not found:
            several = "it is followed by more: let each object be on one line (jq -c .), and name the file .jsonl"
            return several if self._next() else "no array is in it"
        arrays = [each for each, has_objects in found.items() if has_objects] or [*found]
        name = self._stream.name.removesuffix(f"#{'.'.join(path)}")
        one = f"name its array, as {name}#{arrays[0]}"
        return one if len(arrays) == 1 else f"name one of its arrays, {listed(arrays)}, as in {name}#{arrays[0]}"

    def _arrays(self, path: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """Yield where arrays stand in the object that begins here and in objects within it, as far as that can be
        named; each with whether it begins with an object, as far as the buffer shows.
        """
        self._at += 1
        for name, begin in self._members(enters_objects=True):
            here = [*path, name]
            if begin == b"[" and "." not in name:
                yield ".".join(here), _OF_OBJECTS.match(self._buffer, self._at) is not None
            elif begin == b"{":
                if len(here) < _DEEPEST and "." not in name:
                    yield from self._arrays(here)
                else:
                    self._pass_value()
        self._at += 1

    def elements(self) -> Iterator[bytes]:
        """Yield the elements of the array at whose first element this stands."""
        if self._next() == b"]":
            self._at += 1
            return
        while True:
            yield self._value()
            self._elements += 1
            after = self._next()
            self._at += 1
            if after == b"]":
                return
            if after != b",":
                raise self._unexpected(after, "there is no comma before the next")

    def leave(self, depth: int) -> None:
        """Read what comes after the array, which stands in that many objects."""
        while depth:
            after = self._next()
            self._at += 1
            if after == b"}":
                depth -= 1
            elif after == b",":
                self._name()
                self._pass_value()
            else:
                raise self._unexpected(after, "there is no JSON")
        if self._next():
            raise self._error("there is more text after the document")

    def _find(self, name: str, path: Sequence[str]) -> None:
        """Go to the value of a member of the object into which this has gone."""
        met: list[str] = []
        for member, _ in self._members(stop=name):
            if member == name:
                return
            if len(met) < _LISTED:
                met.append(member)
        raise self._error(f"{_where(path)} has no {name!r}; it has {listed(met) if met else 'nothing'}")

    def _members(self, stop: str | None = None, *, enters_objects: bool = False) -> Iterator[tuple[str, bytes]]:
        """Yield the members of an object, each with the first byte of its value, which is passed over afterwards; of
        the one called `stop` it is not, nor is an object where the caller enters objects.
        """
        while (first := self._next()) != b"}":
            if first == b",":
                self._at += 1
            name = self._name()
            begin = self._next()
            yield name, begin
            if name == stop:
                return
            if not (enters_objects and begin == b"{"):
                self._pass_value()

    def _name(self) -> str:
        """Read a member's name and the colon after it."""
        if (first := self._next()) != b'"':
            raise self._unexpected(first, "a name of a member is expected")
        text = self._match(_STRING)
        if (after := self._next()) != b":":
            raise self._unexpected(after, "there is no colon after a name")
        self._at += 1
        try:
            return str(json.loads(text))
        except ValueError as error:
            raise self._error("the name of a member is no text") from error

    def _next(self) -> bytes:
        """Pass over blanks. Returns the byte that follows; nothing at the end."""
        while True:
            self._at = self._skip(_BLANKS)
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if not self._more():
                return b""

    def _skip(self, pattern: re.Pattern[bytes]) -> int:
        found = pattern.match(self._buffer, self._at)
        return found.end() if found else self._at

    def _value(self) -> bytes:
        """Read the next value, whole."""
        first = self._next()
        if first not in (b"[", b"{"):
            return self._match(_STRING if first == b'"' else _SCALAR)
        start, depth = self._at, 0
        for end, bracket in self._brackets(keep_from=start):
            depth += 1 if bracket in _OPENING else -1
            if not depth:
                # What was read before the value may be gone from the buffer.
                value = self._buffer[self._kept : end]
                self._at = end
                return value
        raise self._cut_off()

    def _pass_value(self) -> None:
        """Go past the next value."""
        first = self._next()
        if first not in (b"[", b"{"):
            self._match(_STRING if first == b'"' else _SCALAR)
            return
        depth = 0
        for end, bracket in self._brackets(keep_from=None):
            depth += 1 if bracket in _OPENING else -1
            if not depth:
                self._at = end
                return
        raise self._cut_off()

    def _brackets(self, keep_from: int | None) -> Iterator[tuple[int, bytes]]:
        """Yield the brackets that stand in no text from here on, each with the place after it; the buffer keeps what
        begins at `keep_from`, which stands at `_kept` then.
        """
        self._kept, at = keep_from or 0, self._at
        while True:
            found = _TO_BRACKET.match(self._buffer, at)
            if found is not None:
                at = found.end()
                yield at, found[1]
                continue
            start = at if keep_from is None else self._kept
            self._buffer, at, self._kept = self._buffer[start:], at - start, 0
            self._at = 0
            if not self._more():
                return

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        """Read what a pattern describes, which must be there."""
        while True:
            found = pattern.match(self._buffer, self._at)
            if found is not None and found.end() < len(self._buffer):
                self._at = found.end()
                return found[0]
            if not self._more():
                break
        if found is None:
            raise self._unexpected(b"" if self._next() == b'"' else self._next(), "a value is expected")
        self._at = found.end()
        return found[0]

    def _more(self) -> bool:
        """Read some more bytes. Returns whether there were any."""
        rest = self._buffer[self._at :]
        if len(rest) > RECORD_LIMIT:
            raise self._error(f"a value is longer than {RECORD_LIMIT >> 20} MiB")
        more = self._stream.read(max(BLOCK, len(rest)))
        self._buffer, self._at = rest + more, 0
        return bool(more)

    def _unexpected(self, byte: bytes, problem: str) -> SourceError:
        """Return the error for a byte that cannot stand here; none stands at the end."""
        return self._error(problem) if byte else self._cut_off()

    def _cut_off(self) -> SourceError:
        return self._error("ends within a value: it is cut off, or a bracket or quote is missing")

    def _error(self, problem: str) -> SourceError:
        place = f"after element {self._elements:,} of the array: " if self._elements else ""
        return SourceError(self._stream.name, f"is no JSON document that can be read: {place}{problem}")


def _where(path: Sequence[str]) -> str:
    return ".".join(path) if path else "the document"


def _kind(first: bytes) -> str:
    if not first:
        return "empty"
    return {b"{": "an object", b"[": "an array", b'"': "text"}.get(first, "a single value")


def _on_one_line(rows: pl.DataFrame) -> pl.Series:
    texts = [_compact(text) for text in rows["line"].to_list()]
    return pl.Series("record", texts, dtype=pl.String)


def _compact(text: bytes) -> str:
    """Return JSON without line breaks; numbers and texts as they are written."""
    try:
        return msgspec.json.format(text, indent=0).decode()
    except msgspec.MsgspecError:
        return " ".join(text.decode().split())
