"""SQLite's write-ahead log goes to the disk while it grows, and no file of it is left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from async_loader import Run
from tests.sample import TABLES, Place

pytestmark = [
    pytest.mark.only("sqlite"),
    pytest.mark.turns,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which files a process has open"),
]

# Some megabytes, in several batches.
RECORDS = 30_000
CSV = "id,name,email\n" + "".join(f"{key},{'name' * 30},user{key}@example.com\n" for key in range(RECORDS))


def open_files(directory: Path) -> set[str]:
    """Return the files below the directory that this process has open."""
    descriptors = Path("/proc/self/fd").iterdir()
    found = {os.path.realpath(each) for each in descriptors}
    return {path for path in found if path.startswith(f"{directory.resolve()}{os.sep}")}


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.parametrize("linked", [False, True], ids=["file", "link"])
def test_a_load_leaves_no_file_open(place: Place, mode: str, journal: str, linked: bool) -> None:  # noqa: FBT001
    """Whether the database keeps such a log or another one, under its own name or one that leads to it."""
    place.query("users", f"PRAGMA journal_mode = {journal}")
    databases = dict(place.files)
    if linked:
        (place.directory / "elsewhere").mkdir()
        databases["users"] = place.directory / "elsewhere" / "link.db"
        databases["users"].symlink_to(place.files["users"])
    assert open_files(place.directory) == set()
    report = Run(TABLES, {"users": place.file("users.csv", CSV)}, databases, mode=mode).perform()
    assert open_files(place.directory) == set()
    assert report.tables["users"].inserted == RECORDS
    assert len(place.rows("users")) == RECORDS
