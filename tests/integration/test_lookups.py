"""References that are given by other columns of their targets than the primary key, in every mode and store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from async_loader import (
    Column,
    Reference,
    ReferenceCheck,
    RejectFilter,
    Retry,
    Source,
    SourceError,
    Table,
    Type,
)
from tests.integration.library import KEY, LOANS, MATCH, PEOPLE, SHELVES, TABLES, outcome
from tests.sample import Place, reject_names
from tests.stores import Databases

# Both stores, whatever the tier.
pytestmark = pytest.mark.turns("mode")


def test_lookups_lead_to_rows_of_other_databases_stored_before_or_in_this_run(library: Place, mode: str) -> None:
    library.load(mode, {"people": library.file("old.csv", "email,name\na@x,Ann\n")}, match=MATCH)
    sources = {
        "people": library.file("people.csv", "email,name\nb@x,Bob\nc@x,\n"),
        "shelves": library.file("shelves.csv", "code,hall\n1,North\n1,South\n"),
        "loans": library.file(
            "loans.csv",
            "person__email,shelf__hall,shelf__code,day\n"
            "b@x,South,1,2024-02-29\na@x,,,2024-03-01\nc@x,North,1,2024-03-02\na@x,North,,2024-03-03\n"
            "a@x,West,1,2024-03-04\n,North,1,2024-03-05\n",
        ),
    }
    report = library.load(mode, sources, match=MATCH)
    loans = library.query("orders", 'SELECT person_id, shelf_id, CAST(day AS text) FROM "loans" ORDER BY id')
    assert loans == [(2, 2, "2024-02-29"), (1, None, "2024-03-01")]
    assert [(line, names) for line, _, names in reject_names(report, "loans")] == [
        (4, ["person_id.exists_in"]),
        (5, ["shelf_id.missing"]),
        (6, ["shelf_id.exists_in"]),
        (7, ["person_id.missing"]),
    ]
    messages = [reject.reasons[0].message for reject in report.tables["loans"].rejects]
    assert messages[0] == "person__email 'c@x' does not exist in people"
    assert messages[2] == "shelf__hall and shelf__code 'West', 1 does not exist in shelves"
    again = library.load(mode, sources, match=MATCH)
    assert outcome(again, "loans") == (0, 0, 2, 4)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_lookup_into_a_table_without_rows_finds_nothing(
    tmp_path: Path,
    store: Databases,
    mode: str,
    dry_run: bool,  # noqa: FBT001
) -> None:
    planes = Table("planes", "planes", (Column("tail", Type.TEXT), Column("model", Type.TEXT)), key="tail")
    flights = Table(
        "flights",
        "flights",
        (Column("id", Type.INTEGER), Column("plane", Type.TEXT, nullable=True, default=None)),
        references=(Reference("plane", "planes", name="flown"),),
    )
    place = Place(tmp_path, (planes, flights), store)
    for source in (
        place.file("f.csv", "id,flown__model\n1,A\n2,\n"),
        place.file("f.jsonl", '{"id": 1, "flown__model": "A"}\n{"id": 2, "flown__model": null}\n'),
    ):
        report = place.load(mode, {"flights": source}, dry_run=dry_run)
        assert report.tables["flights"].reasons == {"plane.exists_in": 1}
    assert place.rows("flights") == ([] if dry_run else [(2, None)])


def test_a_lookup_that_fits_several_rows_is_ambiguous(library: Place, mode: str) -> None:
    shelves = library.file("shelves.csv", "hall,code\nNorth,1\nNorth,2\n")
    people = library.file("people.csv", "email,name\na@x,Ann\n")
    loans = library.file("loans.csv", "person__email,shelf__hall,day\na@x,North,2024-01-01\n")
    report = library.load(mode, {"people": people, "shelves": shelves, "loans": loans}, match=MATCH)
    assert report.tables["loans"].reasons == {"shelf_id.ambiguous": 1}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_lookups_are_read_from_other_formats(library: Place, mode: str, suffix: str) -> None:
    import polars as pl

    library.load(mode, {"people": library.file("people.csv", "email,name\na@x,Ann\n")}, match=MATCH)
    frame = pl.DataFrame({"day": ["2024-01-01", "2024-01-02"], "person__email": ["a@x", "z@x"]})
    path = library.directory / f"loans{suffix}"
    frame.write_parquet(path) if suffix == ".parquet" else frame.write_ndjson(path)
    report = library.load(mode, {"loans": str(path)}, match=MATCH)
    assert outcome(report, "loans") == (1, 0, 0, 1)
    assert report.tables["loans"].reasons == {"person_id.exists_in": 1}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("person__emial", "has 'person__emial', but people has no column 'emial'; did you mean 'person__email'?"),
        ("person__club__name", "has 'person__club__name', and lookups have one step: give a column of people itself"),
    ],
)
def test_a_lookup_by_no_column_of_the_target_is_refused_with_the_nearest(
    library: Place, mode: str, suffix: str, name: str, problem: str
) -> None:
    text = f"{name},day\na,2024-01-01\n" if suffix == "csv" else json.dumps({name: "a", "day": "2024-01-01"})
    with pytest.raises(SourceError, match=re.escape(problem)):
        library.load(mode, {"loans": library.file(f"loans.{suffix}", text)}, match=MATCH)


def test_a_map_may_name_a_lookup(library: Place, mode: str) -> None:
    library.load(mode, {"people": library.file("people.csv", "email,name\na@x,Ann\n")}, match=MATCH)
    loans = Source(library.file("loans.csv", "wer,day\na@x,2024-01-01\n"), names={"person__email": "wer"})
    assert outcome(library.load(mode, {"loans": loans}, match=MATCH), "loans") == (1, 0, 0, 0)


def test_a_reference_beside_its_own_lookup_is_refused(library: Place) -> None:
    loans = library.file("loans.csv", "person_id,person__email,day\n1,a@x,2024-01-01\n")
    with pytest.raises(SourceError, match="has person_id beside person__email"):
        library.load("async", {"loans": loans}, match=MATCH)


def test_what_is_looked_up_may_stand_within_an_object_of_the_fields_name(library: Place, mode: str) -> None:
    library.load(mode, {"people": library.file("people.csv", "email,name\na@x,Ann\n")}, match=MATCH)
    lines = '{"person": {"email": "a@x"}, "day": "2024-01-01"}\n{"person": {"email": "b@x"}, "day": "2024-01-01"}\n'
    loans = Source(library.file("loans.jsonl", lines), names={"person__email": "person.email"})
    report = library.load(mode, {"loans": loans}, match=MATCH)
    assert outcome(report, "loans") == (1, 0, 0, 1)
    assert library.query("orders", 'SELECT person_id FROM "loans"') == [(1,)]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_stored_rejects_are_tried_again_by_lookups_that_a_map_gave(library: Place, mode: str, suffix: str) -> None:
    text = "wer,day\na@x,2024-01-01\n" if suffix == ".csv" else lines_of([{"wer": "a@x", "day": "2024-01-01"}])
    loans = Source(library.file(f"loans{suffix}", text), names={"person__email": "wer"})
    library.load(mode, {"loans": loans}, match=MATCH)
    library.load(mode, {"people": library.file("people.csv", "email,name\na@x,Ann\n")}, match=MATCH)
    report = Retry(TABLES, RejectFilter(), library.databases, mode=mode).perform()
    assert outcome(report, "loans") == (1, 0, 0, 0)
    assert library.query("orders", "SELECT person_id FROM loans") == [(1,)]


CURRENCIES = Table("currencies", "users", (KEY, Column("code", Type.TEXT, unique=True)))
PRICES = Table(
    "prices",
    "orders",
    (KEY, Column("currency", Type.TEXT), Column("cents", Type.INTEGER)),
    references=(Reference("currency", "currencies", to="code"),),
)


def test_a_reference_may_hold_another_column_than_the_key(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (CURRENCIES, PRICES), store)
    currencies = place.file("currencies.csv", "code\nEUR\nUSD\n")
    prices = place.file("prices.csv", "cents,currency\n5,USD\n6,XXX\n7,EUR\n")
    sources = {"currencies": currencies, "prices": prices}
    report = place.load(mode, sources, match={"currencies": ("code",), "prices": ("cents",)})
    assert place.query("orders", 'SELECT id, currency, cents FROM "prices" ORDER BY id') == [
        (1, "USD", 5),
        (2, "EUR", 7),
    ]
    message = report.tables["prices"].rejects[0].reasons[0].message
    assert message == "currency 'XXX' does not exist in currencies"
    checked = ReferenceCheck(place.tables, place.databases).perform()
    assert (checked.rejected, checked.tables["prices"].given) == (0, 2)


BOOKINGS = Table(
    "bookings",
    "orders",
    (KEY, Column("person_id", Type.INTEGER), Column("shelf_id", Type.INTEGER), Column("day", Type.DATE)),
    references=LOANS.references,
    unique_together=(("person_id", "day"), ("shelf_id", "day")),
)
BOOKED = "day,person__email,shelf__hall,shelf__code\n2024-01-01,a@x,A,1\n2024-01-02,b@x,A,1\n"


@pytest.fixture
def bookings(tmp_path: Path, store: Databases) -> Place:
    """Return a database in which people book shelves for a day."""
    place = Place(tmp_path, (PEOPLE, SHELVES, BOOKINGS), store)
    people, shelves = (
        place.file("p.csv", "email,name\na@x,Ann\nb@x,Bob\n"),
        place.file("s.csv", "hall,code\nA,1\nB,1\n"),
    )
    place.load("sequential", {"people": people, "shelves": shelves}, append=frozenset({"people", "shelves"}))
    return place


def test_the_ways_there_are_name_the_lookups_of_the_source(bookings: Place) -> None:
    ways = "find rows with --match bookings=person__email,day or --match bookings=shelf__hall,shelf__code,day or "
    with pytest.raises(SourceError, match=ways):
        bookings.load("async", {"bookings": bookings.file("b.csv", BOOKED)})
    with pytest.raises(SourceError, match=r"find rows with --match bookings=COLUMN,\.\.\., or "):
        bookings.load("async", {"bookings": bookings.file("c.csv", "person__email\na@x\n")})


def test_records_find_their_rows_by_columns_that_they_look_up(bookings: Place, mode: str) -> None:
    match = {"bookings": ("shelf__hall", "shelf__code", "day")}
    first = bookings.load(mode, {"bookings": bookings.file("b.csv", BOOKED)}, match=match)
    moved = bookings.file("c.csv", BOOKED.replace("01,a@x", "01,b@x").replace("02,b@x", "02,a@x"))
    second = bookings.load(mode, {"bookings": moved}, match=match, on_conflict="update")
    assert (outcome(first, "bookings"), outcome(second, "bookings")) == ((2, 0, 0, 0), (0, 2, 0, 0))
    assert bookings.query("orders", "SELECT person_id, shelf_id FROM bookings ORDER BY id") == [(2, 1), (1, 1)]


def lines_of(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)
