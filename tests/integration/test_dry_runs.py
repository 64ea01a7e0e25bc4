"""A dry run asks databases, and changes nothing: not by one statement."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_loader import Options
from async_loader.effects import Change, Each, Effect
from tests.integration.test_crashes import SOURCES, dumped, perform, placed, started
from tests.sample import comparable
from tests.stores import Databases


@pytest.mark.parametrize("on_conflict", ["reject", "update"])
@pytest.mark.parametrize("commit_every", [0, 2])
def test_a_dry_run_counts_as_a_load_does_and_runs_no_statement_that_changes_anything(
    tmp_path: Path, store: Databases, *, mode: str, on_conflict: str, commit_every: int
) -> None:
    place = placed(tmp_path / "place", store)
    place.load(mode, {"users": place.file("first.csv", "id,name,email\n1,other,@\n3,c,@\n")})
    before = dumped(place)
    changes: list[str] = []

    def note(effect: Effect) -> None:
        if isinstance(effect, Each):
            changes.append("each")
        elif isinstance(effect, Change):
            changes.append(effect.sql)

    def options(*, dry_run: bool) -> Options:
        return Options(dry_run=dry_run, on_conflict=on_conflict, commit_every=commit_every, batch_size=2)

    dry = started(place, mode, options(dry_run=True))
    perform(mode, dry, note)
    assert [sql for sql in changes if not sql.startswith(("BEGIN", "ROLLBACK"))] == []
    assert (dumped(place), dry.kept, dry.is_kept) == (before, "", False)
    wanted = comparable(started(place, mode, options(dry_run=False)).perform())
    counted = comparable(dry.report("complete"))
    assert counted["tables"] == wanted["tables"]
    assert sum(table["given"] for table in counted["tables"].values()) == sum(
        content.count("\n") - 1 for content in SOURCES.values()
    )
