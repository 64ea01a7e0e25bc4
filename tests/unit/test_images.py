"""An image is a sound SQLite database that holds exactly the frame's rows, each under its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader.stores.sqlite import images

INTEGERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False)
# Lengths around those at which one byte more is needed, or another page.
LENGTHS = st.one_of(
    st.integers(0, 70), *(st.integers(near - 40, near + 40) for near in (8_180, images.WHOLE, images.PAGE, 200_000))
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.builds(
    lambda letter, times: letter * times, st.sampled_from("aé𝄞"), LENGTHS
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(0, 12))
    columns = {}
    for place in range(draw(st.integers(1, 5))):
        dtype, values = draw(st.sampled_from([(pl.Int64, INTEGERS), (pl.Float64, REALS), (pl.String, TEXTS)]))
        either = values if draw(st.booleans()) else values | st.none()
        columns[str(place)] = pl.Series(draw(st.lists(either, min_size=rows, max_size=rows)), dtype=dtype)
    return pl.DataFrame(columns)


def rows_in(image: bytearray, width: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that SQLite reads from an image, which it must find to be sound."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(image)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        columns = ", ".join(f"c{place}" for place in range(width))
        yield from connection.execute(f"SELECT _rowid_, {columns} FROM {images.TABLE}")
    finally:
        connection.close()


def stored(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return [row for image in images.images(frame) for row in rows_in(image, frame.width)]


def expected(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return [(place, *row) for place, row in enumerate(frame.rows())]


@given(frames())
def test_an_image_holds_the_rows_of_its_frame(frame: pl.DataFrame) -> None:
    assert stored(frame) == expected(frame)


@pytest.mark.parametrize("rows", [1, 2_000, 100_000])
def test_many_rows_go_into_many_pages(rows: int) -> None:
    frame = pl.DataFrame({"id": range(rows)}).with_columns(name=pl.format("name {}", "id"), real=pl.col("id") / 8)
    assert stored(frame) == expected(frame)


def test_a_large_frame_comes_in_several_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_BYTES", 10_000)
    frame = pl.DataFrame({"text": ["x" * length for length in range(1, 400)]})
    assert len(list(images.images(frame))) > 2
    assert stored(frame) == expected(frame)


def test_more_columns_than_a_short_header_holds() -> None:
    frame = pl.DataFrame({str(place): [place, None] for place in range(300)})
    assert stored(frame) == expected(frame)


def test_a_statement_prepared_for_one_layout_reads_another_as_it_is() -> None:
    """A number that every row has is first in an image, one that may be null comes after; and the other way round."""
    sql = f"SELECT c0, c1 FROM image.{images.TABLE}"
    frames = [pl.DataFrame({"text": ["a", "b"], "number": [1, number]}) for number in (None, 2, None)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("ATTACH ':memory:' AS image")
        for frame in frames:
            [image] = images.images(frame)
            connection.deserialize(image, name="image")
            assert connection.execute(sql).fetchall() == frame.rows()
