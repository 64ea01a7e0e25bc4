"""Encodings, dialects and spellings: what a format says is what is read, and what does not fit is a reject."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from async_loader import ConfigurationError, Format, RejectFilter, Source, SourceError, StoredRejects
from tests.integration.sales import SALES, as_date, load, stored
from tests.sample import Place


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-be", "shift_jis", "utf-8-sig", "gb18030"])
def test_text_of_any_encoding_is_read_as_python_decodes_it(sales: Place, mode: str, encoding: str) -> None:
    names = ["Mueller", "Bäcker", "naïve", "日本語", '"', "a,b"]
    names = [name for name in names if _can_be_written(name, encoding)]
    content = "id,name\r\n" + "".join(f'{n},"{name.replace(chr(34), chr(34) * 2)}"\r\n' for n, name in enumerate(names))
    load(sales, mode, content.encode(encoding), Format(encoding=encoding))
    assert stored(sales, "id", "name") == list(enumerate(names))


def _can_be_written(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("size", [0, 2_100_000], ids=["short", "over the edge of a block"])
def test_utf_16_is_known_by_its_mark(sales: Place, mode: str, size: int) -> None:
    content = f"id,name\n1,ä{'x' * size}\n2,€\n".encode("utf-16")
    load(sales, mode, content, Format())
    assert [name[:1] for (name,) in stored(sales, "name")] == ["ä", "€"]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437", "ascii"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_a_byte_order_mark_of_utf_8_is_not_read_in_another_encoding(
    sales: Place, mode: str, kind: str, encoding: str
) -> None:
    content = {"csv": "id,name\n1,ä\n", "jsonl": '{"id": 1, "name": "ä"}\n', "json": '[{"id": 1, "name": "ä"}]'}[kind]
    path = sales.file(f"s.{kind}", content.encode("utf-8-sig"))
    with pytest.raises(SourceError, match=r"begins with the byte order mark of UTF-8, .*: --encoding utf-8$"):
        sales.load(mode, {"sales": Source(path, Format(encoding=encoding))})


def test_a_byte_that_is_no_text_is_a_reject_that_names_it(sales: Place, mode: str) -> None:
    content = b"id,name\n1,M\xfcller\n2,M\x81ller\n3,\xe4\n\x81,x\n"
    report = load(sales, mode, content, Format(encoding="cp1252"))
    assert stored(sales, "id", "name") == [(1, "Müller"), (3, "ä")]
    first, second = report.rejects
    assert (first.line, first.record) == (3, {"id": "2", "name": "M\\x81ller"})
    [reason] = first.reasons
    assert (reason.code, reason.column) == ("invalid_encoding", "name")
    assert reason.message == r"name is not text in its encoding: 'M\x81ller', byte 0x81 at character 2"
    assert [reason.code for reason in second.reasons] == ["invalid_encoding"]


def test_records_that_do_not_fit_are_kept_in_their_own_letters(sales: Place, mode: str) -> None:
    content = 'id,name\n1,ä,ö\n2,"ü"ß\n'.encode("cp1252")
    report = load(sales, mode, content, Format(encoding="cp1252"))
    assert [reject.record for reject in report.rejects] == [
        {"id": "1", "name": "ä", "_extra": ["ö"]},
        {"_raw": '2,"ü"ß'},
    ]


def test_a_header_with_a_byte_that_is_no_text_is_refused(sales: Place, mode: str) -> None:
    with pytest.raises(SourceError, match=r"line 1: the header has a byte 0x81 at character 5, which is no cp1252"):
        load(sales, mode, b"id,n\x81me\n", Format(encoding="cp1252"))


def test_fields_may_be_quoted_by_another_character_or_by_none(sales: Place, mode: str) -> None:
    load(sales, mode, b"id;name\n1;'a;b'\n2;'it''s'\n3;\"\n4;'two\nlines'\n", Format(delimiter=";", quote="'"))
    assert stored(sales, "name") == [("a;b",), ("it's",), ('"',), ("two\nlines",)]
    report = load(sales, mode, b'id\tname\n5\t"\n6\t6" pipe\n7\ta\tb\n', Format(delimiter="\t", quote=""))
    assert stored(sales, "name")[4:] == [('"',), ('6" pipe',)]
    assert report.rejects[0].record == {"id": "7", "name": "a", "_extra": ["b"]}
    report = load(sales, mode, b"id,name\n8,'a'b\n9,\"\n", Format(quote="'"))
    assert [reason.code for reason in report.rejects[0].reasons] == ["invalid_quoting"]
    assert stored(sales, "id")[6:] == [(9,)]


def test_lines_before_the_header_are_skipped_and_counted(sales: Place, mode: str) -> None:
    content = b'Bank of "X\r\n\r\nAccount;1\r\nid;name\r\n1;a\r\nx;b\r\n'
    report = load(sales, mode, content, Format(delimiter=";", skip_lines=3))
    assert stored(sales, "id") == [(1,)]
    assert reject_names_of(report) == [(6, ["id.not_integer"])]
    with pytest.raises(SourceError, match="has no 9 lines to skip before its header"):
        load(sales, mode, content, Format(skip_lines=9))


def reject_names_of(table: Any) -> list[tuple[int, list[str]]]:
    return [(reject.line, [reason.name for reason in reject.reasons]) for reject in table.rejects]


def test_columns_of_a_source_without_a_header_are_named(sales: Place, mode: str) -> None:
    report = load(sales, mode, b"1,a\n2,b\nx,c\n", Format(header=("id", "name")))
    assert stored(sales, "id", "name") == [(1, "a"), (2, "b")]
    assert reject_names_of(report) == [(3, ["id.not_integer"])]


def test_lines_of_comment_are_no_records(sales: Place, mode: str) -> None:
    content = b'# it\'s "here\nid,name\n#1,a\n2,b\n\n# "\n3,"c\n#d"\n4,#e\nx,f\n#'
    report = load(sales, mode, content, Format(comment="#"))
    assert stored(sales, "id", "name") == [(2, "b"), (3, "c\n#d"), (4, "#e")]
    assert reject_names_of(report) == [(10, ["id.not_integer"])]
    load(sales, mode, b'The "head\n#id,name\nid,name\n5,g\n#6,h', Format(comment="#", skip_lines=1))
    assert stored(sales, "id")[3:] == [(5,)]


def test_a_comment_may_stand_anywhere_in_a_large_file(sales: Place, mode: str) -> None:
    lines = [f'{number},"a\n#{number}"\n#"no\n' for number in range(60_000)]
    load(sales, mode, f"id,name\n{''.join(lines)}".encode(), Format(comment="#"))
    assert sales.query("sales", "SELECT count(*), max(name) FROM sales") == [(60_000, "a\n#9999")]


def test_escaped_characters_are_no_marks(sales: Place, mode: str) -> None:
    content = rb"""id,name
1,a\,b
2,"it is \"it\""
3,\\
4,two\
lines
5,\N
6,a\Nb\t
x,\"
""".replace(b"\\\\", b"\\\\")
    report = load(sales, mode, content, Format(escape="\\", null=["\\N"]))
    assert stored(sales, "name") == [("a,b",), ('it is "it"',), ("\\",), ("two\nlines",), (None,), ("aNbt",)]
    assert reject_names_of(report) == [(9, ["id.not_integer"])]
    assert report.rejects[0].record == {"id": "x", "name": '"'}


def test_noncharacters_stay_what_they_are(sales: Place, mode: str) -> None:
    names = ["\ufdd0", "a\ufddfa\ufdd1", "\ufdda\r\ufdd0"]
    content = "id,name\n" + "".join(f"{number},{name}\n" for number, name in enumerate(names))
    load(sales, mode, content.encode(), Format())
    assert stored(sales, "name") == [(name,) for name in names]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_carriage_return_within_a_line_is_data(sales: Place, mode: str, end: str) -> None:
    lines = ["id,name", "1,a\rb", '2,"c\rd"', '3,"e"\r,f', "x,\ri", "4,g\r\rh"]
    report = load(sales, mode, end.join(lines).encode(), Format())
    assert stored(sales, "id", "name") == [(1, "a\rb"), (2, "c\rd"), (4, "g\r\rh")]
    assert reject_names_of(report) == [(4, ["invalid_quoting"]), (5, ["id.not_integer"])]
    assert [reject.record for reject in report.rejects] == [{"_raw": '3,"e"\r,f'}, {"id": "x", "name": "\ri"}]


def test_a_source_whose_first_line_ends_in_a_carriage_return_is_read_by_them(sales: Place, mode: str) -> None:
    report = load(sales, mode, b'id,name\r1,a\r2,b\n3,c\r\nx,d\r4,e"\r5,"f\rg"\r', Format())
    assert stored(sales, "id", "name") == [(1, "a"), (2, "b"), (3, "c"), (5, "f\rg")]
    assert reject_names_of(report) == [(5, ["id.not_integer"]), (6, ["invalid_quoting"])]


def test_fields_at_the_end_that_hold_nothing_are_no_part_of_a_record(sales: Place, mode: str) -> None:
    report = load(sales, mode, b'id,name\n1,a,\n2,,,,\n3,c,""\n4,d,e,\n5\n6,\xff,\n', Format())
    assert stored(sales, "id", "name") == [(1, "a"), (2, None)]
    assert reject_names_of(report) == [
        (4, ["wrong_field_count"]),
        (5, ["wrong_field_count"]),
        (6, ["wrong_field_count"]),
        (7, ["name.invalid_utf8"]),
    ]


def test_columns_without_a_name_at_the_end_of_a_header_are_dropped_where_they_hold_nothing(
    sales: Place, mode: str
) -> None:
    report = load(sales, mode, b"id,name,,\n1,a,,\n2,b\n3,c,,x\n4,d,\n5,e,,,\n", Format())
    assert (report.ignored_columns, stored(sales, "id")) == ((), [(1,), (2,), (4,), (5,)])
    assert reject_names_of(report) == [(4, ["wrong_field_count"])]
    assert report.rejects[0].record == {"id": "3", "name": "c", "_extra": ["", "x"]}


def test_lines_of_fields_that_hold_nothing_are_no_records_and_are_counted(sales: Place, mode: str) -> None:
    report = load(sales, mode, b'id,name\n,\n1,a\n,,,\n\n"",\n2,b\n', Format())
    assert (report.given, report.blank_lines, stored(sales, "id")) == (3, 2, [(1,), (2,)])
    assert reject_names_of(report) == [(6, ["id.missing"])]


def test_the_header_once_more_and_a_footer_are_rejects(sales: Place, mode: str) -> None:
    report = load(sales, mode, b"name,id\na,1\nname,id\nb,2\nTotal\n", Format())
    assert stored(sales, "id", "name") == [(1, "a"), (2, "b")]
    assert reject_names_of(report) == [(3, ["repeated_header"]), (5, ["wrong_field_count"])]


GERMAN = Format(decimal=",", thousands=".")


@pytest.mark.parametrize(
    ("text", "form", "amount"),
    [
        ("-236,48", GERMAN, "-236.48"),
        ("1.488,69", GERMAN, "1488.69"),
        ("-1.000", GERMAN, "-1000"),
        ("1.488", GERMAN, "1488"),
        ("1234,5", GERMAN, "1234.5"),
        ("12.34", GERMAN, None),
        ("1.23.456", GERMAN, None),
        ("1,5,5", GERMAN, None),
        (".5", GERMAN, None),
        ("1.488", Format(thousands="."), "1488"),
        ("1'488.5", Format(thousands="'"), "1488.5"),
        ("1\u202f488,5", Format(thousands=" ", decimal=","), "1488.5"),
        ("1\u00a0488", Format(thousands=" "), "1488"),
        ("1.5", Format(decimal=","), None),
        ("+,5", Format(decimal=","), "0.5"),
        ("", GERMAN, ""),
    ],
)
@pytest.mark.short("sqlite")
def test_numbers_are_read_with_their_marks_or_are_rejects(
    sales: Place, mode: str, text: str, form: Format, amount: str | None
) -> None:
    report = load(
        sales, mode, f'id,amount,weight\n1,"{text}",\n2,,"{text}"\n'.encode() if text else b"id,amount\n1,\n", form
    )
    if amount is None:
        assert reject_names_of(report) == [(2, ["amount.not_number"]), (3, ["weight.not_number"])]
    elif not amount:
        assert stored(sales, "amount") == [(None,)]
    else:
        [(read, _), (_, weight)] = stored(sales, "amount", "weight")
        assert (Decimal(str(read)), weight) == (Decimal(amount), float(amount))


def test_an_integer_may_have_thousands(sales: Place, mode: str) -> None:
    report = load(sales, mode, b"id;name\n1.000;a\n12.34;a\n7,0;a\n", replace(GERMAN, delimiter=";"))
    assert stored(sales, "id") == [(1000,)]
    assert reject_names_of(report) == [(3, ["id.not_number"]), (4, ["id.not_integer"])]


def test_booleans_have_the_texts_that_are_named_and_no_other(sales: Place, mode: str) -> None:
    form = Format(true=("Ja", "J"), false=("Nein",))
    report = load(sales, mode, b"id,paid\n1,Ja\n2,Nein\n3,J\n4,true\n5,ja\n6,\n", form)
    assert [(key, None if paid is None else bool(paid)) for key, paid in stored(sales, "id", "paid")] == [
        (1, True),
        (2, False),
        (3, True),
        (6, None),
    ]
    assert reject_names_of(report) == [(5, ["paid.not_boolean"]), (6, ["paid.not_boolean"])]


def test_what_is_said_of_one_truth_value_leaves_the_other(sales: Place, mode: str) -> None:
    load(sales, mode, b"id,paid\n1,x\n2,0\n3,\n", Format(true=["x"], false=["", "0"]))
    assert [bool(paid) for (paid,) in stored(sales, "paid")] == [True, False, False]
    load(sales, mode, b"id,paid\n4,yes\n5,F\n", Format(true=["yes"]))
    assert [bool(paid) for (paid,) in stored(sales, "paid")[3:]] == [True, False]


def test_dates_are_tried_in_the_formats_that_are_named_and_no_other(sales: Place, mode: str) -> None:
    form = Format(date_format=("%d.%m.%Y", "%d.%m.%y", "%d.%m.%Y %H:%M"))
    content = b"id,day,at\n1,31.12.2024,31.12.2024 13:05\n2,01.02.24,\n3,2024-01-01,\n4,30.02.2024,1.1.2024\n"
    report = load(sales, mode, content, form)
    assert [as_date(day) for (day,) in stored(sales, "day")] == [date(2024, 12, 31), date(2024, 2, 1)]
    assert _moment(stored(sales, "at")[0][0]) == datetime(2024, 12, 31, 12, 5, tzinfo=UTC)
    assert reject_names_of(report) == [(4, ["day.not_date"]), (5, ["day.not_date", "at.not_datetime"])]
    assert report.rejects[0].reasons[0].message == (
        "day must be a date, not '2024-01-01', written as %d.%m.%Y or %d.%m.%y"
    )


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def test_a_column_may_have_formats_and_nulls_of_its_own(sales: Place, mode: str) -> None:
    form = Format(date_format={"day": ["%Y%m%d"]}, null={"": ["-"], "name": ["k.A."]})
    load(sales, mode, b"id,name,day,at\n1,k.A.,20240131,2024-01-31 00:00\n2,-,-,-\n3,b,20240201,\n", form)
    assert [(name, day and as_date(day)) for name, day in stored(sales, "name", "day")] == [
        (None, date(2024, 1, 31)),
        (None, None),
        ("b", date(2024, 2, 1)),
    ]


def test_blanks_around_values_are_taken_away_where_that_is_asked_for(sales: Place, mode: str) -> None:
    load(sales, mode, "id , name\n 1,\u00a0a b \n2 ,  \n".encode(), Format(trim=True))
    assert stored(sales, "id", "name") == [(1, "a b"), (2, None)]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"encoding": "cp9999"}, "'cp9999' is no encoding of text"),
        ({"encoding": "rot13"}, "'rot13' is no encoding of text"),
        ({"delimiter": ";;"}, "a delimiter is one ASCII character, not ';;'"),
        ({"delimiter": "'", "quote": "'"}, "each mark of CSV is another character"),
        ({"skip_lines": -1}, "lines to skip are 0 or more"),
        ({"decimal": ".", "thousands": "."}, "decimal mark and thousands separator are both '.'"),
        ({"decimal": "1"}, "a decimal mark is one character, and no digit"),
        ({"true": ("x",), "false": ("x",)}, "'x' cannot mean both true and false"),
        ({"true": "Ja"}, r"true is a list of texts, not one text: \['Ja'\]"),
    ],
)
def test_a_format_that_cannot_be_is_refused(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"format bank: {problem}"):
        Format("bank", "csv", **said)


def test_what_a_base_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="quote is of CSV, and this is jsonl"):
        Source("f.jsonl", Format(quote="'"))
    with pytest.raises(ConfigurationError, match="an encoding is of text, and parquet has none"):
        Source("f.parquet", Format(encoding="cp1252"))


@pytest.mark.parametrize("ignore", ["x", "*"])
def test_a_column_that_is_ignored_may_be_named_twice(sales: Place, mode: str, ignore: str) -> None:
    content = b"x,id,name,x,x\n1,1,a,2,3\nx,id,name,x,x\n4,?,b,5,6\n"
    path = sales.file("s.csv", content)
    report = sales.load(mode, {"sales": Source(path, ignore=(ignore,), names={"name": "name"})})
    assert stored(sales, "id", "name") == [(1, "a")]
    assert reject_names_of(report.tables["sales"]) == [(3, ["repeated_header"]), (4, ["id.not_integer"])]
    record = report.tables["sales"].rejects[1].record
    assert list(record.values()) == ["4", "?", "b", "5", "6"]
    exported = StoredRejects((SALES,), sales.databases).export(RejectFilter(), sales.directory / "rejects.csv")
    assert exported is not None
    file = Path(exported.files[0][0])
    file.write_text(file.read_text().replace("?", "2"))
    again = sales.load(mode, {"sales": str(file)}).tables["sales"]
    assert (again.inserted, again.ignored_columns, stored(sales, "id")) == (1, (), [(1,), (2,)])


def test_a_column_that_is_not_ignored_may_not_be_named_twice(sales: Place, mode: str) -> None:
    path = sales.file("s.csv", b"id,x,x\n1,2,3\n")
    with pytest.raises(SourceError, match=r"the header names 'x' twice; --ignore sales.x leaves out all"):
        sales.load(mode, {"sales": path})
    path = sales.file("s.csv", b"id,id,x\n1,2,3\n")
    with pytest.raises(SourceError, match=r"the header names 'id' twice$"):
        sales.load(mode, {"sales": Source(path, ignore=("*",))})
