"""Workers find rows by match columns and lookups, and give new rows keys, as one process does, but for the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_loader import ConfigurationError, Options, Report, Run, SourceError
from tests.cluster import Workers
from tests.integration.library import PEOPLE, TABLES
from tests.integration.pairs import orderly
from tests.integration.test_workers import cluster
from tests.sample import Place, comparable
from tests.stores import Databases

pytest.importorskip("distributed")

pytestmark = pytest.mark.only("postgresql")

__all__ = ["cluster"]

MATCH = {"people": ("email",), "shelves": ("hall", "code"), "loans": ("person_id", "day")}
ROWS = {
    "people": "SELECT name, email, age FROM people ORDER BY email, name",
    "shelves": "SELECT hall, code FROM shelves ORDER BY hall, code",
    "loans": "SELECT person_id, shelf_id, day FROM loans",
}


class Libraries:
    """Two libraries: one to be loaded by one process, one by workers."""

    def __init__(self, directory: Path, store: Databases, workers: Workers) -> None:
        (directory / "spread").mkdir()
        self.one = Place(directory, TABLES, store)
        self.many = Place(directory / "spread", TABLES, store)
        self.workers = workers

    def spread(self, sources: dict[str, Any], share_size: int = 200, **options: Any) -> Report:
        """Load by workers, in shares of that size."""
        where = self.workers.cluster(self.many.databases, share_size=share_size)
        return Run(TABLES, sources, self.many.databases, Options(**options), mode="dask", cluster=where).perform()

    def load(self, sources: dict[str, str], share_size: int = 200, **options: Any) -> Report:
        """Load by both, which must come to the same, but for generated keys; the report of the workers."""
        paths = self.write(sources)
        alone, spread = self.one.load("sequential", paths, **options), self.spread(paths, share_size, **options)
        self.check(spread, alone)
        return spread

    def write(self, sources: dict[str, str]) -> dict[str, str]:
        """Write sources, and return their paths."""
        return {table: self.one.file(f"{table}.csv", content) for table, content in sources.items()}

    def check(self, spread: Report, alone: Report) -> None:
        """Check that both loads came to the same, but for generated keys, and gave no key twice."""
        assert without_lists(spread) == without_lists(alone)
        for table in ("people", "shelves", "loans"):
            assert rows(self.many, table) == rows(self.one, table)
            for place in (self.one, self.many):
                keys = [key for key, *_ in place.rows(table)]
                assert len(keys) == len(set(keys))
        assert rejects(self.many) == rejects(self.one)
        orderly(self.many)


def without_lists(report: Report) -> dict[str, Any]:
    facts = comparable(report)
    for table in facts["tables"].values():
        table.pop("accepted", None)
    return facts


def rows(place: Place, table: str) -> list[Any]:
    """Return what rows hold, with what they reference in the place of generated keys."""
    emails = dict(place.query("users", "SELECT id, email FROM people"))
    shelves = {key: rest for key, *rest in place.query("products", "SELECT id, hall, code FROM shelves")}
    home = next(each.database for each in TABLES if each.name == table)
    found = place.query(home, ROWS[table])
    if table == "loans":
        return sorted((emails[person], shelves.get(shelf), day) for person, shelf, day in found)
    return found


def rejects(place: Place) -> list[Any]:
    sql = "SELECT source, line, line_end, record, reasons FROM loader_rejects"
    return [sorted(place.query(table.database, sql), key=repr) for table in TABLES]


@pytest.fixture
def libraries(tmp_path: Path, store: Databases, cluster: Workers) -> Libraries:
    return Libraries(tmp_path, store, cluster)


def csv(header: str, records: Sequence[Sequence[Any]]) -> str:
    return "\n".join([header, *(",".join(map(str, record)) for record in records), ""])


EMAILS = csv("email,name", [(f"{n % 31}@", "" if n % 13 == 0 else f"n{n}") for n in range(60)])
SHELF_LINES = csv("hall,code", [("abc"[n % 3], n % 7) for n in range(40)])
LOAN_LINES = csv(
    "person__email,shelf__hall,shelf__code,day",
    [(f"{n % 37}@", "abcd"[n % 4], n % 8, f"2024-01-{n % 9 + 1:02d}") for n in range(80)],
)


@pytest.mark.wide
@pytest.mark.parametrize(
    "share_size", [200, pytest.param(1 << 20, marks=pytest.mark.wide)], ids=["many shares", "one share"]
)
def test_tables_without_keys_are_matched_looked_up_and_numbered(libraries: Libraries, share_size: int) -> None:
    """The same match values stand in several shares, of which the first accepted record counts."""
    sources = {"people": EMAILS, "shelves": SHELF_LINES, "loans": LOAN_LINES}
    first = libraries.load(sources, share_size, match=MATCH)
    assert first.tables["people"].inserted == 31
    assert first.tables["loans"].inserted > 20
    assert first.tables["loans"].reasons["person_id.exists_in"] > 0
    shares = libraries.many.query("users", "SELECT count(*) > 1 FROM loader_shares")
    assert shares == [(share_size == 200,)]
    again = libraries.load(sources, share_size, match=MATCH)
    assert sum(table.inserted for table in again.tables.values()) == 0
    changed = csv("email,name,age", [(f"{n}@", "changed", n) for n in range(20, 50)])
    report = libraries.load({"people": changed}, share_size, match=MATCH, on_conflict="update")
    assert (report.tables["people"].updated, report.tables["people"].inserted) == (11, 19)
    report = libraries.load(
        {"people": csv("email,age", [(f"{n}@", n + 1) for n in range(40, 60)])},
        share_size,
        match=MATCH,
        on_conflict="update",
        on_missing="reject",
    )
    assert report.tables["people"].reasons == {"email.no_match": 10}


def test_a_unique_value_that_records_are_matched_by_does_not_make_a_table_one_share(libraries: Libraries) -> None:
    people = replace(PEOPLE, columns=(*PEOPLE.columns[:2], replace(PEOPLE.columns[2], unique=True), PEOPLE.columns[3]))
    path = libraries.many.file("people.csv", EMAILS)
    where = libraries.workers.cluster(libraries.many.databases, share_size=200)
    options = Options(match={"people": ("email",)})
    run = Run((people,), {"people": path}, libraries.many.databases, options, mode="dask", cluster=where)
    assert run.perform().tables["people"].inserted == 31
    assert libraries.many.query("users", "SELECT count(*) > 1 FROM loader_shares") == [(True,)]


def test_records_that_bring_keys_as_well_are_one_share(libraries: Libraries) -> None:
    keyed = csv("id,email,name", [(n + 1, f"{n % 40}@", "x") for n in range(60)] + [(99, "0@", "x")])
    libraries.load({"people": keyed}, match={"people": ("email",)})
    assert libraries.many.query("users", "SELECT count(*) FROM loader_shares") == [(1,)]


def test_what_is_appended_gets_new_keys_once(libraries: Libraries) -> None:
    report = libraries.load({"shelves": SHELF_LINES}, 60, append=frozenset({"shelves"}))
    assert report.tables["shelves"].inserted == 40
    path = {"shelves": str(libraries.one.directory / "shelves.csv")}
    with pytest.raises(SourceError, match=r"was loaded into shelves by run .*; to append it once more, load with"):
        libraries.spread(path, append=frozenset({"shelves"}))
    libraries.load({"shelves": SHELF_LINES}, append=frozenset({"shelves"}), again=True)
    assert len(libraries.many.rows("shelves")) == 80


@pytest.mark.wide
@pytest.mark.parametrize(
    "options",
    [{"dry_run": True}, pytest.param({"max_rejects": 1000}, marks=pytest.mark.wide)],
    ids=["dry", "max"],
)
def test_a_rehearsal_finds_rows_that_are_stored(libraries: Libraries, options: dict[str, Any]) -> None:
    libraries.load({"people": EMAILS, "shelves": SHELF_LINES}, match=MATCH)
    libraries.load({"loans": LOAN_LINES}, match=MATCH, **options)
    libraries.load({"people": EMAILS + "new@,x\nnew@,y\n"}, match=MATCH, **options)
    if "dry_run" in options:
        return
    paths = {name: str(libraries.one.directory / f"{name}.csv") for name in ("people", "loans")}
    with pytest.raises(ConfigurationError, match=r"^table loans: its records look up rows of people, .*; load people"):
        libraries.spread(paths, match=MATCH, **options)


def test_a_dry_run_finds_rows_that_it_would_store(libraries: Libraries) -> None:
    report = libraries.load({"people": EMAILS, "shelves": SHELF_LINES, "loans": LOAN_LINES}, match=MATCH, dry_run=True)
    assert report.tables["loans"].inserted > 20
    assert libraries.many.rows("people") == []
