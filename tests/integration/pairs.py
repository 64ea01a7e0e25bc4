"""Two places of the same tables, for one process and for workers, and what is loaded into both."""

from __future__ import annotations

import csv as csv_module
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from async_loader import Cluster, Options, ReferenceCheck, Report, Run, Table, Verification
from tests.cluster import Workers
from tests.sample import TABLES, Place, comparable
from tests.stores import Databases

Sources = Mapping[str, Any]
Rows = dict[str, list[dict[str, Any]]]


class Pair:
    """Two places of the same tables: one to be loaded by one process, one by workers."""

    def __init__(self, directory: Path, store: Databases, cluster: Workers, tables: Sequence[Table] = TABLES) -> None:
        (directory / "spread").mkdir()
        self.one = Place(directory, tables, store)
        self.many = Place(directory / "spread", tables, store)
        self.cluster = cluster
        # Workers of a run's own, where it is to be they.
        self.own: Cluster | None = None

    def spread(self, sources: Sources, share_size: int = 60, **options: Any) -> Report:
        """Load the sources by workers."""
        cluster = self.own or self.cluster.cluster(self.many.databases, share_size=share_size)
        return Run(
            self.many.tables, sources, self.many.databases, Options(**options), mode="dask", cluster=cluster
        ).perform()

    def load(self, sources: Sources, share_size: int = 60, **options: Any) -> Report:
        """Load by both, which must come to the same; the report of the workers."""
        alone, spread = self.one.load("sequential", sources, **options), self.spread(sources, share_size, **options)
        assert comparable(spread) == comparable(alone)
        assert [table.accepted for table in spread.tables.values()] == [
            table.accepted for table in alone.tables.values()
        ]
        self.check()
        return spread

    def check(self) -> None:
        """Check that both hold the same, and that workers left their ledgers in order."""
        assert held(self.many) == held(self.one)
        orderly(self.many)

    def query(self, database: str, sql: str) -> None:
        """Change both places alike by SQL."""
        for place in (self.one, self.many):
            place.query(database, sql)


def held(place: Place) -> dict[str, Any]:
    """Return all rows of all tables, and what the databases say of rejects and runs."""
    databases = dict.fromkeys(table.database for table in place.tables)
    return {
        "rows": {table.name: place.rows(table.name) for table in place.tables},
        "rejects": {
            name: sorted(
                place.query(name, "SELECT source, line, line_end, record, reasons FROM loader_rejects"), key=repr
            )
            for name in databases
        },
        "runs": {
            name: sorted(
                place.query(
                    name,
                    "SELECT table_name, state, given, inserted, updated, unchanged, rejected, checkpoint,"
                    " finished_at IS NULL FROM loader_runs",
                )
            )
            for name in databases
        },
    }


def orderly(place: Place) -> None:
    """Check that ledgers agree with databases and shares with the ledger, and that every reference exists."""
    report = Verification(place.tables, place.databases).perform()
    assert [finding for run in report.runs for finding in run.findings] == []
    check = ReferenceCheck(place.tables, place.databases).perform()
    assert sum(table.rejected for table in check.tables.values()) == 0
    for table in place.tables:
        for run, given in place.query(
            table.database, f"SELECT run, given FROM loader_runs WHERE table_name = '{table.name}'"
        ):
            shares = place.query(
                table.database, f"SELECT outcome FROM loader_shares WHERE run = '{run}' AND table_name = '{table.name}'"
            )
            assert sum(json.loads(outcome)["given"] for (outcome,) in shares) == given


def csv(header: str, records: Iterable[Sequence[Any]]) -> str:
    return "\n".join([header, *(",".join(map(str, record)) for record in records), ""])


def users(*records: Sequence[Any]) -> str:
    return csv("id,name,email", records)


def sample(chance: random.Random, size: int = 40) -> Rows:
    """Make users, products and orders, of which some are wrong, some double, and some reference what does not exist."""
    keys = [chance.randint(1, size) for _ in range(size)]
    names = ["a", "b", "", 'say "so"', "two\nlines", "a,b"]
    return {
        "users": [{"id": key, "name": chance.choice(names), "email": chance.choice(["x@", "y@", "z"])} for key in keys],
        "products": [{"id": key, "name": "p", "price": chance.choice([1.5, 2.5, 0.0])} for key in keys],
        "orders": [
            {
                "id": key,
                "user_id": chance.choice(keys),
                "product_id": chance.choice(keys),
                "quantity": chance.choice([1, 2, 0]),
            }
            for key in keys
        ],
    }


def write(place: Place, rows: Rows, kind: str, part: str = "") -> dict[str, str]:
    """Write a source for each table."""
    paths = {}
    for name, records in rows.items():
        path = place.directory / f"{name}{part}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(records), path, row_group_size=8)
        elif kind == "jsonl":
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        else:
            with path.open("w", newline="") as file:
                writer = csv_module.DictWriter(file, list(records[0]))
                writer.writeheader()
                writer.writerows(records)
        paths[name] = str(path)
    return paths


def shares(place: Place, table: str) -> int:
    """Return how many shares of a table have been committed."""
    [(count,)] = place.query(table, f"SELECT count(*) FROM loader_shares WHERE table_name = '{table}'")
    return int(count)
