"""Apostrophes in files of rejects: no cell of any dialect begins a formula, and what is read is what was written."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader.sources.formula_guard import (
    guarded,
    guarded_within,
    unguarded,
    unguarded_columns,
    unguarded_within,
)

TEXTS = st.lists(st.text("=+-@\uff1d1a.e5;,|\t\r\n'\" _raw:", max_size=9), max_size=9)
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?")


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet would run a cell, as strictly as any of them."""
    shown = cell.lstrip("\t\r\n")
    return shown[:1] in ("=", "+", "-", "@", "\uff1d") and not NUMBER.fullmatch(shown)


@given(TEXTS)
def test_what_was_guarded_is_read_as_it_was(texts: list[str]) -> None:
    written = pl.DataFrame({"cell": list(map(guarded, texts))}, schema={"cell": pl.String})
    assert written.select(unguarded_columns())["cell"].to_list() == texts
    assert list(map(unguarded, written["cell"])) == texts
    assert [unguarded_within(guarded_within(text)) for text in texts] == texts


@given(TEXTS, st.sampled_from(",;|\t\r\n"))
def test_no_cell_of_any_dialect_is_a_formula(texts: list[str], separator: str) -> None:
    """In another dialect the quotes around a cell are within one, and quote nothing."""
    for text in texts:
        first, *others = guarded(text).replace('"', '""').split(separator)
        assert not is_formula(first)
        assert not any(is_formula(cell.lstrip('"')) for cell in others)


@pytest.mark.parametrize("text", ["-5", "+5.5", "-1e-5", "a;b", "52.5,-13.4", "a - b", "a=1", "it's", "_row", "1;-5;x"])
def test_what_is_no_formula_is_written_as_it_is(text: str) -> None:
    assert guarded(text) == text
