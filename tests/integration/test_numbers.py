"""The one table of number spellings, which the README shows: what CSV text is an integer or a real."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_loader import Column, Table, Type
from tests.sample import Place
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

TABLES = (
    Table(
        "numbers",
        "numbers",
        (
            Column("id", Type.INTEGER),
            Column("whole", Type.INTEGER, nullable=True),
            Column("real", Type.REAL, nullable=True),
        ),
    ),
)

# text: (as an integer, as a real); a str is the code of the reject.
SPELLINGS: dict[str, tuple[int | str, float | str]] = {
    "5": (5, 5.0),
    "-5": (-5, -5.0),
    "+5": (5, 5.0),
    "007": (7, 7.0),
    "-0": (0, 0.0),
    " 7 ": ("not_integer", "not_number"),
    "7.0": ("not_integer", 7.0),
    "7.": ("not_integer", 7.0),
    ".5": ("not_integer", 0.5),
    "1e3": ("not_integer", 1000.0),
    "1E-3": ("not_integer", 0.001),
    "1_000": ("not_integer", "not_number"),
    "1,5": ("not_integer", "not_number"),
    "0x10": ("not_integer", "not_number"),
    "\uff17": ("not_integer", "not_number"),
    "٣": ("not_integer", "not_number"),
    "9223372036854775807": (2**63 - 1, "out_of_range"),
    "9223372036854775808": ("out_of_range", 2.0**63),
    "-9223372036854775808": (-(2**63), -(2.0**63)),
    "9007199254740993": (2**53 + 1, "out_of_range"),
    "9007199254740992": (2**53, 2.0**53),
    "0.1": ("not_integer", 0.1),
    "nan": ("not_integer", "not_finite"),
    "-NaN": ("not_integer", "not_finite"),
    "inf": ("not_integer", "not_finite"),
    "Infinity": ("not_integer", "not_finite"),
    "-Infinity": ("not_integer", "not_finite"),
    "1e400": ("not_integer", "out_of_range"),
    "1e-400": ("not_integer", "out_of_range"),
    "0e-400": ("not_integer", 0.0),
    "0" * 5_000: (0, 0.0),
    "0" * 5_000 + "9007199254740993": (2**53 + 1, "out_of_range"),
    "9" * 5_000: ("out_of_range", "out_of_range"),
    "9" * 400: ("out_of_range", "out_of_range"),
    "-": ("not_integer", "not_number"),
    "+-5": ("not_integer", "not_number"),
    "five": ("not_integer", "not_number"),
    "TRUE": ("not_integer", "not_number"),
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_each_spelling_is_the_value_that_the_table_says_or_a_reject(
    tmp_path: Path, mode: str, text: str, store: Databases
) -> None:
    place = Place(tmp_path, TABLES, store=store)
    place.load(mode, {"numbers": place.file("n.csv", f'id,whole,real\n1,"{text}",\n2,,"{text}"\n')})
    stored = {key: (whole, real) for key, whole, real in place.rows("numbers")}
    codes = {record["id"]: names for _, _, record, names in place.stored_rejects("numbers")}
    for key, column, expected in ((1, "whole", SPELLINGS[text][0]), (2, "real", SPELLINGS[text][1])):
        if isinstance(expected, str):
            assert codes[str(key)] == [f"{column}.{expected}"]
        else:
            assert stored[key][key - 1] == expected
            assert type(stored[key][key - 1]) is type(expected)


def test_the_reason_says_what_was_read_and_clips_it(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, TABLES, store=store)
    long = "x" * 1_000_000
    report = place.load(
        "sequential", {"numbers": place.file("n.csv", f'id,whole,real\n1,a"b,1\n2,{long},1\n3,5 €,z\n')}
    )
    messages = [[reason.message for reason in reject.reasons] for reject in report.tables["numbers"].rejects]
    assert messages == [
        ["a quote stands inside an unquoted field, is not doubled, or never closes"],
        [f"whole must be an integer, not '{'x' * 60}…'"],
        ["whole must be an integer, not '5 €'", "real must be a number, not 'z'"],
    ]


def test_nothing_where_a_number_must_be_is_missing(place: Place, mode: str) -> None:
    place.load(mode, {"products": place.file("p.csv", b'id,name,price\n,a,\n"",b,""\n')})
    assert [names for _, _, _, names in place.stored_rejects("products")] == [["id.missing", "price.missing"]] * 2
