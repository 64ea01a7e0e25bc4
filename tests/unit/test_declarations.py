"""What a project may import to declare its tables, and where from."""

from __future__ import annotations

import ast
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[2]
FACE = "async_loader.contrib.django.tables"


def names_taken(source: str) -> set[str]:
    """Return the names that a source text imports from the app, at any place in it."""
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("async_loader.contrib.")
        for alias in node.names
    }


def test_a_model_is_declared_with_a_public_name() -> None:
    django.setup()
    from async_loader.contrib.django.tables import table_of
    from core.models import User

    table = table_of(User)
    assert (table.name, table.key, table.column_names) == ("users", "id", ("id", "name", "email"))


@pytest.mark.parametrize("path", ["core/tables.py", "docs/rules.md"])
def test_the_sample_and_the_docs_import_from_the_public_face(path: str) -> None:
    text = (ROOT / path).read_text()
    source = text if path.endswith(".py") else text.split("```python\n")[1].split("```")[0]
    assert names_taken(source) == {f"{FACE}.table_of"}
