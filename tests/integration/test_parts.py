"""Parts of sources: read one after another, they are what one reader reads of the whole."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_loader import Column, LoaderError, Source, SourceError, Table, Type
from async_loader.records.reasons import FAULT_MESSAGES, SHOWN
from async_loader.sources import Reader, csv_blocks, jsonl, parts, streams
from async_loader.sources.parts import Part, keys
from async_loader.sources.parts import read as read_part
from tests.integration.strange_files import LINKS, THINGS, File, csv_files, json_files
from tests.integration.test_fuzz import lengths

# All that was read of a source: its records by line, and what else a reader gives.
Seen = tuple[list[tuple[Any, ...]], list[str], Any]


def seen_of(readers: Iterable[Reader]) -> Seen:
    """Return all that a load can see of readers, one after another: of each record, and of the source."""
    records: list[tuple[Any, ...]] = []
    ignored: list[str] = []
    layouts = None
    for reader in readers:
        with closing(reader):
            delivered = 0
            while (batch := reader.read()) is not None:
                rows = list(_rows(batch))
                delivered += len(rows)
                records += rows
            assert reader.delivered == delivered
        ignored += [name for name in reader.ignored if name not in ignored]
        assert layouts in (None, reader.layouts)
        layouts = reader.layouts
    return records, ignored, layouts


def _rows(batch: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the records of a batch by their lines, so that NaN equals itself."""
    faults = {name: [_fault(*row) for row in fault.rows()] for name, fault in batch.faults.items()}
    supersedes = [None] * len(batch.lines) if batch.supersedes is None else batch.supersedes
    kept = batch.to_json(batch.as_read)
    lines = zip(batch.lines, batch.line_ends, kept, supersedes, strict=True)
    rows: list[tuple[Any, ...]] = []
    for place, row in enumerate(lines):
        at_fault = {name: found[place] for name, found in faults.items() if found[place]}
        lacks = sorted([*batch.absent, *(name for name, flags in batch.lacking.items() if flags[place])])
        values = {name: value for name, value in batch.values.row(place, named=True).items() if name not in lacks}
        rows.append((*row, repr(values), at_fault, lacks))
    rows += [(broken.line, broken.line_end, broken) for broken in batch.broken]
    return iter(sorted(rows, key=lambda row: row[0]))


def _fault(code: str | None, shown: str | None) -> tuple[str, str | None] | None:
    """Return a code, and what its message shows, if that shows the value at all."""
    if code is None:
        return None
    return code, shown if SHOWN in FAULT_MESSAGES[code] else None


def outcome(look: Callable[[], Seen]) -> Seen | str:
    try:
        return look()
    except LoaderError as error:
        return str(error)


def divided(source: Source, table: Table, size: int) -> list[Part]:
    """Divide a source into parts, and send them to another process and back."""
    found: list[Part] = pickle.loads(pickle.dumps(parts.parts(source, table, size=size)))
    assert [part.number for part in found] == list(range(1, len(found) + 1))
    return found


def check(source: Source, table: Table, size: int) -> int:
    """Check that parts of that size are the whole, and return how many they are."""
    whole = outcome(lambda: seen_of([Reader(source, table, 1_000)]))
    if isinstance(whole, str):
        assert outcome(lambda: seen_of(read_part(part, table, 7) for part in divided(source, table, size))) == whole
        return 0
    found = divided(source, table, size)
    assert seen_of(read_part(part, table, 7) for part in found) == whole
    if any(len(row) == 3 and row[2].code == "invalid_quoting" for row in whole[0]):
        assert len(found) == 1
    for part in found:
        check_keys(part, table)
    return len(found)


def check_keys(part: Part, table: Table) -> None:
    """Check that no key of a readable record is missing."""
    read: Counter[Any] = Counter()
    with closing(read_part(part, table, 100)) as reader:
        while (batch := reader.read()) is not None:
            read.update(batch.values[table.key].drop_nulls())
    found = keys(part, table)
    assert found.dtype == table.column(table.key).dtype
    assert read <= Counter(found)


def check_files(files: st.SearchStrategy[File], length: settings, table: Table) -> None:
    """Check any such file, in parts of any size, read and counted in blocks of any size."""
    small = st.integers(1, 40)

    @length
    @given(files, small, st.integers(1, 9), st.integers(4, 300))
    def agree(file: File, size: int, counted: int, block: int) -> None:
        with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "COUNTED", counted)
            patch.setattr(csv_blocks, "BLOCK", block)
            if file.format == "csv":
                patch.setattr(jsonl, "BLOCK", block)
            check(file.source(Path(directory) / "source"), table, size)

    agree()


@lengths(6, 40)
@pytest.mark.parametrize("table", [THINGS, LINKS], ids=lambda table: table.name)
def test_any_csv_in_parts_is_the_whole(length: settings, table: Table) -> None:
    check_files(csv_files(table), length, table)


@lengths(6, 40)
@pytest.mark.parametrize("table", [THINGS, LINKS], ids=lambda table: table.name)
def test_any_json_lines_in_parts_are_the_whole(length: settings, table: Table) -> None:
    check_files(json_files(table), length, table)


FIELDS = ["a", "", '""', '"b,\nc"', '"\r\n\n"', '"\r"', '"d""e"', '""""', '"""\n"""', "é", '"\ufeff"']
ENDS = ["\n", "\n", "\r\n", "\n\n", "\r\n\r\n"]


def well_formed(chance: random.Random, delimiter: str) -> bytes:
    """Make CSV whose quotes are all in place, with everything odd that this allows."""
    ends = chance.choice([ENDS, ["\n"], ["\r\n"], ["\r"]])
    header = chance.choice([["id", "name", "note", "size"], ['"id"', '"name"', "note", "size", '"o\n""t"']])
    texts = chance.choice([FIELDS, FIELDS[:2]])
    fields = [texts if name in ("name", "note") else ["1", "2.5", '"3"', "x"] for name in header]
    rows = [[chance.choice(texts) for texts in fields] for _ in range(chance.randint(0, 40))]
    # With too few fields or too many; a record of nothing but blanks is none.
    rows = [row[: chance.randint(1, 5)] if chance.random() < 0.05 else row for row in rows]
    # A source whose first line ends otherwise has no lines that end in a carriage return.
    text = chance.choice(["", "", "\ufeff", *([] if "\r" in ends else ["\n", "\ufeff\r\n"])])
    text += "".join(delimiter.join(row) + chance.choice(ends) for row in [header, *rows])
    return (text.rstrip("\r\n") if chance.random() < 0.3 else text).replace(",", delimiter).encode()


@pytest.mark.parametrize("count", [6, pytest.param(1_500, marks=pytest.mark.long)])
def test_well_formed_csv_is_divided_wherever_a_record_ends(tmp_path: Path, count: int) -> None:
    several = 0
    for seed in range(count):
        chance = random.Random(seed)
        delimiter = chance.choice(",,;\t|")
        path = tmp_path / str(seed)
        path.write_bytes(well_formed(chance, delimiter))
        source = Source(str(path), "csv", delimiter)
        several += check(source, THINGS, chance.choice([5, 20, 60, 200])) > 1
        finest = divided(source, THINGS, 1)
        with closing(Reader(source, THINGS, 1_000)) as reader:
            ends = [end for batch in iter(reader.read, None) for end in sorted([*batch.line_ends, *_ends(batch)])]
        if len(finest) > 1:
            begins = [part.stretch.line for part in finest if part.stretch]
            # Another part begins on the line after each record.
            assert {end + 1 for end in ends[:-1]} <= set(begins)
        else:
            # Lines that end in a carriage return alone are read by one reader.
            assert len(ends) <= 1 or b"\n" not in re.sub(rb'"[^"]*"', b"", path.read_bytes())
    assert several > count / 2


def _ends(batch: Any) -> list[int]:
    return [broken.line_end for broken in batch.broken]


@pytest.mark.parametrize(
    "broken",
    ['a"b', '"a"b', '"a" ', ' "a"', '"a""', '"a\n1,"b",,\n', '"', '"""', '"a"\0', '"a"\r', '"a"\rb', 'a\r"b"'],
    ids=repr,
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_a_source_with_a_quote_out_of_place_is_one_part(tmp_path: Path, broken: str, size: int) -> None:
    """Wherever it stands, and wherever ranges meet."""
    good = '1,"a ""\n",,1\n'
    path = tmp_path / "u.csv"
    for before, behind in [(0, 5), (5, 0), (3, 3)]:
        path.write_text(f"id,name,note,size\n{good * before}1,{broken},,1\n{good * behind}")
        assert len(divided(Source(str(path)), THINGS, size)) == 1


@pytest.mark.parametrize("head", ["", "id,name,note,size", "id,name,note,size\n", "\n\r\n\nid,name,note,size\r\n\n"])
def test_a_source_of_no_records_is_one_part_or_refused(tmp_path: Path, head: str) -> None:
    path = tmp_path / "u.csv"
    path.write_text(head)
    assert check(Source(str(path)), THINGS, 1) <= 1
    (tmp_path / "u.jsonl").write_text("")
    assert check(Source(str(tmp_path / "u.jsonl")), THINGS, 1) == 1


@pytest.mark.wide
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_record_that_a_reader_may_give_up_for_its_length_is_never_cut(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK", 8)
    monkeypatch.setattr(parts, "COUNTED", 8)
    for module in (csv_blocks, jsonl, streams, parts):
        monkeypatch.setattr(module, "RECORD_LIMIT", 256)
    for length in (20, 100, 240, 600):
        for number in (0, 5):
            name = "n\n" * (length // 2) if kind == "csv" else "n" * length
            names = ["a" if place != number else name for place in range(6)]
            texts = {
                "csv": "id,name,note,size\n" + "".join(f'1,"{name}",,1\n' for name in names),
                "jsonl": "".join(json.dumps({"id": 1, "name": name}) + "\n" for name in names),
            }
            path = tmp_path / f"u.{kind}"
            path.write_text(texts[kind])
            count = check(Source(str(path)), THINGS, 10)
            assert (count > 1) == (length <= 100)


def test_what_the_records_at_the_front_lack_is_the_same_for_every_part(tmp_path: Path) -> None:
    """Of JSON Lines: each later record may have it, and a name that the table does not know ends the load."""
    table = Table("t", "d", (Column("id", Type.INTEGER), Column("size", Type.INTEGER, default=7)))
    path = tmp_path / "u.jsonl"
    records: list[dict[str, int]] = [{"id": key} | ({"size": key} if key > 20 else {}) for key in range(40)]
    path.write_text("no json\n\n" * 9 + "\n".join(map(json.dumps, records)))
    assert check(Source(str(path)), table, 30) > 10
    path.write_text("\n".join(json.dumps({"id": key, f"x{key % 5}": 1}) for key in range(40)))
    assert check(Source(str(path)), table, 30) == 0
    assert check(Source(str(path), ignore=("*",)), table, 30) > 10
    assert check(Source(str(path), ignore=tuple(f"x{number}" for number in range(5))), table, 30) > 10


TYPES = Table(
    "types",
    "d",
    (
        Column("id", Type.INTEGER),
        Column("size", Type.REAL, nullable=True),
        Column("day", Type.DATE, nullable=True),
        Column("at", Type.DATETIME, nullable=True),
        Column("name", Type.TEXT),
    ),
)


@pytest.mark.parametrize(("groups", "count"), [(0.1, 13), (2.5, 5), (100, 1)])
def test_parquet_is_divided_between_row_groups(tmp_path: Path, groups: float, count: int) -> None:
    """Some values are none that the table takes; as which JSON the others are kept does not depend on them."""
    rows = range(500)
    columns = {
        "id": pa.array([None if place % 50 == 3 else place for place in rows]),
        "size": pa.array([float("nan") if place % 90 == 7 else None if place % 4 else 1.5 for place in rows]),
        "day": pa.array([3_000_000 if place % 90 == 60 else place for place in rows], pa.int32()).cast(pa.date32()),
        "at": pa.array([10**18 if place % 90 == 8 else place for place in rows]).cast(pa.timestamp("us")),
        "name": pa.array([f"name {place}" for place in rows]).dictionary_encode(),
        "other": pa.array(rows),
    }
    path = tmp_path / "u.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=40)
    size = int(pq.read_metadata(path).row_group(1).total_byte_size * groups)
    assert check(Source(str(path)), TYPES, size) == count


def test_what_cannot_be_read_from_the_middle_is_one_part(tmp_path: Path) -> None:
    content = b"id,name,note,size\n" + b"1,a,,1\n" * 50
    path = tmp_path / "u.csv.gz"
    path.write_bytes(gzip.compress(content))
    assert check(Source(str(path)), THINGS, 10) == 1
    archive = tmp_path / "u.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("u.csv", content)
    assert check(Source(str(archive)), THINGS, 10) == 1
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert parts.parts(Source(str(pipe)), THINGS, size=1) == [Part(Source(str(pipe)), 1)]
    assert parts.parts(Source("-"), THINGS, size=1) == [Part(Source("-"), 1)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_source_that_changed_since_it_was_divided_is_refused(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame({"id": range(100), "name": ["a"] * 100, "size": [1.0] * 100, "note": ["b"] * 100})
    out = io.BytesIO()
    if kind == "parquet":
        frame.write_parquet(out, row_group_size=20)
    else:
        (frame.write_csv if kind == "csv" else frame.write_ndjson)(out)
    path = tmp_path / f"u.{kind}"
    path.write_bytes(out.getvalue())
    found = divided(Source(str(path)), THINGS, 100)
    assert len(found) > 1
    os.utime(path, ns=(1, 1))
    for look in (lambda part: read_part(part, THINGS, 10), lambda part: keys(part, THINGS)):
        with pytest.raises(SourceError, match=f"u.{kind}: changed while it was read"):
            look(found[-1])


def test_parts_are_read_by_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_bytes(b"id,name,note,size\n" + b'1,"a\n""b",,1\n' * 500)
    source = Source(str(path))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = parts.parts(source, THINGS, size=1_000)
        keys_found = list(pool.map(keys, found, [THINGS] * len(found)))
    assert len(found) == 7
    assert sum(map(len, keys_found)) == 500


def test_a_mended_file_of_rejects_is_divided_too(tmp_path: Path) -> None:
    """Its header has marks, its text apostrophes, and what stands whole in the first column stays a reject."""
    table = Table("t", "d", (Column("note", Type.TEXT), Column("=code", Type.TEXT)), key="=code")
    path = tmp_path / "u.csv"
    rows = ["a,'=1+1,2,why,run:1\r\n", "_raw:1,,3,why,run:2\r\n", 'b,"\'=\n2",5,why,run:3\r\n']
    path.write_text("note,'=code,_line,_reasons,_reject\r\n" + "".join(rows) * 5, newline="")
    assert check(Source(str(path)), table, 20) > 5
    assert {key for part in divided(Source(str(path)), table, 20) for key in keys(part, table)} >= {"=1+1", "=\n2"}


def test_a_source_may_end_with_a_quote(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("id,note,size,name\n" + '1,,1,"a\nb"\n' * 9 + '1,,1,"a\nb"')
    for size in (1, 2, 3, 7, 10, 29):
        assert check(Source(str(path)), THINGS, size) > 1


@pytest.mark.parametrize("mark", ["\ufeff", "\0", "a\0"])
def test_a_mark_at_the_front_of_a_part_is_no_mark_of_the_source(tmp_path: Path, mark: str) -> None:
    """Of a byte order, or of text that is not UTF-8."""
    texts = {
        "csv": "id,name,note,size\n" + f"{mark}1,a,,1\n1,a,,1\n" * 5,
        "jsonl": '{"id": 1, "name": "a"}\n' + f'{mark}{{"id": 1, "name": "a"}}\n' * 5,
    }
    for kind, text in texts.items():
        path = tmp_path / f"u.{kind}"
        path.write_text(text)
        assert check(Source(str(path)), THINGS, 1) > 5
