"""A load that is spread over the workers of a cluster leaves what a load in one process leaves, to the last reject."""

from __future__ import annotations

import os
import random
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from async_loader import (
    Cluster,
    Column,
    ConflictError,
    OverLimitError,
    Reference,
    Run,
    Show,
    Table,
    Tell,
    Type,
    each_value,
)
from async_loader.modes.dask.local import OwnWorkers
from tests.cluster import Workers, workers
from tests.integration.pairs import Pair, csv, held, sample, shares, users, write
from tests.sample import TABLES, comparable
from tests.stores import Schemas

pytest.importorskip("distributed")

pytestmark = pytest.mark.only("postgresql")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Workers]:
    with workers() as started:
        yield started


@pytest.fixture
def pair(tmp_path: Path, store: Schemas, cluster: Workers) -> Pair:
    return Pair(tmp_path, store, cluster)


ONE_KIND = [pytest.param((kind,) * 3, marks=pytest.mark.wide) for kind in ("csv", "jsonl", "parquet")]


@pytest.mark.parametrize("kinds", [("jsonl", "parquet", "csv"), *ONE_KIND], ids=" ".join)
def test_many_shares_leave_what_one_process_leaves(pair: Pair, kinds: Sequence[str]) -> None:
    rows = sample(random.Random(repr(kinds)))
    sources: dict[str, str] = {}
    for (name, records), kind in zip(rows.items(), kinds, strict=True):
        sources |= write(pair.one, {name: records}, kind)
    size = 250 if "jsonl" in kinds else 120
    report = pair.load(sources, size)
    assert report.tables["users"].rejected
    assert report.tables["orders"].reasons["user_id.exists_in"]
    assert shares(pair.many, "users") > 3
    assert pair.load(sources, size).tables["users"].inserted == 0


HELD = "INSERT INTO users (id, name, email) VALUES (1, 'old', 'o@'), (2, 'two', 't@'), (99, 'other', 'o@')"
TWICE = users(
    *[(1, "", "a@"), (2, "two", "t@"), (3, "c", "bad"), (4, "d", "d@")],
    *[(1, "new", "n@"), (2, "again", "a@"), (3, "c", "c@"), (4, "", "d")],
    *[(1, "late", "l@"), (2, "two", "t@"), (3, "late", "l@"), (99, "other", "o@"), (5, "e", "e@"), ("x", "f", "f@")],
)


@pytest.mark.parametrize("on_conflict", ["reject", "update"])
def test_the_first_record_of_a_key_wins_unless_it_is_rejected(pair: Pair, on_conflict: str) -> None:
    pair.query("users", HELD)
    sources = {"users": pair.one.file("users.csv", TWICE)}
    for _ in range(2 if on_conflict == "update" else 1):
        pair.load(sources, 20, on_conflict=on_conflict)
    assert shares(pair.many, "users") > 5


def test_a_conflict_may_stop_the_run(pair: Pair) -> None:
    pair.query("users", HELD)
    sources = {"users": pair.one.file("users.csv", TWICE)}
    with pytest.raises(ConflictError) as stopped:
        pair.one.load("sequential", sources, on_conflict="stop")
    with pytest.raises(ConflictError) as spread:
        pair.spread(sources, 10, on_conflict="stop")
    assert str(spread.value) == str(stopped.value)


def test_quoted_line_breaks_and_broken_quoting_are_read_alike(pair: Pair) -> None:
    broken = ['1,"a\nb\n""c""","x@"', '2,"a"b,x@', '3,"open,x@', "4,d,x@", '5,"e\n\n\n\ne",x@', '6,"never']
    whole = ['1,"a\nb\n""c""","x@"', '2,"\n\n\n\n\n\n\n",x@', "3,c,x@", '1,"\n",@', "", '4,"",x@', "5,d"]
    for number, records in enumerate((broken, whole)):
        text = "\n".join(["id,name,email", *records])
        pair.load({"users": pair.one.file(f"{number}.csv", text)}, 8)


def test_several_sources_of_a_table_are_one_after_the_other(pair: Pair) -> None:
    chance = random.Random(5)
    both = [write(pair.one, sample(chance, 20), kind, part) for kind, part in (("csv", "1"), ("jsonl", "2"))]
    sources = {name: [paths[name] for paths in both] for name in both[0]}
    archive = str(pair.one.directory / "users.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("more.csv", users((1, "packed", "p@"), ("x", "bad", "b@"), (9_000, "packed", "p@")))
    pair.load(sources | {"users": [*sources["users"], archive]}, 200, on_conflict="update")


def test_how_numbers_are_spelled_is_counted_over_all_shares(pair: Pair) -> None:
    lines = [f'{key},p,"{key},5"' if key % 5 else f"{key},p,1.5" for key in range(40)]
    report = pair.load({"products": pair.one.file("p.csv", "\n".join(["id,name,price", *lines]))}, 100)
    assert shares(pair.many, "products") > 3
    assert len(report.tables["products"].warnings) == 1


def test_references_lead_to_what_the_run_and_what_the_database_holds(pair: Pair) -> None:
    pair.query("users", "INSERT INTO users VALUES (1000, 'held', 'h@'), (2000, 'held', 'h@')")
    pair.query("products", "INSERT INTO products VALUES (1, 'held', 1)")
    orders = csv(
        "id,user_id,product_id,quantity",
        [(n, chosen, 1, 1) for n, chosen in enumerate([1, 2, 3, 1000, 1500, 2000, 3000] * 3)],
    )
    both = {
        "users": pair.one.file("users.csv", users((1, "a", "@"), (2, "", "@"), (3, "c", "@"))),
        "orders": pair.one.file("orders.csv", orders),
    }
    assert pair.load(both, 60).tables["orders"].inserted == 12
    assert pair.load({"orders": both["orders"]}, 60).tables["orders"].unchanged == 12


@pytest.mark.wide
def test_no_order_names_a_user_that_the_database_refused_whatever_shares_have_its_key(pair: Pair) -> None:
    pair.query("users", "ALTER TABLE users ADD CHECK (name <> 'refused')")
    pair.query("users", "INSERT INTO users VALUES (50, 'held', 'h@'), (51, 'held', 'h@')")
    pair.query("products", "INSERT INTO products VALUES (1, 'held', 1)")
    names = [(1, "accepted"), (2, "refused"), (3, "accepted"), (2, "a duplicate"), (50, "refused"), (3, "a duplicate")]
    records = [(key, name, "@") for key, name in names]
    chosen = [1, 2, 3, 50, 51, 52]
    orders = csv("id,user_id,product_id,quantity", [(n, user, 1, 1) for n, user in enumerate(chosen * 2)])
    sources = {"users": pair.one.file("users.csv", users(*records)), "orders": pair.one.file("orders.csv", orders)}
    report = pair.load(sources, 10, on_conflict="update")
    assert report.tables["users"].reasons == {"refused": 2, "id.duplicate": 2}
    assert report.tables["orders"].reasons == {"user_id.exists_in": 4}
    assert shares(pair.many, "users") == len(records)


@pytest.mark.parametrize(
    ("threads", "most"),
    [(4, 1 << 20), (4, 0), pytest.param(0, 1 << 20, marks=pytest.mark.wide)],
    ids=["threads", "threads that ask", "processes"],
)
def test_workers_of_a_runs_own_leave_what_one_process_leaves(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, threads: int, most: int
) -> None:
    monkeypatch.setattr("async_loader.modes.dask.local.MOST_THREADS", threads)
    monkeypatch.setattr("async_loader.run.spread.MOST_SENT", most)
    for name, value in pair.cluster.environment(pair.many.databases).items():
        monkeypatch.setenv(name, value)
    pair.own = Cluster(workers=2, share_size=120, stores="tests.cluster:location")
    environment = dict(os.environ)
    pair.load(write(pair.one, sample(random.Random(0)), "csv"))
    assert os.environ == environment


def no_swearing(value: str) -> bool:
    """Return whether a text has no swear word: a user's own rule."""
    return "damn" not in value


TAGS = Table(
    "tags",
    "here",
    (Column("name", Type.TEXT), Column("weight", Type.DECIMAL, digits=5, places=2), Column("since", Type.DATE)),
    key="name",
    rules=(each_value("name", "polite", "name must be polite", no_swearing),),
)
SEATS = Table(
    "seats",
    "here",
    (Column("id", Type.UUID), Column("tag", Type.TEXT), Column("number", Type.INTEGER, unique=True)),
    references=(Reference("tag", "tags"),),
)


@pytest.mark.wide
def test_tables_of_one_database_text_keys_unique_columns_and_own_rules(
    tmp_path: Path, store: Schemas, cluster: Workers
) -> None:
    pair = Pair(tmp_path, store, cluster, (TAGS, SEATS))
    tags = [(name, "1.50", "2024-02-29") for name in ("a", "b", "damn", "a", "c", "", "é", "b")]
    seats = [(f"{n % 7:032x}", chance, n % 5) for n, chance in enumerate(["a", "b", "z", "é"] * 5)]
    sources = {
        "tags": pair.one.file("tags.csv", csv("name,weight,since", tags)),
        "seats": pair.one.file("seats.csv", csv("id,tag,number", seats)),
    }
    for on_conflict in ("reject", "update"):
        pair.load(sources, 60, on_conflict=on_conflict)
    [(count,)] = pair.many.query("here", "SELECT count(*) FROM loader_shares WHERE table_name = 'seats'")
    assert count == 2


def test_a_dry_run_reports_the_same_and_writes_nothing(pair: Pair, tmp_path: Path) -> None:
    sources = write(pair.one, sample(random.Random(7), 30), "csv")
    before = held(pair.many)
    report = pair.load(sources, 200, dry_run=True, rejects_dir=tmp_path / "rejects")
    assert report.tables["users"].inserted
    assert held(pair.many) == before
    assert same_files(tmp_path / "rejects")


def test_a_session_that_sees_one_state_by_default_counts_what_workers_commit(pair: Pair) -> None:
    sources = write(pair.one, sample(random.Random(9), 30), "csv")
    one_state = quote(" -cdefault_transaction_isolation=serializable")
    stricter = {name: f"{url}{one_state}" for name, url in pair.many.databases.items()}
    cluster = pair.cluster.cluster(pair.many.databases, share_size=200)
    report = Run(TABLES, sources, stricter, mode="dask", cluster=cluster).perform()
    assert comparable(report)["tables"] == comparable(pair.one.load("sequential", sources))["tables"]


def test_too_many_rejects_keep_nothing(pair: Pair) -> None:
    sources = write(pair.one, sample(random.Random(8), 30), "csv")
    before = held(pair.many)
    alone = pair.one.load("sequential", sources, dry_run=True)
    rejects = sum(table.rejected for table in alone.tables.values())
    with pytest.raises(OverLimitError) as caught:
        pair.spread(sources, 200, max_rejects=rejects - 1)
    assert caught.value.report is not None
    counted = caught.value.report.tables.values()
    assert sum(table.rejected for table in counted) == rejects
    assert all(bool(table.reasons) == bool(table.rejected) for table in counted)
    assert held(pair.many) == before
    assert shares(pair.many, "users") == 0
    pair.load(sources, 200, max_rejects=rejects)


def test_files_of_rejects_and_the_first_of_them_are_the_same(pair: Pair, tmp_path: Path) -> None:
    rows = sample(random.Random(9), 30)
    sources = write(pair.one, rows, "csv") | {"products": write(pair.one, rows, "jsonl")["products"]}
    report = pair.load(sources, 400, rejects_dir=tmp_path / "rejects", report_rejects=2)
    assert len(report.tables["users"].rejects) == 2
    assert same_files(tmp_path / "rejects")


@pytest.mark.wide
def test_progress_is_shown_of_every_table_as_its_shares_are_done(pair: Pair) -> None:
    """By bytes of its sources, up to their end; and what it waits for."""
    sources = write(pair.many, sample(random.Random(6)), "csv")
    shown: list[Show] = []

    def show(event: Show | Tell) -> None:
        if isinstance(event, Show):
            shown.append(event)
        else:
            assert event.text.startswith("warning: tcp://")

    cluster = pair.cluster.cluster(pair.many.databases, share_size=60)
    report = Run(TABLES, sources, pair.many.databases, mode="dask", cluster=cluster, show=show).perform()
    for name, table in report.tables.items():
        of_it = [each for each in shown if each.table == name]
        size = Path(sources[name]).stat().st_size
        assert {each.size for each in of_it} == {size}
        for told in ("given", "rejected", "read_to"):
            assert (counts := [getattr(each, told) for each in of_it]) == sorted(counts)
        assert len({each.read_to for each in of_it}) > 3
        assert (of_it[-1].given, of_it[-1].rejected, of_it[-1].read_to) == (table.given, table.rejected, size)
    assert {each.waits_for for each in shown if each.table == "orders"} == {None, "users", "products"}
    first = next(number for number, each in enumerate(shown) if each.table == "orders" and each.given)
    assert all(each.table == "orders" for each in shown[first:])


def same_files(directory: Path) -> bool:
    """Return whether both runs wrote the same files of rejects, and some."""
    alone, spread = ({path.name: path.read_text() for path in run.iterdir()} for run in directory.iterdir())
    return bool(alone) and alone == spread


@pytest.mark.wide
def test_mended_records_supersede_their_rejects_once(pair: Pair) -> None:
    pair.load({"users": pair.one.file("users.csv", users(*((n, "", "@") for n in range(6))))}, 20)
    for place in (pair.one, pair.many):
        # Identities of rejects are the database's own: the same record mends the same line.
        mended = sorted(place.query("users", "SELECT line, run, id FROM loader_rejects"))
        names = [f"{run}:{number}" for _, run, number in mended]
        records = [(n, name, "@", names[n // 2]) for n, name in enumerate(["a", "b", "", "d", "e", "f"])]
        place.file("mended.csv", csv("id,name,email,_reject", records))
    alone = pair.one.load("sequential", {"users": str(pair.one.directory / "mended.csv")})
    spread = pair.spread({"users": str(pair.many.directory / "mended.csv")}, 20)
    assert alone.tables["users"].inserted == spread.tables["users"].inserted == 5
    assert pair.one.rows("users") == pair.many.rows("users")
    lines = [
        sorted(place.query("users", "SELECT line, reasons FROM loader_rejects")) for place in (pair.one, pair.many)
    ]
    assert lines[0] == lines[1]
    assert len(lines[0]) == 4
    for name in ("", "c"):
        # The same file again, as it was and then with one more record mended.
        for place in (pair.one, pair.many):
            place.file("mended.csv", (place.directory / "mended.csv").read_text().replace("2,,@", f"2,{name},@"))
        pair.one.load("sequential", {"users": str(pair.one.directory / "mended.csv")})
        pair.spread({"users": str(pair.many.directory / "mended.csv")}, 20)
        counts = [place.query("users", "SELECT count(*) FROM loader_rejects") for place in (pair.one, pair.many)]
        assert counts == [[(4 if name == "" else 3,)]] * 2


def check_seed(pair: Pair, seed: int) -> None:
    """Load random tables into databases that hold some of the records, in shares of any size, in both ways."""
    chance = random.Random(seed)
    for number in range(2):
        size = chance.choice([3, 12, 40])
        kind = chance.choice(["csv", "jsonl", "parquet"])
        sources = write(pair.one, sample(chance, size), kind, str(number))
        chosen = {name: path for name, path in sources.items() if name == "users" or chance.random() < 0.8}
        options = {"on_conflict": chance.choice(["reject", "update"]), "batch_size": chance.choice([1, 7, 100_000])}
        pair.load(chosen, chance.choice([40, 150, 1_000]), **options)


@pytest.mark.parametrize("seed", range(1))
def test_any_files_are_loaded_alike(pair: Pair, seed: int) -> None:
    check_seed(pair, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 200))
def test_any_files_are_loaded_alike_many_times(pair: Pair, seed: int) -> None:
    check_seed(pair, seed)


def test_workers_of_a_runs_own_can_be_reached_from_this_machine_alone() -> None:
    here, own = psutil.Process(), OwnWorkers("of this run", 2)
    before = {each.laddr for each in here.net_connections() if each.status == psutil.CONN_LISTEN}
    try:
        own.start()
        after = {each.laddr for each in here.net_connections() if each.status == psutil.CONN_LISTEN}
    finally:
        own.end()
    assert {address.ip for address in after - before} <= {"127.0.0.1"}
