"""Stored rejects are tried again: mended or as they were, through every crash, and however often it takes."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from async_loader import (
    ConfigurationError,
    Options,
    OverLimitError,
    RejectFilter,
    Retry,
    Run,
    Source,
)
from tests.integration.stored import (
    ALL,
    USERS_CSV,
    discarded,
    edit,
    exported,
    facts,
    findings,
    lines_left,
    places,
    retry,
    shown,
    stored,
)
from tests.integration.test_crashes import crash_after, some
from tests.integration.test_reject_exports import BROKEN_CSV, BROKEN_JSON
from tests.sample import Place, reject_names
from tests.stores import Databases

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")


def test_a_mended_record_takes_the_place_of_its_reject(place: Place, mode: str, store: Databases) -> None:
    """Inserted, unchanged, updated or rejected again: the old reject goes, in each way of committing."""
    for commit_every in (0, 1):
        place = Place(place.directory, store=store)
        first = place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
        file = exported(place, f"bad-{commit_every}.csv")
        mended = file.read_text().replace("2,,b@", "2,Bo,b@").replace("4,,d", "1,Ann,a@")
        again = place.load(mode, {"users": place.file("mended.csv", mended)}, commit_every=commit_every)
        counts = again.tables["users"]
        assert (counts.inserted, counts.unchanged, counts.rejected) == (1, 1, 1)
        assert counts.ignored_columns == ()
        assert places(place) == [("mended.csv", 3, ["email.contains"])]
        assert facts(place, "users") == [{}, {"superseded": {first.run: 3}}]
        assert findings(place) == []
        changed = exported(place, f"last-{commit_every}.csv").read_text().replace("3,Cy,c,", "5,Eva,e@,")
        updated = place.load(mode, {"users": place.file("last.csv", changed)}, on_conflict="update")
        assert updated.tables["users"].updated == 1
        assert shown(place) == []
        assert findings(place) == []


def test_the_database_s_own_refusal_takes_the_place_of_the_reject_too(place: Place, mode: str) -> None:
    place.query("users", "CREATE UNIQUE INDEX one_email ON users (email)")
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    mended = exported(place, "bad.csv", RejectFilter(reason="name.not_empty")).read_text()
    place.load(mode, {"users": place.file("mended.csv", mended.replace("2,,b@", "2,Bo,a@").replace("4,,d", "4,Di,d@"))})
    assert places(place) == [("u.csv", 4, ["email.contains"]), ("mended.csv", 2, ["refused"])]
    assert findings(place) == []


def test_names_that_lead_nowhere_are_ignored(place: Place, mode: str) -> None:
    run = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    other = place.load(mode, {"products": place.file("p.csv", "id,name,price\n1,a,0\n")}).run
    strange = [
        "",
        "\0:1",
        run,
        f"{run}:",
        f"{run}:0",
        f"{run}:x",
        f"{run}:99",
        f"{other}:1",
        "no:1",
        f"{run}:{2**64}",
        "a:b:c",
    ]
    lines = "".join(f'{number},x,x@,"{name}"\n' for number, name in enumerate(strange, 10))
    before = shown(place)
    report = place.load(mode, {"users": place.file("v.csv", f"id,name,email,_reject\n{lines}")})
    assert report.tables["users"].inserted == len(strange)
    assert shown(place) == before
    assert findings(place) == []


@pytest.mark.parametrize("options", [{"dry_run": True}, {"max_rejects": 0}])
def test_what_is_not_kept_takes_no_reject_away(place: Place, mode: str, options: dict[str, Any]) -> None:
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    before = shown(place)
    file = str(exported(place, "bad.csv"))
    over = pytest.raises(OverLimitError) if "max_rejects" in options else contextlib.nullcontext()
    with over:
        place.load(mode, {"users": file}, **options)
    with over:
        retry(place, mode, **options)
    assert shown(place) == before
    assert findings(place) == []


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("csv", BROKEN_CSV),
        ("jsonl", BROKEN_JSON),
        ("json", b"[" + BROKEN_JSON.replace(b"{broken", b"{bro:ken}").strip().replace(b"\n", b",\n") + b"]"),
    ],
)
def test_what_is_tried_again_as_it_was_fails_again_as_it_did(
    place: Place, mode: str, suffix: str, content: bytes, store: Databases
) -> None:
    for batch_size in (2, 100):
        place = Place(place.directory, store=store)
        report = place.load(mode, {"users": place.file(f"u.{suffix}", content)}, batch_size=batch_size)
        before = [each.reject for each in shown(place)]
        again = retry(place, mode, batch_size=batch_size)
        assert [each.reject for each in shown(place)] == before
        assert {each.run for each in shown(place)} == {again.run}
        assert again.tables["users"].rejects == report.tables["users"].rejects
        assert again.tables["users"].reasons == report.tables["users"].reasons
        assert again.tables["users"].sources == report.tables["users"].sources
        assert findings(place) == []


def test_rows_of_parquet_are_tried_again_in_their_own_types(place: Place, mode: str) -> None:
    prices = [0.1, float("nan"), float("inf"), None, -1.0]
    frame = pl.DataFrame({"id": [1, None, 3, 4, 5], "name": ["a", "b", "", "d", "e\0"], "price": prices})
    path = place.directory / "p.parquet"
    frame.with_columns(pl.col("price").cast(pl.Float32), pl.col("id").cast(pl.UInt32)).write_parquet(path)
    report = place.load(mode, {"products": str(path)})
    assert report.tables["products"].rejected == 4
    before = [each.reject for each in shown(place)]
    assert retry(place, mode).tables["products"].reasons == report.tables["products"].reasons
    assert [each.reject for each in shown(place)] == before
    with pytest.raises(ConfigurationError, match=r"left out 4 rejects of parquet: .*ends in \.parquet"):
        stored(place).export(ALL, place.directory / "bad.csv")
    place.query("products", "DELETE FROM products")
    edit(place, "products", id=9, price=0.1)
    assert retry(place, mode).tables["products"].inserted == 1
    assert place.rows("products") == [(9, "b", 0.10000000149011612)]


def test_rejects_pass_when_what_they_reference_has_arrived(place: Place, mode: str) -> None:
    users, products = (place.file("u.csv", USERS_CSV), place.file("p.csv", "id,name,price\n1,a,1\n"))
    orders = place.file("o.csv", "id,user_id,product_id,quantity\n1,1,1,1\n2,2,1,1\n3,2,9,1\n4,1,1,0\n")
    first = place.load(mode, {"users": users, "products": products, "orders": orders})
    place.load(mode, {"users": place.file("v.csv", "id,name,email\n2,Bo,b@\n")})
    again = retry(place, mode, RejectFilter(reason="user_id.exists_in"))
    assert (again.tables["orders"].inserted, again.tables["orders"].rejected) == (1, 1)
    assert list(again.tables) == ["orders"]
    assert [each for each in places(place) if each[0] == "o.csv"] == [
        ("o.csv", 5, ["quantity.greater_than"]),
        ("o.csv", 4, ["product_id.exists_in"]),
    ]
    assert place.rows("orders") == [(1, 1, 1, 1), (2, 2, 1, 1)]
    assert facts(place, "orders") == [{}, {"superseded": {first.run: 2}}]
    assert [run.kind for run in stored(place).overview()] == ["load", "load", "retry"]
    assert findings(place) == []


def test_rejects_of_several_runs_and_sources_are_tried_again_at_once(place: Place, mode: str) -> None:
    # Empty lines make the same records another content each time.
    sources = [place.file("a.csv", USERS_CSV), place.file("b.csv", f"{USERS_CSV}\n")]
    sources.append(place.file("c.jsonl", '{"id": 7}\n'))
    place.load(mode, {"users": list(sources)})
    place.load(mode, {"users": place.file("a.csv", f"{USERS_CSV}\n\n")})
    before = sorted(places(place))
    assert len(before) == 12
    report = retry(place, mode, batch_size=2)
    assert report.tables["users"].sources == tuple(sources)
    # Two of the second file have the keys of rows that are there by now, with the same values.
    assert report.tables["users"].unchanged == 2
    assert sorted(places(place)) == [each for each in before if each[2] != ["id.duplicate"]]
    assert retry(place, mode).tables["users"].given == 10
    assert findings(place) == []


def test_one_path_that_was_read_in_two_ways_is_tried_again_in_each_apart(place: Place, mode: str) -> None:
    path = place.file("users", "id,name,email\n1,,@\n")
    first = place.load(mode, {"users": Source(path, "csv")}).run
    Path(path).write_text('{"id": 2, "name": "", "email": "@"}\n')
    second = place.load(mode, {"users": Source(path, "jsonl")}).run
    with pytest.raises(ConfigurationError, match=r"were read in one way in run .* with --run"):
        retry(place, mode)
    for run in (first, second):
        assert reject_names(retry(place, mode, RejectFilter(run=run)), "users")[0][2] == ["name.not_empty"]
    assert findings(place) == []


def test_nothing_to_try_again_is_a_run_that_leaves_no_trace(place: Place, mode: str) -> None:
    one = Retry(place.tables, ALL, place.databases, mode=mode)
    assert one.perform().tables == {}
    assert one.nothing_to_do
    assert place.query("users", "SELECT * FROM loader_runs") == []


@pytest.mark.parametrize("commit_every", [0, 2])
def test_a_crash_while_mended_records_are_loaded_loses_and_doubles_nothing(
    tmp_path: Path, mode: str, commit_every: int, store: Databases
) -> None:
    for effects in some(range(1, 1000, 29), store):
        directory = tmp_path / str(effects)
        directory.mkdir()
        place = Place(directory, store=store)
        place.load("sequential", {"users": place.file("u.csv", USERS_CSV)})
        place.load("sequential", {"products": place.file("p.csv", "id,name,price\n1,a,0\n2,b,0\n")})
        users = exported(place, "users.csv", RejectFilter("users")).read_text().replace("2,,b@", "2,Bo,b@")
        products = exported(place, "products.csv", RejectFilter("products")).read_text().replace("1,a,0", "1,a,1")
        sources = {"users": place.file("v.csv", users), "products": place.file("q.csv", products)}
        options = Options(commit_every=commit_every, batch_size=1)
        crashed = Run(place.tables, sources, place.databases, options, mode=mode)
        crash_after(effects, mode, crashed)
        if crashed.is_kept:
            break
        Run(place.tables, sources, place.databases, options, mode=mode).perform()
        assert [(row[0], row[1]) for row in place.rows("users")] == [(1, "Ann"), (2, "Bo"), (5, "Eve")], effects
        assert place.rows("products") == [(1, "a", 1.0)], effects
        assert [line for line, *_ in place.stored_rejects("users")] == [3, 4], effects
        assert [line for line, *_ in place.stored_rejects("products")] == [3], effects
        assert findings(place) == [], effects
    assert effects > 30


def test_a_crash_while_rejects_are_tried_again_leaves_the_rest_to_the_next_retry(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    for effects in some(range(1, 1000, 29), store):
        directory = tmp_path / str(effects)
        directory.mkdir()
        place = Place(directory, store=store)
        place.load("sequential", {"users": place.file("u.csv", USERS_CSV)})
        orders = place.file("o.csv", "id,user_id,product_id,quantity\n1,2,1,1\n2,1,1,0\n")
        place.load("sequential", {"orders": orders})
        place.load("sequential", {"users": place.file("v.csv", "id,name,email\n2,Bo,b@\n")})
        place.load("sequential", {"products": place.file("p.csv", "id,name,price\n1,a,1\n")})
        crashed = Retry(place.tables, ALL, place.databases, Options(batch_size=1), mode=mode)
        crashed.find()
        crash_after(effects, mode, crashed)
        if crashed.is_kept:
            break
        retry(place, mode)
        assert place.rows("orders") == [(1, 2, 1, 1)], effects
        assert sorted(places(place)) == [
            ("o.csv", 3, ["quantity.greater_than"]),
            # A later load has made it good.
            ("u.csv", 3, ["name.not_empty"]),
            ("u.csv", 4, ["email.contains"]),
            ("u.csv", 5, ["name.not_empty", "email.contains"]),
        ], effects
        assert findings(place) == [], effects
    assert effects > 30


def test_a_file_is_mended_and_loaded_as_often_as_it_takes(place: Place, mode: str) -> None:
    """One record after the other is mended in the same file, which keeps naming the rejects that it was made of."""
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    file = exported(place, "bad.csv")
    for before, after, left in [
        ("2,,b@", "2,Bo,b@", ["3", "4"]),
        ("3,Cy,c,", "3,Cy,,", ["3", "4"]),
        ("4,,d,", "4,Di,d@,", ["3"]),
        ("3,Cy,,", "3,Cy,c@,", []),
    ]:
        file.write_text(file.read_text().replace(before, after))
        for _ in range(2):
            place.load(mode, {"users": str(file)})
            assert lines_left(place) == left
            assert findings(place) == []
    assert [row[0] for row in place.rows("users")] == [1, 2, 3, 4, 5]
    assert place.query("users", "SELECT * FROM loader_reject_names") == []


def test_a_reject_keeps_its_name_until_its_record_is_accepted(place: Place, mode: str) -> None:
    """Through retries and new exports, so that the oldest file still supersedes what became of its records."""
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    oldest = exported(place, "oldest.csv")
    names = [each.name for each in shown(place)]
    retry(place, mode)
    newer = exported(place, "newer.csv")
    place.load(mode, {"users": place.file("copy.csv", newer.read_text())})
    retry(place, mode)
    assert [each.name for each in shown(place)] == names
    assert newer.read_text() == oldest.read_text()
    mended = oldest.read_text().replace("2,,b@", "2,Bo,b@").replace("3,Cy,c", "3,Cy,c@").replace("4,,d", "4,Di,d@")
    place.load(mode, {"users": place.file("mended.csv", mended)})
    assert shown(place) == []
    assert findings(place) == []


def test_two_records_that_are_made_of_one_reject_are_distinguished(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", "id,name,email\n2,,b@\n3,,c@\n")})
    file = exported(place, "bad.csv")
    header, second, third = file.read_text().splitlines()
    both = f"{header}\n{second}\n{second.replace('2,,b@', '4,,d@')}\n{third}\n"
    for _ in range(2):
        place.load(mode, {"users": place.file("both.csv", both)})
        assert lines_left(place) == ["2", "3", "4"]
    of_four = [each for each in shown(place) if each.reject.record["id"] == "4"]
    assert len({each.name for each in shown(place)}) == 3
    apart = exported(place, "apart.csv")
    keep_two = [line for line in apart.read_text().splitlines() if not line.startswith("4,")]
    place.load(mode, {"users": place.file("two.csv", "\n".join(keep_two) + "\n")})
    assert lines_left(place) == ["2", "3", "4"]
    assert [each for each in shown(place) if each.reject.record["id"] == "4"] == of_four
    assert retry(place, mode, batch_size=1).tables["users"].rejected == 3
    assert lines_left(place) == ["2", "3", "4"]
    # The first file names what all of them have become.
    mended = both.replace("2,,b@", "2,Bo,b@").replace("3,,c@", "3,Cy,c@").replace("4,,d@", "4,Di,d@")
    place.load(mode, {"users": place.file("mended.csv", mended)})
    assert shown(place) == []
    assert findings(place) == []


def test_a_file_that_names_rejects_which_are_gone_piles_up_none(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    file = exported(place, "bad.csv")
    discarded(place)
    for number in range(3):
        file.write_text(file.read_text().replace("3,Cy", f"3,Cy{number}"))
        place.load(mode, {"users": str(file)}, commit_every=number)
        assert lines_left(place) == ["2", "3", "4"]
    assert discarded(place, RejectFilter(reason="email.contains")) == 2
    assert discarded(place) == 1
    assert place.query("users", "SELECT * FROM loader_reject_names") == []
    assert findings(place) == []


def test_rejects_are_tried_again_in_a_running_event_loop(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, store=store)
    place.load("sequential", {"orders": place.file("o.csv", "id,user_id,product_id,quantity\n1,1,1,1\n")})
    place.load("sequential", {"users": place.file("u.csv", "id,name,email\n1,a,@\n")})
    place.load("sequential", {"products": place.file("p.csv", "id,name,price\n1,a,1\n")})
    report = asyncio.run(Retry(place.tables, ALL, place.databases, mode="async").perform_async())
    assert report.tables["orders"].inserted == 1
    assert place.rows("orders") == [(1, 1, 1, 1)]
