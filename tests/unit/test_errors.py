"""Errors say where and what to do in one line, and survive being passed between processes."""

from __future__ import annotations

import pickle

import pytest

from async_loader import (
    ConfigurationError,
    ConflictError,
    LedgerError,
    LoaderError,
    OutputError,
    OverLimitError,
    SourceError,
    StoreError,
)

ERRORS = {
    "u.csv, line 3: is odd": SourceError("u.csv", "is odd", 3),
    "u.csv: is odd": SourceError("u.csv", "is odd"),
    "database users: is full": StoreError("users", "is full"),
    "database users: holds it": ConflictError("users", "holds it"),
    "rejects: cannot be written: full": OutputError("rejects", "full"),
    "no table": ConfigurationError("no table"),
    "counts differ": LedgerError("counts differ"),
    "more rejects than the 3 allowed, 5 so far: nothing was kept; mend the source or allow more": OverLimitError(5, 3),
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_is_one_line_and_can_be_pickled(text: str) -> None:
    error = ERRORS[text]
    assert isinstance(error, LoaderError)
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), text, vars(error))
