"""What a run left in the databases, and whether that is what it should be."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import TABLES
from benchmarks.errors import BenchmarkError

# Rows that are digested at once: enough to be quick, and little memory.
_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows a table has, and a digest of all of them; empty if none was taken."""

    rows: int
    digest: str


def stored(locations: Mapping[str, Path | str], *, digested: bool) -> Mapping[str, Stored]:
    """Read each table from its database, a file or a URL of PostgreSQL. Raises BenchmarkError if one cannot be read."""
    try:
        return {table: _stored(locations[table], table, digested=digested) for table in TABLES}
    except sqlite3.Error as error:
        raise BenchmarkError(f"what was stored cannot be read: {error}") from error


def _stored(location: Path | str, table: str, *, digested: bool) -> Stored:
    if isinstance(location, str):
        return _served(location, table, digested=digested)
    with closing(sqlite3.connect(location)) as connection:
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return Stored(rows, _digest(connection, table) if digested else "")


def _served(url: str, table: str, *, digested: bool) -> Stored:
    """Read a table of a server. The digest is a sum of 64-bit hashes of the rows, in which their order has no part."""
    import psycopg

    digest = f"sum(hashtextextended({table}::text, 0)::numeric)::text" if digested else "''"
    try:
        with psycopg.connect(url) as connection:
            found = connection.execute(f"SELECT count(*), coalesce({digest}, '') FROM {table}").fetchone()
    except psycopg.Error as error:
        raise BenchmarkError(f"what was stored cannot be read: {error}") from error
    assert found is not None
    return Stored(*found)


def _digest(connection: sqlite3.Connection, table: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    cursor = connection.execute(f"SELECT * FROM {table} ORDER BY id")
    while rows := cursor.fetchmany(_ROWS):
        digest.update(repr(rows).encode(errors="surrogatepass"))
    return digest.hexdigest()


def must_be_equal(first: str, expected: Mapping[str, Stored], second: str, actual: Mapping[str, Stored]) -> None:
    """Raise BenchmarkError if two contenders, called `first` and `second`, left different rows in a table."""
    for table, wanted in expected.items():
        if actual[table].rows != wanted.rows:
            counts = f"{wanted.rows:,} and {actual[table].rows:,} rows"
            raise BenchmarkError(f"{first} and {second} stored different rows in {table}: {counts}")
        if actual[table].digest != wanted.digest:
            raise BenchmarkError(f"{first} and {second} stored different rows in {table}, though equally many")


def must_be_all(name: str, given: Mapping[str, int], actual: Mapping[str, Stored]) -> None:
    """Raise BenchmarkError if a contender that checks nothing stored fewer or more rows than it was given."""
    for table, records in given.items():
        if actual[table].rows != records:
            raise BenchmarkError(f"{name} stored {actual[table].rows:,} of {records:,} {table}")
