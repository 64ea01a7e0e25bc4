"""Stored rejects are mended and loaded, tried again or discarded, and the ledger always says what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from async_loader import (
    Column,
    ConfigurationError,
    Options,
    OutputError,
    OverLimitError,
    RejectFilter,
    Report,
    Retry,
    Run,
    Source,
    StoredReject,
    StoredRejects,
    StoreError,
    Table,
    Type,
    Verification,
    not_empty,
)
from async_loader.stores import reject_queries
from tests.integration.test_crashes import crash_after, some
from tests.sample import Place, reject_names
from tests.stores import Databases

# Above stores it is the same code, so a plain run takes one store for each test, too.
pytestmark = pytest.mark.turns("mode", "store")

ALL = RejectFilter()
USERS_CSV = "id,name,email\n1,Ann,a@\n2,,b@\n3,Cy,c\n4,,d\n5,Eve,e@\n"


def stored(place: Place) -> StoredRejects:
    return StoredRejects(place.tables, place.databases)


def exported(place: Place, name: str, wanted: RejectFilter = ALL) -> Path:
    """Export stored rejects into a file, and return it."""
    found = stored(place).export(wanted, place.directory / name)
    assert found is not None
    return found.files[0][0]


def shown(place: Place, wanted: RejectFilter = ALL) -> list[StoredReject]:
    found: list[StoredReject] = []

    def take(several: Iterable[StoredReject]) -> bool:
        found.extend(several)
        return True

    stored(place).each(wanted, take)
    return found


def retry(place: Place, mode: str, wanted: RejectFilter = ALL, **options: Any) -> Report:
    return Retry(place.tables, wanted, place.databases, Options(**options), mode=mode).perform()


def discarded(place: Place, wanted: RejectFilter = ALL) -> int | None:
    return stored(place).discard(wanted, lambda _: True)


def places(place: Place) -> list[tuple[str, int, list[str]]]:
    """Return file, line and reasons of each stored reject."""
    return [
        (Path(each.reject.source).name, each.reject.line, [reason.name for reason in each.reject.reasons])
        for each in shown(place)
    ]


def findings(place: Place) -> list[str]:
    report = Verification(place.tables, place.databases).perform()
    return [finding.problem for run in report.runs for finding in run.findings]


def facts(place: Place, database: str) -> list[dict[str, Any]]:
    """Return what the ledger's lines say of earlier rejects."""
    lines = place.query(database, "SELECT sources FROM loader_runs ORDER BY started_at")
    return [
        {name: value for name, value in json.loads(text).items() if name in ("superseded", "discarded")}
        for (text,) in lines
    ]


def edit(place: Place, database: str, **values: Any) -> None:
    """Change stored rejects without the loader; a function gets the value that is there."""
    for number, text in place.query(database, "SELECT id, record FROM loader_rejects"):
        record = json.loads(text)
        record |= {name: value(record[name]) if callable(value) else value for name, value in values.items()}
        place.query(database, "UPDATE loader_rejects SET record = ? WHERE id = ?", (json.dumps(record), number))


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


NOTES = Table(
    "notes",
    "notes",
    (
        Column("id", Type.INTEGER),
        Column("text", Type.TEXT),
        Column("more", Type.TEXT, nullable=True),
        Column("size", Type.REAL, nullable=True),
    ),
    rules=(not_empty("text"),),
)
ODD = [
    "=1+1",
    "+1",
    "-1",
    "-x",
    "@SUM(A1)",
    "\n=1+1",
    "'\n=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "'\uff20SUM(A1)",
    "'",
    "'=1",
    "''=1",
    "'a",
    '"',
    'a"b',
    '""',
    ",",
    ";",
    "\n",
    "a\r\nb",
    "\r",
    "\t",
    "\ttab",
    " ",
    " a ",
    "\x1b[2J",
    "\x07\x7f",
    "ünï 漢字 🎉",
    "\u202e",
    "\ufeff",
    "_raw:",
    "_raw:x",
    "'_raw:x",
    "null",
    "None",
    "\\N",
    "[1]",
    "{}",
    "_line",
    '"_reject": "x:1"',
]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet"])
def test_odd_values_go_through_a_file_as_they_are(tmp_path: Path, mode: str, suffix: str, store: Databases) -> None:
    """Rejected for their key alone; with the key mended, what is stored is what was read."""
    place = Place(tmp_path, (NOTES,), store=store)
    values = [(text, more) for text in ODD for more in (text, None, "")]
    wanted = {number: (text, more, 0.5) for number, (text, more) in enumerate(values, 1)}
    frame = pl.DataFrame({"id": [None] * len(values), "text": [text for text, _ in values]}).with_columns(
        pl.col("id").cast(pl.Int64),
        more=pl.Series([more for _, more in values], dtype=pl.String),
        size=pl.lit(0.5),
    )
    write(frame, tmp_path / f"n.{suffix}")
    assert place.load(mode, {"notes": str(tmp_path / f"n.{suffix}")}).tables["notes"].rejected == len(values)
    again = retry(place, mode)
    assert again.tables["notes"].reasons == {"id.missing": len(values)}
    file = exported(place, f"bad.{suffix}")
    if suffix == "csv":
        # As a person would do it, leaving the apostrophes: polars could not distinguish empty from null.
        header, *rows = file.read_bytes().decode().split("\r\n,")
        text = "".join([header, *(f"\r\n{number},{row}" for number, row in enumerate(rows, 1))])
        (tmp_path / "mended.csv").write_bytes(text.encode())
    else:
        write(with_keys(file), tmp_path / f"mended.{suffix}")
    report = place.load(mode, {"notes": str(tmp_path / f"mended.{suffix}")})
    assert report.tables["notes"].inserted == len(values)
    assert {key: rest for key, *rest in map(list, place.rows("notes"))} == {key: [*row] for key, row in wanted.items()}
    assert shown(place) == []
    assert findings(place) == []


def write(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        # Quotes around all text, so that what is empty is not null.
        frame.write_csv(path, quote_style="non_numeric")
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    elif path.suffix == ".json":
        frame.write_json(path)
    else:
        frame.write_parquet(path)


def with_keys(file: Path) -> pl.DataFrame:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {".jsonl": pl.read_ndjson, ".json": pl.read_json}
    frame = readers.get(file.suffix, pl.read_parquet)(file)
    return frame.with_columns(id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))


BROKEN_CSV = b'id,name,email\n1,b"c,a@\n2,a\n3,\xff,c@\n4,a,b@,c\n5,,"x@\ny"\n'
BROKEN_JSON = (
    b'{"id": 1, "name": "a", "email": 5}\n{broken\n[]\n{"id": 2.0, "name": "", "email": "@"}\n\xff\n{"id": "3"}\n'
)


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
    for batch_size in (1, 3, 100):
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


def test_a_discard_is_in_the_ledger_and_a_deletion_without_it_is_found(place: Place, mode: str) -> None:
    first = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    assert stored(place).count(RejectFilter(reason="not_empty")) == {"users": 2}
    assert stored(place).discard(RejectFilter(reason="not_empty"), lambda counts: counts != {"users": 2}) is None
    assert len(shown(place)) == 3
    assert discarded(place, RejectFilter(reason="not_empty")) == 2
    assert facts(place, "users") == [{}, {"discarded": {first: 2}}]
    assert findings(place) == []
    assert [(run.kind, run.tables[0].stored, run.tables[0].discarded) for run in stored(place).overview()] == [
        ("load", 1, {}),
        ("discard", 0, {first: 2}),
    ]
    place.query("users", "DELETE FROM loader_rejects")
    assert findings(place) == ["loader_rejects has 0 where 3 were rejected, and 2 superseded or discarded since"]


def test_a_discard_neither_hides_an_unfinished_run_nor_keeps_it_from_going_on(
    place: Place, mode: str, store: Databases
) -> None:
    sources = {"users": place.file("u.csv", USERS_CSV), "products": place.file("p.csv", "id,name,price\n1,a,0\n")}
    undisturbed = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode)
    effects = 0
    while not undisturbed.kept or undisturbed.is_kept:
        effects += 3
        place = Place(place.directory, store=store)
        undisturbed = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode)
        crash_after(effects, mode, undisturbed)
    rejected = len(shown(place))
    assert discarded(place) == rejected
    told: list[Any] = []
    gone_on = Run(place.tables, sources, place.databases, Options(commit_every=2), mode=mode, show=told.append)
    report = gone_on.perform()
    assert report.run == undisturbed.id
    assert sum(table.rejected for table in report.tables.values()) == 4
    assert len(shown(place)) == 4 - rejected
    assert findings(place) == []


@pytest.mark.parametrize("commit_every", [0, 2])
def test_a_crash_while_mended_records_are_loaded_loses_and_doubles_nothing(
    tmp_path: Path, mode: str, commit_every: int, store: Databases
) -> None:
    for effects in some(range(1, 1000, 13), store):
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
    for effects in some(range(1, 1000, 13), store):
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


PAIR = (
    Table("towns", "both", (Column("id", Type.INTEGER), Column("town", Type.TEXT)), rules=(not_empty("town"),)),
    Table("roads", "both", (Column("id", Type.INTEGER), Column("road", Type.TEXT)), rules=(not_empty("road"),)),
)


def test_of_two_tables_from_one_source_the_reasons_decide_or_it_stays_open(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    place = Place(tmp_path, PAIR, store=store)
    source = place.file("both.csv", "id,town,road\n1,,a\n2,b,\nx,c,d\n")
    run = place.load(mode, {"towns": source, "roads": source}).run
    assert sorted((each.table or "?", names_of(each)) for each in shown(place)) == [
        ("?", "id.not_integer"),
        ("?", "id.not_integer"),
        ("roads", "road.not_empty"),
        ("towns", "town.not_empty"),
    ]
    again = Retry(place.tables, ALL, place.databases, mode=mode)
    assert {name: table.given for name, table in again.perform().tables.items()} == {"towns": 1, "roads": 1}
    left = f"rejects of run {run} from {source} are left as they are: "
    assert again.left == (f"{left}they may be of towns or roads, and nothing shows of which",)
    found = stored(place).export(RejectFilter("towns"), tmp_path / "towns.csv")
    assert found is not None
    mended = (tmp_path / "towns.csv").read_text().replace("1,,a", "1,Ulm,a")
    # A name that is of the other table does nothing.
    assert place.load(mode, {"roads": place.file("r.csv", mended)}).tables["roads"].unchanged == 1
    assert place.load(mode, {"towns": place.file("t.csv", mended)}).tables["towns"].inserted == 1
    with pytest.raises(ConfigurationError, match="may be of towns or roads, and nothing shows of which"):
        stored(place).export(RejectFilter(reason="id.not_integer"), tmp_path / "none.csv")
    assert discarded(place) == 3
    assert shown(place) == []
    assert findings(place) == []


def names_of(reject: StoredReject) -> str:
    return " ".join(reason.name for reason in reject.reject.reasons)


def test_a_file_is_of_one_table_one_format_and_new(place: Place) -> None:
    place.load(
        "sequential",
        {
            "users": [place.file("u.csv", USERS_CSV), place.file("v.jsonl", '{"id": 9}\n')],
            "products": [place.file("p.csv", "id,name,price\n1,a,0\n")],
        },
    )
    target = place.directory / "bad.csv"
    with pytest.raises(ConfigurationError, match="these are rejects of products, users: choose one with --table"):
        stored(place).export(ALL, target)
    with pytest.raises(
        ConfigurationError, match=r"the file's name ends in \.csv, \.jsonl, \.json, \.parquet, \.xlsx, \.ndjson"
    ):
        stored(place).export(RejectFilter("users"), place.directory / "bad.txt")
    found = stored(place).export(RejectFilter("users"), target)
    assert found is not None
    assert found.left == ("users: left out 1 reject of jsonl: name a file that ends in .jsonl for them",)
    text = target.read_text()
    with pytest.raises(ConfigurationError, match="exists already; name another file"):
        stored(place).export(RejectFilter("users"), target)
    assert target.read_text() == text
    assert stored(place).export(RejectFilter("orders"), place.directory / "none.csv") is None
    assert not (place.directory / "none.csv").exists()


def test_sources_with_other_columns_go_to_files_of_their_own(place: Place) -> None:
    other = "id;email;name;age\n7;x;n;8\n"
    files = [Source(place.file("u.csv", USERS_CSV)), Source(place.file("v.csv", other), delimiter=";")]
    place.load("sequential", {"users": files})
    blocked = place.file("bad-2.csv", "mine")
    with pytest.raises(OutputError, match=r"bad-2\.csv: cannot be written: it exists already"):
        stored(place).export(ALL, place.directory / "bad.csv")
    assert Path(blocked).read_text() == "mine"
    assert not (place.directory / "bad.csv").exists()
    Path(blocked).unlink()
    found = stored(place).export(ALL, place.directory / "bad.csv")
    assert found is not None
    assert [(path.name, count, layout.delimiter) for path, count, layout in found.files] == [
        ("bad.csv", 3, ","),
        ("bad-2.csv", 1, ";"),
    ]
    header, row = Path(blocked).read_text().splitlines()
    assert header == "id;email;name;age;_line;_reasons;_reject"
    assert row.startswith("7;x;n;8;2;email must contain '@';")


def test_broken_records_stand_whole_in_a_file_and_still_name_their_rejects(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", BROKEN_CSV)})
    file = exported(place, "bad.csv")
    assert file.read_text().splitlines()[1].startswith('"_raw:1,b""c,a@",,,2,')
    as_it_is = place.load(mode, {"users": str(file)})
    assert as_it_is.tables["users"].rejected == 5
    assert {each.run for each in shown(place)} == {as_it_is.run}
    whole = exported(place, "again.csv").read_text().replace('"_raw:1,b""c,a@",,', '1,"b""c",a@')
    # One that is broken anew, and one with too few fields, still name theirs at the end of the line.
    whole = whole.replace('"_raw:2,a",,', 'x"y,').replace('"_raw:4,a,b@,c",,', "4,")
    last = place.load(mode, {"users": place.file("v.csv", whole)})
    assert place.rows("users") == [(1, 'b"c', "a@")]
    assert {each.run for each in shown(place)} == {last.run}
    assert len(shown(place)) == 4
    assert findings(place) == []


def test_a_broken_line_of_json_still_names_its_reject(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.jsonl", BROKEN_JSON)})
    file = exported(place, "bad.ndjson")
    report = place.load(mode, {"users": place.file("v.jsonl", file.read_text().replace('{"id": 1,', '{"id": 1,,'))})
    assert report.tables["users"].rejected == 6
    assert {each.run for each in shown(place)} == {report.run}
    assert findings(place) == []


def test_marks_are_no_data_wherever_they_stand(place: Place, mode: str) -> None:
    for name, content in {
        "a.csv": "_reject,id,_line,name,email,_reasons\nx:1,1,7,a,@,why\n",
        "b.jsonl": '{"_reject": 5, "id": 2, "name": "a", "email": "@", "_line": null, "_reasons": []}\n',
    }.items():
        assert place.load(mode, {"users": place.file(name, content)}).tables["users"].ignored_columns == ()
    frame = pl.DataFrame({"id": [3], "name": ["a"], "email": ["@"], "_reject": [7], "_line": [1], "_reasons": ["x"]})
    frame.write_parquet(place.directory / "c.parquet")
    report = place.load(mode, {"users": str(place.directory / "c.parquet")})
    assert report.tables["users"].ignored_columns == ()
    assert [row[0] for row in place.rows("users")] == [1, 2, 3]


def test_a_run_or_table_that_is_not_is_named(place: Place, mode: str) -> None:
    with pytest.raises(ConfigurationError, match="no run is called 'x'; `rejects` lists them"):
        stored(place).count(RejectFilter(run="x"))
    with pytest.raises(ConfigurationError, match="no table is called 'x'; there are orders, products, users"):
        retry(place, mode, RejectFilter(table="x"))


def test_lines_that_an_older_version_wrote_say_enough(place: Place, mode: str) -> None:
    run = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    [(text,)] = place.query("users", "SELECT sources FROM loader_runs")
    older = {name: value for name, value in json.loads(text).items() if name != "read"}
    place.query("users", "UPDATE loader_runs SET sources = ?", (json.dumps(older),))
    assert reject_names(retry(place, mode, RejectFilter(run=run)), "users")[0] == (3, 3, ["name.not_empty"])
    assert findings(place) == []


def test_rejects_that_no_ledger_names_are_listed_and_left_alone(place: Place, mode: str) -> None:
    run = place.load(mode, {"users": place.file("u.csv", USERS_CSV)}).run
    place.query("users", "DELETE FROM loader_runs")
    [listed] = stored(place).overview()
    assert (listed.kind, listed.tables[0].table, listed.tables[0].stored) == ("unknown", None, 3)
    one = Retry(place.tables, ALL, place.databases, mode=mode)
    assert one.perform().tables == {}
    assert one.left[0].endswith("they are of a table that no ledger names")
    assert discarded(place, RejectFilter(run=run)) == 3
    assert findings(place) == []


def test_rejects_that_cannot_be_read_are_one_line(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", USERS_CSV)})
    place.query("users", "UPDATE loader_rejects SET record = '[' WHERE id = 2")
    for act in (lambda: retry(place, mode), lambda: shown(place), lambda: exported(place, "bad.csv")):
        with pytest.raises(StoreError, match="discard them, or load their source again"):
            act()
    assert not (place.directory / "bad.csv").exists()
    assert discarded(place) == 3


BILLS = Table(
    "bills",
    "bills",
    (
        Column("id", Type.INTEGER),
        Column("sum", Type.DECIMAL, digits=8, places=2, nullable=True),
        Column("day", Type.DATE),
        Column("at", Type.DATETIME, zone="UTC", nullable=True),
        Column("paid", Type.BOOLEAN),
        Column("kind", Type.TEXT),
        Column("note", Type.TEXT, default="none"),
    ),
    rules=(not_empty("kind"),),
)
BILLS_READ = {
    "csv": "nr,sum,day,at,paid,more\nx,1.10,2024-02-30,2024-01-01T00:00:00Z,true,a\n2,n/a,2024-01-02,,maybe,b\n",
    "jsonl": '{"nr": "x", "sum": 1.10, "day": "2024-02-30", "at": "2024-01-01T00:00:00Z", "paid": true}\n'
    '{"nr": 2, "sum": "n/a", "day": "2024-01-02", "paid": 5}\n',
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet"])
def test_rejects_are_read_as_their_source_was_with_other_names_constants_and_defaults(
    tmp_path: Path, mode: str, suffix: str, store: Databases
) -> None:
    place = Place(tmp_path, (BILLS,), store=store)
    path = tmp_path / f"b.{suffix}"
    if suffix == "parquet":
        frame = pl.DataFrame(
            {"nr": [None, 2], "sum": ["1.10", "0.001"], "day": ["2024-02-01", None], "paid": [True, None]}
        )
        at = pl.Series([None, "2024-01-01T00:00:00Z"]).str.to_datetime(time_zone="UTC")
        typed = frame.with_columns(pl.col("sum").cast(pl.Decimal(9, 3)), pl.col("day").str.to_date(), at=at)
        typed.write_parquet(path)
    else:
        path.write_text(BILLS_READ.get(suffix) or f"[{','.join(BILLS_READ['jsonl'].splitlines())}]")
    source = Source(
        str(path), names={"id": "nr"}, constants={"kind": "bill"}, means_null=("n/a",), ignore=("more", "other")
    )
    first = place.load(mode, {"bills": source})
    assert first.tables["bills"].rejected == 2
    before = [each.reject for each in shown(place)]
    again = retry(place, mode)
    assert again.tables["bills"].reasons == first.tables["bills"].reasons
    assert [each.reject for each in shown(place)] == before
    found = stored(place).export(ALL, tmp_path / f"bad.{suffix}")
    assert found is not None
    [(file, _, layout)] = found.files
    assert (layout.names, layout.constants, layout.means_null) == ((("id", "nr"),), (("kind", "bill"),), ("n/a",))
    assert layout.ignore == ("more", "other")
    last = place.load(mode, {"bills": replace(source, path=str(file))})
    assert last.tables["bills"].reasons == first.tables["bills"].reasons
    assert len(shown(place)) == 2
    first_key = "1" if suffix == "csv" else 1
    edit(place, "bills", nr=lambda key: key if str(key) == "2" else first_key, day="2024-01-02")
    edit(place, "bills", paid={"csv": "false", "jsonl": False, "json": False, "parquet": True}[suffix])
    if suffix == "parquet":
        edit(place, "bills", sum="1.100")
    assert retry(place, mode).tables["bills"].inserted == 2
    assert [row[0] for row in place.rows("bills")] == [1, 2]
    assert {row[5:] for row in place.rows("bills")} == {("bill", "none")}
    assert findings(place) == []


def lines_left(place: Place) -> list[str]:
    """Return the keys of the stored rejects, as they were read."""
    return sorted(str(each.reject.record.get("id")) for each in shown(place))


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


def test_long_rejects_are_read_in_pages_of_some_megabytes(
    tmp_path: Path, store: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each page has one at least, however long it is."""
    monkeypatch.setattr(reject_queries, "LETTERS", 2_000)
    place = Place(tmp_path, store=store)
    lengths = [10, 5_000, 10, 900, 900, 900, 10, 3_000, 3_000, 10]
    lines = [f"{key},,{'x' * length}" for key, length in enumerate(lengths, 1)]
    place.load("sequential", {"users": place.file("u.csv", "\n".join(["id,name,email", *lines]))})
    pages: list[list[int]] = []

    def take(several: Iterable[StoredReject]) -> bool:
        pages.append([each.reject.line - 1 for each in several])
        return True

    stored(place).each(ALL, take)
    assert [line for page in pages for line in page] == list(range(1, 11))
    assert len(pages) > 4
    assert retry(place, "sequential").tables["users"].rejected == 10


def test_rejects_are_tried_again_in_a_running_event_loop(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, store=store)
    place.load("sequential", {"orders": place.file("o.csv", "id,user_id,product_id,quantity\n1,1,1,1\n")})
    place.load("sequential", {"users": place.file("u.csv", "id,name,email\n1,a,@\n")})
    place.load("sequential", {"products": place.file("p.csv", "id,name,price\n1,a,1\n")})
    report = asyncio.run(Retry(place.tables, ALL, place.databases, mode="async").perform_async())
    assert report.tables["orders"].inserted == 1
    assert place.rows("orders") == [(1, 1, 1, 1)]
