"""Positions of records among all that a table is loaded from, as the ledger keeps them: a short text. Pure."""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
import polars as pl

from async_loader.records.arrays import from_integers

_STORED = np.dtype("<i8")


def positions_as_text(positions: pl.Series) -> str:
    """Return ascending positions as text: what lies between them, compressed, is mostly the same small number."""
    gaps = np.diff(positions.to_numpy(), prepend=0).astype(_STORED)
    return base64.b64encode(zlib.compress(gaps.tobytes())).decode()


def positions_of_text(text: object) -> pl.Series | None:
    """Return the positions that a text holds; None where it holds none."""
    if not isinstance(text, str):
        return None
    try:
        gaps = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), _STORED)
    except (binascii.Error, ValueError, zlib.error):
        return None
    return from_integers(np.cumsum(gaps, dtype=np.int64))
