"""Compressed sources, pipes, and files of another kind than their names say."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from async_loader import (
    Source,
    SourceError,
)
from tests.processes import PATIENCE
from tests.sample import Place

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
    "laid out as jsonl": (
        "jsonl",
        lambda: b'{ "id": 1,\n  "name": "a"\n}\n{ "id": 2,\n  "name": "b"\n}\n',
        "(jq -c .)",
    ),
    "laid out as json": (
        "json",
        lambda: b'{\n  "id": 1\n}\n{\n  "id": 2\n}\n',
        "followed by more: let each object be on one",
    ),
    "lines by CR": ("jsonl", lambda: OBJECT.strip() + b" \r\r " + OBJECT.strip(), "its lines end in a carriage return"),
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
    if "name it " in problem and "jq" not in problem:
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


@pytest.mark.parametrize("padding", [1, 600, 200_000])
def test_nuls_after_gzip_are_padding(place: Place, mode: str, padding: int) -> None:
    middle = CSV.index(b"\n300,") + 1
    content = b"".join(gzip.compress(part) + bytes(padding) for part in (CSV[:middle], CSV[middle:]))
    assert place.load(mode, {"users": place.file("u.csv.gz", content)}).tables["users"].inserted == 60_000


def test_a_pipe_is_read_to_its_end(place: Place, mode: str) -> None:
    pipe = str(place.directory / "pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: Path(pipe).write_bytes(CSV), daemon=True)
    writer.start()
    report = place.load(mode, {"users": Source(pipe, "csv")})
    writer.join(PATIENCE)
    assert report.tables["users"].inserted == 60_000
