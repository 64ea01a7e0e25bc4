"""Files of anything at all for two tables: nearly valid, cut, changed or any bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import polars as pl
import zstandard
from hypothesis import strategies as st

from async_loader import Column, Reference, Source, Table, Type, contains, greater_than, not_empty
from tests.plain import Read, read_csv, read_json_lines

THINGS = Table(
    "things",
    "left",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT),
        Column("note", Type.TEXT, nullable=True),
        Column("size", Type.REAL, nullable=True),
    ),
    rules=(not_empty("name"), greater_than("size", 0)),
)
LINKS = Table(
    "links",
    "right",
    (
        Column("code", Type.TEXT),
        Column("thing", Type.INTEGER),
        Column("other", Type.INTEGER, nullable=True),
        Column("weight", Type.REAL),
    ),
    key="code",
    rules=(contains("code", "@"), greater_than("weight", 0)),
    references=(Reference("thing", "things"), Reference("other", "things")),
)
TABLES = (THINGS, LINKS)


@dataclass(frozen=True)
class File:
    """A source: its format, what separates its fields, and all of its bytes."""

    format: str
    delimiter: str
    content: bytes

    def source(self, path: Path) -> Source:
        """Write the file, and return it as a source. JSON may have keys that are nearly a column's: all are ignored."""
        path.write_bytes(self.content)
        return Source(str(path), self.format, self.delimiter, ignore=("*",) if self.format == "jsonl" else ())

    def read(self, table: Table) -> list[Read] | None:
        if self.format == "csv":
            return read_csv(self.content, table, self.delimiter)
        return read_json_lines(self.content, table)


@dataclass(frozen=True)
class Way:
    """How one load goes: bytes read at a time, and options."""

    block: int
    batch_size: int
    commit_every: int
    on_conflict: str


Change: TypeAlias = Callable[[bytes, int], bytes]
WEDGES = st.sampled_from([b'"', b"\n", b"\r", b",", b"\0", b"\xff", b"\\", b"{", b'"a"b', b"\xef\xbb\xbf", b"9" * 400])
# What may happen to a file at a place.
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.integers(1, 9).map(lambda many: lambda old, at: old[:at] + old[at + many :]),
    (WEDGES | st.binary(max_size=3)).map(lambda new: lambda old, at: old[:at] + new + old[at:]),
    st.just(lambda old, at: old[:at] + old[at : at + 2][::-1] + old[at + 2 :]),
    st.just(lambda old, at: old[:at]),
)


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw the content as it is, or with a few bytes deleted, inserted or swapped, or cut off."""
    for change in draw(st.just([]) | st.lists(CHANGES, max_size=3)):
        content = change(content, draw(st.integers(0, len(content))))
    return content


@st.composite
def one_replaced(draw: st.DrawFn, good: st.SearchStrategy[list[bytes]], other: st.SearchStrategy[bytes]) -> list[bytes]:
    """Draw a good record except for one of its values."""
    values = list(draw(good))
    values[draw(st.integers(0, len(values) - 1))] = draw(other)
    return values


SMALL = st.integers(0, 4).map(b"%d".__mod__)
# What may stand for a number, rightly or not.
NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds("{}.{}e{}".format, st.integers(0, 2**60), st.integers(0, 2**60), st.integers(-340, 320)),
    st.sampled_from(
        ["0", "-0", "+5", "007", "-0.0", ".5", "7.", "1e3", "1E-400", "1e400", "0e999", "2.5e-324", "1e-320"]
    ),
    st.sampled_from(
        ["1_0", "0x1", " 7", "nan", "-Infinity", "NaN", "1e", "1e+", "--1", "1.e5", "+.5", ".", "-", "\uff19"]
    ),
    st.sampled_from(["9007199254740993", "9" * 330, "0" * 400 + "1", "9" * 5_000, "1e99999999999999999999", "-" * 99]),
    st.sampled_from(["9223372036854775807", "-9223372036854775809", "18446744073709551616", "1.7976931348623159e308"]),
).map(str.encode)

LINE_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\n\r"])
CSV_TEXTS = st.one_of(
    st.sampled_from([b"a@", b"b@b", b"c", b"\xc3\xa9@", b"'=@", b"=1+1@", b"\\", b"\\n@", b"NULL", b"#@", b"\x1c@"]),
    st.sampled_from([b'"@,"', b'"@"""', b'"@\r\n\n"', b'"\r@"', b'"\xef\xbb\xbf@"', b"\xc2\x85@", b"\xe2\x80\xa8@"]),
)
CSV_STRANGE = st.one_of(
    st.sampled_from([b"", b'""', b'"', b'a"b', b'"a"b', b' "a"', b'"\n', b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80"]),
    st.sampled_from([b"\0@", b"\xff@", b'"\xff\n@"', b"\xc3", b"\xed\xa0\x80"]),
)
CSV_GOOD = {Type.INTEGER: SMALL, Type.REAL: SMALL | st.just(b"1.5"), Type.TEXT: CSV_TEXTS}
CSV_ANY = st.one_of(SMALL, NUMBERS, CSV_TEXTS, CSV_STRANGE, st.binary(max_size=3))
# Names of columns that no table has.
OTHERS = st.sampled_from(
    [b"age", b"*", b'"^.*$"', b'"a""b"', b'"a\nb"', b"\\", b"\xc3\xa9", b"line", b" id", b"", b"\0"]
)


@st.composite
def csv_files(draw: st.DrawFn, table: Table) -> File:
    """Draw nearly valid CSV. Its columns are in any order, and it may have one that the table does not have."""
    columns = draw(st.permutations(table.columns))
    header = [column.name.encode() for column in columns]
    good = [CSV_GOOD[column.type] for column in columns]
    if draw(st.booleans()):
        header, good = [*header, draw(OTHERS)], [*good, CSV_ANY]
    record = st.tuples(*good).map(list)
    lines = draw(
        st.lists(st.tuples(record | one_replaced(record, CSV_ANY) | st.lists(CSV_ANY), LINE_ENDS), max_size=12)
    )
    delimiter = draw(st.sampled_from([b",", b",", b";", b"\t", b"|", b"\\"]))
    top = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf\r\n"]))
    top += delimiter.join(header) + draw(LINE_ENDS)
    body = b"".join(delimiter.join(fields) + end for fields, end in lines)
    # A broken header costs the whole load: that should be rare.
    content = draw(mutated(top + body)) if draw(st.integers(0, 9)) == 9 else top + draw(mutated(body))
    return File("csv", delimiter.decode(), content)


JSON_TEXTS = st.sampled_from(
    [b'"a@"', b'"b@"', b'"\\u0040\\ud83d\\ude00"', b'"\xc3\xa9@"', b'"@\\n\\"\\\\\\/"', b'":@,{["']
)
JSON_STRANGE = st.one_of(
    st.sampled_from([b"null", b"true", b'""', b'"', b"", b"tru", b"'a'", b'"5"', b"[]", b"{}", b"[1,]", b"[[[[1]]]]"]),
    st.sampled_from(
        [b'{"a": 1, "a": 2}', b'[{"id": 1}, ":"]', b'{"a": {"b": NaN}}', b'{"a": [":", {"b": 1, "b": 1}]}']
    ),
    st.sampled_from(
        [b'"\\ud800"', b'"\\ude00\\ud83d"', b'"\\ud83d"', b'"\\uD83D\\u0041"', b'"\\x"', b'"\\u12"', b'"\\']
    ),
    st.sampled_from([b'"a\tb"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\\u0000@"', b'"\0@"', b"\xc2\xa01"]),
    st.sampled_from([b'"\x7f\xc2\x85"', b'"\xe2\x80\xa8@"', b'"\xef\xbb\xbf@"', b"\x0b1", b"1\x0c"]),
)
JSON_GOOD = {Type.INTEGER: SMALL, Type.REAL: SMALL | st.just(b"1.5"), Type.TEXT: JSON_TEXTS}
JSON_ANY = st.one_of(SMALL, NUMBERS, JSON_TEXTS, JSON_STRANGE, st.binary(max_size=3))
JSON_KEYS = st.sampled_from(
    [b'"age"', b'"\\u0069d"', b'"id"', b'"code"', b'"a:b"', b'""', b'"\\u0000"', b"1", b'"\\ud800"']
)
JSON_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b"\n \t\n", b" \n", b"\n\x0c\n", b"\r"])


@st.composite
def json_objects(draw: st.DrawFn, table: Table) -> bytes:
    """Draw an object with a key twice, or an unknown one, or without one, or what is no object."""
    keys = [b'"%s"' % column.name.encode() for column in table.columns]
    good: st.SearchStrategy[list[bytes]] = st.tuples(*(JSON_GOOD[column.type] for column in table.columns)).map(list)
    members = [*zip(keys, draw(good | one_replaced(good, JSON_ANY)), strict=True)]
    other, place = draw(st.tuples(JSON_KEYS, JSON_ANY)), draw(st.integers(0, len(members)))
    members[place:place] = draw(st.sampled_from([[], [], [], [other]]))
    space = draw(st.sampled_from([b"", b" ", b"\t"]))
    text = (b"," + space).join(
        key + b":" + space + value for key, value in members[draw(st.sampled_from([0, 0, 0, 1])) :]
    )
    return b"{" + text + b"}"


@st.composite
def json_files(draw: st.DrawFn, table: Table) -> File:
    """Draw nearly valid JSON Lines."""
    line = st.sampled_from([json_objects(table)] * 5 + [JSON_ANY]).flatmap(lambda chosen: chosen)
    lines = draw(st.lists(st.tuples(line, JSON_ENDS), max_size=12))
    top = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\n"]))
    return File("jsonl", ",", top + draw(mutated(b"".join(map(b"".join, lines)))))


@st.composite
def any_files(draw: st.DrawFn, table: Table) -> File:
    """Draw any bytes at all, most of them after a good record."""
    values = {Type.INTEGER: 1, Type.REAL: 0.5, Type.TEXT: "@"}
    record = {column.name: values[column.type] for column in table.columns}
    tops = {
        "csv": ",".join(record) + "\n" + ",".join(map(str, record.values())) + "\n",
        "jsonl": json.dumps(record) + "\n",
    }
    few = st.lists(st.sampled_from([*b'1@,"\n\r{}:\0\xff\xef\xbb\xbf']), max_size=60).map(bytes)
    form = draw(st.sampled_from([*tops]))
    top = tops[form].encode() if draw(st.integers(0, 9)) else b""
    return File(form, ",", top + draw(st.binary(max_size=200) | few))


def _packed() -> dict[str, bytes]:
    """Return sound files of good records, by format."""
    count = 40
    columns = {"id": range(count), "name": map(str, range(count)), "note": ["", "b"] * 20, "size": [0.5] * count}
    frame = pl.DataFrame({name: list(values) for name, values in columns.items()})
    text = frame.write_csv().encode()
    table = io.BytesIO()
    frame.write_parquet(table)
    packed = {
        "csv.gz": gzip.compress(text, mtime=0),
        "csv.bz2": bz2.compress(text),
        "csv.zst": zstandard.compress(text),
    }
    return {**packed, "parquet": table.getvalue()}


PACKED = _packed()


@st.composite
def packed_files(draw: st.DrawFn) -> File:
    """Draw a packed file with some bytes deleted, inserted or swapped, or cut off."""
    form = draw(st.sampled_from([*PACKED]))
    return File(form, ",", draw(mutated(PACKED[form])))
