"""What is supported is said in one way: in the package's metadata, by nox, by the workflow and in the README."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def constant(name: str) -> Any:
    """Return a constant of the noxfile, which is not imported: nox need not be installed."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return ast.literal_eval(next(node.value for node in assigned if ast.unparse(node.targets[0]) == name))


def corners() -> list[tuple[str, str]]:
    """Return the pairs of Python and Django that nox knows."""
    return list(constant("CORNERS"))


def classified(prefix: str) -> list[str]:
    """Return the versions that classifiers name."""
    found = [re.fullmatch(rf"{prefix} :: (\d+\.\d+)", each) for each in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


def test_every_supported_version_is_in_a_corner_and_no_other() -> None:
    assert sorted({python for python, _ in corners()}) == classified("Programming Language :: Python")
    assert sorted({django for _, django in corners()}) == classified("Framework :: Django")


def test_the_workflow_runs_the_corners_of_nox() -> None:
    text = (ROOT / ".github" / "workflows" / "checks.yml").read_text()
    assert re.findall(r'\{python: "(.+)", django: "(.+)"\}', text) == corners()


def test_the_readme_names_the_supported_versions() -> None:
    text = (ROOT / "README.md").read_text()
    pythons = classified("Programming Language :: Python")
    assert f"| Python | {pythons[0]} to {pythons[-1]} |" in text
    assert f"| Django | {', '.join(classified('Framework :: Django'))} " in text


def test_the_version_has_a_section_in_the_changelog_or_is_the_next_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert released == sorted(released, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
    assert PROJECT["version"] == released[0] or (PROJECT["version"] > released[0] and "## [Unreleased]" in text)


def test_the_short_tier_is_there() -> None:
    assert [path for path in constant("SHORT_TIER") if not (ROOT / path).exists()] == []
