"""Tables of other schemas, whose names Django takes as `"app"."thing"` or `app"."thing`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from async_loader import (
    Column,
    Reference,
    ReferenceCheck,
    RejectFilter,
    StoredRejects,
    StoreError,
    Table,
    Type,
    Verification,
    not_empty,
)
from tests.sample import Place
from tests.stores import Databases

# How a project may write the name of a table with its schema.
SPELLED = pytest.mark.parametrize("spelled", ['"{}"."{}"', '{}"."{}'])


def tables_in(schema: str, spelled: str) -> tuple[Table, Table]:
    """Declare a table of that schema, and one of the database's own that references it."""
    thing = Table(
        spelled.format(schema, "thing"),
        "things",
        (Column("id", Type.INTEGER, generated=True), Column("name", Type.TEXT, unique=True)),
        rules=(not_empty("name"),),
    )
    part = Table(
        '"part"',
        "things",
        (Column("id", Type.INTEGER), Column("thing_id", Type.INTEGER)),
        references=(Reference("thing_id", thing.name, name="thing"),),
    )
    return thing, part


@pytest.fixture
def schema(place: Place) -> Iterator[str]:
    """Make a schema that no search path has."""
    name = f"app {uuid.uuid4().hex}"
    place.query("users", f'CREATE SCHEMA "{name}"')
    yield name
    place.query("users", f'DROP SCHEMA "{name}" CASCADE')


@SPELLED
@pytest.mark.only("postgresql")
def test_they_are_made_and_loaded_where_their_names_say(
    tmp_path: Path, store: Databases, mode: str, schema: str, spelled: str
) -> None:
    thing, part = tables_in(schema, spelled)
    place = Place(tmp_path, (thing, part), store=store)
    things = place.file("t.csv", "id,name\n5,Pen\n6,\n7,Cup\n")
    parts = place.file("p.csv", "id,thing_id\n1,5\n2,6\n")
    report = place.load(mode, {thing.name: things, part.name: parts}, batch_size=1)
    assert report.tables[part.name].reasons == {"thing_id.exists_in": 1}
    assert place.query("things", f'SELECT * FROM "{schema}".thing ORDER BY 1') == [(5, "Pen"), (7, "Cup")]
    assert place.query("things", "SELECT * FROM part") == [(1, 5)]
    changed = place.file("u.csv", "id,name\n5,Pens\n7,Cup\n")
    counts = place.load(mode, {thing.name: changed}, on_conflict="update").tables[thing.name]
    assert (counts.updated, counts.unchanged) == (1, 1)
    new = place.file("n.csv", "name\nHat\n")
    place.load(mode, {thing.name: new}, append=frozenset({thing.name}))
    assert place.query("things", f'SELECT * FROM "{schema}".thing WHERE id > 7') == [(8, "Hat")]
    looked_up = place.file("l.csv", "id,thing__name\n2,Hat\n")
    place.load(mode, {part.name: looked_up})
    assert place.query("things", "SELECT * FROM part") == [(1, 5), (2, 8)]


@SPELLED
@pytest.mark.only("postgresql")
def test_what_is_stored_of_them_is_looked_at(
    tmp_path: Path, store: Databases, mode: str, schema: str, spelled: str
) -> None:
    thing, part = tables_in(schema, spelled)
    place = Place(tmp_path, (thing, part), store=store)
    things = place.file("t.csv", "id,name\n5,Pen\n6,\n")
    place.load(mode, {thing.name: things, part.name: place.file("p.csv", "id,thing_id\n1,5\n")})
    place.query("things", f'DELETE FROM "{schema}".thing')
    checked = ReferenceCheck(place.tables, place.databases).perform()
    assert checked.tables[part.name].reasons == {"thing_id.exists_in": 1}
    found = Verification(place.tables, place.databases).perform()
    assert [finding.table for run in found.runs for finding in run.findings] == [thing.name]
    stored = StoredRejects(place.tables, place.databases)
    assert stored.count(RejectFilter()) == {thing.name: 1}
    exported = stored.export(RejectFilter(), tmp_path / "mend.csv")
    assert exported is not None
    mended = (tmp_path / "mend.csv").read_text().replace("6,", "6,Cup")
    place.load(mode, {thing.name: place.file("mended.csv", mended)})
    assert stored.count(RejectFilter()) == {}
    assert place.query("things", f'SELECT * FROM "{schema}".thing') == [(6, "Cup")]


@pytest.mark.only("postgresql")
def test_a_foreign_key_of_the_database_leads_there_too(
    tmp_path: Path, store: Databases, mode: str, schema: str
) -> None:
    table = Table("bits", "things", (Column("id", Type.INTEGER), Column("thing_id", Type.INTEGER)))
    place = Place(tmp_path, (table,), store=store)
    place.query("things", f'CREATE TABLE "{schema}".thing (id bigint PRIMARY KEY)')
    place.query("things", f'INSERT INTO "{schema}".thing VALUES (5)')
    place.query("things", f'ALTER TABLE bits ADD FOREIGN KEY (thing_id) REFERENCES "{schema}".thing')
    report = place.load(mode, {"bits": place.file("b.csv", "id,thing_id\n1,5\n2,6\n")})
    assert report.tables["bits"].reasons == {"thing_id.exists_in": 1}


@SPELLED
@pytest.mark.only("sqlite")
def test_sqlite_has_none_of_them(tmp_path: Path, store: Databases, spelled: str) -> None:
    with pytest.raises(StoreError, match="SQLite has no schema app; call the table thing alone"):
        Place(tmp_path, tables_in("app", spelled), store=store)


@pytest.mark.only("postgresql")
def test_a_schema_that_is_missing_is_one_line(tmp_path: Path, store: Databases) -> None:
    with pytest.raises(StoreError, match=r'schema "app" does not exist .*; create the schema first'):
        Place(tmp_path, tables_in("app", '"{}"."{}"'), store=store)


def test_a_name_in_quotes_is_the_name_without_them(tmp_path: Path, store: Databases, mode: str) -> None:
    table = Table('"thing"', "things", (Column("id", Type.INTEGER, generated=True), Column("name", Type.TEXT)))
    place = Place(tmp_path, (table,), store=store)
    place.load(mode, {table.name: place.file("t.csv", "id,name\n5,Pen\n")})
    place.load(mode, {table.name: place.file("n.csv", "name\nHat\n")}, append=frozenset({table.name}))
    assert place.query("things", "SELECT * FROM thing ORDER BY 1") == [(5, "Pen"), (6, "Hat")]
    assert Verification(place.tables, place.databases).perform().findings == 0
