"""Tables with parents, declared without Django: made by `init`, loaded, and resumed after a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from async_loader import Column, ConfigurationError, Options, Parent, Reference, Run, Table, Type
from async_loader.table_order import databases_in_commit_order
from tests.integration.test_order_of_runs import crash_after_commits
from tests.sample import Place, reject_names
from tests.stores import Databases

COLUMNS = (
    Column("id", Type.INTEGER, generated=True),
    Column("code", Type.TEXT, unique=True),
    Column("size", Type.INTEGER, default=0),
)
BOATS = Table("boats", "here", COLUMNS, parents=(Parent("vessels", "id", ("code",)),), own_key="vessel")
FILE = "code,size\na,1\nb,2\na,3\nc,many\nd,4\n"


def stored(place: Place) -> list[tuple[object, ...]]:
    return place.query("here", "SELECT code, size FROM vessels JOIN boats ON vessel = id ORDER BY code")


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_resumed_load_gives_the_rows_of_an_undisturbed_one(
    tmp_path: Path, store: Databases, mode: str, commits: int
) -> None:
    outcomes = []
    for name in ("undisturbed", "resumed"):
        directory = tmp_path / name
        directory.mkdir()
        place = Place(directory, (BOATS,), store)
        source = {"boats": place.file("new.csv", FILE)}
        options = Options(commit_every=1, match={"boats": ("code",)})
        if name == "resumed":
            crash_after_commits(commits, mode, Run(place.tables, source, place.databases, options, mode=mode))
        report = Run(place.tables, source, place.databases, options, mode=mode).perform()
        assert report.resumed is (name == "resumed")
        assert place.query("here", "SELECT count(*) FROM vessels") == [(3,)]
        outcomes.append((stored(place), report.tables["boats"].reasons, reject_names(report, "boats")))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == [("a", 1), ("b", 2), ("d", 4)]


VESSELS = Table("vessels", "here", COLUMNS[:2])
VISITS = Table(
    "visits",
    "there",
    (
        Column("id", Type.INTEGER),
        Column("vessel_id", Type.INTEGER),
        Column("boat_id", Type.INTEGER, nullable=True, default=None),
    ),
    references=(Reference("vessel_id", "vessels", name="vessel"), Reference("boat_id", "boats")),
)


@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"commit_every": 1}], ids=str)
def test_rows_of_another_database_reference_the_parent_of_what_the_run_stores(
    tmp_path: Path, store: Databases, mode: str, options: dict[str, Any]
) -> None:
    """Whose database is committed first, though no record is given of the parent itself."""
    place = Place(tmp_path, (VISITS, VESSELS, BOATS), store)
    place.query("here", "INSERT INTO vessels (id, code) VALUES (1, 'old')")
    boats = place.file("boats.csv", "id,code\n2,new\n3,new\n")
    visits = place.file("visits.csv", "id,vessel_id,boat_id\n1,1,\n2,2,2\n3,3,\n4,1,1\n")
    named = place.file("named.csv", "id,vessel__code\n5,new\n6,old\n7,other\n")
    assert databases_in_commit_order((VISITS, VESSELS, BOATS)) == ("here", "there")
    report = place.load(mode, {"visits": [visits, named], "boats": boats}, **options)
    assert report.tables["visits"].reasons == {"vessel_id.exists_in": 2, "boat_id.exists_in": 1}
    if "dry_run" not in options:
        rows = [(1, 1, None), (2, 2, 2), (5, 2, None), (6, 1, None)]
        assert place.query("there", "SELECT id, vessel_id, boat_id FROM visits ORDER BY id") == rows


def test_records_of_json_lack_columns_of_either_table(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (BOATS,), store)
    place.load(mode, {"boats": place.file("old.csv", "id,code,size\n1,a,1\n2,b,2\n")})
    lines = '{"id": 1, "size": 5}\n{"id": 2, "code": "c"}\n{"id": 3, "code": "d"}\n{"id": 4, "size": 1}\n'
    report = place.load(mode, {"boats": place.file("new.jsonl", lines)}, on_conflict="update", batch_size=2)
    table = report.tables["boats"]
    assert (table.inserted, table.updated, table.reasons) == (1, 2, {"code.missing": 1})
    assert stored(place) == [("a", 5), ("c", 2), ("d", 0)]


def test_declarations_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="its parent vessels has no column 'name' of it"):
        Table("boats", "here", COLUMNS, parents=(Parent("vessels", "id", ("name",)),), own_key="vessel")
    reference = Reference("size", "vessels")
    with pytest.raises(ConfigurationError, match="size references vessels, its own parent; that is not loaded"):
        Table("boats", "here", COLUMNS, references=(reference,), parents=BOATS.parents, own_key="vessel")
