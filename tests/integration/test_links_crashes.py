"""A load with many-to-many links is stopped after single steps, as a crash would, and gone on with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from async_loader import Options, Run
from tests.integration.press import MATCH, TABLES, tags_of
from tests.integration.test_crashes import crash_after, some
from tests.sample import Place
from tests.stores import Databases

TAGS = "name\nred\nblue\nbig\n"
OLD = "title,tags__name\nOne,red|blue\nTwo,\n"
NEW = "title,tags__name\nOne,blue|big\nTwo,red\nThree,big|red\nFour,none\nFive,new|red\nSix,\n"


def placed(directory: Path, store: Databases) -> Place:
    directory.mkdir()
    place = Place(directory, TABLES, store)
    before = {"tags": place.file("old_tags.csv", TAGS), "articles": place.file("old.csv", OLD)}
    place.load("sequential", before, match=MATCH)
    place.file("tags.csv", "name\nred\nnew\n")
    place.file("articles.csv", NEW)
    return place


def started(place: Place, mode: str, options: Options) -> Run:
    paths = {table: str(place.directory / f"{table}.csv") for table in ("tags", "articles")}
    return Run(TABLES, paths, place.databases, options, mode=mode)


def stored(place: Place) -> dict[str, Any]:
    rejects = [(line, record, names) for line, _, record, names in place.stored_rejects("articles")]
    return {"articles": place.rows("articles"), "links": tags_of(place), "rejects": rejects}


@pytest.mark.parametrize(
    ("commit_every", "steps"),
    [
        (0, range(30, 1000, 53)),
        (2, range(40, 1000, 59)),
        pytest.param(0, range(1000), marks=pytest.mark.long),
        pytest.param(1, range(1000), marks=pytest.mark.long),
    ],
)
def test_a_crash_leaves_no_row_with_a_part_of_its_links(
    tmp_path: Path, store: Databases, *, mode: str, commit_every: int, steps: Iterable[int]
) -> None:
    options = Options(batch_size=2, commit_every=commit_every, match=MATCH, on_conflict="update")
    undisturbed = placed(tmp_path / "undisturbed", store)
    started(undisturbed, mode, options).perform()
    wanted = stored(undisturbed)
    for effects in some(steps, store):
        place = placed(tmp_path / str(effects), store)
        crashed = started(place, mode, options)
        crash_after(effects, mode, crashed)
        for title in {title for title, _ in tags_of(place)}:
            held = [name for each, name in tags_of(place) if each == title]
            assert held in (["blue", "red"], [name for each, name in wanted["links"] if each == title])
        if crashed.is_kept:
            break
        started(place, mode, options).perform()
        assert stored(place) == wanted, effects
    assert effects > 60
