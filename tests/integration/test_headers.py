"""Names of a source that fit a table or do not: taken under any name of a column, proposed where near, never lost."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from async_loader import Column, Reference, Source, SourceError, Table, Type
from tests.sample import Place, reject_names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

FLIGHTS = Table(
    "flights",
    "d",
    (
        Column("id", Type.INTEGER),
        Column("name", Type.TEXT),
        Column("plane_id", Type.INTEGER, nullable=True, default=None),
        Column("age", Type.INTEGER, default=0),
    ),
)
ALIASES = {"plane_id": ("plane",), "name": ("Titel",)}
FORMATS = ["csv", "jsonl", "parquet"]


def write(directory: Path, suffix: str, record: dict[str, Any]) -> str:
    path = directory / f"f.{suffix}"
    frame = pl.DataFrame({name: [value] for name, value in record.items()})
    if suffix == "csv":
        frame.write_csv(path)
    elif suffix == "jsonl":
        path.write_text(json.dumps(record) + "\n")
    else:
        frame.write_parquet(path)
    return str(path)


@pytest.fixture
def flights(tmp_path: Path, store: Databases) -> Place:
    return Place(tmp_path, (FLIGHTS,), store=store)


def refusal(place: Place, source: Source) -> str:
    with pytest.raises(SourceError) as caught:
        place.load("sequential", {"flights": source})
    assert place.rows("flights") == []
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.problem


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["plane_id", "plane"])
def test_a_column_may_stand_under_any_of_its_names(flights: Place, mode: str, suffix: str, name: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "Titel": "a", name: 7, "age": 3})
    flights.load(mode, {"flights": Source(path, aliases=ALIASES)})
    assert flights.rows("flights") == [(1, "a", 7, 3)]


NEAR = [("right_name", "name"), ("Name", "name"), (" age", "age"), ("plane-ID", "plane_id"), ("PLANE", "plane_id")]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("written", "column"), NEAR[2:])
def test_a_near_miss_beside_absent_columns_is_refused_and_proposed(
    flights: Place, suffix: str, written: str, column: str
) -> None:
    path = write(flights.directory, suffix, {"id": 1, "name": "a", written: 7})
    problem = refusal(flights, Source(path, aliases=ALIASES))
    assert f"has {written!r}, which table flights does not have, and lacks" in problem
    argument = shlex.quote(f"flights.{column}={written}")
    assert f"did you mean {column!r} by {written!r}? --map {argument} reads it" in problem
    assert f"--ignore {shlex.quote('flights.' + written)} leaves one out" in problem
    flights.load("sequential", {"flights": Source(path, names={column: written}, aliases=ALIASES)})
    assert flights.rows("flights") == [(1, "a", *((7, 0) if column == "plane_id" else (None, 7)))]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("written", "column"), NEAR[:2])
def test_a_column_that_must_be_there_is_proposed_too(flights: Place, suffix: str, written: str, column: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, written: "a", "age": 1, "plane_id": 1})
    problem = refusal(flights, Source(path))
    assert "lacks 'name', and has 'id', " in problem
    assert problem.endswith(f"did you mean {written!r}? --map flights.{column}={written} reads it")
    flights.load("sequential", {"flights": Source(path, names={column: written})})
    assert flights.rows("flights") == [(1, "a", 1, 1)]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("ignore", [("zip", "colour"), ("*",), ("zip", "*", "other")], ids=str)
def test_unknown_names_may_be_ignored_and_are_then_not_mentioned(
    flights: Place, suffix: str, ignore: tuple[str, ...]
) -> None:
    path = write(flights.directory, suffix, {"id": 1, "name": "a", "zip": 1, "colour": 2})
    assert "'zip', 'colour'" in refusal(flights, Source(path))
    assert "has 'colour', " in refusal(flights, Source(path, ignore=("zip",)))
    report = flights.load("sequential", {"flights": Source(path, ignore=ignore)}).tables["flights"]
    assert (report.inserted, report.ignored_columns) == (1, ())


@pytest.mark.parametrize("suffix", FORMATS)
def test_unknown_names_alone_are_ignored_with_a_warning(flights: Place, mode: str, suffix: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "name": "a", "plane_id": 1, "age": 2, "zip": 3})
    assert flights.load(mode, {"flights": path}).tables["flights"].ignored_columns == ("zip",)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_name_of_the_table_that_is_mapped_or_constant_is_not_called_unknown(flights: Place, suffix: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "naam": "b", "name": "a", "plane": 4, "plane_id": 5})
    source = Source(path, names={"name": "naam"}, constants={"plane_id": "6"}, aliases=ALIASES)
    report = flights.load("sequential", {"flights": source}).tables["flights"]
    assert report.ignored_columns == ()
    assert flights.rows("flights") == [(1, "b", 6, 0)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_that_is_ignored_is_not_read(flights: Place, suffix: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "name": "a", "plane_id": 4, "age": 5})
    flights.load("sequential", {"flights": Source(path, ignore=("age",))})
    assert flights.rows("flights") == [(1, "a", 4, 0)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_under_two_of_its_names_is_refused_unless_one_is_ignored(flights: Place, suffix: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "name": "a", "plane": 4, "plane_id": 5, "age": 1})
    assert "has 'plane', 'plane_id', which are names of one column" in refusal(flights, Source(path, aliases=ALIASES))
    flights.load("sequential", {"flights": Source(path, aliases=ALIASES, ignore=("plane",))})
    assert flights.rows("flights") == [(1, "a", 5, 1)]


def test_each_record_of_json_lines_may_use_another_name(flights: Place, mode: str) -> None:
    records: list[dict[str, Any]] = [
        {"id": 1, "name": "a", "plane": 4},
        {"id": 2, "Titel": "b", "plane_id": 5},
        {"id": 3, "name": "c"},
        {"id": 4, "name": "d", "plane_id": "x"},
    ]
    path = flights.file("f.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    report = flights.load(mode, {"flights": Source(path, aliases=ALIASES)}, batch_size=2).tables["flights"]
    assert flights.rows("flights") == [(1, "a", 4, 0), (2, "b", 5, 0), (3, "c", None, 0)]
    assert report.reasons == {"plane_id.not_integer": 1}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_name_that_was_given_must_be_there_and_the_line_says_what_is(flights: Place, suffix: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "Naam": "a", "age": 1, "plane_id": 1})
    problem = refusal(flights, Source(path, names={"name": "naam"}))
    assert "'naam', named by --map" in problem
    assert "did you mean 'Naam'?" in problem


def test_an_unknown_name_far_down_in_json_lines_is_refused_with_its_line(flights: Place, mode: str) -> None:
    """Where the records at the front lack optional columns: there it may be one of them."""
    record = {"id": 1, "name": "x" * 1000}
    lines = [json.dumps(record | {"id": key}) for key in range(9_000)] + ['{"id": 9001, "name": "a", "Age": 3}']
    with pytest.raises(SourceError, match=r"line 9001: the record has 'Age', .*did you mean 'age' by 'Age'"):
        flights.load(mode, {"flights": flights.file("f.jsonl", "\n".join(lines))})


def test_a_record_of_json_lines_may_have_any_number_of_unknown_names(flights: Place) -> None:
    """In time that is in proportion; the first thousand names are reported."""
    names = [f"column {number}" for number in range(20_000)]
    first = json.dumps({"id": 0, "name": "a", "plane_id": 2, "age": 3})
    lines = [json.dumps({"id": key, "name": "a", name: 1}) for key, name in enumerate(names, 1)]
    lines.append(json.dumps({"id": -1, "name": "a"} | dict.fromkeys(names, 1)))
    report = flights.load("sequential", {"flights": flights.file("f.jsonl", "\n".join([first, *lines]))})
    assert report.tables["flights"].inserted == 20_002
    assert report.tables["flights"].ignored_columns == tuple(names[:1_000])


def test_a_header_may_have_ten_thousand_columns_and_no_more(flights: Place) -> None:
    names = [f"column {number}" for number in range(9_996)]
    header = ",".join(["id", "name", "plane_id", "age", *names])
    report = flights.load("sequential", {"flights": flights.file("f.csv", f"{header}\n1,a,2,3{',' * 9_996}\n")})
    assert report.tables["flights"].inserted == 1
    assert report.tables["flights"].ignored_columns == tuple(names)
    wider = Source(flights.file("g.csv", f"{header},one more\n"))
    with pytest.raises(SourceError, match="line 1: the header has more than 10,000 columns; keep those"):
        flights.load("sequential", {"flights": wider})
    problem = "has 'column 0', .*'column 4' and 9,991 more, which table flights does not have, and lacks 'age'"
    with pytest.raises(SourceError, match=problem):
        flights.load("sequential", {"flights": flights.file("h.csv", header.replace("age,", "") + "\n")})


ORDERS = Table(
    "orders",
    "d",
    (
        Column("id", Type.INTEGER, generated=True),
        Column("place", Type.TEXT, default=""),
        Column("flight_id", Type.INTEGER),
    ),
    references=(Reference("flight_id", "flights", name="flight"),),
)


@pytest.mark.parametrize("written", ["fligth__name", "flight_id__nmae"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_that_is_nearly_a_lookup_is_proposed_as_one(
    tmp_path: Path, store: Databases, mode: str, suffix: str, written: str
) -> None:
    place = Place(tmp_path, (FLIGHTS, ORDERS), store=store)
    place.load(mode, {"flights": place.file("flights.csv", "id,name\n7,seven\n")})
    path, options = write(tmp_path, suffix, {written: "seven"}), {"append": frozenset({"orders"})}
    with pytest.raises(SourceError, match=f"did you mean .* --map orders.flight__name={written} reads it"):
        place.load(mode, {"orders": path}, **options)
    place.load(mode, {"orders": Source(path, names={"flight__name": written})}, **options)
    assert place.rows("orders") == [(1, "", 7)]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "options",
    [{"on_missing": "reject"}, {"match": {"orders": ("id",)}}, {"match": {"orders": ("id", "place")}}],
    ids=str,
)
def test_a_source_must_have_the_key_where_that_finds_rows(
    tmp_path: Path, store: Databases, mode: str, suffix: str, options: dict[str, Any]
) -> None:
    place = Place(tmp_path, (FLIGHTS, ORDERS), store=store)
    path = write(tmp_path, suffix, {"flight_id": 1, "place": "a"})
    with pytest.raises(SourceError, match=r"lacks id, the key of orders; .* --append orders"):
        place.load(mode, {"orders": path}, **options)


def test_a_source_must_have_the_match_columns_also_those_with_a_default(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    place = Place(tmp_path, (FLIGHTS, ORDERS), store=store)
    place.load(mode, {"flights": place.file("flights.csv", "id,name\n7,seven\n")})
    match = {"orders": ("place",)}
    with pytest.raises(SourceError, match="lacks 'place'"):
        place.load(mode, {"orders": place.file("o.csv", "flight_id\n7\n")}, match=match)
    records = '{"flight_id": 7}\n{"flight_id": 7, "place": "a"}\n{"flight_id": 7}\n'
    report = place.load(mode, {"orders": place.file("o.jsonl", records)}, match=match)
    assert reject_names(report, "orders") == [(1, 1, ["place.missing"]), (3, 3, ["place.missing"])]
    assert place.rows("orders") == [(1, "a", 7)]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_that_is_ignored_though_it_must_be_there_is_said_to_be_ignored(flights: Place, suffix: str) -> None:
    path = write(flights.directory, suffix, {"id": 1, "name": "a"})
    problem = refusal(flights, Source(path, ignore=("name",)))
    assert "has 'name', which --ignore leaves out and table flights must have" in problem
