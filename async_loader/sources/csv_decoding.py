"""Fields of CSV that are bytes, as text, with what could not be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from async_loader.records.parsing import shown_text, text_of_bytes
from async_loader.sources.transcoding import Undecodable, decoded, escaped, undecoded


def is_utf_8(text: bytes) -> bool:
    """Return whether bytes are UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def bytes_of(latin_1: pl.Series) -> Iterator[bytes | None]:
    """Yield the bytes that text was taken for Latin-1 of."""
    return (None if text is None else text.encode("latin-1") for text in latin_1)


def as_utf_8(column: Iterable[bytes | None]) -> tuple[pl.Series, Undecodable]:
    """Return bytes as text, with escapes for invalid UTF-8, and which of them were invalid."""
    texts, bad = text_of_bytes(column)
    return texts, Undecodable("invalid_utf8", pl.select(pl.when(bad).then(shown_text(texts))).to_series())


def as_transcoded(column: Iterable[bytes | None]) -> tuple[pl.Series, Undecodable]:
    """Return what was transcoded as text, with escapes for bytes that are no text, and which texts have such bytes."""
    texts = [None if value is None else decoded(value) for value in column]
    bad = [None if text is None else undecoded(text) for text in texts]
    read = pl.Series([None if text is None else escaped(text) for text in texts], dtype=pl.String)
    hints = [None if each is None else f", byte 0x{each[0]:02x} at character {each[1]}" for each in bad]
    return read, Undecodable("invalid_encoding", shown_text(read) + pl.Series(hints, dtype=pl.String))
