"""Which module may import which: the floors of the engine, held by a walk over every import."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import async_loader

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "async_loader"

# The floors of `async_loader`, from the ground up. An import runs downwards, or stays within its room: a package is a
# room, and the single modules of the ground floor are one together.
FLOORS = (
    ("tables", "rules", "effects", "errors", "locations"),
    ("records",),
    ("ledger",),
    ("sources", "stores"),
    ("loading",),
    ("run",),
    ("checks", "rejects"),
    ("modes",),
    ("api",),
    ("contrib",),
)
# Imports that run upwards, by file, for type checkers alone: an error carries the report of the run that it ended.
UPWARDS = {
    "errors.py": {"ledger"},
}

CONTRIB = PACKAGE / "contrib"
ENGINE = sorted(path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(CONTRIB))
SHELL = sorted(CONTRIB.rglob("*.py"))
SAMPLE = sorted((ROOT / "core").rglob("*.py"))
BENCHMARK = ROOT / "benchmarks"
BENCHMARKS = sorted(BENCHMARK.rglob("*.py"))
# `copying.py` measures a part of the engine, so it must look inside.
OUTSIDE = [path for path in SHELL + SAMPLE + BENCHMARKS if path != BENCHMARK / "copying.py"]
# What only computes: it opens nothing, waits for nothing and reads no clock.
PURE = [
    *(PACKAGE / f"{name}.py" for name in ("tables", "rules", "effects", "errors", "locations")),
    *sorted((PACKAGE / "records").glob("*.py")),
    *sorted(path for path in (PACKAGE / "ledger").glob("*.py") if path.name != "stopwatch.py"),
    *sorted((PACKAGE / "loading").glob("*.py")),
    *(PACKAGE / "sources" / f"{name}.py" for name in ("addresses", "boundaries", "csv_records", "flat_json", "ranges")),
]
IMPURE = {
    "aiosqlite",
    "asyncio",
    "concurrent",
    "os",
    "pathlib",
    "random",
    "sqlite3",
    "subprocess",
    "sys",
    "threading",
    "time",
    "uuid",
}
# What reads a clock, as code calls it.
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
# The only modules that may read one, or sleep.
TIMED = {*(PACKAGE / "modes").rglob("*.py"), PACKAGE / "ledger" / "stopwatch.py"}


def imports(path: Path, *, for_types: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports when it runs; with `for_types`, also what only type checkers read."""
    tree = ast.parse(path.read_text())
    checking = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in checking and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(name: str) -> str:
    """Return the room of a module of the package: its first part, but for the ground floor's, which share one."""
    first = name.split(".")[1]
    return "ground" if first in FLOORS[0] else first


def floor(name: str) -> int:
    """Return the number of the floor that a module of the package is on."""
    first = name.split(".")[1]
    return next(number for number, rooms in enumerate(FLOORS) if first in rooms)


def module(path: Path) -> str:
    """Return the name of the module that a file holds."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize(
    "path", [path for path in ENGINE + SHELL if path.parent != PACKAGE or path.stem != "__init__"], ids=relative
)
def test_an_import_runs_downwards_or_stays_within_its_room(path: Path) -> None:
    own = module(path)
    inside = {name for name in imports(path, for_types=True) if name.startswith("async_loader.")}
    upwards = {name.split(".")[1] for name in inside if room(name) != room(own) and floor(name) >= floor(own)}
    assert upwards == UPWARDS.get(str(path.relative_to(PACKAGE)), set())


@pytest.mark.parametrize("path", ENGINE, ids=relative)
def test_only_modes_and_the_stopwatch_read_a_clock_or_sleep(path: Path) -> None:
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    timed = called & CLOCKS or "time" in set(imports(path))
    assert not timed or path in TIMED


def printed(script: str, environment: Mapping[str, str]) -> str:
    """Return what a script prints in a process of its own, with these variables besides."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("path", ENGINE, ids=relative)
def test_the_engine_knows_neither_django_nor_core(path: Path) -> None:
    names = set(imports(path))
    assert not {name.split(".")[0] for name in names} & {"django", "core"}
    assert not [name for name in names if name.startswith("async_loader.contrib")]


def test_a_public_name_wins_over_a_module_that_is_called_alike() -> None:
    importlib.import_module("async_loader.loading.load")
    importlib.import_module("async_loader.checks.verification")
    assert all(callable(getattr(async_loader, name)) for name in ("load", "verify"))


def test_a_project_that_has_the_app_imports_nothing_heavy() -> None:
    script = "import sys, django; django.setup(); print(*sys.modules)"
    served = {"USERS_DATABASE_URL": "postgresql:///users"}
    out = printed(script, served | {"DJANGO_SETTINGS_MODULE": "core.settings"})
    assert not set(out.split()) & {"polars", "pyarrow", "numpy", "aiosqlite", "psycopg", "rich"}


def test_a_load_imports_nothing_that_takes_long_for_the_sake_of_a_few_arrays(tmp_path: Path) -> None:
    script = "import sys; from django.core.management import execute_from_command_line as run"
    script += "; run(['', 'init_db']); run(['', 'insert_data', '--mode=sequential']); print(*sys.modules)"
    out = printed(script, {"DJANGO_SETTINGS_MODULE": "core.settings", "DATABASE_DIR": str(tmp_path)})
    assert "ORDERS TABLE (Skipped)" in out
    assert not set(out.split()) & {"numpy.ma", "pyarrow.compute", "pyarrow.parquet", "pandas"}


@pytest.mark.parametrize("path", PURE, ids=relative)
def test_the_pure_parts_do_no_io(path: Path) -> None:
    names = set(imports(path))
    assert not {name.split(".")[0] for name in names} & IMPURE


@pytest.mark.parametrize("path", SHELL, ids=relative)
def test_the_shell_knows_nothing_of_the_sample(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {"core"}


@pytest.mark.parametrize("path", OUTSIDE, ids=relative)
def test_the_shell_and_the_sample_use_public_names_only(path: Path) -> None:
    inside = [name for name in imports(path) if name.startswith("async_loader.")]
    assert all(name.startswith("async_loader.contrib.") for name in inside)


@pytest.mark.parametrize("path", ENGINE, ids=relative)
def test_sql_is_built_in_stores_only(path: Path) -> None:
    if not path.is_relative_to(PACKAGE / "stores"):
        assert not [
            word for word in ("SELECT ", "INSERT INTO", "CREATE TABLE", "DELETE FROM") if word in path.read_text()
        ]


@pytest.mark.parametrize("path", ENGINE, ids=relative)
def test_only_the_reader_of_remote_sources_needs_fsspec(path: Path) -> None:
    if path.name != "remote.py":
        assert not {name.split(".")[0] for name in imports(path)} & {"fsspec", "s3fs"}


def test_leading_a_load_needs_neither_psycopg_nor_dask() -> None:
    script = "import sys, async_loader.run, async_loader.run.spread, async_loader.run.shares; print(*sys.modules)"
    out = printed(script, {})
    assert not set(out.split()) & {"psycopg", "dask", "distributed"}


def test_only_the_sides_of_a_cluster_need_dask_and_a_workers_knows_nothing_of_the_other() -> None:
    sides = {PACKAGE / "modes" / "dask" / f"{name}.py" for name in ("driver", "local", "worker")}
    assert {
        path for path in ENGINE if {"dask", "distributed"} & {name.split(".")[0] for name in imports(path)}
    } == sides
    assert "async_loader.modes.dask.driver" not in set(imports(PACKAGE / "modes" / "dask" / "worker.py"))


@pytest.mark.parametrize("path", ENGINE, ids=relative)
def test_only_modes_know_how_to_wait(path: Path) -> None:
    # A store's connection for an event loop is what a mode waits for.
    if not path.is_relative_to(PACKAGE / "modes") and path.name != "connections.py":
        assert not {name.split(".")[0] for name in imports(path)} & {"asyncio", "threading", "concurrent", "aiosqlite"}


def test_the_public_names_are_those_of_the_stub_and_exist() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    [stated] = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    assert set(async_loader.__all__) == set(ast.literal_eval(stated))
    assert all(hasattr(async_loader, name) for name in async_loader.__all__)


@pytest.mark.parametrize("path", OUTSIDE, ids=relative)
def test_the_shell_imports_no_module_of_the_engine(path: Path) -> None:
    tree = ast.parse(path.read_text())
    taken = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "async_loader"
        for alias in node.names
    ]
    assert set(taken) <= set(async_loader.__all__)


@pytest.mark.parametrize("path", SHELL + SAMPLE + BENCHMARKS, ids=relative)
def test_only_the_benchmark_starts_processes_and_only_its_charts_need_matplotlib(path: Path) -> None:
    first = {name.split(".")[0] for name in imports(path)}
    assert "subprocess" not in first or path in {BENCHMARK / "measure.py", BENCHMARK / "server.py"}
    assert "matplotlib" not in first or path in {BENCHMARK / "chart.py", BENCHMARK / "scale" / "chart.py"}


def test_the_launcher_of_the_benchmark_stays_small() -> None:
    assert set(imports(BENCHMARK / "launcher.py")) == {"__future__", "json", "os", "sys", "time"}
