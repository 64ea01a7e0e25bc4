"""Databases that reference each other in a circle: what is stored can be looked at, and loaded a part at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from async_loader import (
    Column,
    ConfigurationError,
    Options,
    Reference,
    ReferenceCheck,
    RejectFilter,
    Retry,
    Run,
    StoredRejects,
    Table,
    Type,
    Verification,
)
from tests.sample import Place
from tests.stores import Databases

ID, OTHER = Column("id", Type.INTEGER), Column("other_id", Type.INTEGER)
AUTHORS, READERS = Table("authors", "one", (ID,)), Table("readers", "two", (ID,))
EDITS = Table("edits", "one", (ID, OTHER), references=(Reference("other_id", "readers"),))
NOTES = Table("notes", "two", (ID, OTHER), references=(Reference("other_id", "authors"),))
ALL = (AUTHORS, READERS, EDITS, NOTES)


def test_databases_in_a_circle_are_looked_at(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (AUTHORS, replace(EDITS, references=()), READERS, replace(NOTES, references=())), store)
    edits = place.file("e.csv", "id,other_id\n1,7\n")
    report = Run((READERS, EDITS), {"edits": edits}, place.databases, Options(), mode=mode).perform()
    assert report.tables["edits"].rejected == 1
    [run] = StoredRejects(ALL, place.databases).overview()
    assert run.run == report.run
    assert Verification(ALL, place.databases).perform().findings == 0
    assert ReferenceCheck(ALL, place.databases).perform().tables["edits"].rejected == 0
    again = Retry(ALL, RejectFilter(), place.databases, mode=mode).perform()
    assert again.tables["edits"].rejected == 1
    exported = StoredRejects(ALL, place.databases).export(RejectFilter(), tmp_path / "bad.csv")
    assert exported is not None
    assert StoredRejects(ALL, place.databases).discard(RejectFilter(), lambda _: True) == 1
    with pytest.raises(ConfigurationError, match="reference each other in a circle"):
        Run(ALL, {"edits": edits}, place.databases)
