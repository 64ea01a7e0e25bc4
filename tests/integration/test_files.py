"""Files of SQLite: one that is moved or replaced during a load ends it, and an error that is kept holds none open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from async_loader import LoaderError, Options, Run, StoreError
from tests.sample import USERS, Place

pytestmark = pytest.mark.only("sqlite")

USERS_CSV = "id,name,email\n" + "".join(f"{key},Ann,a@x.org\n" for key in range(1, 9))


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def replace(path: Path) -> None:
    move(path)
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [Path.unlink, move, replace])
@pytest.mark.parametrize("commit_every", [0, 3])
def test_a_file_that_is_gone_ends_the_load_in_one_line(
    place: Place, mode: str, harm: Callable[[Path], None], commit_every: int
) -> None:
    users, shown = place.files["users"], list[Any]()

    def show(event: Any) -> None:
        if getattr(event, "given", 0) and not shown:
            shown.append(event)
            harm(users)

    source = {"users": place.file("u.csv", USERS_CSV)}
    options = Options(batch_size=2, commit_every=commit_every)
    run = Run([USERS], source, {"users": users}, options, mode=mode, show=show)
    with pytest.raises(StoreError, match="its file was moved, replaced or deleted while it was in use"):
        run.perform()
    assert not run.is_kept


FAULTS = {
    "a trigger ends the transaction": "CREATE TRIGGER t BEFORE INSERT ON users BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "text that is not UTF-8": """INSERT INTO loader_runs
        SELECT CAST(x'ff' AS TEXT), 'users', 'async', '{}', 'complete', 0, 0, 0, 0, 0, 0, 'x', 'y', 0""",
    "a table is missing": "DROP TABLE loader_runs",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_that_is_kept_keeps_no_file_open_or_locked(place: Place, mode: str, fault: str) -> None:
    users = place.files["users"]
    place.query("users", FAULTS[fault])
    with pytest.raises(LoaderError) as kept:
        place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    assert kept.tb is not None
    assert not [path for path in open_files() if path.startswith(str(users))]
    with closing(sqlite3.connect(users, timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")


def open_files() -> list[str]:
    """Return the paths of the files that this process has open."""
    links = Path("/proc/self/fd").iterdir()
    return [str(link.readlink()) for link in links if link.is_symlink()]
