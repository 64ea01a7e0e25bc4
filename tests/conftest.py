"""Fixtures that every kind of test uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.sample import MODES, Place

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Fresh databases of the sample."""
    return Place(tmp_path)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Each mode in turn."""
    chosen: str = request.param
    return chosen
