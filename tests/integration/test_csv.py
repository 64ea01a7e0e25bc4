"""CSV: every record arrives as it stands or is a reject that names its lines."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from async_loader import Column, Source, SourceError, Table, Type
from async_loader.sources import csv_blocks, streams
from tests.sample import Place, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

HEADER = b"id,name,email\n"
GOOD = b"%d,n,a@b\n"

# What follows the header; ids that are stored; rejects as (line, line_end, reasons).
CASES: dict[str, tuple[bytes, list[int], list[tuple[int, int, list[str]]]]] = {
    "too few fields": (b"1,a,@\n2,b\n3,c,@\n", [1, 3], [(3, 3, ["wrong_field_count"])]),
    "too many fields": (b"1,a,@\n2,b,@,x\n3,c,@\n", [1, 3], [(3, 3, ["wrong_field_count"])]),
    "invalid UTF-8": (b"1,a,@\n2,\xff,@\n3,c,@\n", [1, 3], [(3, 3, ["name.invalid_utf8"])]),
    "invalid UTF-8 in two fields": (b"\xc3\x28,\xff,@\n", [], [(2, 2, ["id.invalid_utf8", "name.invalid_utf8"])]),
    "invalid UTF-8 in a record of too few fields": (b"1,\xff\n2,b,@\n", [2], [(2, 2, ["wrong_field_count"])]),
    "invalid UTF-8 behind a quoted line break": (
        b'1,"\xc3\xa9\n",@\n2,"\xc3\n",@\n3,,@\n',
        [1],
        [(4, 5, ["name.invalid_utf8"]), (6, 6, ["name.not_empty"])],
    ),
    "a NUL": (b"1,a\0b,@\n2,b,@\n", [2], [(2, 2, ["name.nul_character"])]),
    "a NUL in a number": (b"1\0,a,@\n", [], [(2, 2, ["id.nul_character"])]),
    "lines after quoted line breaks": (
        b'1,"a\nb\r\nc\rd",@\n2,,@\n',
        [1],
        [(5, 5, ["name.not_empty"])],
    ),
    "a reject of several lines": (b'1,"a\nb",x\n2,b,@\n', [2], [(2, 3, ["email.contains"])]),
    "too few fields over several lines": (b'1,"a\nb"\n2,b,@\n', [2], [(2, 3, ["wrong_field_count"])]),
    "CRLF": (b"1,a,@\r\n2,,@\r\n3,c,@\r\n", [1, 3], [(3, 3, ["name.not_empty"])]),
    "a lone CR": (b"1,a\rb,@\n2,,@\r\n3,\r,@\n", [1, 3], [(3, 3, ["name.not_empty"])]),
    "no final line end": (b"1,a,@\n2,b,@", [1, 2], []),
    "blank lines": (b"\n1,a,@\n\r\n\n2,,@\n\n", [1], [(6, 6, ["name.not_empty"])]),
    "a byte order mark in the middle": (b"1,a,@\n\xef\xbb\xbf2,b,@\n", [1], [(3, 3, ["id.not_integer"])]),
    "a stray quote at the start of a field": (b'1,a,@\n2,"b"x,@\n3,c,@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "a stray quote in the middle": (b'1,a,@\n2,b"x,@\n3,c,@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "a stray quote at the end": (b'1,a,@\n2,b",@\n3,c,@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "two stray quotes": (b'1,a,@\n2,b"x"y,@\n3,c,@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "an unclosed quote in the first record": (b'1,"a,@\n2,b,@\n3,c,@\n', [2, 3], [(2, 2, ["invalid_quoting"])]),
    "an unclosed quote in a middle record": (b'1,a,@\n2,"b,@\n3,c,@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "an unclosed quote before a quoted field": (b'1,a,@\n2,"b,@\n3,"c",@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "an unclosed quote in the last record": (b'1,a,@\n2,b,@\n3,"c,@', [1, 2], [(4, 4, ["invalid_quoting"])]),
    "text after a closing quote": (b'1,a,@\n2,"b" ,@\n3,c,@\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "space before an opening quote": (b'1, "a",@\n2,b,@\n', [2], [(2, 2, ["invalid_quoting"])]),
    "broken quoting behind a quoted line break": (
        b'1,"a\nb",@\n2,x"y,@\n3,"c\nd",@\n4,,@\n',
        [1, 3],
        [(4, 4, ["invalid_quoting"]), (7, 7, ["name.not_empty"])],
    ),
    "broken quoting with CRLF": (b'1,a,@\r\n2,b",@\r\n3,c,@\r\n', [1, 3], [(3, 3, ["invalid_quoting"])]),
    "doubled quotes": (b'1,"a""b",@\n2,"""",@\n3,"",@\n', [1, 2], [(4, 4, ["name.not_empty"])]),
    "all reasons at once": (b"x,,y\n", [], [(2, 2, ["id.not_integer", "name.not_empty", "email.contains"])]),
    "no records": (b"", [], []),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1, 50_000])
def test_good_records_arrive_and_bad_ones_name_their_lines(place: Place, mode: str, case: str, size: int) -> None:
    body, stored, rejects = CASES[case]
    report = place.load(mode, {"users": place.file("users.csv", HEADER + body)}, batch_size=size)
    assert [row[0] for row in place.rows("users")] == stored
    assert reject_names(report, "users") == rejects
    assert [(line, end, names) for line, end, _, names in place.stored_rejects("users")] == rejects
    assert report.tables["users"].given == len(stored) + len(rejects)


def test_a_reject_holds_the_values_as_read(place: Place, mode: str) -> None:
    body = b'01,"","x\n"\n2,a\n3,a,@,"b,c"\n4,\xff,@\n5,"a"b,@\n'
    place.load(mode, {"users": place.file("users.csv", HEADER + body)})
    assert [record for _, _, record, _ in place.stored_rejects("users")] == [
        {"id": "01", "name": "", "email": "x\n"},
        {"id": "2", "name": "a"},
        {"id": "3", "name": "a", "email": "@", "_extra": ["b,c"]},
        {"id": "4", "name": "\\xff", "email": "@"},
        {"_raw": '5,"a"b,@'},
    ]


def test_a_reject_is_cut_into_fields_before_bytes_are_shown_as_escapes(place: Place, mode: str) -> None:
    source = Source(place.file("users.csv", b"id\\name\\email\n1\\\xff\n"), delimiter="\\")
    place.load(mode, {"users": source})
    assert place.stored_rejects("users") == [(2, 2, {"id": "1", "name": "\\xff"}, ["wrong_field_count"])]


def test_a_record_of_very_many_fields_is_kept_whole(place: Place, mode: str) -> None:
    line = "1" + ",a" * 10_000
    report = place.load(mode, {"users": place.file("u.csv", f"id,name,email\n{line}\n2,b,@\n")})
    [reject] = report.tables["users"].rejects
    assert reject.record == {"_raw": line}
    assert reject.reasons[0].message == "more than 10,000 fields where the header has 3"
    assert [row[0] for row in place.rows("users")] == [2]


TEXTS = [
    "'); DROP TABLE users; --",
    "\x1b[31mred\x1b[0m\x07",
    '=HYPERLINK("x")',
    "-1+1",
    "👩‍🚀🏳️‍🌈",
    "e\u0301\u0327 \u202eright to left",
    " spaces ",
    "NULL",
    "\ufefffront",
    "tab\tand\x7fdelete",
    "line\nbreak\r\nand\rreturn",
    'quote " and "" two',
    "x" * 10_000_000,
]


def test_text_comes_back_byte_for_byte(place: Place, mode: str) -> None:
    lines = [f'{key},"{text.replace(chr(34), chr(34) * 2)}",@\n' for key, text in enumerate(TEXTS)]
    report = place.load(mode, {"users": place.file("users.csv", HEADER.decode() + "".join(lines))})
    assert [row[1] for row in place.rows("users")] == TEXTS
    assert report.tables["users"].rejected == 0


def test_a_field_of_16_mib_spans_many_blocks(place: Place, mode: str) -> None:
    quoted = "line\n" * (16 * 1024 * 1024 // 5)
    plain = "x" * (16 * 1024 * 1024)
    source = place.file("users.csv", f'id,name,email\n1,"{quoted}",@\n2,{plain},@\n3,,@\n')
    report = place.load(mode, {"users": source})
    assert [row[1] for row in place.rows("users")] == [quoted, plain]
    line = 2 + quoted.count("\n") + 2
    assert reject_names(report, "users") == [(line, line, ["name.not_empty"])]


def test_a_quote_that_never_closes_costs_one_line_of_a_large_file(place: Place, mode: str) -> None:
    records = b"".join(GOOD % key for key in range(2, 400_000))
    report = place.load(mode, {"users": place.file("users.csv", HEADER + b'1,"a,@\n' + records)})
    assert reject_names(report, "users") == [(2, 2, ["invalid_quoting"])]
    assert report.tables["users"].inserted == 399_998


@pytest.mark.parametrize("ends", [["\n", "\r\n"], ["\r", "\n", "\r\n"]], ids=["LF first", "CR first"])
def test_records_on_the_edges_of_blocks_are_whole(place: Place, mode: str, ends: list[str]) -> None:
    """Records of all lengths around the block size, with every line end, so that each cut falls everywhere."""
    random.seed(1)
    rows, lines, line, expected = [], [], 2, []
    for key in range(3_000):
        name = random.choice(["a", "é\n" * random.randrange(400), '"\r\n,' * random.randrange(300), "x" * 2_000])
        end = random.choice(ends)
        written = '"' + name.replace('"', '""') + '"' if set(name) & set('",\r\n') else name
        good = bool(name) and random.random() < 0.9
        lines.append(f"{key},{written},{'@' if good else ''}{end}")
        height = len(written.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        if good:
            rows.append((key, name, "@"))
        else:
            expected.append((line, line + height - 1))
        line += height
    report = place.load(
        mode, {"users": place.file("users.csv", "id,name,email" + ends[0] + "".join(lines))}, report_rejects=9_999
    )
    assert place.rows("users") == rows
    assert [(reject.line, reject.line_end) for reject in report.tables["users"].rejects] == expected


@pytest.mark.parametrize("limit", [8 << 20, pytest.param(streams.RECORD_LIMIT, marks=pytest.mark.long)])
def test_quotes_that_never_close_far_apart_cost_a_line_each(
    place: Place, mode: str, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Each is looked for up to the limit; what was read for that is not read or held again."""
    monkeypatch.setattr(csv_blocks, "RECORD_LIMIT", limit)
    good = b"".join(GOOD % key for key in range(10, 99))
    times = limit // len(good) + 1
    content = HEADER + b'1,"a,@\n' + good * times + b'2,"a,@\n3,b,@\n'
    report = place.load(mode, {"users": place.file("users.csv", content)}, dry_run=True)
    counts = report.tables["users"]
    assert counts.reasons["invalid_quoting"] == 2
    assert (counts.given, counts.inserted) == (89 * times + 3, 90)


def test_wide_records_with_too_few_fields_are_rejects(place: Place, mode: str) -> None:
    long = "x" * 1_000_000
    report = place.load(mode, {"users": place.file("users.csv", f"id,name,email\n1,{long}\n")})
    assert report.tables["users"].rejects[0].record == {"id": "1", "name": long}


def test_columns_may_come_in_any_order_and_unknown_ones_are_named(place: Place, mode: str) -> None:
    report = place.load(mode, {"users": place.file("users.csv", b"age,email,id,name\n9,a@b,1,A\n8,x,2,B\n")})
    assert place.rows("users") == [(1, "A", "a@b")]
    assert report.tables["users"].ignored_columns == ("age",)
    assert place.stored_rejects("users")[0][2] == {"age": "8", "email": "x", "id": "2", "name": "B"}


HEADERS = {
    b"": "is empty: not even a header",
    b"\n\n": "is empty: not even a header",
    b"\xef\xbb\xbf": "is empty: not even a header",
    b"id,name\n1,a\n": "the header lacks 'email'",
    b"id,name,email,name\n": "the header names 'name' twice",
    b"1,Alice,alice@example.com\n": "it has '1', 'Alice', 'alice@example.com', and must have 'id', 'name', 'email'; ",
    b"id,name,email," + b"x" * 200_000 + b",id\n": "the header names 'id' twice",
    b"id;name;email\n1;a;@\n": "the delimiter seems to be a semicolon: --delimiter ';' reads it",
    b"id\tname\temail\n1\ta\t@\n": "the delimiter seems to be a tab: --delimiter '\\t' reads it",
    b"id|name|email\n": "the delimiter seems to be a pipe: --delimiter '|' reads it",
    b'"id";"name";"email"\n1;"a";"@"\n': "quoting; the delimiter seems to be a semicolon: --delimiter ';' reads it",
    b"sep=;\r\nid;name;email\r\n": "for Excel alone: --skip-lines 1 --delimiter ';' reads the rest",
    b'"sep=\t"\nid\tname\n': "for Excel alone: --skip-lines 1 --delimiter '\\t' reads the rest",
    b"sep=,\nid,name,email\n1,a,@\n": "for Excel alone: --skip-lines 1 reads the rest",
    b"Price list 2026\n\nid,name,email\n": "it has 'Price list 2026'; line 3 does: --skip-lines 2 reads from there",
    b"Price list\r\rID,Name,EMail\r1,a,@\r": "it has 'Price list'; line 3 does: --skip-lines 2 reads from there",
    b"Price list\nid;name;email\n": "; line 2 does: --skip-lines 1 --delimiter ';' reads from there",
    b"Names\nof,email\nid,name,email\n": "; line 3 does: --skip-lines 2 reads from there",
    b"Price list\n"
    + 50 * b"x\n"
    + b"id,name,email\n": "it has 'Price list', and must have 'id', 'name', 'email'; --map",
    b'id,"name,email\n1,a,@\n': "the header has broken quoting",
    b'"Nr";"Name";"Post"\n"1";"a";"@"\n': "the header has broken quoting; the delimiter seems to be a semicolon",
    b"i\0d\0,\0n\0": "is UTF-16 without a byte order mark; say so: --encoding utf-16-le",
    b"\0i\0d\0,\0n": "is UTF-16 without a byte order mark; say so: --encoding utf-16-be",
    b"id,name,\xffmail\n": "the header is not valid UTF-8; name its encoding, as in --encoding cp1252",
}


@pytest.mark.parametrize("content", HEADERS)
def test_a_header_that_does_not_fit_is_one_clear_line_and_nothing_is_kept(
    place: Place, mode: str, content: bytes
) -> None:
    good = place.file("products.csv", b"id,name,price\n1,a,1\n")
    source = place.file("users.csv", content)
    with pytest.raises(SourceError) as caught:
        place.load(mode, {"products": good, "users": source})
    assert str(caught.value).startswith(source)
    assert HEADERS[content] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert place.rows("products") == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("body", ['"1,a,@\n\n', '"\n\n', '91,a"b,@\n\n2,b,@\n', "\n1,a,@\n"])
def test_nothing_after_the_header_is_lost(place: Place, mode: str, end: str, body: str) -> None:
    report = place.load(mode, {"users": place.file("users.csv", f"id,name,email{end}{body}")})
    whole = [record["_raw"] for _, _, record, _ in place.stored_rejects("users")]
    whole += [",".join(map(str, row)) for row in place.rows("users")]
    assert whole == [line for line in body.split("\n") if line]
    assert report.tables["users"].given == len(whole)


def test_a_byte_order_mark_and_a_quoted_header_are_read(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("users.csv", b'\xef\xbb\xbf"id","name",email\r\n1,a,@\r\n')})
    assert place.rows("users") == [(1, "a", "@")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter_reads_such_files(place: Place, mode: str, delimiter: str) -> None:
    content = delimiter.join(["id", "name", "email"]) + "\n" + delimiter.join(["1", f'"a{delimiter}b"', "@,"]) + "\n"
    source = Source(place.file("users.csv", content), delimiter=delimiter)
    place.load(mode, {"users": source})
    assert place.rows("users") == [(1, f"a{delimiter}b", "@,")]


def test_a_column_that_may_be_null_distinguishes_nothing_from_empty_text(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    columns = (
        Column("id", Type.TEXT),
        Column("note", Type.TEXT, nullable=True),
        Column("size", Type.REAL, nullable=True),
    )
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    place.load(mode, {"things": place.file("things.csv", b'id,note,size\na,,\nb,"",1\n"",x,2\n')})
    assert place.rows("things") == [("", "x", 2.0), ("a", None, None), ("b", "", 1.0)]


@pytest.mark.parametrize("on_conflict", ["reject", "update"])
def test_a_number_that_one_batch_has_and_another_has_not_stays_in_its_column(
    tmp_path: Path, mode: str, on_conflict: str, store: Databases
) -> None:
    columns = (Column("id", Type.INTEGER), Column("note", Type.TEXT), Column("size", Type.REAL, nullable=True))
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    for note in "ab":
        content = f"id,note,size\n1,{note},\n2,{note},2\n3,{note},3\n4,{note},\n"
        place.load(mode, {"things": place.file("things.csv", content)}, batch_size=1, on_conflict=on_conflict)
    note = "a" if on_conflict == "reject" else "b"
    assert place.rows("things") == [(1, note, None), (2, note, 2.0), (3, note, 3.0), (4, note, None)]


def test_a_header_far_below_the_top_is_read(place: Place, mode: str) -> None:
    source = place.file("users.csv", b"\n" * (5 << 20) + HEADER + b"1,a,@\n2,,@\n")
    report = place.load(mode, {"users": source})
    assert place.rows("users") == [(1, "a", "@")]
    assert [reject.line for reject in report.tables["users"].rejects] == [(5 << 20) + 3]


def test_a_table_of_one_column_has_a_record_a_line(tmp_path: Path, mode: str, store: Databases) -> None:
    place = Place(tmp_path, (Table("words", "words", (Column("word", Type.TEXT),), key="word"),), store=store)
    report = place.load(mode, {"words": place.file("words.csv", b'word\na\n\n""\nb\na\n')})
    assert place.rows("words") == [("",), ("a",), ("b",)]
    assert reject_names(report, "words") == [(6, 6, ["word.duplicate"])]
