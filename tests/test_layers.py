"""Which module may import which: the floors of the engine, held by a walk over every import."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import async_loader
from tests.processes import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "async_loader"

# The floors of `async_loader`, from the ground up. An import runs downwards, or stays within its room: a package is a
# room, and the single modules of the ground floor are one together.
FLOORS = (
    (
        "columns",
        "constraints",
        "tables",
        "inheritance",
        "table_order",
        "formats",
        "rules",
        "effects",
        "errors",
        "locations",
    ),
    ("records",),
    ("ledger",),
    ("sources", "stores"),
    ("loading", "guessing"),
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
    *(PACKAGE / f"{name}.py" for name in FLOORS[0]),
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


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path, *, for_types: bool = False) -> frozenset[str]:
    """Return the modules that a file imports when it runs; with `for_types`, also what only type checkers read."""
    tree = tree_of(path)
    checking = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    names = set[str]()
    for node in ast.walk(tree):
        if id(node) in checking and not for_types:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return frozenset(names)


def packages(path: Path) -> set[str]:
    """Return the packages, or single modules, that a file imports from."""
    return {name.split(".")[0] for name in imports(path)}


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


def importing(paths: Iterable[Path], unwanted: set[str]) -> dict[str, set[str]]:
    """Return the files that import from packages which are not wanted there, and from which ones."""
    return {relative(path): some for path in paths if (some := packages(path) & unwanted)}


def inside(paths: Iterable[Path], unwanted: str) -> dict[str, list[str]]:
    """Return the files that import modules of the package whose names begin as a pattern says, and which ones."""
    return {
        relative(path): some
        for path in paths
        if (some := [name for name in sorted(imports(path)) if re.match(unwanted, name)])
    }


def module(path: Path) -> str:
    """Return the name of the module that a file holds."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def upwards(path: Path) -> set[str]:
    """Return the rooms on its own floor or above from which a file imports."""
    own = module(path)
    others = {name for name in imports(path, for_types=True) if name.startswith("async_loader.")}
    return {name.split(".")[1] for name in others if room(name) != room(own) and floor(name) >= floor(own)}


def test_an_import_runs_downwards_or_stays_within_its_room() -> None:
    paths = [path for path in ENGINE + SHELL if path.parent != PACKAGE or path.stem != "__init__"]
    found = {str(path.relative_to(PACKAGE)): rooms for path in paths if (rooms := upwards(path))}
    assert found == UPWARDS


def reads_clocks(path: Path) -> bool:
    called = {ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)}
    return bool(called & CLOCKS) or "time" in imports(path)


def test_only_modes_and_the_stopwatch_read_a_clock_or_sleep() -> None:
    assert [relative(path) for path in ENGINE if path not in TIMED and reads_clocks(path)] == []


def printed(script: str, environment: Mapping[str, str]) -> str:
    """Return what a script prints in a process of its own, with these variables besides."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout


def test_the_engine_knows_neither_django_nor_core() -> None:
    assert importing(ENGINE, {"django", "core"}) == {}
    assert inside(ENGINE, "async_loader.contrib") == {}


def test_a_public_name_wins_over_a_module_that_is_called_alike() -> None:
    importlib.import_module("async_loader.loading.load")
    importlib.import_module("async_loader.checks.verification")
    assert all(callable(getattr(async_loader, name)) for name in ("load", "verify"))


def test_a_project_that_has_the_app_imports_nothing_heavy() -> None:
    script = "import sys, django; django.setup(); print(*sys.modules)"
    served = {"USERS_DATABASE_URL": "postgresql:///users"}
    out = printed(script, served | {"DJANGO_SETTINGS_MODULE": "core.settings"})
    assert not set(out.split()) & {"polars", "pyarrow", "numpy", "aiosqlite", "psycopg", "rich"}
    assert not [name for name in out.split() if ".admin" in name]


def test_a_load_imports_nothing_that_takes_long_for_the_sake_of_a_few_arrays(tmp_path: Path) -> None:
    script = "import sys; from django.core.management import execute_from_command_line as run"
    script += "; run(['', 'init_db']); run(['', 'insert_data', '--mode=sequential']); print(*sys.modules)"
    out = printed(script, {"DJANGO_SETTINGS_MODULE": "core.settings", "DATABASE_DIR": str(tmp_path)})
    assert "ORDERS TABLE (Skipped)" in out
    assert not set(out.split()) & {"numpy.ma", "pyarrow.compute", "pyarrow.parquet", "pandas", "msgspec"}
    assert "async_loader.guessing" not in out


def test_the_pure_parts_do_no_io() -> None:
    assert importing(PURE, IMPURE) == {}


def test_the_shell_knows_nothing_of_the_sample() -> None:
    assert importing(SHELL, {"core"}) == {}


def test_the_shell_and_the_sample_use_public_names_only() -> None:
    assert inside(OUTSIDE, "async_loader[.](?!contrib[.])") == {}


def test_sql_is_built_in_stores_only() -> None:
    words = re.compile("SELECT |INSERT INTO|CREATE TABLE|DELETE FROM")
    elsewhere = [path for path in ENGINE if not path.is_relative_to(PACKAGE / "stores")]
    assert {relative(path): some for path in elsewhere if (some := words.findall(path.read_text()))} == {}


def test_only_the_reader_of_remote_sources_needs_fsspec() -> None:
    assert importing((path for path in ENGINE if path.name != "remote.py"), {"fsspec", "s3fs"}) == {}


def test_leading_a_load_needs_neither_psycopg_nor_dask() -> None:
    script = "import sys, async_loader.run, async_loader.run.spread, async_loader.run.shares; print(*sys.modules)"
    out = printed(script, {})
    assert not set(out.split()) & {"psycopg", "dask", "distributed"}


def test_only_the_sides_of_a_cluster_need_dask_and_a_workers_knows_nothing_of_the_other() -> None:
    sides = {PACKAGE / "modes" / "dask" / f"{name}.py" for name in ("driver", "local", "worker")}
    assert {path for path in ENGINE if {"dask", "distributed"} & packages(path)} == sides
    assert "async_loader.modes.dask.driver" not in imports(PACKAGE / "modes" / "dask" / "worker.py")


def test_only_modes_know_how_to_wait() -> None:
    # A store's connection for an event loop is what a mode waits for.
    others = [path for path in ENGINE if not path.is_relative_to(PACKAGE / "modes") and path.name != "connections.py"]
    assert importing(others, {"asyncio", "threading", "concurrent", "aiosqlite"}) == {}


def test_the_public_names_are_those_of_the_stub_and_exist() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    [stated] = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    assert set(async_loader.__all__) == set(ast.literal_eval(stated))
    assert all(hasattr(async_loader, name) for name in async_loader.__all__)


def test_the_shell_imports_no_module_of_the_engine() -> None:
    taken = {
        (relative(path), alias.name)
        for path in OUTSIDE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module == "async_loader"
        for alias in node.names
    }
    assert {(path, name) for path, name in taken if name not in async_loader.__all__} == set()


def test_only_the_benchmark_and_the_console_start_processes_and_only_charts_need_matplotlib() -> None:
    launching = CONTRIB / "django" / "admin" / "launching.py"
    starting = {BENCHMARK / "measure.py", BENCHMARK / "server.py", launching}
    drawing = {BENCHMARK / "chart.py", BENCHMARK / "scale" / "chart.py"}
    paths = {*SHELL, *SAMPLE, *BENCHMARKS}
    assert importing(paths - starting, {"subprocess"}) == importing(paths - drawing, {"matplotlib"}) == {}


def test_the_launcher_of_the_benchmark_stays_small() -> None:
    assert set(imports(BENCHMARK / "launcher.py")) == {"__future__", "json", "os", "sys", "time"}
