"""Whatever dies while a load is spread over workers, what is left in the end is what an undisturbed load leaves.

The moment of a fault is sure: shares that hold certain records wait in a trigger until the test lets them go on.
"""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from async_loader import ClusterError, Report
from async_loader.effects import Query, Submit
from async_loader.run.spread import LOAD
from tests import postgres
from tests.cluster import Workers, client, end, workers
from tests.integration.pairs import Pair, held, orderly, sample, write
from tests.integration.test_workers_finding import EMAILS, LOAN_LINES, MATCH, SHELF_LINES, Libraries
from tests.processes import PATIENCE, until
from tests.sample import Place, comparable
from tests.stores import Schemas

modes = pytest.importorskip("async_loader.modes.dask.driver")

pytestmark = pytest.mark.skipif(postgres.binaries() is None, reason="there is no PostgreSQL")

# Twenty rounds of each fault where there is time; the first of them always.
rounds = pytest.mark.parametrize(
    "seed",
    [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))],
    ids=lambda seed: f"round {seed}",
)

_LOCK = 77
_AT_THE_GATE = "application_name LIKE 'loader %' AND wait_event = 'advisory'"
_AT_A_SHARE = "application_name LIKE 'loader %' AND wait_event = 'transactionid'"


class Gate:
    """A trigger in a table at which new rows that meet a condition wait until it is opened."""

    def __init__(self, server: postgres.Server, place: Place, table: str, condition: str) -> None:
        self._server = server
        [database] = [each.database for each in place.tables if each.name == table]
        function = f"""CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NEW; END $$"""
        place.query(database, function)
        place.query(
            database,
            f"CREATE TRIGGER gate BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION wait()",
        )
        self._connection = psycopg.connect(server.url("tests"), autocommit=True)
        self._connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))

    def sessions(self, condition: str) -> list[int]:
        """Return the processes of the server for which the condition is true."""
        rows = self._server.query("tests", f"SELECT pid FROM pg_stat_activity WHERE {condition}")
        return [pid for (pid,) in rows]

    def end_sessions(self, name: str) -> list[int]:
        """End all sessions whose applications are named so, and return the processes of the server that had them."""
        return self.sessions(f"CASE WHEN application_name LIKE '{name}' THEN pg_terminate_backend(pid) ELSE false END")

    def databases_of(self, session: int) -> int:
        """Return how many databases the share that has this session is connected to."""
        return len(
            self.sessions(f"application_name = (SELECT application_name FROM pg_stat_activity WHERE pid = {session})")
        )

    def wait(self) -> int:
        """Wait until a share stands at the gate, and return the server's process that serves it."""
        [pid] = until(lambda: self.sessions(_AT_THE_GATE), "a share at the gate")
        return int(pid)

    def open(self) -> None:
        """Let it go on."""
        self._connection.close()


class Scene:
    """Sources for both places, what becomes of them undisturbed, and a gate that one share of workers comes to: of
    `table`, or of one by chance.
    """

    def __init__(self, pair: Pair, server: postgres.Server, seed: int, table: str = "") -> None:
        chance = random.Random(seed)
        self.pair, self.cluster = pair, pair.cluster
        rows = sample(chance, 30)
        by_chance, self.size = (
            ("users", 150) if not seed else (chance.choice(list(rows)), chance.choice([40, 150, 300]))
        )
        table = table or by_chance
        self.sources = write(pair.one, rows, "csv")
        self.undisturbed = comparable(pair.one.load("sequential", self.sources))
        self.gate = Gate(server, pair.many, table, f"NEW.id = {chance.choice(pair.one.rows(table))[0]}")
        self._pool = ThreadPoolExecutor(2)

    def begin(self) -> Future[Report]:
        """Load by workers, meanwhile."""
        return self._pool.submit(self.load)

    def load(self) -> Report:
        """Load the sources by workers."""
        return self.pair.spread(self.sources, self.size, lock_timeout=1)

    def at_the_gate(self) -> subprocess.Popen[str]:
        """Return the worker whose share stands at the gate, when all others have nothing to do."""
        self.gate.wait()
        [name] = until(lambda: names if len(names := self.cluster.at_work()) == 1 else None, "rest")
        return self.cluster.workers[name]

    def check(self, report: Report) -> None:
        """Check that all is as if nothing had happened."""
        assert comparable(report) == self.undisturbed
        assert held(self.pair.many) == held(self.pair.one)
        orderly(self.pair.many)


@pytest.fixture(scope="module")
def served() -> Iterator[Schemas]:
    """Run a server for these tests alone, because some end it. What it has committed outlives that."""
    with postgres.server() as server:
        schemas = Schemas(server)
        server.query("postgres", "ALTER DATABASE tests SET synchronous_commit = on")
        schemas.close()
        schemas.open()
        yield schemas
        schemas.close()


@pytest.fixture(scope="module")
def fragile() -> Iterator[Workers]:
    """Run a cluster whose workers do two things at once."""
    with workers(0, threads=2) as started:
        yield started


@pytest.fixture
def scene(tmp_path: Path, served: Schemas, fragile: Workers, seed: int) -> Iterator[Scene]:
    fragile.ready(2)
    found = Scene(Pair(tmp_path, served, fragile), served.server, seed)
    yield found
    found.gate.open()
    served.tidy()


@pytest.fixture
def orders(tmp_path: Path, served: Schemas, fragile: Workers, seed: int) -> Iterator[Scene]:
    """Give a scene whose gate is in orders, after users and products are loaded."""
    fragile.ready(2)
    found = Scene(Pair(tmp_path, served, fragile), served.server, seed, "orders")
    yield found
    found.gate.open()
    served.tidy()


@pytest.mark.wide
@rounds
def test_workers_that_hold_the_keys_of_users_are_killed_before_orders_are_loaded(orders: Scene) -> None:
    load = orders.begin()
    # It knows them from the shares of users, and asks no database.
    assert orders.gate.databases_of(orders.gate.wait()) == 1
    orders.cluster.end_workers()
    orders.gate.open()
    orders.cluster.fill(2)
    orders.check(load.result(PATIENCE))


@pytest.mark.wide
@rounds
def test_keys_that_an_earlier_process_has_committed_are_asked_about(orders: Scene) -> None:
    with pytest.raises(ClusterError, match="its scheduler went away"):
        interrupted(orders)
    orders.cluster.ready(2)
    load = orders.begin()
    assert orders.gate.databases_of(orders.gate.wait()) == len(orders.pair.many.databases)
    orders.gate.open()
    orders.check(load.result(PATIENCE))


def interrupted(scene: Scene) -> None:
    """End a load when its first order is about to be stored, with all of its work."""
    load = scene.begin()
    scene.gate.wait()
    end(scene.cluster.scheduler)
    scene.cluster.end_workers()
    # A process of the server that waits for a lock does not see that its client has gone.
    scene.gate.end_sessions("loader %")
    load.result(PATIENCE)


@rounds
def test_a_worker_is_killed(scene: Scene) -> None:
    load = scene.begin()
    end(scene.at_the_gate())
    scene.gate.open()
    scene.check(load.result(PATIENCE))


@rounds
def test_all_workers_are_killed_and_others_come(scene: Scene) -> None:
    load = scene.begin()
    scene.gate.wait()
    scene.cluster.end_workers()
    scene.gate.open()
    scene.cluster.fill(2)
    scene.check(load.result(PATIENCE))


@pytest.mark.wide
def test_workers_that_make_keys_are_killed_and_every_new_row_gets_one(
    tmp_path: Path, served: Schemas, fragile: Workers
) -> None:
    fragile.ready(2)
    libraries = Libraries(tmp_path, served, fragile)
    sources = libraries.write({"people": EMAILS, "shelves": SHELF_LINES, "loans": LOAN_LINES})
    gate = Gate(served.server, libraries.many, "people", "NEW.email = '30@'")
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(libraries.spread, sources, match=MATCH)
        gate.wait()
        fragile.end_workers()
        gate.open()
        fragile.fill(2)
        spread = load.result(PATIENCE)
    libraries.check(spread, libraries.one.load("sequential", sources, match=MATCH))
    assert spread.tables["people"].inserted == 31
    served.tidy()


@pytest.mark.wide
@rounds
def test_all_workers_are_killed_and_no_other_comes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    load = scene.begin()
    scene.gate.wait()
    monkeypatch.setattr("async_loader.modes.dask.driver._ANSWER", 1)
    scene.cluster.end_workers()
    scene.gate.open()
    with pytest.raises(ClusterError, match="all workers are gone; start some"):
        load.result(PATIENCE)
    monkeypatch.undo()
    scene.cluster.fill(2)
    scene.check(scene.load())


@rounds
def test_the_scheduler_is_killed(scene: Scene) -> None:
    load = scene.begin()
    scene.gate.wait()
    end(scene.cluster.scheduler)
    with pytest.raises(ClusterError, match="its scheduler went away; start it"):
        load.result(PATIENCE)
    scene.gate.open()
    scene.cluster.end_workers()
    scene.cluster.restart_scheduler()
    scene.cluster.fill(2)
    scene.check(scene.load())


@pytest.mark.wide
@rounds
def test_the_client_is_killed_and_another_goes_on_while_shares_of_the_first_do(scene: Scene) -> None:
    cluster = scene.cluster.cluster(scene.pair.many.databases, share_size=scene.size)
    killed = client(scene.sources, scene.pair.many.databases, cluster)
    scene.gate.wait()
    end(killed)
    load = scene.begin()
    until(lambda: scene.gate.sessions(_AT_A_SHARE), "a share that is taken")
    scene.gate.open()
    scene.check(load.result(PATIENCE))


@pytest.mark.wide
@rounds
def test_a_worker_that_is_stopped_loses_its_share_and_does_no_harm_later(scene: Scene) -> None:
    load = scene.begin()
    stopped = scene.at_the_gate()
    stopped.send_signal(signal.SIGSTOP)
    scene.cluster.give_up(stopped)
    scene.gate.open()
    scene.check(load.result(PATIENCE))
    stopped.send_signal(signal.SIGCONT)
    # The scheduler has given it up, which it learns when it is done.
    stopped.wait(60)
    scene.check(load.result(PATIENCE))


@rounds
@pytest.mark.parametrize(
    "name", ["loader %", pytest.param("async_loader", marks=pytest.mark.wide)], ids=["of a worker", "of the client"]
)
def test_a_session_is_ended(scene: Scene, name: str) -> None:
    load = scene.begin()
    scene.gate.wait()
    assert scene.gate.end_sessions(name)
    scene.gate.open()
    scene.check(load.result(PATIENCE))


@pytest.mark.wide
@rounds
def test_the_server_is_started_anew(scene: Scene, served: Schemas) -> None:
    load = scene.begin()
    scene.gate.wait()
    served.close()
    served.server.stop()
    served.server.start()
    served.open()
    scene.check(load.result(PATIENCE))


@rounds
def test_every_share_is_submitted_twice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = modes.Workers._submit
    both: list[Any] = []

    def twice(mode: Any, effect: Submit) -> Any:
        if effect.work == LOAD:
            both.append(submit(mode, effect))
        return submit(mode, effect)

    monkeypatch.setattr(modes.Workers, "_submit", twice)
    scene.gate.open()
    scene.check(scene.load())
    assert len(both) > 3


@pytest.mark.wide
@rounds
@pytest.mark.parametrize(
    "first",
    [0, *(pytest.param(first, marks=pytest.mark.wide) for first in (1, 2))],
    ids=lambda first: f"from question {first}",
)
def test_the_session_that_counts_is_ended_between_two_questions(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    perform = modes.Workers.perform
    asked = 0

    def perform_without_session(mode: Any, effect: Any) -> Any:
        nonlocal asked
        if isinstance(effect, Query) and effect.sql.lstrip().startswith(("SELECT outcome", "SELECT id, line")):
            # Tables are counted side by side, and a question that finds no session is asked twice more.
            if asked >= first and not (asked - first) % 6:
                scene.gate.end_sessions("async_loader")
            asked += 1
        return perform(mode, effect)

    monkeypatch.setattr(modes.Workers, "perform", perform_without_session)
    scene.gate.open()
    scene.check(scene.load())
    assert asked > first
