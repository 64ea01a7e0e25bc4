"""Databases and tables that cannot take the records are named before anything is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from async_loader import (
    StoreError,
)
from tests.integration.test_compressed import CSV
from tests.sample import Place

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")


def in_utf_16(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT)")


BREAK_DATABASE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda path: path.unlink(), "unable to open database file"),
    "no database": (lambda path: path.write_bytes(b"garbage " * 1000), "the file is no SQLite database"),
    "empty": (lambda path: path.write_bytes(b""), "has no table users; run init_db or migrate first"),
    "another encoding": (in_utf_16, "its text is in UTF-16le"),
}


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("harm", BREAK_DATABASE)
def test_a_database_that_cannot_be_used_is_named(place: Place, mode: str, harm: str) -> None:
    do, problem = BREAK_DATABASE[harm]
    do(place.files["users"])
    products = place.file("p.csv", b"id,name,price\n1,a,1\n")
    with pytest.raises(StoreError, match=problem) as caught:
        place.load(mode, {"users": place.file("u.csv", CSV), "products": products})
    assert caught.value.database == "users"
    assert place.rows("products") == []


SCHEMAS = {
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)": "table users has no column email",
    "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT, email TEXT)": "column id is TEXT, not INTEGER",
    "CREATE TABLE users (id INTEGER, name TEXT, email TEXT)": "key id is neither primary key nor unique",
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, x TEXT NOT NULL)": "column x must not be null",
    "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, email TEXT); INSERT INTO users (id) VALUES ('x')": (
        "table users holds id 'x', which is not integer"
    ),
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_table_of_another_shape_is_refused(place: Place, mode: str, schema: str) -> None:
    place.query("users", "DROP TABLE users")
    for statement in schema.split(";"):
        place.query("users", statement)
    with pytest.raises(StoreError, match=SCHEMAS[schema]):
        place.load(mode, {"users": place.file("u.csv", CSV)})


def test_a_table_that_was_made_elsewhere_with_more_is_fine(place: Place, mode: str) -> None:
    place.query("users", "DROP TABLE users")
    place.query(
        "users",
        'CREATE TABLE users ("name" varchar(20), email text, id bigint NOT NULL UNIQUE, "at" text DEFAULT \'now\')',
    )
    place.load(mode, {"users": place.file("u.csv", "id,name,email\n1,a,@\n")})
    assert place.rows("users") == [("a", "@", 1, "now")]
