"""Spreadsheets: a cell is what the spreadsheet says it is, and what has no value is a reject, in every format."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from async_loader import Column, Format, RejectFilter, Retry, Source, SourceError, StoredRejects, Table, Type
from tests.sample import Place
from tests.stores import Databases

python_calamine = pytest.importorskip("python_calamine")

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

BILL = Table(
    "bills",
    "bills",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT, nullable=True, default=None),
        Column("sum", Type.DECIMAL, nullable=True, default=None, digits=8, places=2),
        Column("size", Type.REAL, nullable=True, default=None),
        Column("day", Type.DATE, nullable=True, default=None),
        Column("at", Type.DATETIME, nullable=True, default=None),
        Column("paid", Type.BOOLEAN, nullable=True, default=None),
    ),
)
_OPTIONS = {"default_date_format": "dd.mm.yyyy hh:mm", "strings_to_formulas": False, "strings_to_urls": False}
NAMES = list(BILL.column_names)


@pytest.fixture
def bills(tmp_path: Path, store: Databases) -> Place:
    return Place(tmp_path, (BILL,), store=store)


def sheet(fill: Callable[[Any, Callable[..., Any]], None], *others: str) -> bytes:
    """Return a workbook whose sheet a function fills; before it stand empty ones of these names."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, _OPTIONS) as book:
        for name in others:
            book.add_worksheet(name)
        fill(book.add_worksheet("Bills 1"), book.add_format)
    return file.getvalue()


def rows(*several: list[Any]) -> bytes:
    """Return a workbook with these rows under the names of all columns."""

    def fill(target: Any, _: Any) -> None:
        for place, row in enumerate([NAMES, *several]):
            target.write_row(place, 0, row)

    return sheet(fill)


@pytest.mark.parametrize(
    "form", [Format(skip_lines=3), Format(skip_lines=4, header=["id", "name"])], ids=["rows", "names"]
)
def test_rows_before_the_header_are_skipped_and_names_may_be_given(bills: Place, mode: str, form: Format) -> None:
    def fill(target: Any, _: Any) -> None:
        several: tuple[list[Any], ...] = (
            ["Bills of 2026"],
            [],
            ["Printed on", "30.11.2026"],
            ["id", "name"],
            [1, "Ann"],
            ["x", "Bob"],
        )
        for place, row in enumerate(several):
            target.write_row(place, 0, row)

    report = bills.load(mode, {"bills": Source(bills.file("b.xlsx", sheet(fill)), form)})
    assert [row[:2] for row in bills.rows("bills")] == [(1, "Ann")]
    [reject] = report.tables["bills"].rejects
    assert (reject.line, reject.record["id"]) == (6, "x")
    # A file of rejects has its header on its first row, whatever the format of their run says.
    exported = StoredRejects((BILL,), bills.databases).export(RejectFilter(), bills.directory / "rejects.xlsx")
    assert exported is not None
    again = bills.load(mode, {"bills": Source(str(exported.files[0][0]), form)})
    [reject] = again.tables["bills"].rejects
    assert (reject.line, reject.record["id"], reject.record["name"]) == (2, "x", "Bob")


def test_the_row_of_a_header_below_a_title_is_named(bills: Place, mode: str) -> None:
    def fill(target: Any, _: Any) -> None:
        for place, row in enumerate([["Bills of 2026"], [], ["id", "of", "name"], ["id", "name"], [1, "Ann"]]):
            target.write_row(place, 0, row)

    source = bills.file("b.xlsx", sheet(fill))
    with pytest.raises(SourceError, match="it has 'Bills of 2026'; row 3 does: --skip-lines 2 reads from there"):
        bills.load(mode, {"bills": source})
    with pytest.raises(SourceError, match=r"it has 'Bills of 2026', and must have .*--map"):
        bills.load(mode, {"bills": Source(source, Format(header=["Bills of 2026"]))})
    bills.load(mode, {"bills": Source(source, Format(skip_lines=3))})
    assert [row[:2] for row in bills.rows("bills")] == [(1, "Ann")]


def load(place: Place, mode: str, content: bytes, part: str = "", **options: Any) -> Any:
    return place.load(mode, {"bills": Source(place.file("b.xlsx", content) + part, **options)})


@pytest.mark.only("sqlite")
def test_cells_are_what_the_spreadsheet_says(bills: Place, mode: str) -> None:
    day, at = datetime(2024, 2, 29), datetime(2024, 2, 29, 4, 5, 6, 789000)  # noqa: DTZ001 - cells have no zone
    load(
        bills,
        mode,
        rows(
            [3.0, "007", 19.989999999999998, 1 / 3, day, at, True],
            [4, 7, 2, 1e300, None, day, False],
            ["5", 0.5, "1.50", "2", "2024-02-29", "2024-02-29T04:05:06", "true"],
        ),
    )
    assert bills.rows("bills") == [
        (3, "007", 19.99, 1 / 3, "2024-02-29", "2024-02-29 04:05:06.789000", 1),
        (4, "7", 2, 1e300, None, "2024-02-29 00:00:00", 0),
        (5, "0.5", 1.5, 2.0, "2024-02-29", "2024-02-29 04:05:06", 1),
    ]


def test_lines_are_rows_of_the_sheet_and_empty_rows_are_no_records(bills: Place, mode: str) -> None:
    def fill(target: Any, _: Any) -> None:
        target.write_row(2, 1, ["id", "name"])
        target.write_row(5, 1, ["x", "a"])
        target.write_row(9, 1, [2, "b"])

    report = load(bills, mode, sheet(fill))
    assert [(reject.line, reject.record) for reject in report.tables["bills"].rejects] == [
        (6, {"id": "x", "name": "a"})
    ]
    assert report.tables["bills"].given == 2
    assert bills.query("bills", "SELECT id, name FROM bills") == [(2, "b")]


def test_errors_and_formulas_that_were_never_calculated_are_rejects(bills: Place, mode: str) -> None:
    def fill(target: Any, _: Any) -> None:
        target.write_row(0, 0, ["id", "name", "sum"])
        target.write_row(1, 0, [1, "a"])
        target.write_formula(1, 2, "=1/0", None, "#DIV/0!")
        target.write_row(2, 0, [2, "b"])
        target.write_formula(2, 2, "=1+1", None, "")
        target.write_row(3, 0, [3])
        target.write_formula(3, 1, '="c"', None, "c")
        target.write_formula(3, 2, "=1+1", None, 2)
        # The last row has nothing else.
        target.write_formula(5, 1, "=1/0", None, "#N/A")

    load(bills, mode, sheet(fill))
    assert [(line, record, names) for line, _, record, names in bills.stored_rejects("bills")] == [
        (2, {"id": 1.0, "name": "a", "sum": {"error_cell": "#DIV/0!"}}, ["sum.error_cell"]),
        (3, {"id": 2.0, "name": "b", "sum": {"no_value": "=1+1"}}, ["sum.no_value"]),
        (6, {"id": None, "name": {"error_cell": "#N/A"}, "sum": None}, ["id.missing", "name.error_cell"]),
    ]
    assert bills.query("bills", "SELECT id, name FROM bills") == [(3, "c")]


def open_document(cells: str) -> bytes:
    """Return an ods file with one sheet."""
    spaces = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in (("office", "office"), ("table", "table"), ("text", "text"))
    )
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces} office:version="1.2"><office:body>'
        f'<office:spreadsheet><table:table table:name="one">{cells}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", text)
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
    return file.getvalue()


def test_an_open_document_is_read_and_its_faulty_cells_too(bills: Place, mode: str) -> None:
    def text(value: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'

    def number(value: float) -> str:
        return f'<table:table-cell office:value-type="float" office:value="{value}"/>'

    error = (
        '<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="">'
        "<text:p>#DIV/0!</text:p></table:table-cell>"
    )
    content = open_document(
        "".join(
            f"<table:table-row{repeated}>{cells}</table:table-row>"
            for repeated, cells in (
                ("", text("id") + text("name")),
                ("", number(1) + text("a")),
                (' table:number-rows-repeated="2"', '<table:table-cell table:number-columns-repeated="2"/>'),
                ("", number(2) + error),
                ("", number(3) + '<table:table-cell table:formula="of:=1+1"/>'),
            )
        )
    )
    bills.load(mode, {"bills": bills.file("b.ods", content)})
    assert bills.query("bills", "SELECT id, name FROM bills") == [(1, "a")]
    assert [(line, names) for line, _, _, names in bills.stored_rejects("bills")] == [
        (5, ["name.error_cell"]),
        (6, ["name.no_value"]),
    ]


@pytest.mark.parametrize("part", ["#Bills 1", "#3"])
def test_a_sheet_is_named_or_numbered(bills: Place, mode: str, part: str) -> None:
    def fill(target: Any, _: Any) -> None:
        target.write_row(0, 0, ["id"])
        target.write_row(1, 0, [1])

    content = sheet(fill, "empty", "notes")
    load(bills, mode, content, part)
    assert bills.query("bills", "SELECT id FROM bills") == [(1,)]
    with pytest.raises(
        SourceError, match=r"has the sheets 'empty', 'notes', 'Bills 1'; name one after #, as in .*#empty"
    ):
        load(bills, mode, content)
    with pytest.raises(SourceError, match="has no sheet 'bills1'; did you mean 'Bills 1'"):
        load(bills, mode, content, "#bills1")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"id,name\n1,a\n"])
def test_a_file_that_is_no_spreadsheet_is_one_line(bills: Place, mode: str, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"b\.xlsx: is no spreadsheet that can be read") as caught:
        load(bills, mode, content)
    assert len(str(caught.value).splitlines()) == 1


def test_a_cell_in_a_column_without_a_name_is_not_lost(bills: Place, mode: str) -> None:
    def fill(target: Any, _: Any) -> None:
        target.write_row(0, 0, ["id", "name"])
        target.write_row(1, 0, [1, "a"])
        target.write_row(2, 0, [2, "b", None, "lost?"])

    load(bills, mode, sheet(fill))
    [(line, _, record, names)] = bills.stored_rejects("bills")
    assert (line, names, record["_extra"]) == (3, ["wrong_field_count"], ["lost?"])


def test_rejects_go_into_a_spreadsheet_and_come_back_as_they_were(bills: Place, mode: str) -> None:
    odd = ["=1+1", "http://x", "007", "1e5", " a ", "_x0041_", "line\nbreak", "\t", "ü😀"]
    load(bills, mode, rows(*([f"k{place}", text, 1.5, math.pi, None, None, True] for place, text in enumerate(odd))))
    assert len(bills.stored_rejects("bills")) == len(odd)
    before = [record for _, _, record, _ in bills.stored_rejects("bills")]
    retried = Retry(bills.tables, RejectFilter(), bills.databases, mode=mode).perform()
    assert retried.tables["bills"].rejected == len(odd)
    exported = StoredRejects(bills.tables, bills.databases).export(RejectFilter(), bills.directory / "bad.xlsx")
    assert exported is not None
    bills.load(mode, {"bills": str(bills.directory / "bad.xlsx")})
    after = [{name: record[name] for name in NAMES} for _, _, record, _ in bills.stored_rejects("bills")]
    assert after == before
    header, *several = python_calamine.load_workbook(bills.directory / "bad.xlsx").get_sheet_by_index(0).to_python()
    with xlsxwriter.Workbook(bills.directory / "mended.xlsx", {"strings_to_formulas": False}) as book:
        target = book.add_worksheet()
        for place, row in enumerate([header, *([number, *row[1:]] for number, row in enumerate(several, 1))]):
            target.write_row(place, 0, row)
    report = bills.load(mode, {"bills": str(bills.directory / "mended.xlsx")})
    assert (report.tables["bills"].inserted, bills.stored_rejects("bills")) == (len(odd), [])
    assert [text for (text,) in bills.query("bills", "SELECT name FROM bills ORDER BY id")] == odd


def test_dates_of_rejects_are_dates_again(bills: Place) -> None:
    day, at = datetime(2024, 2, 29), datetime(1999, 12, 31, 4, 5, 6, 789000)  # noqa: DTZ001 - cells have no zone
    some: list[list[Any]] = [
        ["x", "2024-02-29", None, None, day, at, True],
        [1, day, None, None, "1899-12-30", "2024-02-29T01:02:03.000001Z"],
    ]
    load(bills, "sequential", rows(*some))
    before = [record for _, _, record, _ in bills.stored_rejects("bills")]
    path = bills.directory / "bad.xlsx"
    StoredRejects(bills.tables, bills.databases).export(RejectFilter(), path)
    _, first, second = python_calamine.load_workbook(path).get_sheet_by_index(0).to_python()
    assert first[1] == "2024-02-29"
    assert first[4:6] == [day.date(), at]
    # What a spreadsheet cannot count, and what is dated in a column of texts, is text.
    assert second[1] == "2024-02-29"
    assert second[4:6] == ["1899-12-30", "2024-02-29T01:02:03.000001Z"]
    bills.load("sequential", {"bills": str(path)})
    after = [{name: record[name] for name in NAMES} for _, _, record, _ in bills.stored_rejects("bills")]
    assert after == before


def test_a_sheet_is_one_content_however_it_is_named(bills: Place, mode: str) -> None:
    content = rows(["x", "a"])
    for part in ("", "#1", "#Bills 1"):
        load(bills, mode, content, part)
        assert len(bills.stored_rejects("bills")) == 1


def test_two_sheets_of_a_workbook_are_two_contents(tmp_path: Path, store: Databases, mode: str) -> None:
    table = Table("notes", "notes", (Column("id", Type.INTEGER, generated=True), Column("text", Type.TEXT)))
    place, append = Place(tmp_path, (table,), store), frozenset({"notes"})
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        for name in ("One", "Two"):
            book.add_worksheet(name).write_column(0, 0, ["text", name])
    path = place.file("notes.xlsx", file.getvalue())
    for part in ("#One", "#2"):
        place.load(mode, {"notes": path + part}, append=append)
    for part in ("#1", "#Two"):
        with pytest.raises(SourceError, match="--again"):
            place.load(mode, {"notes": path + part}, append=append)
    assert place.rows("notes") == [(1, "One"), (2, "Two")]


def test_json_of_records_is_what_a_person_reads(bills: Place, mode: str) -> None:
    load(bills, mode, rows(["x", "a", 1.5, 2.0, datetime(2024, 2, 29), None, True]))  # noqa: DTZ001
    [(record,)] = bills.query("bills", "SELECT record FROM loader_rejects")
    assert json.loads(record) == {
        "id": "x",
        "name": "a",
        "sum": 1.5,
        "size": 2.0,
        "day": "2024-02-29",
        "at": None,
        "paid": True,
    }


def test_a_column_of_a_sheet_that_is_ignored_may_be_named_twice(bills: Place, mode: str) -> None:
    def fill(target: Any, _: Any) -> None:
        for place, row in enumerate([["id", "x", "name", "x"], [1, 2, "a", 3], ["?", 4, "b", 5]]):
            target.write_row(place, 0, row)

    report = load(bills, mode, sheet(fill), ignore=("x",)).tables["bills"]
    assert (report.inserted, list(report.rejects[0].record.values())) == (1, ["?", 4.0, "b", 5.0])
    with pytest.raises(SourceError, match=r"names 'x' twice; --ignore bills.x leaves out"):
        load(bills, mode, sheet(fill))
