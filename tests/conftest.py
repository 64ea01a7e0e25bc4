"""Fixtures that every kind of test uses."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests import tiers
from tests.sample import FILES, MODES, Place
from tests.stores import Databases

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
# Tests start commands by the hundred; each would compile all that it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Commits to a disk take half of the time of a small load. So where there is room in memory, and programs may lie there,
# the files and servers of tests are made in it.
_MEMORY = "/dev/shm"
_ROOM = 4 << 30  # bytes; a run takes about one GiB
if Path(_MEMORY).is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
    os.environ.setdefault("TMPDIR", _MEMORY)
    # pytest has looked it up already.
    tempfile.tempdir = None

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")
# It would also try constants of all modules that a process has loaded so far, which depends on what it tested before:
# then not even with `derandomize` would one code be tested with the same values each time.
providers._get_local_constants = lambda: providers._local_constants


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Divide the tests into tiers before `-m` chooses among them, and put what is chosen in order."""
    tiers.divide(items)
    yield
    items[:] = tiers.in_order(items)


@pytest.fixture
def place(tmp_path: Path, store: Databases) -> Place:
    """Give fresh databases of the sample."""
    return Place(tmp_path, store=store)


@pytest.fixture(scope="session")
def store() -> Databases:
    """Give a place for databases to tests that work with any store."""
    return FILES


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Give each mode in turn."""
    chosen: str = request.param
    return chosen
