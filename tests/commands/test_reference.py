"""docs/reference.md has all that the code has, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import async_loader
from async_loader import (
    CheckedTable,
    Counts,
    Finding,
    InspectedColumn,
    Orphan,
    Reason,
    ReferenceReport,
    Reject,
    RejectingRun,
    Report,
    StoredReject,
    TableRejects,
    TableReport,
    VerificationReport,
    VerifiedRun,
    VerifiedTable,
)
from async_loader.constraints import REFUSED, UNIQUE
from async_loader.contrib.django import checks, settings
from async_loader.contrib.django.management import base
from async_loader.contrib.django.models.conditions import CHECK
from async_loader.ledger.agreement import _ADVICE
from async_loader.ledger.report import ReferencedRow
from async_loader.records.conversion import INVALID
from async_loader.records.reasons import FAULT_MESSAGES, RULE_FAILED
from benchmarks.contenders import SERVED_CASES
from tests.commands.conftest import ROOT, Project
from tests.reference import PAGE, documented_options, first_cells, option_tables

PAGE_TEXT = PAGE.read_text()
CONSOLE = Path("async_loader") / "contrib" / "django" / "admin"
# Where in a call stands the code of a reason.
CODE_OF = {"Check": 0, "Reason": 0, "reason_json": 0, "Broken": 3, "_broken": 2}
FIELDS = {
    "Report of a load": Report,
    "Table of a load": TableReport,
    "Reject of a load": Reject,
    "Referenced row": ReferencedRow,
    "Reason": Reason,
    "Report of check_references": ReferenceReport,
    "Table of check_references": CheckedTable,
    "Row at fault": Orphan,
    "Report of verify": VerificationReport,
    "Run of verify": VerifiedRun,
    "Table of verify": VerifiedTable,
    "Finding": Finding,
    "Column of inspect_source": InspectedColumn,
    "Run of the list": RejectingRun,
    "Table of the list": TableRejects,
}


@pytest.mark.parametrize("heading", option_tables())
def test_options_are_as_help_describes_them(heading: str) -> None:
    """With their defaults. `python -m tests.reference` mends the page."""
    assert documented_options(PAGE_TEXT)[heading] == option_tables()[heading]


def test_no_table_is_of_options_that_are_gone() -> None:
    assert set(documented_options(PAGE_TEXT)) == set(option_tables())


def codes() -> Iterator[str]:
    """Yield the codes of reasons, at all places where the code makes one."""
    yield from FAULT_MESSAGES
    yield from (CHECK, INVALID, REFUSED, RULE_FAILED, UNIQUE)
    for path in (ROOT / "async_loader").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CODE_OF:
                place = CODE_OF[node.func.id]
                given = node.args[place] if len(node.args) > place else None
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    yield given.value


def rules() -> list[str]:
    """Return the names of the ready rules, which are also their codes."""
    tree = ast.parse((ROOT / "async_loader" / "rules.py").read_text())
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in named if name in async_loader.__all__ and name != "each_value"]


def test_every_code_of_a_reason_is_documented_and_no_other() -> None:
    documented = first_cells("Codes of reasons", PAGE_TEXT)
    assert len(documented) == len(set(documented))
    assert set(documented) == {*codes(), *rules()}


def test_every_code_of_a_finding_is_documented_and_no_other() -> None:
    assert first_cells("Codes of findings", PAGE_TEXT) == list(_ADVICE)


@pytest.mark.parametrize("heading", FIELDS)
def test_every_field_is_documented_and_no_other(heading: str) -> None:
    kind: Any = FIELDS[heading]
    names = {field.name for field in fields(kind)} - {"accepted", "outcomes", "samples", "resumed", "began"}
    # The counts stand there under their own names.
    names = names - {"counts"} | set(Counts().by_name()) if "counts" in names else names
    version = {"version"} if heading.startswith("Report ") else set()
    assert set(first_cells(heading, PAGE_TEXT)) == names | version


def test_fields_that_are_left_out_of_reports_are_left_out_of_the_json() -> None:
    counts = TableReport("users", (), Counts(), (), 0.0, {}, ())
    report = Report("1", "async", "complete", dry_run=False, seconds=0.0, error=None, tables={"users": counts})
    assert list(report.as_dict()) == first_cells("Report of a load", PAGE_TEXT)
    assert list(report.as_dict()["tables"]["users"]) == first_cells("Table of a load", PAGE_TEXT)


def test_every_field_of_a_stored_reject_is_documented_and_no_other() -> None:
    reject = StoredReject("1:1", "users", "users", ("users",), "1", Reject("u.csv", 1, 1, {}, ()))
    assert list(reject.as_dict()) == first_cells("Stored reject", PAGE_TEXT)


@pytest.mark.parametrize("table", ["loader_rejects", "loader_reject_names", "loader_good_rejects", "loader_runs"])
def test_every_column_of_the_loaders_own_tables_is_documented_and_no_other(project: Project, table: str) -> None:
    columns = [name for (name,) in project.query("users", f"SELECT name FROM pragma_table_info('{table}')")]
    assert first_cells(table, PAGE_TEXT) == columns


def test_every_system_check_is_documented_and_no_other() -> None:
    written = Path(checks.__file__).read_text() + (ROOT / CONSOLE / "checks.py").read_text()
    ids = re.findall(r'"(?:async_loader\.)?([EW]\d{3})"', written)
    assert first_cells("System checks", PAGE_TEXT) == [f"async_loader.{each}" for each in sorted(set(ids))]


def test_every_setting_is_documented_and_no_other() -> None:
    source = "".join(path.read_text() for path in (ROOT / "async_loader" / "contrib").rglob("*.py"))
    asked = {
        name for name in re.findall(r"\bsettings\.([A-Z_]+)", source) if name not in ("BASE_DIR", "SETTINGS_MODULE")
    }
    assert asked == {"USE_TZ", "TIME_ZONE"}
    assert first_cells("Settings", PAGE_TEXT) == [settings.TABLES, settings.FORMATS]
    named = re.findall(r'^[A-Z]+ = "(\w+)"$', (ROOT / CONSOLE / "settings.py").read_text(), re.MULTILINE)
    assert first_cells("Settings of the console", PAGE_TEXT) == named
    environment = re.findall(r'environ\.get\("(\w+)"', (ROOT / "core" / "settings.py").read_text())
    assert all(f"`{name}`" in PAGE_TEXT for name in environment)


def test_every_exit_code_is_documented_and_no_other() -> None:
    names = ("FAILED", "USAGE", "STRICT", "OVER_LIMIT", "INTERRUPTED", "TERMINATED")
    numbers = [0, *(getattr(base, name) for name in names)]
    assert first_cells("Exit codes", PAGE_TEXT) == [str(number) for number in numbers]


def test_every_case_of_the_benchmark_is_documented_and_no_other() -> None:
    assert first_cells("Cases of the benchmark", PAGE_TEXT) == list(SERVED_CASES)
