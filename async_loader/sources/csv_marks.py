"""Characters of CSV that are no marks there: escaped ones, carriage returns within lines, and lines of comment. Pure.

What finds records and cuts fields knows RFC 4180 alone. So such a character is hidden before: a noncharacter of Unicode
(U+FDD0 to U+FDDF, which no text is to have) takes its place, and is taken out of the fields again. One that the text
has all the same is hidden in the same way, so that nothing is lost.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from async_loader.formats import Dialect
from async_loader.sources.csv_records import record_text
from async_loader.sources.quoting import Positions, line_ends

# How all noncharacters begin in UTF-8.
_BEGIN = b"\xef\xb7"
_OWN = [_BEGIN + bytes([0x90 + number]) for number in range(16)]
# Before what stands for a noncharacter that the text has itself.
_QUOTED = _OWN[-1]
_HIDDEN = {own: _QUOTED + bytes([0x61 + number]) for number, own in enumerate(_OWN)}
# What MySQL and PostgreSQL write for null, if nothing else is in the field.
NULL_MARK = b"N"


class Marks:
    """Hides characters of a source that is read in pieces. `returns`: whether a carriage return alone ends a line: None
    until the first line end shows it.
    """

    def __init__(self, dialect: Dialect, *, returns: bool | None = None) -> None:
        self._dialect = dialect
        self.returns = returns
        self._rest = b""
        self._first_line = re.compile(record_text(dialect) + rb"(\r?\n|\r)")
        escape = dialect.escape.encode()
        # The characters that an escape takes the meaning of, and the line end that is escaped.
        of_marks = [mark.encode() for mark in (*dialect.marks, "\r", "\n")]
        self._hidden = dict(zip(of_marks, _OWN, strict=False))
        self._null = _OWN[len(of_marks)]
        escaped = rb"|" + re.escape(escape) + rb"(?:\r\n|(?s:.))" if escape else b""
        self._pattern = re.compile(rb"\xef\xb7[\x90-\x9f]|\r(?!\n)" + escaped)
        shown = {own: mark for mark, own in self._hidden.items()} | {self._null: escape + NULL_MARK}
        self._shown = {key.decode(): value.decode() for key, value in (shown | _reversed(_HIDDEN)).items()}
        names = sorted(self._shown, key=len, reverse=True)
        self._any_hidden = re.compile("|".join(map(re.escape, names)).encode())

    def hide(self, text: bytes, *, final: bool) -> bytes:
        """Return the next text of the source, as far as its characters are known, with all of them hidden."""
        text, self._rest = self._rest + text, b""
        if self.returns is None and (first := self._first_line.match(text)) and (final or first.end() < len(text)):
            self.returns = first[1] == b"\r"
        if not final:
            text, self._rest = self._cut(text)
        if not self._may_hide(text):
            return text
        return self._pattern.sub(self._hide, text)

    def _cut(self, text: bytes) -> tuple[bytes, bytes]:
        """Divide the text where it does not end within what is hidden as a whole."""
        escape = self._dialect.escape.encode()
        end = len(text)
        if text.endswith(b"\r"):
            end -= 1
        elif text.endswith((_BEGIN, _BEGIN[:1])):
            end = text.rindex(_BEGIN[:1])
        if escape and (end - len(text[:end].rstrip(escape))) % 2:
            end -= 1
        return text[:end], text[end:]

    def _may_hide(self, text: bytes) -> bool:
        escape = self._dialect.escape.encode()
        has_returns = not self.returns and b"\r" in text and text.count(b"\r") != text.count(b"\r\n")
        return has_returns or self.are_in(text) or bool(escape and escape in text)

    def _hide(self, match: re.Match[bytes]) -> bytes:
        character = match[0]
        if character in _HIDDEN:
            return _HIDDEN[character]
        if character == b"\r":
            return character if self.returns else self._hidden[character]
        character = character[1:]
        if character == NULL_MARK:
            return self._null
        # Other characters mean with an escape what they mean without.
        return b"".join(self._hidden.get(bytes([byte]), bytes([byte])) for byte in character)

    @staticmethod
    def are_in(text: bytes) -> bool:
        """Return whether any character is hidden in the text."""
        # One byte is looked for ten times as fast as two.
        return _BEGIN[:1] in text and _BEGIN in text

    def show(self, text: bytes) -> bytes:
        """Return text with the characters that were hidden."""
        if not self.are_in(text):
            return text
        return self._any_hidden.sub(lambda character: self._shown[character[0].decode()].encode(), text)

    def show_all(self, texts: pl.Series) -> pl.Series:
        """Return texts with the characters that were hidden; a field that was an escaped N alone keeps its escape."""
        read = texts.str.replace_many(list(self._shown), list(self._shown.values()), leftmost=True)
        null = (self._dialect.escape.encode() + NULL_MARK).decode()
        if not self._dialect.escape or not read.str.contains(null, literal=True).any():
            return read
        is_null = (read == null).fill_null(value=False)
        return read.str.replace_all(null, NULL_MARK.decode(), literal=True).zip_with(~is_null, read)

    def hidden_lines(self, text: bytes, lines: int) -> Positions:
        """Return how many line ends are hidden in this text before each of its lines, and before its end."""
        places = [end.start() for end in re.finditer(re.escape(self._hidden[b"\n"]), text)]
        line = np.searchsorted(line_ends(np.frombuffer(text, np.uint8), final=True), places)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(line, minlength=lines + 1))])


class Comments:
    """Takes what stands on lines of comment out of a source that is read in pieces, which leaves those lines empty."""

    def __init__(self, dialect: Dialect) -> None:
        self._rest = b""
        comment = re.escape(dialect.comment.encode())
        end = rb"(\r?\n|\r(?=[^\n]))"
        self._line = re.compile(rb"(?:" + comment + rb"[^\r\n]*+|(" + record_text(dialect) + rb"))" + end)
        self._last = re.compile(comment + rb"[^\r\n]*+\Z")

    def blank(self, text: bytes, *, final: bool, limit: int) -> bytes:
        """Return the next whole records; with `final`, all that is left. A record of `limit` bytes has no end."""
        text, self._rest = self._rest + text, b""
        parts, at = [], 0
        while (line := self._line.match(text, at)) is not None:
            parts += [line[1] or b"", line[2]]
            at = line.end()
        if final or len(text) - at > limit:
            return b"".join([*parts, b"" if self._last.match(text, at) else text[at:]])
        self._rest = text[at:]
        return b"".join(parts)


def _reversed(names: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {value: key for key, value in names.items()}
