"""The table of a stored reject follows from lines of the ledger, and from nothing that is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from async_loader import Column, Table, Type
from async_loader.formats import Dialect
from async_loader.ledger.counts import Counts
from async_loader.ledger.entries import TableRun, removed_rejects
from async_loader.ledger.layouts import Layout, layout_as_json, layouts_by_table
from async_loader.ledger.reject_groups import (
    RejectFilter,
    RejectGroup,
    RejectRow,
    select,
    table_of_record,
    with_parsed_names,
)

STRANGE = (
    '{"read": [5, null, {"path": []}, {"path": {"f": 1}, "columns": 7, "types": "x", "names": [1], "constants": 2}]}'
)
CSV = Layout("csv", Dialect(";"), ("id", "town"))
PARQUET = Layout("parquet", columns=("id", "town"), types=("int64", "string"))
TABLES = {
    name: Table(name, "both", (Column("id", Type.INTEGER), Column(column, Type.TEXT)))
    for name, column in (("towns", "town"), ("roads", "road"))
}


def line(table: str, *, run: str = "a", **facts: Any) -> TableRun:
    return TableRun(run, table, "async", json.dumps(facts), "complete", Counts(), 0, "then", None)


@pytest.mark.parametrize("name", [("a", 1), ("a:b", 2**63 - 1), ("\n", 7)])
def test_a_name_is_read_as_it_was_written(name: tuple[str, int]) -> None:
    named = pl.DataFrame({"line": [7], "name": [f"{name[0]}:{name[1]}"]})
    assert with_parsed_names(named).select("line", "run", "id").rows() == [(7, *name)]


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", ":1", "a:0", "a:-1", "a:01", "a:1 ", "a:1\n", "\0:1", "a\0:1", "a:x", "a:٣", f"a:{2**63}", "a"],
)
def test_any_other_text_names_nothing(text: str) -> None:
    assert not len(with_parsed_names(pl.DataFrame({"name": [text]})))


def test_how_a_source_was_read_is_read_as_it_was_written() -> None:
    mapped = Layout("jsonl", names=(("id", "ID"),), constants=(("town", "x"),), means_null=("-",))
    aliased = Layout("jsonl", aliases=(("town_id", ("town", "town_id")),), ignore=("more", "*"))
    for layout in (CSV, PARQUET, Layout("jsonl"), mapped, aliased):
        assert layouts_by_table([line("towns", read=[layout_as_json("f", layout)])], "f") == {"towns": [layout]}
    both = [line(table, read=[layout_as_json("f", CSV), layout_as_json("g", PARQUET)]) for table in TABLES]
    assert layouts_by_table(both, "g") == {"towns": [PARQUET], "roads": [PARQUET]}
    assert layouts_by_table(both, "h") == {}


def test_an_older_line_gives_what_it_knows() -> None:
    identity = {"path": "f.ndjson.gz", "format": "ndjson.gz", "delimiter": ",", "size": 1}
    known, pipe = line("towns", tables={"towns": [identity]}), line("roads", tables={"roads": [None]})
    assert layouts_by_table([known, pipe], "f.ndjson.gz") == {"towns": [Layout("jsonl")]}
    assert layouts_by_table([known, pipe], "-") == {"roads": []}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "7", '{"read": 5, "superseded": [], "discarded": {"a": "x"}}', "[" * 9999, STRANGE]
)
def test_what_the_loader_did_not_write_says_nothing(text: str) -> None:
    strange = TableRun("a", "towns", "async", text, "complete", Counts(), 0, "then", None)
    assert layouts_by_table([strange], "f") == {}
    assert removed_rejects(strange) == {"superseded": {}, "discarded": {}}


def test_what_was_removed_is_counted_by_run() -> None:
    told = line("towns", superseded={"a": 2, "b": 0, "c": -1, "d": True}, discarded={"e": 1})
    assert removed_rejects(told) == {"superseded": {"a": 2}, "discarded": {"e": 1}}


@pytest.mark.parametrize(
    ("layout", "record", "columns", "wanted"),
    [
        (CSV, {"id": "", "town": "", "road": ""}, ["id"], None),
        (CSV, {"id": "", "town": "", "road": ""}, ["id", "town"], "towns"),
        (CSV, {"_raw": ""}, [None], None),
        (CSV, {}, ["town", "road"], None),
        (PARQUET, {"id": None, "road": ""}, ["id"], "roads"),
        (PARQUET, {"id": None, "road": ""}, ["town"], None),
    ],
)
def test_the_reasons_decide_the_table_or_it_stays_open(
    layout: Layout, record: dict[str, Any], columns: list[str | None], wanted: str | None
) -> None:
    reasons = json.dumps([{"code": "x", "column": column, "message": ""} for column in columns])
    # Of Parquet only the columns of a table are read for it.
    layouts = {
        name: [replace(layout, columns=table.column_names) if layout is PARQUET else layout]
        for name, table in TABLES.items()
    }
    assert table_of_record(layouts, TABLES, json.dumps(record), reasons) == wanted
    assert table_of_record(layouts, {"towns": TABLES["towns"]}, json.dumps(record), reasons) is None


def test_each_reject_is_chosen_once() -> None:
    group = RejectGroup("both", "a", "f", {"towns": [CSV], "roads": [CSV]}, {}, "then", 3, 1, 3)
    rows = [
        RejectRow(number, number, number, "{}", json.dumps([{"code": "x", "column": column, "message": ""}]), "a:1")
        for number, column in enumerate(("town", "road", "id"), 1)
    ]
    kept = {each.table: [row.id for row in each.of_table(rows)] for each in select([group], TABLES, RejectFilter())}
    assert kept == {"towns": [1], "roads": [2], None: [3]}
    assert [each.table for each in select([group], TABLES, RejectFilter("roads"))] == ["roads"]
    assert list(select([group], TABLES, RejectFilter(run="b"))) == []
