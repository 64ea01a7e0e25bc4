"""Parquet: typed by the file; a column that cannot fit is refused before any row, a value that cannot is a reject."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from async_loader import Column, RejectFilter, Retry, Source, SourceError, Table, Type
from async_loader.sources import Reader
from async_loader.sources.columnar import BYTES
from tests.sample import Place, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

GOOD = {"id": pa.array([1, 2]), "name": pa.array(["a", "b"]), "price": pa.array([1.5, 2.0])}


def parquet(place: Place, columns: dict[str, Any], **options: Any) -> str:
    path = place.directory / "p.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"id": pa.array([1, 2], pa.int8())},
        {"id": pa.array([1, 2], pa.uint64())},
        {"id": pa.array([1.0, 2.0])},
        {"price": pa.array([1.5, 2.0], pa.float32())},
        {"name": pa.array(["a", "b"]).dictionary_encode()},
        {"name": pa.array(["a", "b"], pa.large_string())},
        {"name": pa.array(["a", "b"], pa.string_view())},
        {"extra": pa.array([b"x", None])},
    ],
)
def test_columns_of_kindred_types_are_read(place: Place, mode: str, columns: dict[str, Any]) -> None:
    report = place.load(mode, {"products": parquet(place, GOOD | columns)})
    assert place.rows("products") == [(1, "a", 1.5), (2, "b", 2.0)]
    assert report.tables["products"].ignored_columns == (("extra",) if "extra" in columns else ())


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("id", pa.array(["1", "2"]), "column 'id' is string, and the table wants integer"),
        ("id", pa.array([True, False]), "column 'id' is bool, and the table wants integer"),
        ("price", pa.array(["1", "2"]), "column 'price' is string, and the table wants real"),
        ("name", pa.array([1, 2]), "column 'name' is int64, and the table wants text"),
        ("name", pa.array([b"a", b"b"]), "column 'name' is binary, and the table wants text"),
        ("name", pa.array([["a"], ["b"]]), "column 'name' is list"),
    ],
)
def test_a_column_of_a_wrong_type_is_refused(place: Place, mode: str, column: str, values: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        place.load(mode, {"products": parquet(place, GOOD | {column: values})})


def test_reals_of_pandas_become_decimals_and_integers(tmp_path: Path, mode: str) -> None:
    columns = (
        Column("id", Type.INTEGER),
        Column("price", Type.DECIMAL, nullable=True, digits=6, places=2),
        Column("stock", Type.INTEGER, nullable=True),
    )
    place = Place(tmp_path, (Table("things", "things", columns),))
    values = {"id": [1.0, 2.0, 3.0, 4.0], "price": [19.99, None, 7.999, 5.0], "stock": [3.0, None, 4.0, 2.5]}
    source = parquet(place, {name: pa.array(each, pa.float64()) for name, each in values.items()})
    report = place.load(mode, {"things": source}, rejects_dir=tmp_path / "rejects")
    assert [(key, None if price is None else float(price), stock) for key, price, stock in place.rows("things")] == [
        (1, 19.99, 3),
        (2, None, None),
    ]
    assert [(each.record, each.reasons[0].message) for each in report.tables["things"].rejects] == [
        ({"id": 3.0, "price": 7.999, "stock": 4.0}, "price has too many digits: 7.999 (at most 2 decimal places)"),
        ({"id": 4.0, "price": 5.0, "stock": 2.5}, "stock must be an integer, not 2.5"),
    ]
    [unmended] = (tmp_path / "rejects").rglob("*.parquet")
    assert [str(pq.read_schema(unmended).field(name).type) for name in values] == ["double"] * len(values)
    again = place.load(mode, {"things": source}).tables["things"]
    assert (again.unchanged, again.rejected) == (2, 2)


def test_a_missing_column_is_refused(place: Place, mode: str) -> None:
    with pytest.raises(
        SourceError,
        match=r"the file lacks 'price', and has 'id', 'name'; --map products.price=NAME reads another column",
    ):
        place.load(mode, {"products": parquet(place, {"id": GOOD["id"], "name": GOOD["name"]})})


def test_values_that_do_not_fit_are_rejects_with_their_row_numbers(place: Place, mode: str) -> None:
    columns = {
        "id": pa.array([1, None, 3, 2**64 - 1, 5, 6], pa.uint64()),
        "name": pa.array(["a", "b", None, "d", "e\0", "f"]),
        "price": pa.array([1.0, 2.0, float("nan"), None, float("inf"), -0.0]),
    }
    report = place.load(mode, {"products": parquet(place, columns)}, batch_size=2)
    assert place.rows("products") == [(1, "a", 1.0)]
    assert reject_names(report, "products") == [
        (2, 2, ["id.missing"]),
        (3, 3, ["name.missing", "price.not_finite"]),
        (4, 4, ["id.out_of_range", "price.missing"]),
        (5, 5, ["name.nul_character", "price.not_finite"]),
        (6, 6, ["price.greater_than"]),
    ]
    assert report.tables["products"].rejects[1].record == {"id": 3, "name": None, "price": "NaN"}


def test_integers_are_reals_only_where_nothing_is_lost(place: Place, mode: str) -> None:
    prices = pa.array([5, 2**53, 2**53 + 1, 2**62, 2**63 - 1], pa.int64())
    columns = {"id": pa.array(range(5)), "name": pa.array(["a"] * 5), "price": prices}
    report = place.load(mode, {"products": parquet(place, columns)})
    assert [row[2] for row in place.rows("products")] == [5.0, 2.0**53, 2.0**62]
    assert reject_names(report, "products") == [(3, 3, ["price.out_of_range"]), (5, 5, ["price.out_of_range"])]


def test_text_that_is_not_utf_8_is_a_reject(place: Place, mode: str) -> None:
    binary = pa.array([b"a", b"\xff"])
    name = pa.Array.from_buffers(pa.string(), 2, binary.buffers())
    report = place.load(mode, {"products": parquet(place, GOOD | {"name": name})})
    assert place.rows("products") == [(1, "a", 1.5)]
    assert reject_names(report, "products") == [(2, 2, ["name.invalid_utf8"])]


def test_null_columns_and_no_rows(tmp_path: Path, mode: str, store: Databases) -> None:
    columns = (
        Column("id", Type.INTEGER),
        Column("note", Type.TEXT, nullable=True),
        Column("size", Type.REAL, nullable=True),
    )
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    nulls = {"id": pa.array([1]), "note": pa.nulls(1), "size": pa.array([None], pa.float64())}
    place.load(mode, {"things": [parquet(place, nulls)]})
    assert place.rows("things") == [(1, None, None)]
    none = {"id": pa.array([], pa.int64()), "note": pa.nulls(0), "size": pa.nulls(0)}
    assert place.load(mode, {"things": parquet(place, none)}).tables["things"].given == 0


def test_a_page_that_was_damaged_is_found_by_its_checksum(place: Place, mode: str) -> None:
    count = 200_000
    columns = {"id": pa.array(range(count)), "name": pa.array(["n"] * count), "price": pa.array([1.0] * count)}
    path = Path(parquet(place, columns, write_page_checksum=True, compression="none", use_dictionary=False))
    content = bytearray(path.read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(SourceError, match="crc checksum verification failed"):
        place.load(mode, {"products": str(path)})
    assert place.rows("products") == []


def test_a_truncated_file_is_refused(place: Place, mode: str) -> None:
    path = Path(parquet(place, GOOD))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceError, match="cannot be read"):
        place.load(mode, {"products": str(path)})


def test_a_damaged_page_header_is_one_line(place: Place, mode: str) -> None:
    path = Path(parquet(place, GOOD))
    content = bytearray(path.read_bytes())
    content[4:16] = b"\xff" * 12
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot be read: .*page header") as caught:
        place.load(mode, {"products": str(path)})
    assert len(str(caught.value).splitlines()) == 1


def test_a_column_whose_name_is_not_utf_8_is_refused(place: Place, mode: str) -> None:
    path = Path(parquet(place, GOOD))
    path.write_bytes(path.read_bytes().replace(b"price", b"pric\xff"))
    with pytest.raises(SourceError, match="the name of a column is not valid UTF-8"):
        place.load(mode, {"products": str(path)})


def test_batches_are_cut_by_bytes_where_a_file_repeats_long_texts(tmp_path: Path) -> None:
    """A file of some kilobytes may hold gigabytes, of texts that stand once in a dictionary."""
    table = Table("notes", "d", (Column("id", Type.INTEGER), Column("note", Type.TEXT), Column("more", Type.TEXT)))
    path = tmp_path / "n.parquet"
    long = ["x" * 1_000_000, "y" * 10]
    indices = pa.array([0 if row % 3 else 1 for row in range(600)], pa.int32())
    repeated = pa.DictionaryArray.from_arrays(indices, pa.array(long))
    plain = pa.array([f"{row:05}" * (20_000 if row == 400 else 1) for row in range(600)])
    content = pa.table({"id": range(600), "note": repeated, "more": plain})
    pq.write_table(content, path, row_group_size=500, use_dictionary=["note"], compression="zstd")
    assert path.stat().st_size < 200_000
    lines, sizes = [], []
    with closing(Reader(Source(str(path)), table, 100_000)) as reader:
        while (batch := reader.read()) is not None:
            lines += batch.lines.to_list()
            sizes.append(batch.values.estimated_size())
            wanted = [long[0 if line % 3 != 1 else 1] for line in batch.lines]
            assert batch.values["note"].to_list() == wanted
            assert batch.values["more"].to_list() == plain[batch.lines[0] - 1 : batch.lines[-1]].to_pylist()
    assert lines == list(range(1, 601))
    assert max(sizes) < 2 * BYTES
    assert len(sizes) < 100


def test_many_small_row_groups_are_read_at_once(tmp_path: Path) -> None:
    table = Table("words", "d", (Column("id", Type.INTEGER), Column("word", Type.TEXT)))
    path = tmp_path / "w.parquet"
    pq.write_table(pa.table({"id": range(300), "word": ["a"] * 300}), path, row_group_size=1)
    with closing(Reader(Source(str(path)), table, 100_000)) as reader:
        batches = [reader.read(), reader.read()]
    assert batches[0] is not None
    assert batches[0].values["id"].to_list() == list(range(300))
    assert batches[1] is None


@pytest.mark.parametrize(
    ("columns", "problem"),
    [(10_001, "it has 10,001 columns, of which at most 10,000 can be read"), (100_001, "lists more than 100,000")],
)
def test_a_file_of_too_many_columns_is_refused(place: Place, mode: str, columns: int, problem: str) -> None:
    path = place.directory / "p.parquet"
    schema = pa.schema([pa.field(f"c{number}", pa.null()) for number in range(columns)])
    pq.ParquetWriter(path, schema).close()
    with pytest.raises(SourceError, match=problem):
        place.load(mode, {"products": str(path)})


def test_nested_values_are_json(tmp_path: Path, mode: str, store: Databases) -> None:
    columns = (Column("id", Type.INTEGER), Column("extra", Type.JSON, nullable=True))
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    nested: list[Any] = [{"a": 1, "b": [1.5, None]}, None, {"a": None, "b": []}]
    lists = [[1, 2], [], None]
    for key, (name, values) in enumerate({"struct": nested, "lists": lists}.items()):
        ids = [10 * key, 10 * key + 1, None]
        pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "extra": values}), tmp_path / f"{name}.parquet")
        report = place.load(mode, {"things": str(tmp_path / f"{name}.parquet")}).tables["things"]
        assert reject_names_of(report) == ["id.missing"]
    stored = [
        extra if isinstance(extra, dict | list | None) else json.loads(extra) for _, extra in place.rows("things")
    ]
    assert stored == [nested[0], None, [1, 2], []]
    Retry(place.tables, RejectFilter(), place.databases, mode=mode).perform()
    assert len(place.stored_rejects("things")) == 2


def reject_names_of(table: Any) -> list[str]:
    return [reason.name for reject in table.rejects for reason in reject.reasons]
