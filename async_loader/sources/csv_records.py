"""Where the records of CSV text begin and end (strict RFC 4180), found by looking at quotes and line ends alone. Pure.

Well-formed means: a quote opens a field right behind a delimiter or line end, closes it right before one, and inside is
doubled. A record that breaks this is broken: just its first physical line is given up, and reading starts again at the
next line. Line ends are LF, CRLF and a lone CR; empty lines are no records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

_QUOTE, _LF, _CR = b'"\n\r'
# After a broken record, look at so few bytes at first, then at twice as many each time: the cost of each is then small
# when broken records come thick, and soon forgotten when they do not.
_FIRST_WINDOW = 4096


@dataclass(frozen=True, slots=True)
class Split:
    """The records of the first `consumed` bytes of a block, which are `lines` physical lines.

    good: the well-formed records, text that any CSV reader takes.
    starts, ends: first and last line of each record in `good`, from 0.
    broken: line (from 0) and text, without line end, of each broken record.
    """

    good: bytes
    starts: Positions
    ends: Positions
    broken: tuple[tuple[int, bytes], ...]
    consumed: int
    lines: int


def split(block: bytes, delimiter: bytes, *, final: bool) -> Split:
    """Take whole records from the front of `block`; with `final` the block's end is the source's, and all is taken.

    Consumes nothing where the block does not hold a whole record.
    """
    if _QUOTE not in block:
        return _one_stretch(block if final else block[: _after_last_line_end(block)])
    goods: list[bytes] = []
    starts: list[Positions] = []
    ends: list[Positions] = []
    broken: list[tuple[int, bytes]] = []
    at = line = 0
    window = len(block)
    while at < len(block):
        part = block[at : at + window]
        whole = final and at + window >= len(block)
        scan = _Scan(part, delimiter[0], final=whole)
        good = scan.good_until
        if good:
            goods.append(part[:good])
            starts.append(scan.starts + line)
            ends.append(scan.ends + line)
            line += scan.lines
            at += good
        if scan.breaks:
            text, length = _physical_line(block, at, final=final)
            if not length:
                break
            broken.append((line, text))
            line += 1
            at += length
            window = _FIRST_WINDOW
        elif good or at + window < len(block):
            window *= 2
        else:
            break
    return Split(_joined(goods), _concatenated(starts), _concatenated(ends), tuple(broken), at, line)


def give_up_first_line(block: bytes) -> Split:
    """The block's first line as a broken record: for a quote that never closes. Consumes nothing without a line end."""
    text, length = _physical_line(block, 0, final=False)
    none = np.zeros(0, np.int64)
    return Split(b"", none, none, ((0, text),) if length else (), length, 1 if length else 0)


def record_spans(good: bytes) -> tuple[Positions, Positions]:
    """Offset of the first byte of each record of well-formed text, and of the byte behind its last."""
    text = np.frombuffer(good, np.uint8)
    _, spans = _records(text, _line_ends(text, final=True), np.flatnonzero(text == _QUOTE))
    return spans


def _one_stretch(good: bytes) -> Split:
    """All of `good`, which holds no quote."""
    text = np.frombuffer(good, np.uint8)
    line_ends = _line_ends(text, final=True)
    (starts, ends), _ = _records(text, line_ends, np.zeros(0, np.int64))
    return Split(good, starts, ends, (), len(good), len(line_ends))


class _Scan:
    """A look at a part of a block that starts with a record: its well-formed records; does a broken one follow?"""

    def __init__(self, part: bytes, delimiter: int, *, final: bool) -> None:
        text = np.frombuffer(part, np.uint8)
        quotes = np.flatnonzero(text == _QUOTE)
        line_ends = _line_ends(text, final=final)
        offence = _first_offence(text, quotes, delimiter, final=final)
        self.breaks = offence is not None
        if offence is not None:
            line_ends = line_ends[line_ends < offence]
        outside = np.searchsorted(quotes, line_ends) % 2 == 0
        whole = np.flatnonzero(outside)
        self.lines = int(whole[-1]) + 1 if len(whole) else 0
        line_ends = line_ends[: self.lines]
        self.good_until = min(int(line_ends[-1]) + 1, len(part)) if self.lines else 0
        (self.starts, self.ends), _ = _records(text, line_ends, quotes)


def _records(
    text: npt.NDArray[np.uint8], line_ends: Positions, quotes: Positions
) -> tuple[tuple[Positions, Positions], tuple[Positions, Positions]]:
    """First and last line of each record, and where its bytes begin and end. The last line end ends a record."""
    lasts = np.flatnonzero(np.searchsorted(quotes, line_ends) % 2 == 0)
    firsts = np.concatenate([np.zeros(1, np.int64), lasts[:-1] + 1])[: len(lasts)]
    stops = line_ends[lasts]
    begins = np.concatenate([np.zeros(1, np.int64), stops[:-1] + 1])[: len(lasts)]
    empty = (stops == begins) | ((stops == begins + 1) & (text[np.minimum(begins, len(text) - 1)] == _CR))
    if empty.any():
        firsts, lasts, begins, stops = (array[~empty] for array in (firsts, lasts, begins, stops))
    return (firsts, lasts), (begins, stops)


def _line_ends(text: npt.NDArray[np.uint8], *, final: bool) -> Positions:
    """Where lines end: each LF, and each CR with no LF behind it. With `final`, the end of the text ends a line too."""
    feeds = text == _LF
    returns = text == _CR
    if returns.any():
        lone = returns.copy()
        lone[:-1] &= ~feeds[1:]
        # What follows a CR at the very end is not known yet: it may be LF.
        lone[-1] &= final
        feeds |= lone
    found = np.flatnonzero(feeds)
    if final and len(text) and not feeds[-1]:
        found = np.append(found, len(text))
    return found


def _first_offence(text: npt.NDArray[np.uint8], quotes: Positions, delimiter: int, *, final: bool) -> int | None:
    """Position of the first quote that is out of place; None where all are in place.

    Of quotes in place every other one opens: the first behind a delimiter or line end, or right behind a closing one
    (the two are then one doubled quote). With `final` an unclosed field offends by its opening quote.
    """
    if not len(quotes):
        return None
    edge = np.zeros(256, np.bool_)
    edge[[delimiter, _LF, _CR]] = True
    opening, closing = quotes[::2], quotes[1::2]
    good_opening = edge[text[opening - 1]]
    good_opening[0] |= opening[0] == 0
    good_opening[1:] |= opening[1:] - closing[: len(opening) - 1] == 1
    last = len(text) - 1
    behind = text[np.minimum(closing + 1, last)]
    good_closing = edge[behind] | (behind == _QUOTE) | (closing == last)
    bad = np.concatenate([opening[~good_opening], closing[~good_closing]])
    if final and len(quotes) % 2:
        bad = np.append(bad, quotes[-1])
    return int(bad.min()) if len(bad) else None


def _after_last_line_end(block: bytes) -> int:
    return max(block.rfind(b"\n"), block.rfind(b"\r", 0, max(len(block) - 1, 0))) + 1


def _physical_line(block: bytes, at: int, *, final: bool) -> tuple[bytes, int]:
    """The line that starts at `at`, without and with its end (as a length); length 0 where its end is not in sight."""
    feed = block.find(b"\n", at)
    until = len(block) if feed < 0 else feed
    lone = block.find(b"\r", at, until)
    if lone >= 0 and (lone < until - 1 or (feed < 0 and final)):
        return block[at:lone], lone + 1 - at
    if feed < 0:
        return (block[at:], len(block) - at) if final else (b"", 0)
    return block[at:feed].removesuffix(b"\r"), feed + 1 - at


def _joined(parts: list[bytes]) -> bytes:
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _concatenated(parts: list[Positions]) -> Positions:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
