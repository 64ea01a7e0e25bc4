"""Rejects do not pile up: a complete load takes the place of what earlier loads of the same content have rejected."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from async_loader import Options, Run, Source, Table
from tests.integration.stored import (
    ALL,
    USERS_CSV,
    discarded,
    exported,
    facts,
    findings,
    lines_left,
    names_of,
    places,
    retry,
    shown,
    stored,
)
from tests.integration.test_order_of_runs import crash_after_commits
from tests.integration.test_stored_rejects import PAIR
from tests.sample import Place
from tests.stores import Databases

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")


def left(place: Place) -> list[tuple[str, int]]:
    """Return source and line of every stored reject; the ledger agrees."""
    assert findings(place) == []
    return [(name, line) for name, line, _ in places(place)]


@pytest.mark.parametrize("commit_every", [0, 1, 3])
def test_the_same_file_three_times_has_its_rejects_once(place: Place, mode: str, commit_every: int) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV)}
    runs = [place.load(mode, sources, commit_every=commit_every).run for _ in range(3)]
    assert left(place) == [("u.csv", 3), ("u.csv", 4), ("u.csv", 5)]
    assert {each.run for each in shown(place)} == {runs[-1]}
    assert facts(place, "users") == [{}, {"superseded": {runs[0]: 3}}, {"superseded": {runs[1]: 3}}]
    assert exported(place, "bad.csv").read_text().count("\n") == 4
    assert retry(place, mode).tables["users"].given == 3


def test_how_the_same_content_is_called_read_and_dated_does_not_matter(place: Place, mode: str) -> None:
    first = Path(place.file("u.csv", USERS_CSV))
    place.load(mode, {"users": str(first)})
    copy = Path(shutil.copy(first, place.directory / "copy.csv"))
    os.utime(copy, ns=(1, 1))
    place.load(mode, {"users": str(copy)}, on_conflict="update", batch_size=1)
    assert left(place) == [("copy.csv", 3), ("copy.csv", 4), ("copy.csv", 5)]
    place.load(mode, {"users": Source(str(copy), names={"name": "email", "email": "name"})})
    assert {name for name, _ in left(place)} == {"copy.csv"}
    assert len(shown(place)) == 5


def test_another_content_under_the_same_name_supersedes_nothing(place: Place, mode: str) -> None:
    path = place.file("u.csv", USERS_CSV)
    place.load(mode, {"users": path})
    place.load(mode, {"users": place.file("u.csv", USERS_CSV.replace("Cy,c", "Cy,d"))})
    assert len(left(place)) == 6
    place.load(mode, {"users": Source(place.file("v.csv", "id,name\n7,\n8,\n"), constants={"email": "a@"})})
    place.load(mode, {"users": Source(str(place.directory / "v.csv"), constants={"email": "b@"})})
    assert len(left(place)) == 10
    place.load(mode, {"users": Source(str(place.directory / "v.csv"), constants={"email": "a@"})})
    assert len(left(place)) == 10


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_large_files_that_differ_in_their_middle_alone_are_different(place: Place, mode: str, suffix: str) -> None:
    """What identifies a source covers its ends; a copy has another time of change."""
    chance = random.Random(7)
    names = [chance.randbytes(20).hex() for _ in range(6000)]
    names[5999] = ""
    frames = [names, [*names[:3000], "", *names[3001:]], [*names[:3000], "f" * 40, *names[3001:]]]
    paths = []
    for number, values in enumerate([*frames, frames[1], frames[2]]):
        frame = pl.DataFrame({"id": range(6000), "name": values, "email": "@"})
        path = place.directory / f"{number}.{suffix}"
        if suffix == "csv":
            # Of one size: what is missing in the middle is in another field. Polars writes "" for empty text.
            rest = ["@" if value or key != 3000 else f"{'x' * 38}@" for key, value in enumerate(values)]
            frame.with_columns(email=pl.Series(rest)).write_csv(path)
        else:
            frame.write_parquet(path, compression="uncompressed")
        paths.append(path)
    if suffix == "csv":
        assert len({path.stat().st_size for path in paths}) == 1
    counts = []
    for path in paths:
        place.load(mode, {"users": str(path)}, on_conflict="update")
        counts.append(len(left(place)))
    # The last two are the second and the third again.
    assert counts == [1, 3, 4, 4, 4]


def test_a_load_that_is_not_complete_supersedes_nothing_until_it_is(place: Place, mode: str) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV)}
    options = Options(commit_every=2)
    first = place.load(mode, sources).run
    one = Run(place.tables, sources, place.databases, options, mode=mode)
    crash_after_commits(1, mode, one)
    assert [each.run for each in shown(place)] == [first] * 3 + [one.id]
    place.load(mode, sources, dry_run=True)
    assert len(shown(place)) == 4
    resumed = place.load(mode, sources, commit_every=2)
    assert resumed.run == one.id
    assert [each.run for each in shown(place)] == [one.id] * 3
    assert findings(place) == []
    # Nor does it keep those of a run that is never finished.
    two = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode)
    crash_after_commits(1, mode, two)
    last = place.load(mode, sources, restart=True).run
    assert {each.run for each in shown(place)} == {last}
    assert left(place) == [("u.csv", 3), ("u.csv", 4), ("u.csv", 5)]


def test_sources_are_superseded_each_by_itself(place: Place, mode: str) -> None:
    one, two = place.file("a.csv", USERS_CSV), place.file("b.csv", "id,name,email\n7,,@\n8,h,@\n")
    place.load(mode, {"users": [one, two]})
    place.load(mode, {"users": two})
    assert sorted(left(place)) == [("a.csv", 3), ("a.csv", 4), ("a.csv", 5), ("b.csv", 2)]
    last = place.load(mode, {"users": [two, one]}).run
    assert {each.run for each in shown(place)} == {last}
    assert len(left(place)) == 4


def test_rejects_that_were_tried_again_are_of_their_sources_content_still(place: Place, mode: str) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV)}
    place.load(mode, sources)
    retry(place, mode)
    tried = retry(place, mode).run
    assert {each.run for each in shown(place)} == {tried}
    last = place.load(mode, sources).run
    assert [each.run for each in shown(place)] == [last] * 3
    # A retry is no load of a source.
    retry(place, mode)
    assert len(left(place)) == 3


def test_what_the_content_has_no_rejects_of_any_more_is_gone(place: Place, mode: str) -> None:
    sources = {"orders": place.file("o.csv", "id,user_id,product_id,quantity\n1,1,1,1\n")}
    place.load(mode, sources)
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    place.load(mode, {"products": place.file("p.csv", "id,name,price\n1,a,1\n")})
    assert ("o.csv", 2) in left(place)
    assert place.load(mode, sources).tables["orders"].inserted == 1
    assert ("o.csv", 2) not in left(place)


def tables_left(place: Place) -> list[tuple[str, str]]:
    assert findings(place) == []
    return sorted((each.table or "?", names_of(each)) for each in shown(place))


@pytest.mark.parametrize("commit_every", [0, 1])
def test_of_one_source_in_two_tables_each_is_superseded_with_its_own_table(
    tmp_path: Path, mode: str, commit_every: int, store: Databases
) -> None:
    place = Place(tmp_path, PAIR, store=store)
    source = place.file("both.csv", "id,town,road\n1,,a\n2,b,\nx,c,d\n")
    both: Mapping[str, Any] = {"towns": source, "roads": source}
    wanted = [("?", "id.not_integer")] * 2 + [("roads", "road.not_empty"), ("towns", "town.not_empty")]
    for _ in range(3):
        place.load(mode, both, commit_every=commit_every)
        assert tables_left(place) == wanted
    # One table alone: what may be of the other stays.
    place.load(mode, {"towns": source}, commit_every=commit_every)
    assert tables_left(place) == [*wanted[:3], ("towns", "id.not_integer"), wanted[3]]
    place.load(mode, both, commit_every=commit_every)
    assert tables_left(place) == wanted


def test_of_two_databases_each_is_superseded_apart(tmp_path: Path, mode: str, store: Databases) -> None:
    towns, roads = PAIR
    apart = (towns, Table(roads.name, "other", roads.columns, rules=roads.rules))
    place = Place(tmp_path, apart, store=store)
    source = place.file("both.csv", "id,town,road\n1,,a\n2,b,\nx,c,d\n")
    for _ in range(2):
        place.load(mode, {"towns": source, "roads": source})
        assert [len(place.query(name, "SELECT id FROM loader_rejects")) for name in ("both", "other")] == [2, 2]
    place.load(mode, {"roads": source})
    assert [len(place.query(name, "SELECT id FROM loader_rejects")) for name in ("both", "other")] == [2, 2]
    assert findings(place) == []


def test_mended_files_and_discards_keep_their_counts(place: Place, mode: str) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV)}
    place.load(mode, sources)
    file = exported(place, "bad.csv")
    assert discarded(place, ALL) == 3
    place.load(mode, sources)
    for _ in range(2):
        place.load(mode, {"users": str(file)})
        assert findings(place) == []
    assert lines_left(place) == ["2", "2", "3", "3", "4", "4"]
    place.load(mode, sources)
    assert len(left(place)) == 6
    assert discarded(place) == 6
    assert stored(place).count(ALL) == {}


def test_lines_of_an_older_version_are_superseded_too(place: Place, mode: str) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV)}
    place.load(mode, sources)
    place.query("users", "UPDATE loader_runs SET sources = replace(sources, '\"contents\"', '\"forgotten\"')")
    place.load(mode, sources)
    assert len(left(place)) == 3


def test_a_name_that_is_no_text_is_of_a_content_like_any_other(place: Place, mode: str) -> None:
    path = os.fsdecode(os.fsencode(place.directory) + b"/\xff.csv")
    Path(path).write_text(USERS_CSV)
    for _ in range(2):
        place.load(mode, {"users": path})
        assert len(left(place)) == 3
    os.utime(path, ns=(1, 1))
    place.load(mode, {"users": path})
    assert len(left(place)) == 3
