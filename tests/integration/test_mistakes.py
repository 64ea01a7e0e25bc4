"""Mistakes of programs, declarations and sources that few make: each is one line, which says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Cluster,
    Column,
    ConfigurationError,
    LoaderError,
    Options,
    Run,
    Source,
    SourceError,
    StoreError,
    Table,
    Type,
)
from tests.sample import TABLES, Place
from tests.stores import Databases

ID = Column("id", Type.INTEGER, generated=True)
PEOPLE = Table("people", "people", (ID, Column("name", Type.TEXT)), match=("name",))


def sample_run(sources: dict[str, Any] | None = None, databases: Any = None, **options: Any) -> Run:
    every = {table.database: Path("nowhere.db") for table in TABLES}
    return Run(TABLES, sources or {}, every if databases is None else databases, Options(), **options)


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        (lambda: sample_run(mode="quick"), "mode is one of async, .*, not 'quick'"),
        (
            lambda: sample_run(mode="async", cluster=Cluster(workers=1)),
            "mode async has no cluster; choose mode dask, or",
        ),
        (lambda: sample_run(databases={}), "table users is in database 'users', which is not configured"),
        (lambda: sample_run({"users": Source("a\0.csv")}), "the name of a file holds no NUL"),
        (
            lambda: Column("price", Type.DECIMAL, digits=99, places=2),
            "column price is declared with 99 digits, 2 of them",
        ),
        (lambda: Table("loader_x", "x", (ID,)), "table loader_x: names that begin with loader_ are the loader's own"),
        (
            lambda: Table("x", "x", (ID, Column("more", Type.JSON)), match=("more",)),
            "table x: match names more, which is json and finds no rows",
        ),
    ],
    ids=["mode", "cluster", "databases", "file", "digits", "table", "match"],
)
def test_a_mistake_of_a_program_is_one_line(mistake: Callable[[], Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        mistake()
    assert len(str(caught.value).splitlines()) == 1


def test_a_cluster_without_certificates_is_warned_of() -> None:
    open_to_all: dict[str, Any] = {"mode": "dask", "cluster": Cluster(scheduler="tcp://127.0.0.1:1")}
    databases = {table.database: "postgresql://nowhere/x" for table in TABLES}
    with pytest.warns(UserWarning, match="^tcp://127.0.0.1:1: any program that reaches this scheduler"):
        sample_run(databases=databases, **open_to_all)
    told: list[Any] = []
    sample_run(databases=databases, show=told.append, **open_to_all)
    assert [each.text.partition(" any ")[0] for each in told] == ["warning: tcp://127.0.0.1:1:"]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("u.jsonl", b'{"id": 1}\r{"id": 2}\r', r"its lines end in a carriage return alone, .*; convert it"),
        ("u.json#a", b'{1: [], "a": []}', "a name of a member is expected"),
        ("u.json#a", b'{"b" 1, "a": []}', "there is no colon after a name"),
        ("u.json#a", b'{"b\xff": 1, "a": []}', "the name of a member is no text"),
        ("u.json#a", b'{"b": }', "a value is expected"),
        ("u.json#a", b'{"b": [1, 2', "ends within a value"),
    ],
)
def test_a_source_that_cannot_be_what_its_name_says_is_one_line(
    place: Place, mode: str, name: str, content: bytes, problem: str
) -> None:
    place.file(name.partition("#")[0], content)
    with pytest.raises(SourceError, match=problem) as caught:
        place.load(mode, {"users": str(place.directory / name)})
    assert len(str(caught.value).splitlines()) == 1
    assert place.rows("users") == []


def test_a_table_that_makes_no_keys_says_so(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (PEOPLE,), store)
    place.query("people", "DROP TABLE people")
    place.query("people", "CREATE TABLE people (name text, id text PRIMARY KEY)")
    people = Table("people", "people", (Column("id", Type.TEXT, generated=True), PEOPLE.columns[1]), match=("name",))
    run = Run((people,), {"people": place.file("p.csv", "name\na\n")}, place.databases, mode=mode)
    with pytest.raises(StoreError, match="table people: makes no id for a new row; give it in the source"):
        run.perform()


@pytest.mark.only("sqlite")
def test_keys_that_have_come_to_their_end_are_one_line(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (PEOPLE,), store)
    place.query("people", f"INSERT INTO people VALUES ({2**63 - 1}, 'last')")
    with pytest.raises(LoaderError, match=f"has no key left above {2**63 - 1}"):
        place.load(mode, {"people": place.file("p.csv", "name\na\n")})
    assert place.query("people", "SELECT count(*) FROM people") == [(1,)]


# What SQL calls a text of random characters.
RANDOM = {"sqlite": "(lower(hex(randomblob(16))))", "postgresql": "(md5(random()::text))"}


@pytest.mark.parametrize("dry_run", [False, True], ids=["kept", "dry"])
def test_a_databases_own_expression_makes_a_key_for_each_row(
    tmp_path: Path, store: Databases, mode: str, *, dry_run: bool
) -> None:
    place = Place(tmp_path, (PEOPLE,), store)
    place.query("people", "DROP TABLE people")
    place.query("people", f"CREATE TABLE people (name text, id text PRIMARY KEY DEFAULT {RANDOM[store.name]})")
    people = Table("people", "people", (Column("id", Type.TEXT, generated=True), PEOPLE.columns[1]), match=("name",))
    source = place.file("p.csv", "name\n" + "".join(f"n{number}\n" for number in range(50)))
    report = Run((people,), {"people": source}, place.databases, Options(dry_run=dry_run), mode=mode).perform()
    assert report.tables["people"].inserted == 50
    keys = place.query("people", "SELECT count(DISTINCT id), min(length(id)) FROM people")
    assert keys == ([(0, None)] if dry_run else [(50, 32)])
