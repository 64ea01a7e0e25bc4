"""Tables with parents, declared without Django: made by `init`, loaded, and resumed after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_loader import Column, ConfigurationError, Options, Parent, Reference, Run, Table, Type
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


def test_declarations_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="its parent vessels has no column 'name' of it"):
        Table("boats", "here", COLUMNS, parents=(Parent("vessels", "id", ("name",)),), own_key="vessel")
    reference = Reference("size", "vessels")
    with pytest.raises(ConfigurationError, match="size references vessels, its own parent; that is not loaded"):
        Table("boats", "here", COLUMNS, references=(reference,), parents=BOATS.parents, own_key="vessel")
