"""Lines of JSON that are flat objects with the same keys, decoded at once: a quarter of the time of one by one. Pure.

Where a single one is not, the answer is None, and the caller reads line by line, which finds what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Positions = npt.NDArray[np.int64]

_OPEN, _CLOSE, _LF, _CR = b"{}\n\r"
# After a quote: between a key and its colon, where no program puts it, or within text.
_SPACES = (b'" ', b'"\t', b'"\r')
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
# Shapes that a process keeps; a source has one, or a few.
_KEPT = 16
# Keys of objects that are decoded at once: to make a decoder takes time for each.
_MOST_KEYS = 256


@dataclass(frozen=True, slots=True)
class FlatLines:
    """n lines, each of them an object in braces with no other inside. starts: where they begin in the block, and where
    the block ends.
    """

    block: bytes
    starts: Positions

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> bytes:
        return self.block[self.starts[place] : self.starts[place + 1]]

    def as_arrow(self) -> pa.LargeBinaryArray:
        """Return the lines with their ends."""
        buffers = [None, pa.py_buffer(self.starts), pa.py_buffer(self.block)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self), buffers)


def flat_lines(block: bytes) -> FlatLines | None:
    """Return the lines of a block; None where one is blank, or is not such an object as far as its brackets say."""
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == _LF) + 1
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    if block.count(b"{") != len(ends) or b"[" in block or (np.diff(starts) < len(b"{}")).any():
        return None
    last = ends - 1
    last -= text[last] == _LF
    last -= text[last] == _CR
    if (text[starts[:-1]] != _OPEN).any() or (text[last] != _CLOSE).any():
        return None
    return FlatLines(block, starts)


@dataclass(frozen=True, slots=True)
class Shape:
    """Objects that have these keys, in any order, and no others. `decoder`: of one of them."""

    keys: tuple[str, ...]
    decoder: msgspec.json.Decoder[Any]

    def values(self, lines: FlatLines) -> dict[str, list[Any]] | None:
        """Return n values by key; None where a line is not of this shape, has a key twice, or is not JSON."""
        if any(space in lines.block for space in _SPACES):
            return None
        # Each object has each key once at least. A quote within text is escaped: where a colon follows, there are more.
        if lines.block.count(b'":') != len(lines) * len(self.keys):
            return None
        try:
            objects = self.decoder.decode_lines(lines.block)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if len(objects) != len(lines):
            return None
        return {key: list(map(attrgetter(field_of(place)), objects)) for place, key in enumerate(self.keys)}


@lru_cache(_KEPT)
def shape(keys: tuple[str, ...], float_hook: Callable[[str], Any] | None) -> Shape | None:
    """Return the shape of objects with these keys; None where it cannot be seen from outside whether an object has
    them.
    float_hook: what makes a value of a number with a fraction or an exponent; None for a float.
    """
    decoder = decoder_of(keys, float_hook, alone=True) if len(keys) <= _MOST_KEYS else None
    return None if decoder is None else Shape(keys, decoder)


def decoder_of(
    keys: Sequence[str], float_hook: Callable[[str], Any] | None, *, alone: bool
) -> msgspec.json.Decoder[Any] | None:
    """Return a decoder of objects that have these keys, `alone` or with others, which are passed over; the values are
    attributes called `field_of(place)`. None where a key must be escaped in JSON: msgspec takes no such names.
    """
    if any(_ESCAPED.search(key) for key in keys):
        return None
    names = {field_of(place): key for place, key in enumerate(keys)}
    fields = [(field, Any) for field in names]
    kind = msgspec.defstruct("Flat", fields, rename=names, forbid_unknown_fields=alone, gc=False)
    return msgspec.json.Decoder(kind, float_hook=float_hook)


def field_of(place: int) -> str:
    """Return the name of the attribute for the key at this place."""
    return f"value_{place}"
