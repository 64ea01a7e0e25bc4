"""Stored rejects in files: of one table and format each, with every value as it was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from async_loader import (
    Column,
    ConfigurationError,
    OutputError,
    RejectFilter,
    Source,
    StoredReject,
    Table,
    Type,
    not_empty,
)
from async_loader.stores import reject_queries
from tests.integration.stored import ALL, USERS_CSV, edit, exported, findings, retry, shown, stored
from tests.sample import Place
from tests.stores import Databases

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")


NOTES = Table(
    "notes",
    "notes",
    (
        Column("id", Type.INTEGER),
        Column("text", Type.TEXT),
        Column("more", Type.TEXT, nullable=True),
        Column("size", Type.REAL, nullable=True),
    ),
    rules=(not_empty("text"),),
)
ODD = [
    "=1+1",
    "+1",
    "-1",
    "-x",
    "@SUM(A1)",
    "\n=1+1",
    "'\n=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "'\uff20SUM(A1)",
    "'",
    "'=1",
    "''=1",
    "'a",
    '"',
    'a"b',
    '""',
    ",",
    ";",
    "\n",
    "a\r\nb",
    "\r",
    "\t",
    "\ttab",
    " ",
    " a ",
    "\x1b[2J",
    "\x07\x7f",
    "ünï 漢字 🎉",
    "\u202e",
    "\ufeff",
    "_raw:",
    "_raw:x",
    "'_raw:x",
    "null",
    "None",
    "\\N",
    "[1]",
    "{}",
    "_line",
    '"_reject": "x:1"',
]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet"])
def test_odd_values_go_through_a_file_as_they_are(tmp_path: Path, mode: str, suffix: str, store: Databases) -> None:
    """Rejected for their key alone; with the key mended, what is stored is what was read."""
    place = Place(tmp_path, (NOTES,), store=store)
    values = [(text, more) for text in ODD for more in (text, None, "")]
    wanted = {number: (text, more, 0.5) for number, (text, more) in enumerate(values, 1)}
    frame = pl.DataFrame({"id": [None] * len(values), "text": [text for text, _ in values]}).with_columns(
        pl.col("id").cast(pl.Int64),
        more=pl.Series([more for _, more in values], dtype=pl.String),
        size=pl.lit(0.5),
    )
    write(frame, tmp_path / f"n.{suffix}")
    assert place.load(mode, {"notes": str(tmp_path / f"n.{suffix}")}).tables["notes"].rejected == len(values)
    again = retry(place, mode)
    assert again.tables["notes"].reasons == {"id.missing": len(values)}
    file = exported(place, f"bad.{suffix}")
    if suffix == "csv":
        # As a person would do it, leaving the apostrophes: polars could not distinguish empty from null.
        header, *rows = file.read_bytes().decode().split("\r\n,")
        text = "".join([header, *(f"\r\n{number},{row}" for number, row in enumerate(rows, 1))])
        (tmp_path / "mended.csv").write_bytes(text.encode())
    else:
        write(with_keys(file), tmp_path / f"mended.{suffix}")
    report = place.load(mode, {"notes": str(tmp_path / f"mended.{suffix}")})
    assert report.tables["notes"].inserted == len(values)
    assert {key: rest for key, *rest in map(list, place.rows("notes"))} == {key: [*row] for key, row in wanted.items()}
    assert shown(place) == []
    assert findings(place) == []


def write(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        # Quotes around all text, so that what is empty is not null.
        frame.write_csv(path, quote_style="non_numeric")
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    elif path.suffix == ".json":
        frame.write_json(path)
    else:
        frame.write_parquet(path)


def with_keys(file: Path) -> pl.DataFrame:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {".jsonl": pl.read_ndjson, ".json": pl.read_json}
    frame = readers.get(file.suffix, pl.read_parquet)(file)
    return frame.with_columns(id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))


BROKEN_CSV = b'id,name,email\n1,b"c,a@\n2,a\n3,\xff,c@\n4,a,b@,c\n5,,"x@\ny"\n'
BROKEN_JSON = (
    b'{"id": 1, "name": "a", "email": 5}\n{broken\n[]\n{"id": 2.0, "name": "", "email": "@"}\n\xff\n{"id": "3"}\n'
)


def test_a_file_is_of_one_table_one_format_and_new(place: Place) -> None:
    place.load(
        "sequential",
        {
            "users": [place.file("u.csv", USERS_CSV), place.file("v.jsonl", '{"id": 9}\n')],
            "products": [place.file("p.csv", "id,name,price\n1,a,0\n")],
        },
    )
    target = place.directory / "bad.csv"
    with pytest.raises(ConfigurationError, match="these are rejects of products, users: choose one with --table"):
        stored(place).export(ALL, target)
    with pytest.raises(
        ConfigurationError,
        match=r"the file's name must end in one of \.csv, \.jsonl, \.json, \.parquet, \.xlsx, \.ndjson",
    ):
        stored(place).export(RejectFilter("users"), place.directory / "bad.txt")
    found = stored(place).export(RejectFilter("users"), target)
    assert found is not None
    assert found.left == ("users: left out 1 reject of jsonl: name a file that ends in .jsonl for them",)
    text = target.read_text()
    with pytest.raises(ConfigurationError, match="exists already; name another file"):
        stored(place).export(RejectFilter("users"), target)
    assert target.read_text() == text
    assert stored(place).export(RejectFilter("orders"), place.directory / "none.csv") is None
    assert not (place.directory / "none.csv").exists()


def test_sources_with_other_columns_go_to_files_of_their_own(place: Place) -> None:
    other = "id;email;name;age\n7;x;n;8\n"
    files = [Source(place.file("u.csv", USERS_CSV)), Source(place.file("v.csv", other), delimiter=";")]
    place.load("sequential", {"users": files})
    blocked = place.file("bad-2.csv", "mine")
    with pytest.raises(OutputError, match=r"bad-2\.csv: cannot be written: it exists already"):
        stored(place).export(ALL, place.directory / "bad.csv")
    assert Path(blocked).read_text() == "mine"
    assert not (place.directory / "bad.csv").exists()
    Path(blocked).unlink()
    found = stored(place).export(ALL, place.directory / "bad.csv")
    assert found is not None
    assert [(path.name, count, layout.dialect.delimiter) for path, count, layout in found.files] == [
        ("bad.csv", 3, ","),
        ("bad-2.csv", 1, ";"),
    ]
    header, row = Path(blocked).read_text().splitlines()
    assert header == "id;email;name;age;_line;_reasons;_reject"
    assert row.startswith("7;x;n;8;2;email must contain '@';")


def test_broken_records_stand_whole_in_a_file_and_still_name_their_rejects(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", BROKEN_CSV)})
    file = exported(place, "bad.csv")
    assert file.read_text().splitlines()[1].startswith('"_raw:1,b""c,a@",,,2,')
    as_it_is = place.load(mode, {"users": str(file)})
    assert as_it_is.tables["users"].rejected == 5
    assert {each.run for each in shown(place)} == {as_it_is.run}
    whole = exported(place, "again.csv").read_text().replace('"_raw:1,b""c,a@",,', '1,"b""c",a@')
    # One that is broken anew, and one with too few fields, still name theirs at the end of the line.
    whole = whole.replace('"_raw:2,a",,', 'x"y,').replace('"_raw:4,a,b@,c",,', "4,")
    last = place.load(mode, {"users": place.file("v.csv", whole)})
    assert place.rows("users") == [(1, 'b"c', "a@")]
    assert {each.run for each in shown(place)} == {last.run}
    assert len(shown(place)) == 4
    assert findings(place) == []


def test_a_broken_line_of_json_still_names_its_reject(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.jsonl", BROKEN_JSON)})
    file = exported(place, "bad.ndjson")
    report = place.load(mode, {"users": place.file("v.jsonl", file.read_text().replace('{"id": 1,', '{"id": 1,,'))})
    assert report.tables["users"].rejected == 6
    assert {each.run for each in shown(place)} == {report.run}
    assert findings(place) == []


def test_marks_are_no_data_wherever_they_stand(place: Place, mode: str) -> None:
    for name, content in {
        "a.csv": "_reject,id,_line,name,email,_reasons\nx:1,1,7,a,@,why\n",
        "b.jsonl": '{"_reject": 5, "id": 2, "name": "a", "email": "@", "_line": null, "_reasons": []}\n',
    }.items():
        assert place.load(mode, {"users": place.file(name, content)}).tables["users"].ignored_columns == ()
    frame = pl.DataFrame({"id": [3], "name": ["a"], "email": ["@"], "_reject": [7], "_line": [1], "_reasons": ["x"]})
    frame.write_parquet(place.directory / "c.parquet")
    report = place.load(mode, {"users": str(place.directory / "c.parquet")})
    assert report.tables["users"].ignored_columns == ()
    assert [row[0] for row in place.rows("users")] == [1, 2, 3]


BILLS = Table(
    "bills",
    "bills",
    (
        Column("id", Type.INTEGER),
        Column("sum", Type.DECIMAL, digits=8, places=2, nullable=True),
        Column("day", Type.DATE),
        Column("at", Type.DATETIME, zone="UTC", nullable=True),
        Column("paid", Type.BOOLEAN),
        Column("kind", Type.TEXT),
        Column("note", Type.TEXT, default="none"),
    ),
    rules=(not_empty("kind"),),
)
BILLS_READ = {
    "csv": "nr,sum,day,at,paid,more\nx,1.10,2024-02-30,2024-01-01T00:00:00Z,true,a\n2,n/a,2024-01-02,,maybe,b\n",
    "jsonl": '{"nr": "x", "sum": 1.10, "day": "2024-02-30", "at": "2024-01-01T00:00:00Z", "paid": true}\n'
    '{"nr": 2, "sum": "n/a", "day": "2024-01-02", "paid": 5}\n',
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet"])
def test_rejects_are_read_as_their_source_was_with_other_names_constants_and_defaults(
    tmp_path: Path, mode: str, suffix: str, store: Databases
) -> None:
    place = Place(tmp_path, (BILLS,), store=store)
    path = tmp_path / f"b.{suffix}"
    if suffix == "parquet":
        frame = pl.DataFrame(
            {"nr": [None, 2], "sum": ["1.10", "0.001"], "day": ["2024-02-01", None], "paid": [True, None]}
        )
        at = pl.Series([None, "2024-01-01T00:00:00Z"]).str.to_datetime(time_zone="UTC")
        typed = frame.with_columns(pl.col("sum").cast(pl.Decimal(9, 3)), pl.col("day").str.to_date(), at=at)
        typed.write_parquet(path)
    else:
        path.write_text(BILLS_READ.get(suffix) or f"[{','.join(BILLS_READ['jsonl'].splitlines())}]")
    source = Source(
        str(path), names={"id": "nr"}, constants={"kind": "bill"}, means_null=("n/a",), ignore=("more", "other")
    )
    first = place.load(mode, {"bills": source})
    assert first.tables["bills"].rejected == 2
    before = [each.reject for each in shown(place)]
    again = retry(place, mode)
    assert again.tables["bills"].reasons == first.tables["bills"].reasons
    assert [each.reject for each in shown(place)] == before
    found = stored(place).export(ALL, tmp_path / f"bad.{suffix}")
    assert found is not None
    [(file, _, layout)] = found.files
    assert (layout.names, layout.constants, layout.means_null) == ((("id", "nr"),), (("kind", "bill"),), ("n/a",))
    assert layout.ignore == ("more", "other")
    last = place.load(mode, {"bills": replace(source, path=str(file))})
    assert last.tables["bills"].reasons == first.tables["bills"].reasons
    assert len(shown(place)) == 2
    first_key = "1" if suffix == "csv" else 1
    edit(place, "bills", nr=lambda key: key if str(key) == "2" else first_key, day="2024-01-02")
    edit(place, "bills", paid={"csv": "false", "jsonl": False, "json": False, "parquet": True}[suffix])
    if suffix == "parquet":
        edit(place, "bills", sum="1.100")
    assert retry(place, mode).tables["bills"].inserted == 2
    assert [row[0] for row in place.rows("bills")] == [1, 2]
    assert {row[5:] for row in place.rows("bills")} == {("bill", "none")}
    assert findings(place) == []


def test_long_rejects_are_read_in_pages_of_some_megabytes(
    tmp_path: Path, store: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each page has one at least, however long it is."""
    monkeypatch.setattr(reject_queries, "LETTERS", 2_000)
    place = Place(tmp_path, store=store)
    lengths = [10, 5_000, 10, 900, 900, 900, 10, 3_000, 3_000, 10]
    lines = [f"{key},,{'x' * length}" for key, length in enumerate(lengths, 1)]
    place.load("sequential", {"users": place.file("u.csv", "\n".join(["id,name,email", *lines]))})
    pages: list[list[int]] = []

    def take(several: Iterable[StoredReject]) -> bool:
        pages.append([each.reject.line - 1 for each in several])
        return True

    stored(place).each(ALL, take)
    assert [line for page in pages for line in page] == list(range(1, 11))
    assert len(pages) > 4
    assert retry(place, "sequential").tables["users"].rejected == 10
