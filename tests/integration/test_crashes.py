"""A load is stopped after every single step, as a crash would, and gone on with: nothing is lost, nothing is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from async_loader import Options, Report, Run, Show, Tell
from async_loader.effects import Effect
from async_loader.modes.coroutines import Coroutines
from async_loader.modes.sequential import Sequential
from async_loader.modes.threads import Threads
from async_loader.run.run import run
from tests.sample import Place, comparable
from tests.stores import MIXED, STORES, Databases

SOURCES = {
    "users": "id,name,email\n1,a,@\n2,,@\n3,c,@\n1,again,@\n4,d,@\n",
    "products": "id,name,price\n1,a,1\n2,b,0\n3,c,2.5\n",
    "orders": "id,user_id,product_id,quantity\n1,1,1,1\n2,2,1,1\n3,3,2,1\n4,4,3,2\n4,1,3,2\n5,3,3,1\n",
}


class Crash(BaseException):
    """The process is gone."""


class Clock:
    """Lets a number of effects of all loads together be performed, and ends the run at the next one."""

    def __init__(self, effects: int) -> None:
        self._left = itertools.count(effects, -1)

    def tick(self) -> None:
        if next(self._left) <= 0:
            raise Crash


def ignore(_: Show | Tell) -> None:
    """Ignore what the run shows."""


def crash_after(effects: int, mode: str, one: Run) -> None:
    """Perform `effects` effects of a run, then drop its connections uncommitted."""
    clock = Clock(effects)
    with contextlib.suppress(Crash):
        perform(mode, one, lambda _: clock.tick())


def perform(mode: str, one: Run, before: Callable[[Effect], None]) -> None:
    """Perform a run, and something else before each of its effects."""

    class WatchedCoroutines(Coroutines):
        async def _perform(self, effect: Effect) -> Any:
            before(effect)
            return await super()._perform(effect)

    class WatchedThreads(Threads):
        def perform(self, effect: Effect) -> Any:
            before(effect)
            return super().perform(effect)

    class WatchedSequential(Sequential):
        def perform(self, effect: Effect) -> Any:
            before(effect)
            return super().perform(effect)

    drivers: Mapping[str, Callable[[], object]] = {
        "async": lambda: asyncio.run(WatchedCoroutines(ignore).run(run(one._state))),
        "threads": lambda: WatchedThreads(ignore).run(run(one._state)),
        "sequential": lambda: WatchedSequential(ignore).run(run(one._state)),
    }
    drivers[mode]()


def dumped(place: Place) -> dict[str, Any]:
    """Return all rows, and the rejects without run and time."""
    return {table: (place.rows(table), place.stored_rejects(table)) for table in SOURCES}


def orphans(place: Place) -> list[Any]:
    users, products = ({row[0] for row in place.rows(table)} for table in ("users", "products"))
    return [row for row in place.rows("orders") if row[1] not in users or row[2] not in products]


def started(place: Place, mode: str, options: Options) -> Run:
    paths = {table: str(place.directory / f"{table}.csv") for table in SOURCES}
    return Run(place.tables, paths, place.databases, options, mode=mode)


def placed(directory: Path, store: Databases) -> Place:
    directory.mkdir()
    place = Place(directory, store=store)
    for table, content in SOURCES.items():
        place.file(f"{table}.csv", content)
    return place


def some(steps: Iterable[int], store: Databases) -> Iterable[int]:
    """Return fewer of the steps for a store in which each takes longer."""
    return itertools.islice(steps, None, None, 9 if store.name in MIXED else 1 if store.name == "sqlite" else 5)


# Records a batch, records a transaction, and after which steps a crash is tried.
SOME = [(100, 0, range(1, 1000, 11)), (2, 3, range(4, 1000, 17))]
ALL = [(100, 0), (2, 0), (1, 2), (3, 3), (2, 3), (2, 5), (100, 1)]


# A crash meets the mode's own code.
@pytest.mark.turns
@pytest.mark.short(*STORES, *MIXED)
@pytest.mark.parametrize(
    ("batch_size", "commit_every", "steps"),
    [*SOME, *(pytest.param(*cuts, range(1000), marks=pytest.mark.long) for cuts in ALL)],
)
def test_a_crash_after_any_step_costs_nothing_but_a_second_run(
    tmp_path: Path, store: Databases, *, mode: str, batch_size: int, commit_every: int, steps: Iterable[int]
) -> None:
    options = Options(batch_size=batch_size, commit_every=commit_every)
    undisturbed = placed(tmp_path / "undisturbed", store)
    wanted = started(undisturbed, mode, options).perform()
    for effects in some(steps, store):
        place = placed(tmp_path / str(effects), store)
        crashed = started(place, mode, options)
        crash_after(effects, mode, crashed)
        assert orphans(place) == [], effects
        if crashed.is_kept:
            break
        report = started(place, mode, options).perform()
        assert dumped(place) == dumped(undisturbed), effects
        assert facts(report) == facts(wanted), effects
    assert effects > 30


def facts(report: Report) -> dict[str, Any]:
    """Return what two reports of the same load have in common, wherever their sources are."""
    said = comparable(report)
    for table in said["tables"].values():
        del table["sources"]
        for reject in table["rejects"]:
            del reject["source"]
    return said
