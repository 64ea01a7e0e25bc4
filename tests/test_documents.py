"""The documents speak of files that exist, and the decisions have one form and are all in their index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.english import ROOT, documents

DECISIONS = sorted(path for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md")
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in documents()}
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(rf"{_FENCED.pattern}|`[^`\n]*`", re.MULTILINE | re.DOTALL)
# Characters in a line of prose, but for a table's.
LONGEST_LINE = 125
# Places that a document may call by their names within these directories.
ROOMS = ("", "async_loader", "docs", "async_loader/contrib/django")


def named_paths(text: str) -> set[str]:
    """Return what looks like a path of this repository: code that ends in `.py` or, with a slash in it, in `/`."""
    return set(re.findall(r"`((?:[\w.]+/)*[\w.]+(?:\.py|\.pyi|/))`", _FENCED.sub("", text)))


def anchors(text: str) -> set[str]:
    """Return the names by which links may lead to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", _CODE.sub("", TEXTS[name])):
        path, _, heading = link.partition("#")
        if "://" in link:
            continue
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), link
        assert not heading or heading in anchors(target.read_text()), link


@pytest.mark.parametrize("name", TEXTS)
def test_lines_of_prose_are_not_too_long(name: str) -> None:
    lines = _FENCED.sub("", TEXTS[name]).splitlines()
    assert [line for line in lines if len(line) > LONGEST_LINE and not line.startswith("|")] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/performance.md", "docs/scale.md"])
def test_files_that_a_document_names_exist(name: str) -> None:
    names = named_paths(TEXTS[name])
    assert [each for each in names if not any((ROOT / room / each).exists() for room in ROOMS)] == []


def test_every_package_of_the_engine_has_a_line_in_the_table_of_rooms() -> None:
    table = TEXTS["CONTRIBUTING.md"].split("| room | what may live there |")[1].split("\n\n")[0]
    rooms = {path.parent.name for path in (ROOT / "async_loader").glob("*/__init__.py")} - {"contrib"}
    assert {f"{room}/" for room in rooms} <= named_paths(table)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_number_a_date_and_three_parts(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert re.fullmatch(rf"# {int(path.name[:3])}\. .+", lines[0])
    assert re.match(r"\d{4}-\d\d-\d\d", lines[2])
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequence"]


def test_the_index_has_every_decision_once_under_its_title() -> None:
    index = TEXTS["docs/decisions/README.md"]
    entries = re.findall(r"^- \[(.*)\]\((.*)\)$", index, re.MULTILINE)
    titles = {path.name: path.read_text().splitlines()[0].removeprefix("# ") for path in DECISIONS}
    assert len(entries) == len(DECISIONS)
    assert {name: title for title, name in entries} == titles


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:3]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
