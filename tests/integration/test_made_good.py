"""A reject that a later load has made good under its key is shown as such, and is not tried again by itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from async_loader import RejectFilter, Report, Source, StoredRejects
from tests.integration.stored import exported, findings, retry, shown
from tests.sample import Place

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")

USERS = "id,name,email\n1,Ann,a@\n2,,b@\n3,Cy,none\n,Dot,d@\n5,,e@\n"
CORRECTED = "id,name,email\n2,Bob,b@\n3,,c@\n1,Ann,a@\n6,Flo,f@\n"


def made_good(place: Place) -> dict[tuple[str, int], str | None]:
    """Return by source and line which run has made a stored reject good."""
    return {(Path(each.reject.source).name, each.reject.line): each.made_good_by for each in shown(place)}


def load(place: Place, mode: str, name: str, text: str, **options: Any) -> Report:
    return place.load(mode, {"users": place.file(name, text)}, **options)


@pytest.mark.parametrize("commit_every", [0, 1])
def test_a_reject_is_made_good_by_the_run_that_accepts_its_key(place: Place, mode: str, commit_every: int) -> None:
    first = load(place, mode, "u.csv", USERS, commit_every=commit_every)
    second = load(place, mode, "v.csv", CORRECTED, commit_every=commit_every)
    lines = [("u.csv", 3), ("u.csv", 4), ("u.csv", 5), ("u.csv", 6), ("v.csv", 3)]
    assert made_good(place) == dict.fromkeys(lines) | {("u.csv", 3): second.run}
    by_run = {run.run: run.tables[0].made_good for run in overview(place)}
    assert by_run == {first.run: {second.run: 1}, second.run: {}}
    assert findings(place) == []


def overview(place: Place, run: str | None = None) -> Any:
    return StoredRejects(place.tables, place.databases).overview(run)


def test_the_last_run_counts_and_a_dry_run_does_not(place: Place, mode: str) -> None:
    load(place, mode, "u.csv", USERS)
    load(place, mode, "v.csv", CORRECTED, dry_run=True)
    assert set(made_good(place).values()) == {None}
    load(place, mode, "v.csv", CORRECTED)
    last = load(place, mode, "w.csv", "id,name,email\n2,Bob,b@\n5,Eve,e@\n")
    assert last.tables["users"].unchanged == 1
    found = made_good(place)
    assert (found["u.csv", 3], found["u.csv", 6]) == (last.run, last.run)


def test_a_duplicate_is_not_made_good_and_what_a_row_had_other_values_for_is(place: Place, mode: str) -> None:
    load(place, mode, "u.csv", "id,name,email\n1,Ann,a@\n")
    load(place, mode, "v.csv", "id,name,email\n1,Anna,a@\n2,Bob,b@\n2,Rob,b@\n")
    last = load(place, mode, "w.csv", "id,name,email\n1,Anja,a@\n2,Bob,b@\n3,Cy,c@\n", on_conflict="update")
    assert made_good(place) == {("v.csv", 2): last.run, ("v.csv", 4): None}


def test_a_retry_puts_no_older_values_over_newer_ones(place: Place, mode: str) -> None:
    load(place, mode, "u.csv", "id,name,email\n1,Ann,a@\n")
    load(place, mode, "v.csv", "id,name,email\n1,Anna,a@\n")
    load(place, mode, "w.csv", "id,name,email\n1,Anja,a@\n", on_conflict="update")
    assert retry(place, mode, on_conflict="update").tables == {}
    assert place.rows("users") == [(1, "Anja", "a@")]


def test_a_retry_leaves_what_was_made_good_unless_its_run_is_named(place: Place, mode: str) -> None:
    first = load(place, mode, "u.csv", USERS)
    load(place, mode, "v.csv", "id,name,email\n2,Bob,b@\n")
    again = retry(place, mode, on_conflict="update")
    assert again.tables["users"].given == 3
    assert place.rows("users") == [(1, "Ann", "a@"), (2, "Bob", "b@")]
    assert [each.run for each in shown(place) if each.made_good_by is not None] == [first.run]
    named = retry(place, mode, RejectFilter(run=first.run), on_conflict="update")
    assert named.tables["users"].given == 1
    [left] = [each for each in shown(place) if each.made_good_by is not None]
    assert left.run == named.run
    assert retry(place, mode, on_conflict="update").tables["users"].given == 3


@pytest.mark.parametrize("column", ["record", "reasons"])
def test_rejects_that_cannot_be_read_are_in_the_way_of_no_load(place: Place, mode: str, column: str) -> None:
    load(place, mode, "u.csv", USERS)
    for value in ("x", "[1]", '{"id": [1]}'):
        place.query("users", f"UPDATE loader_rejects SET {column} = '{value}'")
        assert load(place, mode, "v.csv", CORRECTED, on_conflict="update").status == "complete"


def test_an_export_says_what_was_made_good(place: Place, mode: str) -> None:
    load(place, mode, "u.csv", USERS)
    second = load(place, mode, "v.csv", "id,name,email\n2,Bob,b@\n")
    lines = exported(place, "bad.csv").read_text().splitlines()
    assert [line for line in lines if f"made good by run {second.run}" in line] == [lines[1]]
    assert len(lines) == 5


def test_what_is_discarded_or_superseded_leaves_no_trace(place: Place, mode: str) -> None:
    load(place, mode, "u.csv", USERS)
    load(place, mode, "v.csv", CORRECTED)
    load(place, mode, "u.csv", USERS)
    assert place.query("users", "SELECT count(*) FROM loader_good_rejects") == [(0,)]
    load(place, mode, "v.csv", CORRECTED.replace("Flo", "Fee"), on_conflict="update")
    assert place.query("users", "SELECT count(*) FROM loader_good_rejects") == [(1,)]
    StoredRejects(place.tables, place.databases).discard(RejectFilter(), lambda _: True)
    assert place.query("users", "SELECT count(*) FROM loader_good_rejects") == [(0,)]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_keys_of_every_format_are_known_again(place: Place, mode: str, kind: str) -> None:
    records: list[dict[str, Any]] = [{"id": 1, "name": "", "email": "a@"}, {"id": 2, "name": "", "email": "b@"}]
    path = place.directory / f"u.{kind}"
    _write(path, kind, records)
    place.load(mode, {"users": str(path)})
    second = load(place, mode, "v.csv", "id,name,email\n2,Bob,b@\n")
    assert {line: run for (_, line), run in made_good(place).items()} == {1: None, 2: second.run}


def _write(path: Path, kind: str, records: list[dict[str, Any]]) -> None:
    if kind == "jsonl":
        path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
        return
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(records), path)


def test_rejects_of_a_match_are_made_good_under_their_match_columns(place: Place, mode: str) -> None:
    options = {"match": {"users": ("email",)}, "on_conflict": "update"}
    load(place, mode, "u.csv", "id,name,email\n1,,a@\n2,,b@\n", **options)
    second = load(place, mode, "v.csv", "id,name,email\n1,Ann,a@\n", **options)
    assert made_good(place) == {("u.csv", 2): second.run, ("u.csv", 3): None}


def test_a_run_that_was_loaded_again_is_listed_only_by_name(place: Place, mode: str) -> None:
    first = load(place, mode, "u.csv", USERS)
    second = load(place, mode, "u.csv", USERS)
    assert [run.run for run in overview(place)] == [second.run]
    assert [run.run for run in overview(place, first.run)] == [first.run]
    other = load(place, mode, "v.csv", CORRECTED)
    retried = retry(place, mode)
    assert [run.run for run in overview(place)] == [second.run, other.run, retried.run]


def test_a_pipe_and_a_file_of_the_same_content_take_each_others_place(place: Place, mode: str) -> None:
    path = place.file("u.csv", USERS)
    for number, is_pipe in enumerate((True, False, True, True, False)):
        reading, writing = os.pipe()
        os.write(writing, USERS.encode())
        os.close(writing)
        source = Source(f"/dev/fd/{reading}", "csv") if is_pipe else path
        run = place.load(mode, {"users": source}, batch_size=number + 1)
        os.close(reading)
        assert {each.run for each in shown(place)} == {run.run}
        assert len(shown(place)) == 4
