"""`manage.py check`: what is said of declarations and databases that do not fit, with an id and a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
import pytest
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings

DECLARATIONS = "tests.commands.declarations"
PROBLEMS = {
    "no.such.module": ("async_loader.E001", "setting ASYNC_LOADER_TABLES: No module named 'no'."),
    "core.settings.BASE_DIR": (
        "async_loader.E001",
        "setting ASYNC_LOADER_TABLES: core.settings.BASE_DIR is no function.",
    ),
    f"{DECLARATIONS}.unknown_column": (
        "async_loader.E001",
        "table users: rule greater_than names the unknown column 'age'.",
    ),
    f"{DECLARATIONS}.twice": ("async_loader.E002", "2 tables have the name users."),
    f"{DECLARATIONS}.undeclared": ("async_loader.E003", "Table orders: user_id references people, which is no table."),
    f"{DECLARATIONS}.elsewhere": ("async_loader.E004", "database archive: is not configured; add it to DATABASES."),
}


def messages() -> list[CheckMessage]:
    django.setup()
    return run_checks(tags=["async_loader"])


def test_nothing_is_said_of_the_sample() -> None:
    assert messages() == []


@pytest.mark.parametrize("path", PROBLEMS)
def test_declarations_that_do_not_fit_have_an_id_and_a_hint(path: str) -> None:
    with override_settings(ASYNC_LOADER_TABLES=path):
        found = messages()
    assert (found[0].id, found[0].msg) == PROBLEMS[path]
    assert found[0].hint
    assert found[0].is_serious()


def test_a_directory_that_is_not_there_is_an_error_for_declared_tables_only(project: Any, tmp_path: Path) -> None:
    project.environment["DATABASE_DIR"] = str(tmp_path / "missing")
    done = project.manage("check")
    assert done.returncode == 1
    assert done.stderr.count("async_loader.E005") == len(("users", "products", "orders"))
    assert "the directory " in done.stderr
    assert "does not exist" in done.stderr
    with override_settings(ASYNC_LOADER_TABLES=f"{DECLARATIONS}.twice"):
        assert {message.id for message in messages()} == {"async_loader.E002"}
