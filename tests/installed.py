"""A new project that has the package installed and nothing else: `nox -s wheel` runs this in its environment.

`python -I tests/installed.py WHEEL` compares what the wheel holds with the package's files, then makes a project in a
directory of its own, as the tutorial does, and runs the commands there. It imports nothing from this repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

_ROOT = Path(__file__).resolve().parents[1]
_MODELS = """
from django.db import models

class Thing(models.Model):
    code = models.CharField(max_length=8, primary_key=True)
    price = models.DecimalField(max_digits=7, decimal_places=2)
    made = models.DateTimeField(null=True, blank=True)
"""
_SETTINGS = """
INSTALLED_APPS += ["shop", "async_loader.contrib.django"]
"""
# Seconds after which a command is taken for one that never ends.
_PATIENCE = 120
_THINGS = "code,price,made\nA,1.50,2026-01-02 03:04:05\nB,cheap,\n"


def main() -> None:
    """Fail with a line where the wheel or a command is not as it should be."""
    missing, added = _differences(Path(sys.argv[1]))
    if missing or added:
        problem = f"the wheel lacks {missing or 'nothing'} and has {added or 'nothing'} that the package has not"
        sys.exit(f"{problem}; a directory build/ keeps old files, remove it")
    with tempfile.TemporaryDirectory() as directory:
        _load(Path(directory))


def _differences(wheel: Path) -> tuple[list[str], list[str]]:
    """Return the files of the package that a wheel lacks, and those that it has beside them."""
    package = {path for path in (_ROOT / "async_loader").rglob("*.*") if path.is_file() and path.suffix != ".pyc"}
    wanted = {str(path.relative_to(_ROOT)) for path in package}
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    return sorted(wanted - held), sorted(held - wanted)


def _load(directory: Path) -> None:
    """Make a project in the directory, load a file in each format into it and look at what the report says."""
    _run(directory, "-m", "django", "startproject", "bookshop", ".")
    _manage(directory, "startapp", "shop")
    (directory / "shop" / "models.py").write_text(_MODELS)
    settings = directory / "bookshop" / "settings.py"
    settings.write_text(settings.read_text() + _SETTINGS)
    _manage(directory, "makemigrations", "shop")
    for command in ("migrate", "init_db", "check"):
        _manage(directory, command)
    for mode, source in zip(("async", "threads", "sequential"), _sources(directory), strict=True):
        report = json.loads(
            _manage(directory, "insert_data", f"--mode={mode}", f"shop.Thing={source}", "--format=json")
        )
        counts = report["tables"]["shop_thing"]
        if (counts["given"], counts["rejected"]) != (2, 1):
            sys.exit(f"{source}: the report counts {counts}")
    for arguments in (["rejects"], ["verify"], ["check_references"], ["insert_data", "--help"]):
        _manage(directory, *arguments)
    _manage(directory, "insert_data", "shop.Thing=things.csv", "--report=page.html")
    if not (directory / "page.html").read_text().startswith("<!DOCTYPE html>"):
        sys.exit("the report's page is no HTML")


def _sources(directory: Path) -> Iterator[str]:
    import polars as pl

    path = directory / "things.csv"
    path.write_text(_THINGS)
    yield path.name
    frame = pl.read_csv(path, infer_schema=False)
    frame.write_ndjson(directory / "things.jsonl")
    yield "things.jsonl"
    frame.write_parquet(directory / "things.parquet")
    yield "things.parquet"


def _manage(directory: Path, *arguments: str) -> str:
    return _run(directory, "manage.py", *arguments)


def _run(directory: Path, *arguments: str) -> str:
    """Return what Python prints. Deprecation warnings are errors."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} left with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
