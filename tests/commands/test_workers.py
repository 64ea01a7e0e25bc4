"""`insert_data --mode=dask` from the command line, with workers of its own and with those of a cluster."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from async_loader.contrib.django.management.base import FAILED, INTERRUPTED, STRICT, USAGE
from tests.cluster import workers
from tests.commands.conftest import Project
from tests.commands.harm import write_sources
from tests.commands.terminals import CONTROL, HASTY, Terminal, hasty
from tests.commands.test_postgres import REFERENCE_RUN, ServedProject, initialised, served, succeed, without_reasons
from tests.processes import until

pytest.importorskip("distributed")

_LOCK = 78

__all__ = ["initialised", "served"]


def counts(report: str) -> dict[str, Any]:
    """Return what a load counted, by table."""
    tables = json.loads(report)["tables"]
    return {name: [table[each] for each in ("given", "rejected", "reasons")] for name, table in tables.items()}


def test_workers_of_the_commands_own_reproduce_the_reference_run(served: ServedProject) -> None:
    spread = ("insert_data", "--mode=dask", "--workers=2", "--share-size=0.0001", "--no-progress")
    assert without_reasons(succeed(served, *spread)) == REFERENCE_RUN
    assert served.query("users", "SELECT count(*) > 1 FROM loader_shares") == [(True,)]
    assert succeed(served, "verify") == "1 run, 3 tables: every count agrees\n"


@pytest.mark.wide
def test_progress_over_workers_is_drawn_on_a_terminal_and_printed_elsewhere(served: ServedProject) -> None:
    sources = write_sources(served, 1_000)
    spread = ("insert_data", *sources, "--mode=dask", "--workers=1", "--share-size=0.01")
    done = served.manage(*spread, after=HASTY)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert "orders: waits for users" in lines
    assert re.search(r"^users: 1,00\d records, \d+ rejected, [\d,]+ records/s, 100 %$", done.stderr, re.MULTILINE)
    terminal = Terminal(100)
    with hasty(served, terminal, *spread) as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    assert "\x1b" not in out
    drawn = CONTROL.sub("", terminal.to_the_end())
    assert re.search(r"users +━+.* 100 %", drawn)


@pytest.fixture
def scratch(served: ServedProject) -> Path:
    """Return the directory for the temporary files of the project's commands."""
    directory = served.directory / "scratch"
    directory.mkdir()
    served.environment |= {"TMPDIR": str(directory)}
    return directory


# Numbers of a command's own workers: threads, and processes.
THREADS, PROCESSES = "--workers=1", "--workers=5"


@pytest.mark.parametrize("worker", [THREADS, pytest.param(PROCESSES, marks=pytest.mark.long)])
def test_what_a_worker_of_the_commands_own_meets_is_one_line(served: ServedProject, scratch: Path, worker: str) -> None:
    succeed(served, "insert_data")
    changed = served.file("orders.csv", "id,user_id,product_id,quantity\n1,1,1,99\n")
    # Workers have done some work for the others, when one of them fails.
    tables = ("users=data/users.csv", "products=data/products.csv", f"orders={changed}")
    done = served.manage("insert_data", *tables, "--mode=dask", worker, "--no-progress", "--on-conflict=stop")
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert done.stderr.startswith("error: database orders: table orders holds id 1 with other values than ")
    assert done.stderr.count("\n") == 1
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, marks=pytest.mark.wide), pytest.param(signal.SIGTERM, marks=pytest.mark.long)],
)
def test_a_signal_to_all_of_them_while_workers_start_is_one_line(
    served: ServedProject, scratch: Path, number: signal.Signals
) -> None:
    """As a terminal sends Ctrl-C."""
    spread = ("insert_data", "--mode=dask", PROCESSES, "--no-progress")
    with served.start(*spread, start_new_session=True) as process:
        started = psutil.Process(process.pid)
        until(lambda: len(started.children()) > 1, "a worker")
        os.killpg(process.pid, number)
        out, error = process.communicate()
    assert (process.returncode, out) == (128 + number, "")
    assert error == "error: interrupted: nothing was kept; run the same command again\n"
    assert list(scratch.iterdir()) == []


@contextmanager
def one_worker(environment: Mapping[str, str], *, own: bool) -> Iterator[str]:
    """Give the option by which a command has one worker."""
    if own:
        yield "--workers=1"
        return
    with workers(1, environment=environment) as cluster:
        yield f"--scheduler={cluster.address}"


@contextmanager
def held_back(served: ServedProject) -> Iterator[None]:
    """Hold the share with one of the last products back until the end of the block."""
    function = f"""CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NEW; END $$"""
    trigger = "CREATE TRIGGER gate BEFORE INSERT ON products FOR EACH ROW WHEN (NEW.id = 550)"
    served.query("products", f"{function}; {trigger} EXECUTE FUNCTION wait()")
    with psycopg.connect(served.server.url(served.names["products"]), autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield


def waits(served: ServedProject, database: str, event: str) -> bool:
    """Return whether a session of a database waits for a lock of that kind."""
    waiting = f"SELECT pid FROM pg_stat_activity WHERE wait_event = '{event}' AND datname = current_database()"
    return bool(served.query(database, waiting))


@pytest.mark.wide
@pytest.mark.parametrize(
    "spread", [True, pytest.param(False, marks=pytest.mark.wide)], ids=["over workers", "in one process"]
)
def test_of_two_loads_at_once_one_waits_for_the_other(served: ServedProject, *, spread: bool) -> None:
    command = ("insert_data", *write_sources(served, 600), "--format=json", "--no-progress")
    over_workers = ("--mode=dask", "--workers=1", "--share-size=0.004")
    with held_back(served):
        first = served.start(*command, *over_workers)
        until(lambda: waits(served, "products", "advisory"), "the record")
        second = served.start(*command, *(over_workers if spread else ()))
        until(lambda: any(waits(served, name, "relation") for name in served.names), "the second load")
    reports = []
    for process in (first, second):
        with process:
            out, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, "")
        reports.append(json.loads(out)["tables"])
    inserted = [{name: table["inserted"] for name, table in tables.items()} for tables in reports]
    assert inserted[1] == dict.fromkeys(inserted[0], 0)
    assert [table["unchanged"] for table in reports[1].values()] == list(inserted[0].values())
    assert succeed(served, "verify").endswith("every count agrees\n")


@pytest.mark.parametrize("own", [pytest.param(True, marks=pytest.mark.wide), False], ids=["its own", "of a cluster"])
def test_ctrl_c_keeps_whole_shares_and_the_same_command_goes_on(served: ServedProject, *, own: bool) -> None:
    sources = write_sources(served, 600)
    served.environment |= {"DJANGO_SETTINGS_MODULE": "core.settings"}
    with one_worker(served.environment, own=own) as worker:
        message = ("--mode=dask", worker, "--share-size=0.004", "--report-rejects=0", "--no-progress")
        command = ("insert_data", *sources, *message, "--format=json")
        # All shares before the one that is held back are committed first.
        with held_back(served), served.start(*command) as process:
            until(lambda: waits(served, "products", "advisory"), "the record")
            shares = "SELECT count(*) FROM loader_shares"
            kept = served.query("products", shares)[0][0]
            assert kept
            process.send_signal(signal.SIGINT)
            out, error = process.communicate()
        assert process.returncode == INTERRUPTED
        *warnings, error = error.splitlines()
        assert len(warnings) == (0 if own else 1)
        assert error.startswith("error: interrupted: users, ")
        assert " records of table products kept, the rest not; the same command goes on from there" in error
        assert json.loads(out)["status"] == "interrupted"
        resumed = served.manage(*command, "--strict")
        assert resumed.returncode == STRICT
        assert "users complete, products where shares are missing, orders from record 1" in resumed.stderr
        rows = served.rows()
        assert succeed(served, "verify").endswith("every count agrees\n")
    succeed(served, "init_db", "--fresh")
    alone = served.manage("insert_data", *sources, "--format=json", "--report-rejects=0")
    assert counts(alone.stdout) == counts(resumed.stdout)
    assert served.rows() == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode=dask", "--commit-every=5"], "workers commit share by share"),
        (["--workers=2"], "mode async has no workers"),
        *(
            (["--mode=dask", f"--share-size={size}"], f"more than 0 MiB, and no more than any file has, not {size}")
            for size in ("nan", "inf", "0", "-1", "1e+300")
        ),
        (["--mode=dask", "--scheduler=here"], "a scheduler is at tcp://HOST:PORT"),
    ],
)
def test_options_that_do_not_fit_workers_are_one_line(project: Project, options: list[str], message: str) -> None:
    done = project.call("insert_data", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (USAGE, "", 1)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_certificates_that_cannot_be_read_are_one_line(served: ServedProject) -> None:
    certificates = [f"--tls-{each}=none.pem" for each in ("ca", "cert", "key")]
    done = served.manage("insert_data", "--mode=dask", "--scheduler=tls://127.0.0.1:1", *certificates)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (FAILED, "", 1)
    assert done.stderr.startswith("error: ")
    assert "none.pem" in done.stderr


def test_a_cluster_without_certificates_is_warned_of(served: ServedProject) -> None:
    """Before it is asked anything; the error is that no scheduler is there."""
    short_of_time = "from async_loader.modes.dask import driver; driver._ANSWER = 1"
    done = served.manage("insert_data", "--mode=dask", "--scheduler=tcp://127.0.0.1:1", after=short_of_time)
    warning, error = done.stderr.splitlines()
    assert done.returncode == FAILED
    assert warning.startswith("warning: tcp://127.0.0.1:1: any program that reaches this scheduler")
    assert error.startswith("error: ")
