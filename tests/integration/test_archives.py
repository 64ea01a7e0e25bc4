"""ZIP archives: a member is read as if it stood alone, and whatever is wrong with an archive is said in one line."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from async_loader import ConfigurationError, Format, RejectFilter, Retry, Source, SourceError
from tests.processes import PATIENCE
from tests.sample import TABLES, Place, reject_names

pytestmark = [pytest.mark.short("sqlite"), pytest.mark.turns("mode", "store")]

CSV = b"id,name,email\n1,Ada,@\n2,Bert,@\nx,Chen,@\n"
ROWS = [(1, "Ada", "@"), (2, "Bert", "@")]
RECORDS = [{"id": key, "name": name, "email": email} for key, name, email in ROWS]


def archived(members: dict[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(RECORDS), file)
    return file.getvalue()


def arrow() -> bytes:
    file, table = io.BytesIO(), pa.Table.from_pylist(RECORDS)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def workbook() -> bytes:
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file)
    book.add_worksheet("other")
    sheet = book.add_worksheet("people")
    sheet.write_row(0, 0, list(RECORDS[0]))
    for place, record in enumerate(RECORDS, 1):
        sheet.write_row(place, 0, list(record.values()))
    book.close()
    return file.getvalue()


# By what is named after the archive, the member and its content.
MEMBERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "u.csv": ("u.csv", lambda: CSV),
    "deep/er/u.csv": ("deep/er/u.csv", lambda: CSV),
    "a#b.csv": ("a#b.csv", lambda: CSV),
    "u.csv.gz": ("u.csv.gz", lambda: gzip.compress(CSV)),
    "u.jsonl": ("u.jsonl", lambda: "".join(json.dumps(each) + "\n" for each in RECORDS).encode()),
    "u.json": ("u.json", lambda: json.dumps(RECORDS).encode()),
    "u.json#a.b": ("u.json", lambda: json.dumps({"a": {"b": RECORDS}}).encode()),
    "u.parquet": ("u.parquet", parquet),
    "u.arrow": ("u.arrow", arrow),
    "u.xlsx#people": ("u.xlsx", workbook),
    "u.xlsx#2": ("u.xlsx", workbook),
}


@pytest.mark.parametrize("named", MEMBERS)
def test_a_member_is_read_as_if_it_stood_alone(place: Place, mode: str, named: str) -> None:
    member, content = MEMBERS[named]
    path = place.file("u.zip", archived({"readme.txt": b"no", member: content(), "z.csv": b"id\n"}))
    place.load(mode, {"users": f"{path}#{named}"})
    assert place.rows("users") == ROWS


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_the_only_file_need_not_be_named(place: Place, mode: str, packed: int) -> None:
    others = {"__MACOSX/._u.csv": b"x", "dir/": b"", "dir/.DS_Store": b"x"}
    path = place.file("u.ZIP", archived({**others, "dir/u.csv": CSV}, packed))
    report = place.load(mode, {"users": path})
    assert report.tables["users"].sources == (f"{path}#dir/u.csv",)
    assert reject_names(report, "users") == [(4, 4, ["id.not_integer"])]
    again = place.load(mode, {"users": Source(path, "csv")})
    assert again.tables["users"].unchanged == 2
    assert place.query("users", "SELECT count(*) FROM loader_rejects") == [(1,)]


def test_a_member_may_have_a_declared_format_and_its_rejects_are_tried_again(place: Place, mode: str) -> None:
    bank = Format("bank", "csv", encoding="cp1252", delimiter=";", skip_lines=1)
    content = "Bänk\nid;name;email\n1;Jörg;@\n2;;@\n".encode("cp1252")
    path = place.file("u.zip", archived({"umsatz.txt": content}))
    place.load(mode, {"users": Source(path, bank)})
    assert place.rows("users") == [(1, "Jörg", "@")]
    Retry(TABLES, RejectFilter(), place.databases, mode=mode).perform()
    assert place.query("users", "SELECT line FROM loader_rejects") == [(4,)]


def test_members_of_one_archive_are_different_contents(place: Place, mode: str) -> None:
    path = place.file("u.zip", archived({"a.csv": b"id,name,email\nx,a,@\n", "b.csv": b"id,name,email\ny,a,@\n"}))
    place.load(mode, {"users": f"{path}#a.csv"})
    place.load(mode, {"users": f"{path}#b.csv"})
    assert place.query("users", "SELECT count(*) FROM loader_rejects") == [(2,)]
    place.load(mode, {"users": f"{path}#b.csv"})
    assert place.query("users", "SELECT count(*) FROM loader_rejects") == [(2,)]


def test_an_archive_may_come_through_a_pipe(place: Place, mode: str) -> None:
    pipe = place.directory / "pipe.zip"
    os.mkfifo(pipe)
    content = archived({"u.csv": CSV})
    writer = threading.Thread(target=lambda: Path(pipe).write_bytes(content), daemon=True)
    writer.start()
    place.load(mode, {"users": f"{pipe}#u.csv"})
    writer.join(PATIENCE)
    assert place.rows("users") == ROWS


def harmed(place: int, value: int, *, in_directory: int | None = None) -> bytes:
    """Return an archive with another byte in its local header or its content, and maybe in its directory."""
    content = bytearray(archived({"u.csv": CSV * 100}))
    content[place] = value
    if in_directory is not None:
        content[content.index(b"PK\x01\x02") + in_directory] = value
    return bytes(content)


# By what is wrong: the archive, what is named after it, and what the line says.
PROBLEMS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "several": (
        lambda: archived({"a.csv": CSV, "b.csv": CSV}),
        "",
        "holds the files 'a.csv', 'b.csv'; name one after #, as in ",
    ),
    "none": (lambda: archived({}), "", "holds no file"),
    "misspelt": (lambda: archived({"orders.csv": CSV, "b.csv": CSV}), "#order.csv", "did you mean 'orders.csv'?"),
    "deeper": (lambda: archived({"a.csv": CSV, "x/b.csv": CSV}), "#b.csv", "did you mean 'x/b.csv'?"),
    "unknown": (lambda: archived({"a.csv": CSV}), "#zzzzzz.csv", "no file 'zzzzzz.csv'; it holds 'a.csv'"),
    "encrypted": (lambda: harmed(6, 1, in_directory=8), "", "#u.csv: is protected by a password: unpack it"),
    "packed by Deflate64": (lambda: harmed(8, 9, in_directory=10), "", "#u.csv: is packed in a way that is not read"),
    "packed by bzip2": (
        lambda: archived({"u.csv": CSV}, zipfile.ZIP_BZIP2),
        "",
        "#u.csv: is packed in a way that is not read",
    ),
    "damaged": (lambda: harmed(45, 0xFF), "", "#u.csv: cannot be read: the archive is damaged: "),
    "cut off": (lambda: archived({"u.csv": CSV})[:-30], "", "is no ZIP archive that can be read: "),
    "no archive": (lambda: CSV, "", "is no ZIP archive that can be read: "),
    "damaged parquet": (lambda: archived({"u.parquet": b"PAR1"}), "", "#u.parquet: cannot be read: "),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_wrong_with_an_archive_is_one_line(place: Place, mode: str, problem: str) -> None:
    content, named, line = PROBLEMS[problem]
    path = place.file("u.zip", content())
    with pytest.raises(SourceError) as caught:
        place.load(mode, {"users": path + named})
    assert str(caught.value).startswith(path)
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert place.rows("users") == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_two_files_of_an_archive_have_is_refused(place: Place, mode: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("u.csv", CSV)
        archive.writestr("u.csv", CSV)
    path = place.file("u.zip", file.getvalue())
    with pytest.raises(SourceError, match=r"several files called 'u.csv'"):
        place.load(mode, {"users": f"{path}#u.csv"})


def test_an_archive_within_an_archive_is_refused(place: Place) -> None:
    path = place.file("u.zip", archived({"v.zip": archived({"u.csv": CSV})}))
    with pytest.raises(ConfigurationError, match=r"u.zip#v.zip: is an archive within another one: take it out"):
        Source(path, "csv")


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("suffix", ["gz", "zip"])
def test_formats_that_are_read_from_their_end_may_be_packed(place: Place, mode: str, kind: str, suffix: str) -> None:
    content = {"parquet": parquet, "arrow": arrow}[kind]()
    packed = gzip.compress(content) if suffix == "gz" else archived({f"u.{kind}": content})
    report = place.load(mode, {"users": place.file(f"u.{kind}.{suffix}", packed)})
    assert (place.rows("users"), report.tables["users"].inserted) == (ROWS, 2)
