"""Other tools that load such files: a script for each, written as its documentation recommends.

`python -m benchmarks.peers NAME SOURCES_DIR DATABASE_DIR`. The tables exist. None of the scripts checks rules or
references. Each imports its libraries where it uses them, so that no peer waits for another's libraries.
"""

from __future__ import annotations

import csv
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import Model

_TABLES = {"users": 3, "products": 3, "orders": 4}
# Records to a batch: what both libraries recommend, or take by default.
_BATCH_SIZE = 1000


def main() -> None:
    """Run the peer that the arguments name."""
    name, sources, databases = sys.argv[1:]
    os.environ["DATABASE_DIR"] = databases
    PEERS[name](Path(sources), Path(databases))


def executemany(sources: Path, databases: Path) -> None:
    """Give the rows of the csv module to `executemany`, with a thread for each table."""
    failed: list[BaseException] = []

    def fill(table: str) -> None:
        try:
            _executemany(sources, databases, table)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=fill, args=[table]) for table in _TABLES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _executemany(sources: Path, databases: Path, table: str) -> None:
    url = os.environ.get(f"{table.upper()}_DATABASE_URL")
    marks = ", ".join(["%s" if url else "?"] * _TABLES[table])
    with (
        (sources / f"{table}.csv").open(newline="", encoding="utf-8") as file,
        closing(_connected(url or databases / f"{table}.db")) as connection,
        connection,
    ):
        rows = csv.reader(file)
        next(rows)
        connection.cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _connected(database: Path | str) -> Any:
    """Connect to a file of SQLite, or to a URL of PostgreSQL."""
    if isinstance(database, Path):
        import sqlite3

        return sqlite3.connect(database)
    import psycopg

    return psycopg.connect(database)


def bulk_create(sources: Path, _: Path) -> None:
    """Store records with Django's `bulk_create`."""
    for table, model in _models().items():
        with _records(sources, table) as records:
            model._default_manager.bulk_create((model(**record) for record in records), batch_size=_BATCH_SIZE)


def loaddata(sources: Path, _: Path) -> None:
    """Load Django's fixtures, as JSON Lines."""
    # The project's router says that no model migrates, and `loaddata` silently skips such models.
    _django(DATABASE_ROUTERS=[])
    from django.core.management import call_command

    for table in _TABLES:
        call_command("loaddata", sources / f"{table}.jsonl", database=table, verbosity=0)


def import_export(sources: Path, _: Path) -> None:
    """Import with django-import-export, with the settings that its documentation recommends for speed."""
    models = _models()
    import tablib
    from import_export.resources import ModelResource, modelresource_factory

    class Bulk(ModelResource):  # type: ignore[misc]
        class Meta:
            use_bulk = True
            batch_size = _BATCH_SIZE
            force_init_instance = True
            skip_diff = True

    for table, model in models.items():
        with (sources / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            records = tablib.Dataset().load(file, format="csv")
        modelresource_factory(model, resource_class=Bulk)().import_data(records, raise_errors=True)


@contextmanager
def _records(sources: Path, table: str) -> Iterator[csv.DictReader[str]]:
    with (sources / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        yield csv.DictReader(file)


def _models() -> Mapping[str, type[Model]]:
    _django()
    from core.models import Order, Product, User

    return {model._meta.db_table: model for model in (User, Product, Order)}


def _django(**changes: object) -> None:
    """Set Django up with this project's settings, except for some."""
    import django
    from django.conf import settings

    from core import settings as own

    settings.configure(**{name: getattr(own, name) for name in dir(own) if name.isupper()} | changes)
    django.setup()


PEERS: Mapping[str, Callable[[Path, Path], None]] = {
    "executemany": executemany,
    "bulk_create": bulk_create,
    "loaddata": loaddata,
    "import-export": import_export,
}


if __name__ == "__main__":
    main()
