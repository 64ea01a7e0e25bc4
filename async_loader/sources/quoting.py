"""Where quotes and line ends stand in CSV text (strict RFC 4180, with any delimiter and quote). Pure.

The one place that knows which bytes may stand beside a quote, and which end a line. `csv_records` asks about blocks
that begin with a record, `boundaries` about ranges that may begin inside quotes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from async_loader.formats import Dialect

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

LF, CR = b"\n\r"


def quotes_of(text: Bytes, dialect: Dialect) -> Positions:
    """Return where the quotes stand."""
    return np.flatnonzero(text == ord(dialect.quote)) if dialect.quote else np.zeros(0, np.int64)


def may_open(text: Bytes, quotes: Positions, dialect: Dialect) -> Flags:
    """Return for each quote whether it may open a field: it stands right after a delimiter, a line end, another quote
    (the two are then one doubled quote) or the beginning of the text.
    """
    opens: Flags = _edges(dialect)[text[quotes - 1]] | (quotes == 0)
    return opens


def may_close(text: Bytes, quotes: Positions, dialect: Dialect) -> Flags:
    """Return for each quote whether it may close a field: it stands right before a delimiter, a line end or another
    quote, or at the end of the text.
    """
    last = len(text) - 1
    closes: Flags = _edges(dialect)[text[np.minimum(quotes + 1, last)]] | (quotes == last)
    return closes


def misplaced_quotes(text: Bytes, quotes: Positions, dialect: Dialect, *, begins_inside: bool = False) -> Positions:
    """Return the positions of the quotes that are out of place. `quotes` are all of the text; they open and close by
    turns, and where the text `begins_inside` quotes, the first one closes.
    """
    opening, closing = quotes[begins_inside::2], quotes[not begins_inside :: 2]
    return np.concatenate([opening[~may_open(text, opening, dialect)], closing[~may_close(text, closing, dialect)]])


def line_ends(text: Bytes, *, final: bool) -> Positions:
    """Return where lines end: each LF, and each CR with no LF after it. With `final`, the end of the text ends a line
    too; without it nothing says yet what follows a CR at the very end, so that one is left out.
    """
    feeds = text == LF
    returns = text == CR
    if returns.any():
        lone = returns.copy()
        lone[:-1] &= ~feeds[1:]
        lone[-1] &= final
        feeds |= lone
    ends = np.flatnonzero(feeds)
    if final and len(text) and not feeds[-1]:
        ends = np.append(ends, len(text))
    return ends


@lru_cache
def _edges(dialect: Dialect) -> Flags:
    """Return for each byte whether it may stand outside of a quote, right beside it."""
    table = np.zeros(256, np.bool_)
    table[[ord(dialect.delimiter), LF, CR, *dialect.quote.encode()]] = True
    return table
