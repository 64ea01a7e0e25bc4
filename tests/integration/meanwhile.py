"""Towns and people that live in them, and other programs that act while a load goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from async_loader import (
    Column,
    Options,
    Reference,
    Run,
    Table,
    Type,
)
from async_loader.effects import Change, Effect
from tests.sample import Place
from tests.stores import Databases

TOWNS = Table("towns", "towns", (Column("id", Type.INTEGER), Column("name", Type.TEXT)))
PEOPLE = Table(
    "people",
    "people",
    (Column("id", Type.TEXT), Column("email", Type.TEXT, unique=True), Column("town", Type.INTEGER)),
    references=(Reference("town", "towns", name="town"),),
)
HEADER = "id,email,town"


def person(number: int) -> str:
    return f"p{number:03d}"


def people(*numbers: int) -> str:
    return "\n".join([HEADER, *(f"{person(number)},{number}@,1" for number in numbers)]) + "\n"


def insert(place: Place, key: str, email: str, town: int = 1) -> None:
    place.query("people", "INSERT INTO people (id, email, town) VALUES (?, ?, ?)", (key, email, town))


def after_commit(number: int, database: str, act: Callable[[], None]) -> Callable[[Effect], None]:
    """Call a function once, after a database's commit of this number and before the next transaction begins."""
    commits = 0
    acted = False

    def watch(effect: Effect) -> None:
        nonlocal commits, acted
        if commits == number and not acted:
            acted = True
            act()
        commits += isinstance(effect, Change) and effect.sql == "COMMIT" and effect.database == database

    return watch


# What workers of a run's own call, in threads of this process: first it acts, once, when the second share begins.
ACTS: list[tuple[int, Callable[[], None]]] = []
DATABASES: dict[str, Any] = {}


# As `Cluster` takes it.
LOCATED = f"{__name__}:located"


def located(name: str) -> Any:
    if name == "people" and ACTS:
        left, act = ACTS.pop()
        if left:
            ACTS.append((left - 1, act))
        else:
            act()
    return DATABASES[name]


# What other programs delete while a load goes on.


def deleting(place: Place, table: str, *keys: Any) -> Callable[[], None]:
    def act() -> None:
        for key in keys:
            place.query(table, f"DELETE FROM {table} WHERE id = ?", (key,))

    return act


def before_first_write(database: str, act: Callable[[], None]) -> Callable[[Effect], None]:
    """Call a function before the first batch is written."""
    waiting = True

    def watch(effect: Effect) -> None:
        nonlocal waiting
        if waiting and isinstance(effect, Change) and effect.database == database and effect.batch is not None:
            waiting = False
            act()

    return watch


def towns(place: Place, *numbers: int) -> None:
    for number in numbers:
        place.query("towns", "INSERT INTO towns (id, name) VALUES (?, ?)", (number, str(number)))


def started(place: Place, mode: str, lines: list[str], header: str = HEADER, **options: Any) -> Run:
    path = place.directory / "people.csv"
    if not path.exists():
        place.file("people.csv", "\n".join([header, *lines]) + "\n")
    return Run(place.tables, {"people": str(path)}, place.databases, Options(batch_size=2, **options), mode=mode)


def place_with_a_town(tmp_path: Path, store: Databases) -> Place:
    """Give fresh databases with one town."""
    place = Place(tmp_path, (TOWNS, PEOPLE), store)
    place.query("towns", "INSERT INTO towns (id, name) VALUES (1, 'a')")
    return place


LINES = ["a,1@,1", "b,2@,2", "c,3@,3", "d,4@,2", "e,5@,1"]
