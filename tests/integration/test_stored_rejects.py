"""Stored rejects are listed, discarded and distinguished, whatever else the ledger says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Column,
    ConfigurationError,
    Options,
    RejectFilter,
    Retry,
    Run,
    StoredRejects,
    StoreError,
    Table,
    Type,
    not_empty,
)
from tests.integration.stored import (
    ALL,
    USERS_CSV,
    discarded,
    exported,
    facts,
    findings,
    names_of,
    retry,
    shown,
    stored,
)
from tests.integration.test_crashes import crash_after
from tests.sample import Place, reject_names
from tests.stores import Databases

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")


def test_a_discard_is_in_the_ledger_and_a_deletion_without_it_is_found(place: Place, mode: str) -> None:
    first = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    assert stored(place).count(RejectFilter(reason="not_empty")) == {"users": 2}
    assert stored(place).discard(RejectFilter(reason="not_empty"), lambda counts: counts != {"users": 2}) is None
    assert len(shown(place)) == 3
    assert discarded(place, RejectFilter(reason="not_empty")) == 2
    assert facts(place, "users") == [{}, {"discarded": {first: 2}}]
    assert findings(place) == []
    assert [(run.kind, run.tables[0].stored, run.tables[0].discarded) for run in stored(place).overview()] == [
        ("load", 1, {}),
        ("discard", 0, {first: 2}),
    ]
    place.query("users", "DELETE FROM loader_rejects")
    assert findings(place) == ["loader_rejects has 0 where 3 were rejected, and 2 superseded or discarded since"]


def test_a_discard_neither_hides_an_unfinished_run_nor_keeps_it_from_going_on(
    place: Place, mode: str, store: Databases
) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV), "products": place.file("p.csv", "id,name,price\n1,a,0\n")}
    undisturbed = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode)
    effects = 0
    while not undisturbed.kept or undisturbed.is_kept:
        effects += 3
        place = Place(place.directory, store=store)
        undisturbed = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode)
        crash_after(effects, mode, undisturbed)
    rejected = len(shown(place))
    assert discarded(place) == rejected
    told: list[Any] = []
    gone_on = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode, show=told.append)
    report = gone_on.perform()
    assert report.run == undisturbed.id
    assert sum(table.rejected for table in report.tables.values()) == 4
    assert len(shown(place)) == 4 - rejected
    assert findings(place) == []


PAIR = (
    Table("towns", "both", (Column("id", Type.INTEGER), Column("town", Type.TEXT)), rules=(not_empty("town"),)),
    Table("roads", "both", (Column("id", Type.INTEGER), Column("road", Type.TEXT)), rules=(not_empty("road"),)),
)


def test_rejects_of_a_table_that_is_no_longer_declared_are_named_and_left_alone(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    place = Place(tmp_path, PAIR, store=store)
    source = place.file("towns.csv", "id,town\n1,\n")
    run = place.load(mode, {"towns": source}).run
    declared = PAIR[1:]
    problem = "these are rejects of table towns, which is no longer declared"
    with pytest.raises(ConfigurationError, match=problem):
        StoredRejects(declared, place.databases).export(ALL, tmp_path / "left.csv")
    again = Retry(declared, ALL, place.databases, mode=mode)
    assert again.perform().tables == {}
    why = "table towns is no longer declared"
    assert again.left == (f"rejects of run {run} from {source} are left as they are: {why}",)
    assert findings(place) == []
    assert len(shown(place)) == 1


def test_of_two_tables_from_one_source_the_reasons_decide_or_it_stays_open(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    place = Place(tmp_path, PAIR, store=store)
    source = place.file("both.csv", "id,town,road\n1,,a\n2,b,\nx,c,d\n")
    run = place.load(mode, {"towns": source, "roads": source}).run
    assert sorted((each.table or "?", names_of(each)) for each in shown(place)) == [
        ("?", "id.not_integer"),
        ("?", "id.not_integer"),
        ("roads", "road.not_empty"),
        ("towns", "town.not_empty"),
    ]
    again = Retry(place.tables, ALL, place.databases, mode=mode)
    assert {name: table.given for name, table in again.perform().tables.items()} == {"towns": 1, "roads": 1}
    left = f"rejects of run {run} from {source} are left as they are: "
    assert again.left == (f"{left}they may be of towns or roads, and nothing shows of which",)
    found = stored(place).export(RejectFilter("towns"), tmp_path / "towns.csv")
    assert found is not None
    mended = (tmp_path / "towns.csv").read_text().replace("1,,a", "1,Ulm,a")
    # A name that is of the other table does nothing.
    assert place.load(mode, {"roads": place.file("r.csv", mended)}).tables["roads"].unchanged == 1
    assert place.load(mode, {"towns": place.file("t.csv", mended)}).tables["towns"].inserted == 1
    with pytest.raises(ConfigurationError, match="may be of towns or roads, and nothing shows of which"):
        stored(place).export(RejectFilter(reason="id.not_integer"), tmp_path / "none.csv")
    assert discarded(place) == 3
    assert shown(place) == []
    assert findings(place) == []


def test_a_run_or_table_that_is_not_is_named(place: Place, mode: str) -> None:
    with pytest.raises(ConfigurationError, match="no run is called 'x'; `rejects` lists them"):
        stored(place).count(RejectFilter(run="x"))
    with pytest.raises(ConfigurationError, match="no table is called 'x'; there are orders, products, users"):
        retry(place, mode, RejectFilter(table="x"))


def test_lines_that_an_older_version_wrote_say_enough(place: Place, mode: str) -> None:
    run = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    [(text,)] = place.query("users", "SELECT sources FROM loader_runs")
    older = {name: value for name, value in json.loads(text).items() if name != "read"}
    place.query("users", "UPDATE loader_runs SET sources = ?", (json.dumps(older),))
    assert reject_names(retry(place, mode, RejectFilter(run=run)), "users")[0] == (3, 3, ["name.not_empty"])
    assert findings(place) == []


def test_rejects_that_no_ledger_names_are_listed_and_left_alone(place: Place, mode: str) -> None:
    run = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    place.query("users", "DELETE FROM loader_runs")
    [listed] = stored(place).overview()
    assert (listed.kind, listed.tables[0].table, listed.tables[0].stored) == ("unknown", None, 3)
    one = Retry(place.tables, ALL, place.databases, mode=mode)
    assert one.perform().tables == {}
    assert one.left[0].endswith("they are of a table that no ledger names")
    assert discarded(place, RejectFilter(run=run)) == 3
    assert findings(place) == []


def test_rejects_that_cannot_be_read_are_one_line(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    place.query("users", "UPDATE loader_rejects SET record = '[' WHERE id = 2")
    for act in (lambda: retry(place, mode), lambda: shown(place), lambda: exported(place, "bad.csv")):
        with pytest.raises(StoreError, match="discard them, or load their source again"):
            act()
    assert not (place.directory / "bad.csv").exists()
    assert discarded(place) == 3
