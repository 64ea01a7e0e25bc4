"""Sources as a whole: how many are open, and what happens when one cannot be read to its end."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from async_loader import (
    ConfigurationError,
    OverLimitError,
    Run,
    Source,
    SourceError,
)
from tests.integration.test_compressed import CSV
from tests.processes import PATIENCE
from tests.sample import MODES, TABLES, Place, comparable
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")


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

    writer = threading.Thread(target=change, daemon=True)
    writer.start()
    with pytest.raises(SourceError, match=r"u.csv: changed while it was read"):
        place.load(mode, {"users": str(path), "products": Source(pipe, "csv")})
    writer.join(PATIENCE)
    assert place.rows("users") == []


@pytest.mark.parametrize(
    ("path", "kind", "delimiter", "problem"),
    [
        ("users.txt", "", ",", "unknown format 'txt'"),
        ("users", "", ",", "has no suffix that names its format"),
        ("users.xlsx.gz", "", ",", "unknown format 'xlsx.gz'"),
        ("users.csv", "docx", ",", "unknown format 'docx'"),
        ("users.csv", "", "::", "a delimiter is one ASCII character"),
        ("users.csv", "", '"', "each mark of CSV is another character"),
    ],
)
def test_what_cannot_be_a_source_is_refused(path: str, kind: str, delimiter: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Source(path, kind, delimiter)


def test_what_does_not_fit_together_is_refused(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="no table is called 'people'; there are orders, products, users"):
        place.load("async", {"people": "users.csv"})
    with pytest.raises(ConfigurationError, match=r"no table is called 'shop\.User'; did you mean 'users'\?"):
        place.load("async", {"shop.User": "users.csv"})
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


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_checkpoint_writes_what_it_knows_of_many_sources_only_where_that_has_changed(
    place: Place, mode: str, kind: str
) -> None:
    columns = ("id", "name", "email")
    records = [pl.DataFrame({name: [f"{number}@"] for name in columns}).with_columns(id=number) for number in range(40)]
    files = [
        place.file(f"{number}.{kind}", record.write_csv() if kind == "csv" else record.write_ndjson())
        for number, record in enumerate(records)
    ]
    place.query("users", "CREATE TABLE written (checkpoint INTEGER)")
    place.query(
        "users",
        "CREATE TRIGGER written AFTER UPDATE OF sources ON loader_runs "
        "BEGIN INSERT INTO written VALUES (new.checkpoint); END",
    )
    place.load(mode, {"users": files}, commit_every=1)
    assert place.query("users", "SELECT * FROM written") == []
    [[by_checkpoints, checkpoint]] = place.query("users", "SELECT sources, checkpoint FROM loader_runs")
    assert checkpoint == len(files)
    # All is known that a load with one commit knows.
    place.load(mode, {"users": files})
    [[_], [by_one_commit]] = place.query("users", "SELECT sources FROM loader_runs ORDER BY rowid")
    known, same = json.loads(by_checkpoints), json.loads(by_one_commit)
    assert {name: known[name] for name in ("tables", "read", "contents")} == {
        name: same[name] for name in ("tables", "read", "contents")
    }
