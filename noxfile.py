"""The pairs of Python and Django that are supported, each in a virtual environment of its own: `nox`.

`nox -s corner` runs a short part of the tests in each pair whose Python is installed; the whole suite is `pytest`.
`nox -s wheel` installs the package as a user does, with nothing but what it requires, and loads files with it.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

# Django 6.0 and later need Python 3.12.
CORNERS = (("3.11", "5.2"), ("3.12", "6.0"), ("3.13", "6.1"), ("3.14", "5.2"), ("3.14", "6.1"))
# About two minutes on two cores: the engine without a database, then what a record at a time would store, the
# commands, and every type, mode and store through a model.
SHORT_TIER = (
    "tests/unit",
    "tests/integration/test_oracle.py",
    "tests/commands/test_checks.py",
    "tests/commands/test_columns.py",
    "tests/commands/test_help.py",
    "tests/commands/test_insert_data.py",
    "tests/commands/test_models.py",
    "tests/commands/test_models_refused.py",
    "tests/commands/test_models_spread.py",
)


def pair_name(python: str, django: str) -> str:
    """Return the name of a pair, which stands in brackets after the session's."""
    return f"Python {python}, Django {django}"


def interpreter(version: str) -> str:
    """Return the path of that Python among those of pyenv, or else its version, for nox to look up in PATH.

    pyenv puts a `python3.13` into PATH that fails unless the version was chosen before.
    """
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    return str(found[-1]) if found else version


@nox.session(name="corner")
@nox.parametrize(
    ("python", "django"),
    [(interpreter(python), django) for python, django in CORNERS],
    ids=[pair_name(*corner) for corner in CORNERS],
)
def corner(session: nox.Session, django: str) -> None:
    """Run the short tier, or the tests that are named after `--`, with one Python and one Django."""
    if f"corner({os.environ.get('TESTED_CORNER')})" == session.name:
        session.skip("the whole suite was run in it")
    session.install("-e", ".[corner]", f"django=={django}.*")
    session.run("pytest", "--quiet", *(session.posargs or SHORT_TIER))


@nox.session(name="wheel")
def wheel(session: nox.Session) -> None:
    """Build a wheel, and load files in a new project that has installed it and nothing else."""
    directory = Path(session.create_tmp())
    for old in directory.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), ".")
    [built] = directory.glob("*.whl")
    session.install("--force-reinstall", str(built))
    session.run("python", "-I", "tests/installed.py", str(built))
