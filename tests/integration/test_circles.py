"""Databases that reference each other in a circle: what is stored can be looked at, and loaded a part at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from async_loader import (
    Column,
    ConfigurationError,
    Options,
    Reference,
    ReferenceCheck,
    RejectFilter,
    Retry,
    Run,
    Source,
    StoredRejects,
    Table,
    Type,
    Verification,
)
from tests.sample import Place
from tests.stores import Databases

ID, OTHER = Column("id", Type.INTEGER), Column("other_id", Type.INTEGER)
AUTHORS, READERS = Table("authors", "one", (ID,)), Table("readers", "two", (ID,))
EDITS = Table("edits", "one", (ID, OTHER), references=(Reference("other_id", "readers"),))
NOTES = Table("notes", "two", (ID, OTHER), references=(Reference("other_id", "authors"),))
ALL = (AUTHORS, READERS, EDITS, NOTES)


def test_databases_in_a_circle_are_looked_at(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (AUTHORS, replace(EDITS, references=()), READERS, replace(NOTES, references=())), store)
    edits = place.file("e.csv", "id,other_id\n1,7\n")
    report = Run((READERS, EDITS), {"edits": edits}, place.databases, Options(), mode=mode).perform()
    assert report.tables["edits"].rejected == 1
    [run] = StoredRejects(ALL, place.databases).overview()
    assert run.run == report.run
    assert Verification(ALL, place.databases).perform().findings == 0
    assert ReferenceCheck(ALL, place.databases).perform().tables["edits"].rejected == 0
    again = Retry(ALL, RejectFilter(), place.databases, mode=mode).perform()
    assert again.tables["edits"].rejected == 1
    exported = StoredRejects(ALL, place.databases).export(RejectFilter(), tmp_path / "bad.csv")
    assert exported is not None
    assert StoredRejects(ALL, place.databases).discard(RejectFilter(), lambda _: True) == 1
    with pytest.raises(ConfigurationError, match="reference each other in a circle"):
        Run(ALL, {"edits": edits}, place.databases)


TEAMS = Table(
    "teams",
    "one",
    (ID, Column("captain_id", Type.INTEGER, nullable=True, default=None)),
    references=(Reference("captain_id", "players"),),
)
PLAYERS = Table("players", "one", (ID, Column("team_id", Type.INTEGER)), references=(Reference("team_id", "teams"),))
FREE_TEAMS = replace(TEAMS, references=())


def test_tables_in_a_circle_are_refused_with_the_order_that_loads_them(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    place = Place(tmp_path, (FREE_TEAMS, PLAYERS), store)
    teams, players = place.file("t.csv", "id,captain_id\n1,7\n2,8\n"), place.file("p.csv", "id,team_id\n7,1\n8,2\n")
    for tables in ((TEAMS, PLAYERS), (PLAYERS, TEAMS)):
        with pytest.raises(ConfigurationError) as caught:
            Run(tables, {"teams": teams, "players": players}, place.databases)
        problem, first, second, third = str(caught.value).replace("; ", ", ").split(", ", 3)
        assert problem.startswith("tables that reference each other in a circle cannot be loaded: ")
        assert {"teams", "players"} <= set(problem.split())
        assert (first, second) == ("load teams first", "without captain_id (--ignore)")
        assert third == "then the others, then teams once more with --on-conflict update"
    ignored = Source(teams, ignore=("captain_id",))
    place.load(mode, {"teams": ignored, "players": players})
    again = (TEAMS, replace(PLAYERS, references=()))
    report = Run(again, {"teams": teams}, place.databases, Options(on_conflict="update"), mode=mode).perform()
    assert report.tables["teams"].updated == 2
    assert place.rows("teams") == [(1, 7), (2, 8)]
    needed = replace(TEAMS, columns=(ID, replace(TEAMS.columns[1], nullable=False)))
    with pytest.raises(ConfigurationError, match=r"cannot be loaded: \w+ -> \w+ -> \w+$"):
        Run((needed, PLAYERS), {"players": players}, place.databases)
