"""What a function of the declaration says of whole records. Pure, as far as that function is.

It is asked record by record, so this takes many times as long as rules do.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from async_loader.records.arrays import flags_at
from async_loader.records.reasons import SHOWN, Check
from async_loader.tables import Reasons, Table


def examined(table: Table, values: pl.DataFrame, held: pl.Series, asked: pl.Series) -> Iterator[Check]:
    """Yield checks of what is wrong with those of n records that are asked about."""
    assert table.examine is not None
    places = asked.arg_true()
    if not len(places):
        return
    found = table.examine(values.select(table.column_names)[places], held.gather(places))
    by_name: dict[tuple[str, str | None], dict[int, str]] = {}
    for place, reasons in zip(places, found, strict=True):
        for (code, column), message in _joined(reasons).items():
            by_name.setdefault((code, column), {})[place] = message
    for (code, column), messages in by_name.items():
        yield _check(code, column, messages, len(values))


def _joined(reasons: Reasons) -> dict[tuple[str, str | None], str]:
    """Return one message for each code and column."""
    messages: dict[tuple[str, str | None], list[str]] = {}
    for code, column, message in reasons:
        messages.setdefault((code, column), []).append(message)
    return {name: " ".join(several) for name, several in messages.items()}


def _check(code: str, column: str | None, messages: dict[int, str], size: int) -> Check:
    failed = flags_at(size, pl.Series(list(messages), dtype=pl.Int64))

    def said(places: pl.Series) -> pl.Series:
        return pl.Series([messages[place] for place in places], dtype=pl.String)

    return Check(code, column, SHOWN, failed, said)
