"""What an inspection guesses of small files, and what it says where the file does not decide."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from async_loader import Inspected, inspect


def inspected(tmp_path: Path, text: str, encoding: str = "utf-8") -> Inspected:
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode(encoding))
    return inspect(path)


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("don\u2019t it\u2019s", "cp1252"),
        ("10 \u20ac off", "cp1252"),
        ("W\u00e4hrung 5 \u20ac", "iso8859-15"),
        ("S\u00e3o Paulo n\u00e3o A\u00e7\u00f5es", "cp1252"),
        ("\u00a7 5 Abs. 1 \u2013 Stra\u00dfe", "cp1252"),
        ("M\u00fcller \u00d6l f\u00fcr", "cp850"),
        ("Gr\u00f6\u00dfe", "mac_roman"),
        ("\u0413\u043e\u0434 \u041c\u043e\u0441\u043a\u0432\u0430", "cp866"),
        ("\u0141\u00f3d\u017a", "cp1250"),
    ],
)
def test_few_signs_beyond_ascii_are_read_as_they_were_written(tmp_path: Path, words: str, encoding: str) -> None:
    found = inspected(tmp_path, "".join(f"{number},{words}\n" for number in range(10)), encoding)
    assert words.encode(encoding).decode(found.form.encoding) == words


def test_where_two_encodings_fit_it_is_said(tmp_path: Path) -> None:
    found = inspected(tmp_path, "id,note\n1,don\u2019t\n", "cp1252")
    assert "encoding: mac_roman fits as well as cp1252" in found.ambiguous


def test_records_that_begin_as_comments_do_are_no_comments(tmp_path: Path) -> None:
    rows = "".join(f"{'#' if number % 2 else 'A'}{number},{number}\n" for number in range(10))
    found = inspected(tmp_path, f"# Exported today\n# by hand\nname,sum\n{rows}")
    assert (found.form.comment, found.form.skip_lines, found.sampling.records) == ("", 2, 10)


def test_what_only_another_column_decides_is_said(tmp_path: Path) -> None:
    rows = "".join(f"1.000,50;50.931;{day + 12}/01/2026;{day:02}/02/2026\n" for day in range(1, 9))
    found = inspected(tmp_path, f"sum;lat;start;end\n{rows}")
    numbers, dates = found.ambiguous
    assert numbers.startswith("50.931 may be 50931 or 50.931: no value like it shows")
    assert "in end may begin with the day or the month: no value of it shows which, but start does" in dates


def test_years_of_two_digits_are_said(tmp_path: Path) -> None:
    found = inspected(tmp_path, "name,born\nAda,31.01.31\nBob,14.02.70\n")
    assert "years of two digits in born: 69 to 99 are read as 1969 to 1999, others as 20.." in found.ambiguous


def test_moments_finer_than_a_microsecond_are_no_crash(tmp_path: Path) -> None:
    moments = pl.Series(["2026-01-02T00:00:00.000000001"]).str.to_datetime(time_unit="ns")
    path = tmp_path / "nano.parquet"
    pl.DataFrame({"at": moments}).write_parquet(path)
    assert [column.name for column in inspect(path).columns] == ["at"]
