"""Sources as a whole: compressed or piped, and what happens when one cannot be read to its end."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import os
import re
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from async_loader import (
    Column,
    ConfigurationError,
    LoaderError,
    OverLimitError,
    Run,
    Source,
    SourceError,
    StoreError,
    Table,
    Type,
)
from tests.sample import MODES, TABLES, Place, comparable, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

ROWS = "".join(f"{key},name {key},user{key}@example.com\n" for key in range(60_000))
CSV = f"id,name,email\n{ROWS}".encode()
JSON_LINES = b"".join(b'{"id": %d, "name": "n", "email": "@"}\n' % key for key in range(60_000))
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@functools.cache
def compressed(suffix: str, content: bytes) -> bytes:
    return COMPRESS[suffix](content)


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(("kind", "content"), [("csv", CSV), ("jsonl", JSON_LINES), ("ndjson", JSON_LINES)])
def test_compressed_sources_are_read(place: Place, mode: str, suffix: str, kind: str, content: bytes) -> None:
    report = place.load(mode, {"users": place.file(f"u.{kind}.{suffix}", compressed(suffix, content))})
    assert report.tables["users"].inserted == 60_000


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("harm", ["cut at the end", "cut in the middle", "garbage behind", "damaged", "empty"])
def test_a_damaged_compressed_source_keeps_nothing(place: Place, mode: str, suffix: str, harm: str) -> None:
    whole = compressed(suffix, CSV)
    content = {
        "cut at the end": whole[:-3],
        "cut in the middle": whole[: len(whole) // 2],
        "garbage behind": whole + b"garbage",
        "damaged": whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:],
        "empty": b"",
    }[harm]
    if (suffix, harm) == ("zst", "damaged"):
        content = whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:]
    products = place.file("p.csv", b"id,name,price\n1,a,1\n")
    source = place.file(f"u.csv.{suffix}", content)
    with pytest.raises(SourceError) as caught:
        place.load(mode, {"products": products, "users": source})
    assert str(caught.value).startswith(f"{source}: ")
    for table in ("users", "products"):
        assert place.rows(table) == []
        assert place.query(table, "SELECT * FROM loader_runs") == []


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("users", content)
    return target.getvalue()


def in_parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"id": [1], "name": ["a"], "email": ["@"]}), target)
    return target.getvalue()


ARRAY = b'\xef\xbb\xbf[\n  {"id": 1, "name": "a", "email": "@"},\n  {"id": 2, "name": "b", "email": "@"}\n]\n'
OBJECT = b'{"id": 1, "name": "a", "email": "@"}\n'
# By what a file is called, what it is, and what to do.
MISNAMED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    **{
        f"{suffix} as csv": ("csv", functools.partial(compressed, suffix, CSV), f"users:csv.{suffix}=")
        for suffix in COMPRESS
    },
    "gz as jsonl": (
        "jsonl",
        functools.partial(compressed, "gz", JSON_LINES),
        "is packed: name it users:jsonl.gz=",
    ),
    "gz in gz": ("csv.gz", lambda: gzip.compress(compressed("gz", CSV)), "is packed twice: unpack it once"),
    "xz as csv": ("csv", lambda: lzma.compress(CSV), "is packed with xz: unpack it"),
    "zip as csv": ("csv", lambda: zipped(CSV), "is a ZIP archive, as spreadsheets are"),
    "zip as jsonl": ("jsonl", lambda: zipped(JSON_LINES), "is a ZIP archive, as spreadsheets are"),
    "parquet as csv": ("csv", in_parquet, "is Parquet: name it users:parquet="),
    "parquet as jsonl": ("ndjson", in_parquet, "is Parquet: name it users:parquet="),
    "array as jsonl": ("jsonl", lambda: ARRAY, "is a JSON document: name it users:json="),
    "array as jsonl.gz": ("jsonl.gz", lambda: gzip.compress(ARRAY), "is a JSON document: name it users:json.gz="),
    "array as csv": ("csv", lambda: ARRAY, "is a JSON document: name it users:json="),
    "jsonl as csv": ("csv", lambda: OBJECT, "seems to be JSON Lines: name it users:jsonl="),
    "jsonl as csv.gz": ("csv.gz", lambda: gzip.compress(OBJECT), "name it users:jsonl.gz="),
}


@pytest.mark.parametrize("mistake", MISNAMED)
def test_a_file_of_another_kind_than_its_name_says_is_refused(place: Place, mode: str, mistake: str) -> None:
    suffix, content, told = MISNAMED[mistake]
    source = place.file(f"u.{suffix}", content())
    with pytest.raises(SourceError) as caught:
        place.load(mode, {"users": source, "products": place.file("p.csv", b"id,name,price\n1,a,1\n")})
    problem = str(caught.value)
    assert problem.startswith(source)
    assert told in problem
    assert len(problem.splitlines()) == 1
    assert place.rows("users") == place.rows("products") == []
    if "name it " in problem:
        named, _, path = problem.partition("name it users:")[2].partition("=")
        assert path == source
        assert place.load(mode, {"users": Source(path, named)}).tables["users"].inserted


def test_lines_that_are_arrays_are_rejects_like_others(place: Place, mode: str) -> None:
    """What may be a line of JSON Lines gone wrong is no other kind of file."""
    report = place.load(mode, {"users": place.file("u.jsonl", b'[]\n[1, {"id": 1}]\n' + OBJECT)})
    assert (report.tables["users"].inserted, report.tables["users"].rejected) == (1, 2)


def test_two_compressed_members_are_one_source(place: Place, mode: str) -> None:
    middle = CSV.index(b"\n300,") + 1
    content = gzip.compress(CSV[:middle]) + gzip.compress(CSV[middle:])
    assert place.load(mode, {"users": place.file("u.csv.gz", content)}).tables["users"].inserted == 60_000


def test_a_pipe_is_read_to_its_end(place: Place, mode: str) -> None:
    pipe = str(place.directory / "pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: Path(pipe).write_bytes(CSV))
    writer.start()
    report = place.load(mode, {"users": Source(pipe, "csv")})
    writer.join()
    assert report.tables["users"].inserted == 60_000


def _missing(place: Place) -> str:
    return str(place.directory / "none.csv")


def _directory(place: Place) -> str:
    path = place.directory / "directory.csv"
    path.mkdir()
    return str(path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [(_missing, "no such file or directory"), (_directory, "is a directory")],
)
def test_a_source_that_cannot_be_opened_is_named(
    place: Place, mode: str, make: Callable[[Place], str], problem: str
) -> None:
    path = make(place)
    with pytest.raises(SourceError, match=f"^{path}: cannot be read: {problem}$") as caught:
        place.load(mode, {"users": path})
    assert caught.value.report is not None
    assert caught.value.report.status == "failed"
    assert caught.value.report.error == str(caught.value)


def test_a_source_that_changes_while_it_is_read_keeps_nothing(place: Place, mode: str) -> None:
    path = Path(place.file("u.csv", CSV))
    # The pipe of the second source holds the run until the first one has been changed.
    pipe = str(place.directory / "pipe")
    os.mkfifo(pipe)

    def change() -> None:
        with open(pipe, "wb") as file:
            file.write(b"id,name,price\n")
            with path.open("ab") as source:
                source.write(b"1,a,@\n")

    writer = threading.Thread(target=change)
    writer.start()
    with pytest.raises(SourceError, match=r"u.csv: changed while it was read"):
        place.load(mode, {"users": str(path), "products": Source(pipe, "csv")})
    writer.join()
    assert place.rows("users") == []


@pytest.mark.parametrize(
    ("path", "kind", "delimiter", "problem"),
    [
        ("users.txt", "", ",", "unknown format 'txt'"),
        ("users", "", ",", "has no suffix that names its format"),
        ("users.parquet.gz", "", ",", "unknown format 'parquet.gz'"),
        ("users.csv", "docx", ",", "unknown format 'docx'"),
        ("users.csv", "", "::", "a delimiter is one ASCII character"),
        ("users.csv", "", '"', "a delimiter is one ASCII character"),
    ],
)
def test_what_cannot_be_a_source_is_refused(path: str, kind: str, delimiter: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Source(path, kind, delimiter)


def test_what_does_not_fit_together_is_refused(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="no table is called 'people'; there are orders, products, users"):
        place.load("async", {"people": "users.csv"})
    with pytest.raises(ConfigurationError, match="stdin can be read for one source only"):
        place.load("async", {"users": "-", "products": "-"})
    for options in ({"batch_size": 0}, {"max_rejects": -1}, {"on_conflict": "ignore"}, {"lock_timeout": -1}):
        with pytest.raises(ConfigurationError):
            place.load("async", {}, **options)


def test_all_sources_are_checked_before_the_first_write(place: Place, mode: str) -> None:
    sources = {
        "users": [place.file("a.csv", CSV), place.file("b.csv", b"id,name\n")],
        "products": place.file("p.csv", b"id,name,price\n1,a,1\n"),
    }
    with pytest.raises(SourceError, match=r"b.csv, line 1: the header lacks 'email'"):
        place.load(mode, sources)
    assert place.rows("products") == []


def _many(place: Place) -> list[Source | str]:
    """Write sources of all kinds, more than are open at a time, with a user each."""
    sources: list[Source | str] = []
    for number in range(44):
        header, line = "id,name,email\n", f'{{"id": {number}, "name": "n", "email": "@"}}\n'
        frame = pl.DataFrame({"id": [number], "name": ["n"], "email": ["@"]})
        written = io.BytesIO()
        frame.write_parquet(written)
        name, content = [
            ("csv", f"{header}{number},n,@\n".encode()),
            ("csv.gz", gzip.compress(f"{header}{number},n,@\n".encode())),
            ("jsonl", line.encode()),
            ("parquet", written.getvalue()),
        ][number % 4]
        sources.append(place.file(f"{number}.{name}", content))
    return sources


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_of_many_sources_few_are_open_at_a_time(place: Place, mode: str) -> None:
    sources, seen = _many(place), list[int]()
    before = _open_descriptors()
    run = Run(
        TABLES, {"users": sources}, place.databases, mode=mode, show=lambda _: seen.append(_open_descriptors() - before)
    )
    assert run.perform().tables["users"].inserted == len(sources)
    assert [row[0] for row in place.rows("users")] == list(range(len(sources)))
    assert max(seen) < len(sources)


def test_of_many_sources_one_that_changes_before_its_turn_keeps_nothing(place: Place, mode: str) -> None:
    sources, seen = _many(place), list[Any]()

    def show(progress: Any) -> None:
        if not seen:
            place.file("43.parquet", Path(str(sources[39])).read_bytes())
        seen.append(progress)

    run = Run(TABLES, {"users": sources}, place.databases, mode=mode, show=show)
    with pytest.raises(SourceError, match=r"43.parquet: changed while it was read"):
        run.perform()
    assert place.rows("users") == []


def test_more_rejects_than_allowed_keep_nothing(place: Place, mode: str) -> None:
    bad = place.file("u.csv", "id,name,email\n" + "1,,@\n" * 3 + "2,a,@\n")
    products = place.file("p.csv", b"id,name,price\n1,a,-1\n2,a,1\n")
    with pytest.raises(OverLimitError, match="more rejects than the 3 allowed") as caught:
        place.load(mode, {"users": bad, "products": products}, max_rejects=3)
    assert caught.value.report is not None
    assert caught.value.report.status == "over-limit"
    assert place.rows("users") == place.rows("products") == []
    assert place.stored_rejects("users") == []
    report = place.load(mode, {"users": bad, "products": products}, max_rejects=4)
    assert sum(table.rejected for table in report.tables.values()) == 4


def contents(place: Place) -> list[Any]:
    """Return all that the databases hold, to the byte if they are files."""
    ours = ("loader_runs", "loader_rejects")
    rows = [place.query(name, f"SELECT * FROM {own} ORDER BY 1") for name in place.databases for own in ours]
    rows += [place.rows(table.name) for table in place.tables]
    return rows + [path.read_bytes() for path in place.files.values() if place.store.name == "sqlite"]


@pytest.mark.short("sqlite", "postgresql")
def test_a_dry_run_reports_the_same_and_writes_nothing(place: Place, mode: str) -> None:
    place.load(mode, {"products": place.file("p.csv", b"id,name,price\n1,a,1\n")})
    before = contents(place)
    sources = {
        "users": place.file("u.csv", "id,name,email\n1,a,@\n2,,@\n1,b,@\n"),
        "products": place.file("q.csv", b"id,name,price\n1,b,1\n2,b,1\n"),
        "orders": place.file("o.csv", b"id,user_id,product_id,quantity\n1,1,2,1\n2,2,1,1\n3,1,1,1\n"),
    }
    dry = comparable(place.load(mode, sources, dry_run=True, on_conflict="update"))
    assert contents(place) == before
    wet = comparable(place.load(mode, sources, on_conflict="update"))
    assert dry.pop("dry_run") is True
    assert wet.pop("dry_run") is False
    assert dry == wet
    assert dry["tables"]["products"]["updated"] == 1


def test_the_modes_give_one_report_and_one_set_of_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Databases
) -> None:
    outcomes = []
    for mode in MODES:
        directory = tmp_path / mode
        directory.mkdir()
        place = Place(directory, store=store)
        monkeypatch.chdir(directory)
        place.file("users.csv", 'id,name,email\n1,a,@\nx,"\n",y\n2,b"c,@\n1,z,@\n3,q\n')
        place.file("products.csv", "id,name,price\n1,a,1\n2,b,1e400\n")
        place.file("orders.csv", "id,user_id,product_id,quantity\n1,1,1,1\n2,3,2,0\n")
        report = place.load(mode, {name: f"{name}.csv" for name in ("users", "products", "orders")})
        stored = [place.rows(name) + place.stored_rejects(name) for name in report.tables]
        outcomes.append((comparable(report), stored))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def in_utf_16(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")


BREAK_DATABASE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda path: path.unlink(), "unable to open database file"),
    "no database": (lambda path: path.write_bytes(b"garbage " * 1000), "the file is no SQLite database"),
    "empty": (lambda path: path.write_bytes(b""), "has no table users; run init_db or migrate first"),
    "another encoding": (in_utf_16, "its text is in UTF-16le"),
}


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("harm", BREAK_DATABASE)
def test_a_database_that_cannot_be_used_is_named(place: Place, mode: str, harm: str) -> None:
    do, problem = BREAK_DATABASE[harm]
    do(place.files["users"])
    products = place.file("p.csv", b"id,name,price\n1,a,1\n")
    with pytest.raises(StoreError, match=problem) as caught:
        place.load(mode, {"users": place.file("u.csv", CSV), "products": products})
    assert caught.value.database == "users"
    assert place.rows("products") == []


SCHEMAS = {
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)": "table users has no column email",
    "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT, email TEXT)": "column id is TEXT, not INTEGER",
    "CREATE TABLE users (id INTEGER, name TEXT, email TEXT)": "key id is neither primary key nor unique",
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, x TEXT NOT NULL)": "column x must not be null",
    "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, email TEXT); INSERT INTO users (id) VALUES ('x')": (
        "table users holds id 'x', which is not integer"
    ),
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_table_of_another_shape_is_refused(place: Place, mode: str, schema: str) -> None:
    place.query("users", "DROP TABLE users")
    for statement in schema.split(";"):
        place.query("users", statement)
    with pytest.raises(StoreError, match=SCHEMAS[schema]):
        place.load(mode, {"users": place.file("u.csv", CSV)})


def test_a_table_that_was_made_elsewhere_with_more_is_fine(place: Place, mode: str) -> None:
    place.query("users", "DROP TABLE users")
    place.query(
        "users",
        'CREATE TABLE users ("name" varchar(20), email text, id bigint NOT NULL UNIQUE, "at" text DEFAULT \'now\')',
    )
    place.load(mode, {"users": place.file("u.csv", "id,name,email\n1,a,@\n")})
    assert place.rows("users") == [("a", "@", 1, "now")]


REJECTED = """\
id,name,email,note
1,,=1+1,@SUM(A1)
2,'=x,nobody,'quoted
x,"line
break",a@b,-5
4,b"c,a@b,n
5,a
-6,,+7,"tab\there"
"""


def test_reject_files_are_safe_to_open_and_give_the_same_rejects_again(place: Place, mode: str) -> None:
    rejects_dir = place.directory / "rejects"
    report = place.load(
        mode,
        {"users": place.file("u.csv", REJECTED.encode() + b"7,\xff,a@b,n\n8,a,a@b,n,more\n9,_raw:x,,n\n")},
        rejects_dir=rejects_dir,
    )
    file = rejects_dir / report.run / "users.csv"
    lines = file.read_text().splitlines()
    assert lines[0] == "id,name,email,note,_line,_reasons"
    assert lines[1] == "1,,'=1+1,'@SUM(A1),2,name must not be empty; email must contain '@'"
    again = place.load(mode, {"users": str(file)})
    first, second = (tables.tables["users"].rejects for tables in (report, again))
    whole = [reject.record for reject in first if len(reject.record) == 4 and reject.record["name"] != "\\xff"]
    assert [reject.record for reject in second if "_raw" not in reject.record] == whole
    assert [reject.record["_raw"] for reject in second if "_raw" in reject.record] == [
        '4,b"c,a@b,n',
        "5,a",
        "7,\\xff,a@b,n",
        "8,a,a@b,n,more",
    ]
    assert {reason.code for reject in second if "_raw" in reject.record for reason in reject.reasons} == {
        "wrong_field_count"
    }
    assert len(first) == len(second) == 9
    assert again.tables["users"].ignored_columns == ("note",)
    assert again.tables["users"].inserted == 0


def test_reject_files_are_safe_in_programs_set_to_another_separator(place: Place, mode: str) -> None:
    names = ["a;=1+1", 'a;"=1+1;b', "a\t@x", "a|-x;'=y", "a\n+x", "52.5;-13.4"]
    rows = "".join(f'{key},"{name.replace(chr(34), chr(34) * 2)}",nobody\n' for key, name in enumerate(names))
    # A record of too many fields stands whole in the first cell.
    source = place.file("u.csv", f"id,name,email\n{rows}9,x;=1+1,a@b,more\n")
    report = place.load(mode, {"users": source}, rejects_dir=place.directory / "r")
    file = place.directory / "r" / report.run / "users.csv"
    cells = re.split(r'[;|\t\n]"*', file.read_text())
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "@", "-"} and not cell.startswith("-13.4,")]
    again = place.load(mode, {"users": str(file)})
    *rejects, whole = again.tables["users"].rejects
    assert [reject.record["name"] for reject in rejects] == names
    assert whole.record == {"_raw": "9,x;=1+1,a@b,more"}


def test_reject_files_come_in_the_source_s_format(place: Place, mode: str) -> None:
    content = b'{"id": 1, "name": "", "email": "@", "x": [1.50]}\n{broken\n{"id": 2}\n'
    report = place.load(mode, {"users": place.file("u.jsonl", content)}, rejects_dir=place.directory / "r")
    file = place.directory / "r" / report.run / "users.jsonl"
    first, second, third = file.read_text().splitlines()
    assert first.startswith(
        '{"id": 1, "name": "", "email": "@", "x": [1.50], "_line": 1, "_reasons": [{"code": "not_empty"'
    )
    assert second.startswith('{"_raw": "{broken", "_line": 2')
    assert third.startswith('{"id": 2, "_line": 3')
    again = place.load(mode, {"users": str(file)}, rejects_dir=place.directory / "s")
    assert [line for line, _, _ in reject_names(again, "users")] == [1, 2, 3]
    assert again.tables["users"].ignored_columns == ("x", "_raw")
    rewritten = (place.directory / "s" / again.run / "users.jsonl").read_text().splitlines()
    assert [line.count('"_line"') for line in rewritten] == [1, 1, 1]


def test_reject_files_of_texts_alone_are_still_rejected(tmp_path: Path, mode: str, store: Databases) -> None:
    columns = (Column("k", Type.TEXT), Column("note", Type.TEXT, nullable=True))
    place = Place(tmp_path, (Table("words", "words", columns, key="k"),), store=store)
    report = place.load(mode, {"words": place.file("w.csv", 'k,note\n"x"y,\na\n')}, rejects_dir=tmp_path / "r")
    again = place.load(mode, {"words": str(tmp_path / "r" / report.run / "words.csv")})
    assert reject_names(again, "words") == [(2, 2, ["wrong_field_count"]), (3, 3, ["wrong_field_count"])]


def test_null_and_empty_text_stay_apart_in_reject_files(tmp_path: Path, mode: str, store: Databases) -> None:
    columns = (Column("id", Type.INTEGER), Column("a", Type.TEXT, nullable=True), Column("b", Type.TEXT, nullable=True))
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    report = place.load(mode, {"things": place.file("t.csv", 'id,a,b\nx,,""\n')}, rejects_dir=tmp_path / "r")
    file = tmp_path / "r" / report.run / "things.csv"
    place.load(mode, {"things": place.file("u.csv", file.read_text().replace("\nx,", "\n1,"))})
    assert place.rows("things") == [(1, None, "")]


def test_sources_that_differ_in_their_columns_have_files_of_their_own(place: Place, mode: str) -> None:
    first = place.file("a.csv", "id,name,email\n1,,@\n")
    second = place.file("b.csv", "email,id,name,age\nx,2,b,7\n")
    report = place.load(mode, {"users": [first, second]}, rejects_dir=place.directory / "r")
    files = sorted((place.directory / "r" / report.run).iterdir())
    assert [file.name for file in files] == ["users-2.csv", "users.csv"]
    assert files[0].read_text().splitlines()[1].startswith("x,2,b,7,2,")


def test_reject_files_of_parquet_keep_types_and_values(place: Place, mode: str) -> None:
    path = place.directory / "p.parquet"
    binary = pa.array([b"a", b"\xff", b"c", b"d"])
    columns = {
        "id": pa.array([2**64 - 1, 2, 3, 4], pa.uint64()),
        "name": pa.Array.from_buffers(pa.string(), 4, binary.buffers()).dictionary_encode(),
        "price": pa.array([1, 2, 2**53 + 3, None], pa.int64()),
    }
    pq.write_table(pa.table(columns), path)
    report = place.load(mode, {"products": str(path)}, rejects_dir=place.directory / "r")
    file = place.directory / "r" / report.run / "products.parquet"
    again = place.load(mode, {"products": str(file)})
    assert again.tables["products"].reasons == {
        "id.out_of_range": 1,
        "id.missing": 1,
        "price.out_of_range": 1,
        "price.missing": 1,
    }


def test_json_numbers_of_any_length_pass_through_reject_files(place: Place, mode: str) -> None:
    line = '{"id": %s, "name": "_line", "email": "@", "x": 1e400}' % ("1" * 5_000)
    report = place.load(mode, {"users": place.file("u.jsonl", line)}, rejects_dir=place.directory / "r")
    text = (place.directory / "r" / report.run / "users.jsonl").read_text()
    assert "1" * 5_000 in text
    assert "1e400" in text


def test_a_rejects_directory_that_cannot_be_made_fails_the_run(place: Place, mode: str) -> None:
    blocked = Path(place.file("blocked", b""))
    with pytest.raises(LoaderError, match=r"cannot be written: .*(directory|exists)"):
        place.load(mode, {"users": place.file("u.csv", "id,name,email\n1,,@\n")}, rejects_dir=blocked)
