"""docs/tutorial.md, done as it says: its files, its commands, and what these print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcripts import ROOT, Command, File, differences, steps

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()


@pytest.mark.wide
def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    """All but the installation, which a test must not do again."""
    assert differences(TUTORIAL, tmp_path) == ""


def test_the_tutorial_is_one_of_files_and_commands() -> None:
    """So that a change of the way in which it is written cannot leave nothing to be run."""
    done = list(steps(TUTORIAL))
    assert sum(isinstance(step, File) for step in done) >= 7
    assert sum(isinstance(step, Command) for step in done) >= 20
