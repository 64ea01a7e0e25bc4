"""A load that deletes rows is stopped after single steps, as a crash would: no row ever names what is gone, and the
next run finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from async_loader import Options, Run
from tests.integration.test_crashes import crash_after, dumped, facts, orphans, some
from tests.integration.test_order_of_runs import crash_after_commits, states
from tests.sample import Place
from tests.stores import MIXED, STORES, Databases

OLD = {
    "users": "id,name,email\n1,a,@\n2,b,@\n3,c,@\n4,d,@\n5,e,@\n",
    "products": "id,name,price\n1,a,1\n2,b,1\n",
    "orders": "id,user_id,product_id,quantity\n1,1,1,1\n2,2,1,1\n3,3,2,1\n4,4,1,1\n",
}
# User 2 is rejected, 3 is named by an order that stays, 4 by one that goes; product 2 is named by none that stays.
NEW = {
    "users": "id,name,email\n1,a,@\n2,,@\n6,f,@\n",
    "products": "id,name,price\n1,a,1\n3,c,1\n",
    "orders": "id,user_id,product_id,quantity\n1,1,1,1\n2,2,3,1\n3,3,1,1\n6,6,3,1\n",
}
TABLES = tuple(NEW)


def placed(directory: Path, store: Databases) -> Place:
    directory.mkdir()
    place = Place(directory, store=store)
    place.load("sequential", {table: place.file(f"old_{table}.csv", content) for table, content in OLD.items()})
    for table, content in NEW.items():
        place.file(f"{table}.csv", content)
    return place


def started(place: Place, mode: str, options: Options) -> Run:
    paths = {table: str(place.directory / f"{table}.csv") for table in TABLES}
    return Run(place.tables, paths, place.databases, options, mode=mode)


def options_of(commit_every: int) -> Options:
    return Options(
        batch_size=2,
        commit_every=commit_every,
        on_conflict="update",
        delete_missing=dict.fromkeys(TABLES),
        max_deletes="60%",
    )


@pytest.mark.short(*STORES, *MIXED)
@pytest.mark.parametrize(
    ("commit_every", "steps"),
    [
        (0, range(30, 1000, 23)),
        (2, range(40, 1000, 29)),
        pytest.param(0, range(1000), marks=pytest.mark.long),
        pytest.param(1, range(1000), marks=pytest.mark.long),
    ],
)
def test_a_crash_after_any_step_is_finished_by_the_next_run(
    tmp_path: Path, store: Databases, *, mode: str, commit_every: int, steps: Iterable[int]
) -> None:
    options = options_of(commit_every)
    undisturbed = placed(tmp_path / "undisturbed", store)
    wanted = started(undisturbed, mode, options).perform()
    assert [[row[0] for row in undisturbed.rows(table)] for table in TABLES] == [[1, 2, 3, 6], [1, 3], [1, 2, 3, 6]]
    for effects in some(steps, store):
        place = placed(tmp_path / str(effects), store)
        crashed = started(place, mode, options)
        crash_after(effects, mode, crashed)
        assert orphans(place) == [], effects
        if crashed.is_kept:
            break
        report = started(place, mode, options).perform()
        assert dumped(place) == dumped(undisturbed), effects
        assert _without_rows(facts(report)) == _without_rows(facts(wanted)), effects
    assert effects > 60


def _without_rows(said: dict[str, Any]) -> dict[str, Any]:
    """Return a report without the rows that were kept: of a table that was complete, only their number is known."""
    for table in said["tables"].values():
        del table["referenced_rows"]
    return said


def test_a_crash_between_records_and_deletions_leaves_the_run_unfinished(place: Place, mode: str) -> None:
    """Databases that others reference delete later: two of three commits of records are not all of it."""
    for table, content in OLD.items():
        place.load("sequential", {table: place.file(f"old_{table}.csv", content)})
    for table, content in NEW.items():
        place.file(f"{table}.csv", content)
    options = options_of(0)
    crash_after_commits(3, mode, started(place, mode, options))
    assert [row[0] for row in place.rows("users")] == [1, 2, 3, 4, 5, 6]
    assert [row[0] for row in place.rows("orders")] == [1, 2, 3, 6]
    assert [*states(place).values()][-1] == "unfinished"
    # What is to be done is another load without the option.
    one = started(place, mode, Options(on_conflict="update"))
    said: list[str] = []
    one._show = lambda shown: said.append(str(getattr(shown, "text", "")))
    one.perform()
    assert any("it was to delete the missing rows of orders, products, users, not nothing" in line for line in said)
    started(place, mode, options).perform()
    assert [row[0] for row in place.rows("users")] == [1, 2, 3, 6]
