"""Whole files of anything at all: each load is what reading them in plain Python, record by record, makes of them.

Every example is loaded in every mode, each time with another batch size, block size and number of records per commit:
so all of them agree with each other too. The plain reading is in `tests.plain`, and there is no file of which the two
may differ; that module says where the loader is stricter than Python's own readers.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import pytest
import zstandard
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from async_loader import Column, LoaderError, Reference, Report, Source, Table, Type, contains, greater_than, not_empty
from async_loader.sources import csv_blocks, jsonl
from tests.plain import Outcome, Read, outcomes, read_csv, read_json_lines
from tests.sample import MODES, Place, comparable, names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

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

# An example is some files: to make a failing one smaller would take minutes, and it can be read as it is.
PHASES = (Phase.explicit, Phase.generate)
LONG = settings(max_examples=1_000, phases=PHASES)


def lengths(short: int, wide: int) -> pytest.MarkDecorator:
    """Run a test with a few examples, always the same, and where there is time with more of its own choice."""
    return pytest.mark.parametrize(
        "length",
        [
            pytest.param(settings(max_examples=short, derandomize=True, phases=PHASES), id="short"),
            pytest.param(settings(max_examples=wide, phases=PHASES), id="wide", marks=pytest.mark.wide),
            pytest.param(LONG, id="long", marks=pytest.mark.long),
        ],
    )


@dataclass(frozen=True)
class File:
    """A source: its format, what separates its fields, and all of its bytes."""

    format: str
    delimiter: str
    content: bytes

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


@dataclass(frozen=True)
class Loads:
    """One example: the sources of each table, and a way for each mode."""

    files: dict[str, list[File]]
    ways: list[Way]


def loads(file: Callable[[Table], st.SearchStrategy[File]]) -> st.SearchStrategy[Loads]:
    """Generate one to three such files for each table."""
    # A byte order mark is looked for in the first block, which is never shorter than that.
    bytes_at_once = st.integers(4, 300) | st.just(2 << 20)
    on_conflict = st.sampled_from(["reject", "update", "stop"])
    ways = st.builds(Way, bytes_at_once, st.integers(1, 50), st.integers(0, 7), on_conflict)
    files = st.fixed_dictionaries({table.name: st.lists(file(table), min_size=1, max_size=3) for table in TABLES})
    return st.builds(Loads, files, st.lists(ways, min_size=len(MODES), max_size=len(MODES)))


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


@lengths(4, 20)
def test_nearly_valid_csv_is_loaded_as_plain_python_reads_it(length: settings, store: Databases) -> None:
    length(given(loads(csv_files), st.just(store))(all_modes_agree_with_plain_python))()


@lengths(4, 20)
def test_nearly_valid_json_lines_are_loaded_as_plain_python_reads_them(length: settings, store: Databases) -> None:
    length(given(loads(json_files), st.just(store))(all_modes_agree_with_plain_python))()


@lengths(4, 20)
def test_any_bytes_at_all_are_loaded_as_plain_python_reads_them(length: settings, store: Databases) -> None:
    length(given(loads(any_files), st.just(store))(all_modes_agree_with_plain_python))()


@lengths(4, 20)
def test_a_packed_file_with_other_bytes_in_it_is_loaded_or_refused_alike_in_all_modes(
    length: settings, store: Databases
) -> None:
    """What such a file should hold is not known: a changed byte that no checksum covers is read as it stands."""
    length(given(packed_files(), st.just(store))(all_modes_load_or_refuse_alike))()


def all_modes_load_or_refuse_alike(file: File, store: Databases) -> None:
    with tempfile.TemporaryDirectory() as directory:
        sources = _written({"things": [file]}, Path(directory))
        results = [_outcome(mode, sources, _place(Path(directory) / mode, store)) for mode in MODES]
    assert all(result == results[0] for result in results)


def _outcome(mode: str, sources: dict[str, list[Source]], place: Place) -> tuple[str, dict[str, Any], list[Any]]:
    report: Report | None
    try:
        told, report = "", place.load(mode, sources)
    except LoaderError as error:
        told, report = str(error), error.report
    assert len(told.splitlines()) <= 1
    assert report is not None
    counts = report.tables["things"]
    if not told:
        assert counts.given == counts.inserted + counts.rejected
    assert len(place.rows("things")) == counts.inserted
    return told, comparable(report), place.rows("things")


def all_modes_agree_with_plain_python(example: Loads, store: Databases) -> None:
    reads = {table.name: [file.read(table) for file in example.files[table.name]] for table in TABLES}
    readable = {name: [read for read in found if read is not None] for name, found in reads.items()}
    with tempfile.TemporaryDirectory() as directory:
        sources = _written(example.files, Path(directory))
        load = _refusal if readable != reads else _load
        results = [
            load(mode, way, sources, _place(Path(directory) / mode, store), outcomes(TABLES, readable))
            for mode, way in zip(MODES, example.ways, strict=True)
        ]
    assert all(result == results[0] for result in results)


def _written(files: dict[str, list[File]], directory: Path) -> dict[str, list[Source]]:
    sources: dict[str, list[Source]] = {}
    for name, each in files.items():
        sources[name] = []
        for number, file in enumerate(each):
            path = directory / f"{name}-{number}"
            path.write_bytes(file.content)
            sources[name].append(Source(str(path), file.format, file.delimiter))
    return sources


def _performed(mode: str, way: Way, sources: dict[str, list[Source]], place: Place) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "BLOCK", way.block)
        patch.setattr(jsonl, "BLOCK", way.block)
        options = {name: getattr(way, name) for name in ("batch_size", "commit_every", "on_conflict")}
        return place.load(mode, sources, report_rejects=10_000, **options)


def _refusal(
    mode: str, way: Way, sources: dict[str, list[Source]], place: Place, _: dict[str, Outcome]
) -> dict[str, Any]:
    """Check that a source that cannot be read is one line, and that nothing is kept."""
    with pytest.raises(LoaderError) as caught:
        _performed(mode, way, sources, place)
    assert len(str(caught.value).splitlines()) == 1
    assert all(place.rows(table.name) == [] == place.stored_rejects(table.name) for table in TABLES)
    assert caught.value.report is not None
    return comparable(caught.value.report)


def _load(
    mode: str, way: Way, sources: dict[str, list[Source]], place: Place, expected: dict[str, Outcome]
) -> dict[str, Any]:
    """Check that what is stored and reported is as expected, and that loading it again changes nothing."""
    report = _performed(mode, way, sources, place)
    for table in TABLES:
        _check(place, table, report, expected[table.name], [source.path for source in sources[table.name]])
    json.dumps(report.as_dict(), allow_nan=False, ensure_ascii=False).encode()
    told = comparable(report)
    for each in told["tables"].values():
        # They are named in the order in which blocks have them.
        each["ignored_columns"] = sorted(each["ignored_columns"])
    again = _performed(mode, way, sources, place)
    for table in TABLES:
        counts, rows = again.tables[table.name], place.rows(table.name)
        assert rows == sorted(expected[table.name].rows.values())
        assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, len(rows))
        assert counts.given - counts.rejected == len(rows)
    return told


def _check(place: Place, table: Table, report: Report, expected: Outcome, paths: Sequence[str]) -> None:
    rows = place.rows(table.name)
    assert rows == sorted(expected.rows.values())
    assert [list(map(type, row)) for row in rows] == [list(map(type, row)) for row in sorted(expected.rows.values())]
    found = report.tables[table.name]
    counts = (found.given, found.inserted, found.updated, found.unchanged, found.rejected)
    assert counts == (expected.given, len(rows), 0, 0, len(expected.rejects))
    columns = "given, inserted, updated, unchanged, rejected"
    assert place.query(table.database, f"SELECT {columns} FROM loader_runs") == [counts]
    stored = place.query(
        table.database, "SELECT source, line, line_end, record, reasons FROM loader_rejects ORDER BY id"
    )
    wanted = [(paths[number], read, reasons) for number, read, reasons in expected.rejects]
    assert [(source, line, line_end) for source, line, line_end, _, _ in stored] == [
        (path, read.line, read.line_end) for path, read, _ in wanted
    ]
    for (*_, record, reasons), (_, read, codes) in zip(stored, wanted, strict=True):
        assert names(json.loads(reasons)) == codes
        assert (record if isinstance(read.kept, str) else json.loads(record)) == read.kept
    assert [(reject.source, reject.line) for reject in found.rejects] == [row[:2] for row in stored]


def _place(directory: Path, store: Databases) -> Place:
    directory.mkdir()
    return Place(directory, TABLES, store=store)
