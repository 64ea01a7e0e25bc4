"""Records that know no primary keys find rows by match columns and by lookups, in every mode and store."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader import (
    Column,
    ConfigurationError,
    Options,
    Reference,
    RejectFilter,
    Report,
    Retry,
    Run,
    Source,
    SourceError,
    StoreError,
    Table,
    Type,
)
from async_loader.loading import finding
from tests.integration.library import KEY, MATCH, TABLES, names_and_emails, outcome, text_of
from tests.integration.test_lookups import lines_of
from tests.integration.test_order_of_runs import crash_after_commits
from tests.sample import MODES, Place, reject_names
from tests.stores import Databases, examples
from tests.tiers import amounts

# Both stores, whatever the tier.
pytestmark = pytest.mark.turns("mode")


def test_new_rows_get_keys_in_the_order_of_the_source_and_are_found_again(library: Place, mode: str) -> None:
    people = library.file("people.csv", "email,name\nb@x,Bob\na@x,Ann\n,Blank\nc@x,\n")
    first = library.load(mode, {"people": people}, match=MATCH, batch_size=1)
    again = library.load(mode, {"people": people}, match=MATCH)
    assert outcome(first, "people") == (3, 0, 0, 1)
    assert outcome(again, "people") == (0, 0, 3, 1)
    assert names_and_emails(library) == [(1, "Bob", "b@x"), (2, "Ann", "a@x"), (3, "Blank", "")]


@pytest.mark.parametrize("on_conflict", ["reject", "update"])
def test_a_row_that_differs_is_rejected_or_updated_and_keeps_its_key(
    library: Place, mode: str, on_conflict: str
) -> None:
    library.load(mode, {"people": library.file("old.csv", "email,name,age\na@x,Ann,7\nb@x,Bob,8\n")}, match=MATCH)
    changed = library.file("new.csv", "name,email\nBert,b@x\nAnn,a@x\nCid,c@x\n")
    report = library.load(mode, {"people": changed}, match=MATCH, on_conflict=on_conflict)
    if on_conflict == "reject":
        assert reject_names(report, "people") == [(2, 2, ["email.exists"])]
    rows = library.query("users", 'SELECT id, name, age FROM "people" ORDER BY id')
    assert rows == [(1, "Ann", 7), (2, "Bert" if on_conflict == "update" else "Bob", 8), (3, "Cid", None)]


def test_the_same_match_values_twice_in_a_run_are_a_duplicate_across_sources_and_batches(
    library: Place, mode: str
) -> None:
    one = library.file("one.csv", "email,name\na@x,\na@x,Ann\na@x,Anna\n")
    two = library.file("two.csv", "email,name\na@x,Ann\nb@x,Bob\n")
    report = library.load(mode, {"people": [one, two]}, match=MATCH, batch_size=1)
    assert reject_names(report, "people") == [
        (2, 2, ["name.not_empty"]),
        (4, 4, ["email.duplicate"]),
        (2, 2, ["email.duplicate"]),
    ]
    assert [reject.reasons[0].message for reject in report.tables["people"].rejects][1] == (
        "email 'a@x' appears earlier in this run"
    )


def test_a_null_among_the_match_values_is_missing_and_several_rows_are_ambiguous(library: Place, mode: str) -> None:
    library.load(mode, {"shelves": library.file("s.csv", "hall,code\nA,1\nA,1\nA,2\n")}, append=frozenset({"shelves"}))
    report = library.load(mode, {"shelves": library.file("t.csv", "code,hall\n1,A\n2,A\n,A\n")}, match=MATCH)
    assert reject_names(report, "shelves") == [(2, 2, ["ambiguous"]), (4, 4, ["code.missing"])]
    assert outcome(report, "shelves") == (0, 0, 1, 2)


@pytest.mark.parametrize(
    "column",
    [
        (Column("value", Type.TEXT), ["a", "A", "5", "é", ""]),
        (Column("value", Type.INTEGER), ["5", "-5", "0"]),
        (Column("value", Type.DECIMAL, digits=5, places=2), ["1.50", "-0.01", "15"]),
        (Column("value", Type.DATE), ["2024-02-29", "0001-01-01"]),
        (Column("value", Type.DATETIME), ["2024-02-29 10:00:00", "2024-02-29 10:00:00.000001"]),
        (Column("value", Type.BOOLEAN), ["true", "false"]),
    ],
    ids=["texts", "integers", "decimals", "dates", "datetimes", "booleans"],
)
def test_rows_are_found_by_a_column_without_an_index_of_a_table_too_large_to_read(
    tmp_path: Path, store: Databases, mode: str, monkeypatch: pytest.MonkeyPatch, column: tuple[Column, list[str]]
) -> None:
    value, values = column
    monkeypatch.setattr(finding, "MOST_INDEXED", 0)
    columns = (Column("id", Type.INTEGER, generated=True), value, Column("number", Type.INTEGER))
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)

    def load(numbers: Sequence[int], **options: Any) -> Report:
        lines = [f'"{text}",{number}\n' for text, number in zip(values, numbers, strict=True)]
        return place.load(mode, {"things": place.file("things.csv", "value,number\n" + "".join(lines))}, **options)

    numbers = range(len(values))
    load(numbers, append=frozenset({"things"}))
    by_value = {"things": ("value",)}
    assert outcome(load(numbers, match=by_value), "things") == (0, 0, len(values), 0)
    load([7] * len(values), append=frozenset({"things"}))
    assert reject_names(load(numbers, match=by_value), "things") == [
        (line, line, ["value.ambiguous"]) for line in range(2, 2 + len(values))
    ]


def test_a_source_without_a_key_is_refused_with_the_ways_there_are(library: Place) -> None:
    with pytest.raises(SourceError, match=r"lacks id.*--match people=COLUMN,\.\.\., or .*--append people"):
        library.load("async", {"people": library.file("people.csv", "email,name\na@x,Ann\n")})


def test_content_is_appended_once_unless_it_is_said_again(library: Place, mode: str) -> None:
    append = frozenset({"shelves"})
    shelves = library.file("shelves.csv", "hall,code\nA,1\nA,1\n")
    first = library.load(mode, {"shelves": shelves}, append=append)
    copy = library.file("other name.csv", "hall,code\nA,1\nA,1\n")
    with pytest.raises(SourceError, match=f"loaded into shelves by run {first.run}.*--again"):
        library.load(mode, {"shelves": copy}, append=append)
    library.load(mode, {"shelves": copy}, append=append, again=True)
    assert library.rows("shelves") == [(1, "A", 1), (2, "A", 1), (3, "A", 1), (4, "A", 1)]


def test_content_that_was_appended_in_part_is_not_begun_anew(library: Place, mode: str) -> None:
    append, sources = frozenset({"shelves"}), {"shelves": library.file("s.csv", "hall,code\nA,1\nA,1\nA,1\n")}
    options = Options(append=append, commit_every=2)
    cut_short = Run(library.tables, sources, library.databases, options, mode=mode)
    crash_after_commits(1, mode, cut_short)
    copy = {"shelves": library.file("copy.csv", "hall,code\nA,1\nA,1\nA,1\n")}
    for again, more in ((sources, {"restart": True}), (copy, {})):
        with pytest.raises(SourceError, match=f"run {cut_short.id}, which .* has appended 2 records .*--again"):
            library.load(mode, again, append=append, **more)
    # Another run comes between, so that this one cannot be resumed.
    library.load(mode, {"shelves": library.file("t.csv", "hall,code\nB,1\n")}, append=append)
    with pytest.raises(SourceError, match="which is not resumed, has appended 2 records of its sources to shelves"):
        library.load(mode, sources, append=append, commit_every=2)
    assert len(library.rows("shelves")) == 3
    library.load(mode, sources, append=append, again=True)
    assert len(library.rows("shelves")) == 6


def test_content_with_other_constants_is_appended(library: Place, mode: str) -> None:
    path = library.file("s.csv", "code\n1\n")
    for hall in ("A", "B"):
        library.load(mode, {"shelves": Source(path, constants={"hall": hall})}, append=frozenset({"shelves"}))
    with pytest.raises(SourceError, match="--again"):
        library.load(mode, {"shelves": Source(path, constants={"hall": "A"})}, append=frozenset({"shelves"}))
    assert library.rows("shelves") == [(1, "A", 1), (2, "B", 1)]


def test_appending_refuses_a_source_that_has_the_key(library: Place) -> None:
    shelves = library.file("shelves.csv", "id,hall,code\n1,A,1\n")
    with pytest.raises(SourceError, match="has id, the key of shelves, and --append"):
        library.load("async", {"shelves": shelves}, append=frozenset({"shelves"}))


def test_a_key_in_the_source_is_kept_and_may_not_be_that_of_another_row(library: Place, mode: str) -> None:
    library.load(mode, {"people": library.file("old.csv", "id,email,name\n7,a@x,Ann\n")}, match=MATCH)
    more = library.file("new.csv", "id,email,name\n7,a@x,Ann\n8,a@x,Ann\n7,b@x,Bob\n9,c@x,Cid\n")
    report = library.load(mode, {"people": more}, match=MATCH)
    assert [(line, names) for line, _, names in reject_names(report, "people")][-1] == (4, ["id.exists"])
    assert [row[:2] for row in names_and_emails(library)] == [(7, "Ann"), (9, "Cid")]
    library.load(mode, {"people": library.file("last.csv", "email,name\nd@x,Dan\n")}, match=MATCH)
    assert names_and_emails(library)[-1] == (10, "Dan", "d@x")


def test_a_record_that_finds_no_row_can_be_rejected_and_then_columns_may_be_absent(library: Place, mode: str) -> None:
    library.load(mode, {"people": library.file("old.csv", "email,name,age\na@x,Ann,7\nb@x,Bob,8\n")}, match=MATCH)
    ages = library.file("ages.csv", "email,age\na@x,9\nb@x,8\nc@x,1\n")
    options: Mapping[str, Any] = {"match": MATCH, "on_missing": "reject", "on_conflict": "update"}
    report = library.load(mode, {"people": ages}, **options)
    assert outcome(report, "people") == (0, 1, 1, 1)
    assert report.tables["people"].reasons == {"email.no_match": 1}
    assert library.query("users", 'SELECT name, age FROM "people" ORDER BY id') == [("Ann", 9), ("Bob", 8)]


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("match", [{"people": ("id",)}, MATCH], ids=["id", "email"])
def test_a_partial_change_that_the_database_refuses_is_one_reject(
    library: Place, mode: str, match: Mapping[str, tuple[str, ...]]
) -> None:
    library.load(mode, {"people": library.file("old.csv", "id,email,name,age\n1,a@x,Ann,7\n2,b@x,Bob,8\n")})
    library.query("users", "ALTER TABLE people ADD CONSTRAINT grown CHECK (age > 0)")
    ages = library.file("ages.csv", "id,email,age\n1,a@x,0\n2,b@x,9\n")
    report = library.load(mode, {"people": ages}, match=match, on_missing="reject", on_conflict="update")
    assert outcome(report, "people") == (0, 1, 0, 1)
    assert library.query("users", 'SELECT name, age FROM "people" ORDER BY id') == [("Ann", 7), ("Bob", 9)]


def test_without_match_columns_a_record_must_find_its_row_by_the_primary_key(library: Place, mode: str) -> None:
    library.load(mode, {"people": library.file("old.csv", "id,email,name,age\n1,a@x,Ann,7\n2,b@x,Bob,8\n")})
    ages = library.file("ages.csv", "id,age\n1,9\n2,8\n3,1\n")
    report = library.load(mode, {"people": ages}, on_missing="reject", on_conflict="update")
    assert outcome(report, "people") == (0, 1, 1, 1)
    assert report.tables["people"].reasons == {"id.no_match": 1}
    assert library.query("users", 'SELECT name, age FROM "people" ORDER BY id') == [("Ann", 9), ("Bob", 8)]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_two_new_records_that_give_one_key_are_one_row_and_one_reject(library: Place, mode: str, size: int) -> None:
    people = library.file("people.csv", "id,email,name\n1,a@x,Ann\n1,b@x,Bob\n2,c@x,Cid\n,d@x,Dan\n")
    report = library.load(mode, {"people": people}, match=MATCH, batch_size=size)
    assert reject_names(report, "people") == [(3, 3, ["id.exists"])]
    assert names_and_emails(library) == [(1, "Ann", "a@x"), (2, "Cid", "c@x"), (3, "Dan", "d@x")]


def test_a_dry_run_finds_the_rows_that_it_would_store_and_takes_no_key(library: Place, mode: str) -> None:
    sources = {
        "people": library.file("people.csv", "email,name\na@x,Ann\n"),
        "loans": library.file("loans.csv", "person__email,day\na@x,2024-01-01\nb@x,2024-01-02\n"),
    }
    dry = library.load(mode, sources, match=MATCH, dry_run=True)
    assert outcome(dry, "loans") == (1, 0, 0, 1)
    assert library.rows("people") == []
    library.load(mode, sources, match=MATCH)
    assert names_and_emails(library) == [(1, "Ann", "a@x")]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_with_checkpoints_the_same_keys_are_given(library: Place, mode: str, every: int) -> None:
    people = library.file("people.csv", "email,name\n" + "".join(f"{n}@x,Name {n}\n" for n in range(7)))
    loans = library.file("loans.csv", "person__email,day\n" + "".join(f"{n}@x,2024-01-0{n + 1}\n" for n in range(7)))
    report = library.load(mode, {"people": people, "loans": loans}, match=MATCH, commit_every=every)
    assert outcome(report, "loans") == (7, 0, 0, 0)
    assert [row[0] for row in names_and_emails(library)] == [1, 2, 3, 4, 5, 6, 7]
    assert library.query("orders", 'SELECT id, person_id FROM "loans" ORDER BY id') == [(n, n) for n in range(1, 8)]


def test_stored_rejects_are_tried_again_by_the_match_columns_and_lookups_of_their_run(
    library: Place, mode: str
) -> None:
    loans = library.file("loans.csv", "person__email,day\na@x,2024-01-01\n")
    library.load(mode, {"loans": loans}, match=MATCH)
    library.load(mode, {"people": library.file("people.csv", "email,name\na@x,Ann\n")}, match=MATCH)
    report = Retry(TABLES, RejectFilter(), library.databases, mode=mode).perform()
    assert outcome(report, "loans") == (1, 0, 0, 0)
    assert library.stored_rejects("loans") == []


UUIDS = Table(
    "tokens",
    "users",
    (Column("id", Type.UUID, default=lambda: uuid.uuid4().hex, generated=True), Column("name", Type.TEXT)),
)


def test_a_function_of_the_declaration_may_make_the_keys(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (UUIDS,), store)
    tokens = place.file("tokens.csv", "name\na\nb\na\n")
    report = place.load(mode, {"tokens": tokens}, match={"tokens": ("name",)})
    again = place.load(mode, {"tokens": tokens}, match={"tokens": ("name",)})
    assert (outcome(report, "tokens"), outcome(again, "tokens")) == ((2, 0, 0, 1), (0, 0, 2, 1))
    assert len({row[0] for row in place.rows("tokens")}) == 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"match": {"peple": ("email",)}}, "no source is for 'peple'"),
        ({"match": {"people": ("mail",)}}, "match names the unknown column 'mail'"),
        ({"match": MATCH, "append": frozenset({"people"})}, "choose one"),
        ({"match": MATCH, "on_missing": "ignore"}, "on_missing is one of insert, reject"),
    ],
)
def test_options_that_make_no_sense_are_refused(library: Place, options: Mapping[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        library.load("async", {"people": library.file("people.csv", "email,name\n")}, **options)


Person = tuple[str, str]
PERSONS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.sampled_from(["Ann", "Bob", ""])), max_size=9)


def loaded_by_hand(rows: dict[str, tuple[int, str]], records: Sequence[Person], on_conflict: str) -> Counter[str]:
    """Load record by record: by e-mail the key and name of each row, which is counted up from the greatest so far."""
    seen, counts = set[str](), Counter[str]()
    for email, name in records:
        held = rows.get(email)
        if not name or email in seen or (on_conflict == "reject" and held is not None and held[1] != name):
            counts["rejected"] += 1
            continue
        seen.add(email)
        counts["inserted" if held is None else "unchanged" if held[1] == name else "updated"] += 1
        rows[email] = (len(rows) + 1 if held is None else held[0], name)
    return counts


@amounts(6, 80)
def test_any_records_come_to_what_one_after_the_other_comes_to(
    tmp_path_factory: pytest.TempPathFactory, store: Databases, amount: int
) -> None:
    @examples(amount, store)
    @given(
        loads=st.lists(PERSONS, min_size=1, max_size=3),
        mode=st.sampled_from(MODES),
        batch_size=st.sampled_from([1, 2, 100]),
        on_conflict=st.sampled_from(["reject", "update"]),
        every=st.sampled_from([0, 2]),
    )
    def check(loads: list[list[Person]], mode: str, batch_size: int, on_conflict: str, every: int) -> None:
        place = Place(tmp_path_factory.mktemp("library"), TABLES, store)
        rows: dict[str, tuple[int, str]] = {}
        for number, records in enumerate(loads):
            source = place.file(f"{number}.csv", text_of([("email", "name"), *records]))
            options: Mapping[str, Any] = {"batch_size": batch_size, "on_conflict": on_conflict, "commit_every": every}
            report = place.load(mode, {"people": source}, match=MATCH, **options).tables["people"]
            # Nothing in any field is no record.
            expected = loaded_by_hand(rows, [record for record in records if any(record)], on_conflict)
            found = {name: getattr(report, name) for name in ("inserted", "updated", "unchanged", "rejected")}
            assert found == {name: expected[name] for name in found}
        assert names_and_emails(place) == sorted((key, name, email) for email, (key, name) in rows.items())

    check()


def test_a_record_that_lacks_a_lookup_or_a_member_keeps_what_its_row_holds(library: Place, mode: str) -> None:
    people, shelves = (
        library.file("p.csv", "email,name\na@x,Ann\nb@x,Bob\n"),
        library.file("s.csv", "hall,code\nA,1\nB,1\n"),
    )
    loans: list[dict[str, Any]] = [
        {"person__email": "a@x", "day": "2024-01-01", "shelf__hall": "A", "shelf__code": 1},
        {"person__email": "b@x", "day": "2024-01-02", "shelf__hall": "B", "shelf__code": 1},
    ]
    sources = {"people": people, "shelves": shelves, "loans": library.file("l.jsonl", lines_of(loans))}
    library.load(mode, sources, match=MATCH)
    changed: list[dict[str, Any]] = [
        {"person__email": "a@x", "day": "2024-01-01"},
        {"day": "2024-01-02", "shelf__hall": "A", "shelf__code": 1},
        {"person__email": "b@x", "day": "2024-01-02", "shelf__hall": "A", "shelf__code": 1},
        {"person__email": "a@x", "day": "2024-01-05", "shelf__hall": "A"},
        {"person__email": "a@x", "day": "2024-01-06"},
    ]
    more = library.file("m.jsonl", lines_of(changed))
    report = library.load(mode, {"loans": more}, match=MATCH, on_conflict="update")
    assert outcome(report, "loans") == (1, 1, 1, 2)
    assert reject_names(report, "loans") == [(2, 2, ["person_id.missing"]), (4, 4, ["shelf_id.missing"])]
    rows = library.query("orders", "SELECT person_id, shelf_id FROM loans ORDER BY id")
    assert rows == [(1, 1), (2, 1), (1, None)]


def test_several_columns_of_text_are_shown_in_every_reason(tmp_path: Path, store: Databases, mode: str) -> None:
    text = [Column(name, Type.TEXT) for name in ("hall", "row", "place")]
    seats = Table(
        "seats", "products", (KEY, *text, Column("price", Type.INTEGER)), unique_together=(("hall", "place"),)
    )
    visits = Table(
        "visits",
        "orders",
        (KEY, Column("seat_id", Type.INTEGER)),
        references=(Reference("seat_id", "seats", name="seat"),),
    )
    place = Place(tmp_path, (seats, visits), store=store)
    match = {"seats": ("hall", "row", "place")}

    def messages(table: str, lines: Sequence[str], **options: Any) -> list[tuple[str, str]]:
        report = place.load(mode, {table: place.file("s.csv", "\n".join(lines))}, **options)
        reasons = [reason for reject in report.tables[table].rejects for reason in reject.reasons]
        return [(reason.code, reason.message.partition(" (")[0]) for reason in reasons]

    assert messages("seats", ["hall,row,place,price", "A,1,a,5", "A,1,b,5", "A,1,a,6"], match=match) == [
        ("duplicate", "hall and row and place 'A', '1', 'a' appears earlier in this run")
    ]
    assert messages("seats", ["hall,row,place,price", "A,1,a,6", "A,2,b,5"], match=match) == [
        (
            "exists",
            "hall and row and place 'A', '1', 'a' is in the database with other values: price 5, not 6",
        ),
        ("unique", "hall and place 'A', 'b' is another row's already"),
    ]
    appended = frozenset({"visits"})
    assert messages("visits", ["seat__hall,seat__place", "A,c", "B,a", "A,a"], append=appended) == [
        ("exists_in", "seat__hall and seat__place 'A', 'c' does not exist in seats"),
        ("exists_in", "seat__hall and seat__place 'B', 'a' does not exist in seats"),
    ]
    assert messages("seats", ["hall,row,place,price", "A,1,x,5", "A,1,y,5"], match={"seats": ("hall", "row")}) == [
        ("ambiguous", "hall and row 'A', '1' is in several rows of seats"),
        ("ambiguous", "hall and row 'A', '1' is in several rows of seats"),
    ]


@pytest.mark.only("postgresql")
def test_a_counter_at_its_end_is_one_line_that_says_what_to_do(library: Place, mode: str) -> None:
    library.query("products", "ALTER SEQUENCE shelves_id_seq MAXVALUE 2")
    shelves = library.file("shelves.csv", "hall,code\nA,1\nA,2\nA,3\n")
    with pytest.raises(StoreError, match=r"reached maximum value of sequence .*\(2\).*; no key is left for a new row"):
        library.load(mode, {"shelves": shelves}, match=MATCH)
    assert library.query("products", "SELECT * FROM shelves") == []
