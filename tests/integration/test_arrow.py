"""Arrow's own format: columns have types as in Parquet, whether the source is a file or a stream."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from async_loader import Column, RejectFilter, Retry, Source, SourceError, StoredRejects, Table, Type
from tests.sample import Place, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

TABLES = (
    Table(
        "things",
        "things",
        (
            Column("id", Type.INTEGER),
            Column("name", Type.TEXT, nullable=True),
            Column("size", Type.DECIMAL, nullable=True, digits=6, places=2),
        ),
    ),
)
COLUMNS = {
    "id": pa.array([1, None, 3], pa.uint16()),
    "name": pa.array(["a", "b", "a"]).dictionary_encode(),
    "size": pa.array(["1.25", None, "0.50"], pa.string()).cast(pa.decimal128(6, 2)),
    "note": pa.array(["x", "y", "z"]),
}


@pytest.fixture
def things(tmp_path: Path, store: Databases) -> Place:
    return Place(tmp_path, TABLES, store=store)


def written(table: pa.Table, new: Callable[..., pa.ipc.RecordBatchFileWriter], compression: str | None = None) -> bytes:
    content = io.BytesIO()
    with new(content, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, 2)
    return content.getvalue()


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream], ids=["file", "stream"])
@pytest.mark.parametrize("compression", [None, "zstd"], ids=lambda compression: compression or "plain")
def test_typed_columns_are_read_and_rejects_keep_their_types(
    things: Place, mode: str, new: Callable[..., pa.ipc.RecordBatchFileWriter], compression: str | None
) -> None:
    path = things.file("t.arrow", written(pa.table(COLUMNS), new, compression))
    report = things.load(mode, {"things": Source(path, ignore=("note",))})
    assert things.query("things", "SELECT id, name FROM things ORDER BY id") == [(1, "a"), (3, "a")]
    assert reject_names(report, "things") == [(2, 2, ["id.missing"])]
    again = Retry(things.tables, RejectFilter(), things.databases, mode=mode).perform()
    assert again.tables["things"].reasons == report.tables["things"].reasons
    assert StoredRejects(things.tables, things.databases).export(RejectFilter(), things.directory / "bad.parquet")
    assert pq.read_schema(things.directory / "bad.parquet").field("size").type == pa.decimal128(6, 2)


def test_a_column_of_another_type_is_refused_before_any_row(things: Place, mode: str) -> None:
    path = things.file("t.arrow", written(pa.table(COLUMNS | {"id": ["1", "2", "3"]}), pa.ipc.new_stream))
    with pytest.raises(SourceError, match="column 'id' is string, and the table wants integer"):
        things.load(mode, {"things": Source(path, ignore=("note",))})


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream], ids=["file", "stream"])
def test_what_is_cut_off_is_one_line_and_keeps_nothing(
    things: Place, mode: str, new: Callable[..., pa.ipc.RecordBatchFileWriter]
) -> None:
    content = written(pa.table(COLUMNS), new)
    for end in (0, 3, len(content) // 2, len(content) - 30, len(content) - 8):
        path = things.file("t.arrow", content[:end])
        with pytest.raises(SourceError) as caught:
            things.load(mode, {"things": Source(path, ignore=("note",))})
        assert len(str(caught.value).splitlines()) == 1
        assert things.rows("things") == []


def test_a_long_text_of_a_dictionary_is_not_repeated_for_all_rows_at_once(things: Place, mode: str) -> None:
    long = pa.array(["x" * 1_000_000]).dictionary_encode().dictionary
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 60, pa.int32()), long)
    path = things.file("t.arrow", written(pa.table({"id": range(60), "name": names}), pa.ipc.new_file))
    source = Source(path, constants={"size": "1"})
    assert things.load(mode, {"things": source}).tables["things"].inserted == 60
