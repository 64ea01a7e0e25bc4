"""Files of `--rejects-dir`: safe to open, in the source's format, and read back as they were."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from async_loader import (
    Column,
    LoaderError,
    Table,
    Type,
)
from tests.sample import Place, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")


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
