"""Each test of the console, as the process reports it that runs them all."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.admin.run import CASES
from tests.english import ROOT

HERE = Path(__file__).parent / "cases"


def names() -> Iterator[str]:
    """Yield the names of the tests, as `tests.admin.run` prints them."""
    for case in CASES:
        tree = ast.parse((HERE / f"{case}.py").read_text())
        for made in (each for each in tree.body if isinstance(each, ast.ClassDef)):
            methods = [each.name for each in made.body if isinstance(each, ast.FunctionDef)]
            yield from (f"{case}.{made.name}.{method}" for method in methods if method.startswith("test_"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all tests, and give what came of each."""
    directory = tmp_path_factory.mktemp("console")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "core.admin_settings",
        "DATABASE_DIR": str(directory),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
    }
    done = processes.run(["-m", "tests.admin.run"], cwd=ROOT, env=environment, is_real=True)
    assert done.stdout, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", list(names()))
def test_of_the_console(name: str, outcomes: dict[str, str]) -> None:
    assert outcomes[name] == ""
