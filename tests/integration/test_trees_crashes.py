"""Loads of a table that references itself, cut short: what the next run leaves is what an undisturbed one leaves."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from async_loader import Options, Run
from tests.integration.test_crashes import crash_after, facts
from tests.integration.test_order_of_runs import crash_after_commits
from tests.integration.test_trees import BY_NAME, NAMED, NAMES, place_of, text_of
from tests.sample import Place
from tests.stores import Databases


def shuffled() -> str:
    rows: list[Any] = [
        (key, "" if key == 5 else "n", key + 3 if key < 16 else 1, key // 2 or None) for key in range(1, 18)
    ]
    random.Random(7).shuffle(rows)
    return text_of([*rows, (3, "again", None, None)])


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long), pytest.param(0, marks=pytest.mark.long)])
def test_a_crash_after_any_step_costs_nothing_but_a_second_run(
    tmp_path: Path, store: Databases, *, mode: str, every: int
) -> None:
    options = Options(batch_size=2, commit_every=every)

    def started(place: Place) -> Run:
        return Run(place.tables, {"staff": str(place.directory / "staff.csv")}, place.databases, options, mode=mode)

    def placed(name: str) -> Place:
        (tmp_path / name).mkdir()
        place = place_of(tmp_path / name, store)
        place.file("staff.csv", shuffled())
        return place

    undisturbed = placed("undisturbed")
    wanted = started(undisturbed).perform()
    for effects in count(4, 71 if store.name == "sqlite" else 151):
        place = placed(str(effects))
        one = started(place)
        crash_after(effects, mode, one)
        known = {row[0] for row in place.rows("staff")}
        assert all({*row[2:]} <= {None, *known} for row in place.rows("staff"))
        if one.is_kept:
            break
        report = started(place).perform()
        assert place.rows("staff") == undisturbed.rows("staff")
        assert sorted(place.stored_rejects("staff")) == sorted(undisturbed.stored_rejects("staff"))
        assert facts(report) == facts(wanted)
    assert effects > 30


@pytest.mark.parametrize("commits", [1, 2, 4])
def test_generated_keys_are_the_same_after_a_crash(
    tmp_path: Path, store: Databases, *, mode: str, commits: int
) -> None:
    bad = [("fay", "gil", ""), ("gil", "nemo", ""), ("hal", "bob", ""), ("ivy", "", "hal"), ("jim", "ivy", "kim")]
    rows = [*NAMES, *bad, ("kim", "", "")]
    places = []
    for name in ("undisturbed", "crashed"):
        (tmp_path / name).mkdir()
        places.append(Place(tmp_path / name, (NAMED,), store))
        places[-1].file("staff.csv", text_of(rows, BY_NAME))
    undisturbed, place = places

    def started(place: Place) -> Run:
        sources = {"staff": str(place.directory / "staff.csv")}
        return Run(place.tables, sources, place.databases, Options(batch_size=2, commit_every=2), mode=mode)

    wanted = started(undisturbed).perform()
    crash_after_commits(commits, mode, started(place))
    report = started(place).perform()
    assert place.rows("staff") == undisturbed.rows("staff")
    assert facts(report) == facts(wanted)
