"""The pages of docs/ keep their word: what they show is what happens, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.test_numbers import SPELLINGS
from tests.postgres import binaries
from tests.transcripts import ROOT, Command, begin, differences, fits, is_of_a_server, steps

PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [*PAGES, ROOT / "README.md"]}
# Pages of many commands, each of which has tests of its own, too.
LONG = tuple(
    f"docs/{name}.md"
    for name in ("asyncio", "check", "cluster", "pipes", "postgresql", "rejects", "reports", "resume", "scale")
)
# The tutorial has a test of its own.
SHOWING = [
    name
    for name, text in TEXTS.items()
    if name != "docs/tutorial.md" and any(isinstance(step, Command) for step in steps(text))
]


@pytest.mark.whole
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.wide) if name in LONG else name for name in SHOWING]
)
def test_a_page_prints_what_it_says(name: str, tmp_path: Path) -> None:
    if is_of_a_server(TEXTS[name]) and binaries() is None:
        pytest.skip("no wheel of this platform brings a PostgreSQL server")
    assert differences(TEXTS[name], begin(TEXTS[name], tmp_path)) == ""


def test_every_page_of_a_task_shows_how_it_is_done() -> None:
    tasks = {
        "README",
        "asyncio",
        "check",
        "cluster",
        "django",
        "formats",
        "pipes",
        "postgresql",
        "rejects",
        "reports",
        "resume",
        "rules",
        "scale",
    }
    assert {Path(name).stem for name in SHOWING} == tasks


def test_only_what_changes_may_differ() -> None:
    told = f"run {'0' * 32}, 2026-11-23T08:00:09.560418+00:00\n  users: 1 of 1\n...\n5 records in 0.3 s, 17 records/s\n"
    another = f"run {'f' * 32}, 2027-01-01T00:00:00.000001+00:00\n  users: 1 of 1\n"
    printed = f"{another}x\ny\n5 records in 9.9 s, 1,000 records/s\n"
    assert fits(told, printed)
    assert not fits(told, printed.replace("1 of 1", "0 of 1"))
    assert not fits(told, printed.replace("5 records", "6 records"))
    assert not fits(told, printed + "error: the disk is full\n")


def test_every_spelling_in_the_table_of_numbers_is_tested() -> None:
    table = TEXTS["docs/pipes.md"].split("| text | as an integer | as a real |")[1].split("\n\n")[0]
    spellings = {text for line in table.splitlines()[2:] for text in re.findall(r"`([^`]*)`", line.split("|")[1])}
    assert spellings - {'""'} <= set(SPELLINGS)
