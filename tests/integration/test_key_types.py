"""Keys of every type that a column may have: records find their rows, and references and lookups find them too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import async_loader
from async_loader import Column, ConfigurationError, Reference, RejectFilter, Retry, Table, Type
from tests.sample import Place, reject_names
from tests.stores import Databases

# By type, the texts of four keys. The last one is in no table.
KEYS = {
    Type.REAL: ("0.1", "-2.5", "1e300", "3"),
    Type.DECIMAL: ("1.10", "-2.25", "12", "3.5"),
    Type.DATE: ("1999-12-31", "0001-01-01", "2024-02-29", "2024-03-01"),
    Type.DATETIME: (
        "2024-05-01 12:00:00+00:00",
        "1969-07-20 20:17:40.000001+00:00",
        "2024-05-01 12:00:00.5+00:00",
        "2000-01-01 00:00:00+00:00",
    ),
    Type.TIME: ("00:00:00", "23:59:59.999999", "12:30:00", "01:00:00"),
    Type.DURATION: ("1 00:00:00", "-1 23:59:59", "00:00:00.000001", "2 00:00:00"),
    Type.BINARY: ("AA==", "/w==", "AAEC", "AQ=="),
    Type.UUID: (*(f"{number:032x}" for number in (1, 2, 3)), f"{9:032x}"),
}
DETAILS: dict[Type, dict[str, Any]] = {Type.DECIMAL: {"digits": 8, "places": 2}, Type.DATETIME: {"zone": "UTC"}}
KINDS = pytest.mark.parametrize("kind", list(KEYS), ids=lambda kind: kind.value)
# A plain run takes a number, a text and bytes.
PLAIN = (Type.DATE, Type.DECIMAL, Type.BINARY)
FEW = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind.value, marks=() if kind in PLAIN else pytest.mark.wide) for kind in KEYS]
)


def tables(kind: Type) -> tuple[Table, ...]:
    details = DETAILS.get(kind, {})
    parents = Table(
        "parents",
        "users",
        (Column("id", kind, **details), Column("name", Type.TEXT, unique=True)),
    )
    children = Table(
        "children",
        "users",
        (Column("id", Type.INTEGER), Column("parent_id", kind, nullable=True, default=None, **details)),
        references=(Reference("parent_id", "parents", name="parent"),),
    )
    return (parents, children)


def refusing(place: Place) -> None:
    """Make the database itself refuse parents that are called no."""
    if place.kind("users") == "sqlite":
        refused = "WHEN NEW.name = 'no' BEGIN SELECT RAISE(ABORT, 'not no'); END"
        place.query("users", f"CREATE TRIGGER guard AFTER INSERT ON parents {refused}")
    else:
        place.query("users", "ALTER TABLE parents ADD CONSTRAINT guard CHECK (name <> 'no')")


@KINDS
def test_rows_are_found_by_keys_of_any_type(tmp_path: Path, store: Databases, *, mode: str, kind: Type) -> None:
    place, keys = Place(tmp_path, tables(kind), store), KEYS[kind]
    refusing(place)
    parents = f"id,name\n{keys[0]},a\n{keys[1]},b\n{keys[2]},no\n{keys[1]},c\n"
    children = f"id,parent_id\n1,{keys[0]}\n2,{keys[1]}\n3,{keys[2]}\n4,{keys[3]}\n5,\n"
    sources = {"parents": place.file("p.csv", parents), "children": place.file("c.csv", children)}
    for batch_size in (1, 100):
        report = place.load(mode, sources, batch_size=batch_size)
        assert [line for line, *_ in reject_names(report, "parents")] == [4, 5]
        assert reject_names(report, "parents")[1] == (5, 5, ["id.duplicate"])
        assert reject_names(report, "children") == [
            (4, 4, ["parent_id.exists_in"]),
            (5, 5, ["parent_id.exists_in"]),
        ]
    assert report.tables["parents"].unchanged == 2
    assert report.tables["children"].unchanged == 3
    changed = {"parents": place.file("2.csv", f"id,name\n{keys[0]},z\n{keys[1]},b\n")}
    assert reject_names(place.load(mode, changed), "parents") == [(2, 2, ["id.exists"])]
    assert place.load(mode, changed, on_conflict="update").tables["parents"].updated == 1
    assert sorted(name for _, name in place.rows("parents")) == ["b", "z"]


@FEW
@pytest.mark.parametrize("many", [1, 100])
def test_a_key_of_any_type_is_looked_up(tmp_path: Path, store: Databases, *, mode: str, kind: Type, many: int) -> None:
    place, keys = Place(tmp_path, tables(kind), store), KEYS[kind]
    place.load(mode, {"parents": place.file("p.csv", f"id,name\n{keys[0]},a\n{keys[1]},b\n{keys[2]},c\n")})
    children = "id,parent__name\n" + "".join(f"{number},{'abcx'[number % 4]}\n" for number in range(4 * many))
    report = place.load(mode, {"children": place.file("c.csv", children)}, report_rejects=1)
    assert (report.tables["children"].inserted, report.tables["children"].rejected) == (3 * many, many)
    joined = "SELECT name, count(*) FROM children JOIN parents ON parents.id = parent_id GROUP BY 1 ORDER BY 1"
    assert place.query("users", joined) == [("a", many), ("b", many), ("c", many)]


@FEW
def test_references_of_any_type_are_checked(tmp_path: Path, store: Databases, *, kind: Type) -> None:
    place, keys = Place(tmp_path, tables(kind), store), KEYS[kind]
    parents = f"id,name\n{keys[0]},a\n{keys[1]},b\n{keys[2]},c\n"
    children = f"id,parent_id\n1,{keys[0]}\n2,{keys[1]}\n3,{keys[2]}\n4,\n"
    place.load("async", {"parents": place.file("p.csv", parents), "children": place.file("c.csv", children)})
    place.query("users", "DELETE FROM parents WHERE name = 'b'")
    found = asyncio.run(async_loader.check_references(place.tables, place.databases))
    assert [names_of(reject) for reject in found.tables["children"].rejects] == [(2, ["parent_id.exists_in"])]


def names_of(orphan: Any) -> tuple[Any, list[str]]:
    return orphan.key, [f"{reason.column}.{reason.code}" for reason in orphan.reasons]


@FEW
def test_a_mended_reject_finds_its_row(tmp_path: Path, store: Databases, *, mode: str, kind: Type) -> None:
    place, keys = Place(tmp_path, tables(kind), store), KEYS[kind]
    children = {"children": place.file("c.csv", f"id,parent_id\n1,{keys[0]}\n2,{keys[3]}\n")}
    assert place.load(mode, children).tables["children"].rejected == 2
    place.load(mode, {"parents": place.file("p.csv", f"id,name\n{keys[0]},a\n")})
    Retry(place.tables, RejectFilter(), place.databases, mode=mode).perform()
    assert [key for key, _ in place.rows("children")] == [1]
    assert len(place.stored_rejects("children")) == 1


@FEW
@pytest.mark.parametrize("commit_every", [0, 1])
def test_children_of_any_type_come_before_their_parents(
    tmp_path: Path, store: Databases, *, mode: str, kind: Type, commit_every: int
) -> None:
    details, keys = DETAILS.get(kind, {}), KEYS[kind]
    own = Table(
        "nodes",
        "users",
        (Column("id", kind, **details), Column("up", kind, nullable=True, default=None, **details)),
        references=(Reference("up", "nodes"),),
    )
    place = Place(tmp_path, (own,), store)
    nodes = f"id,up\n{keys[0]},{keys[1]}\n{keys[1]},{keys[2]}\n{keys[2]},\n{keys[3]},{keys[3]}\n"
    source = {"nodes": place.file("n.csv", nodes)}
    assert place.load(mode, source, batch_size=1, commit_every=commit_every).tables["nodes"].inserted == 4
    assert place.load(mode, source, batch_size=2).tables["nodes"].unchanged == 4


def test_flags_are_keys_too(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, tables(Type.BOOLEAN), store)
    sources = {
        "parents": place.file("p.csv", "id,name\ntrue,a\n"),
        "children": place.file("c.csv", "id,parent_id\n1,true\n2,false\n"),
    }
    assert reject_names(place.load(mode, sources), "children") == [(3, 3, ["parent_id.exists_in"])]
    assert place.load(mode, sources).tables["parents"].unchanged == 1


def test_json_is_no_key_and_places_agree() -> None:
    with pytest.raises(ConfigurationError, match="key id must not be json"):
        tables(Type.JSON)
    parents, children = tables(Type.DECIMAL)
    other = replace(children.columns[1], places=3)
    children = replace(children, columns=(children.columns[0], other))
    with pytest.raises(ConfigurationError, match=r"parent_id has other places .* than parents\.id"):
        async_loader.Run((parents, children), {}, {"users": "x.db"})
