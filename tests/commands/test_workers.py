"""`insert_data --mode=dask` from the command line, with workers of its own and with those of a cluster."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from async_loader.contrib.django.management.commands._command import FAILED, INTERRUPTED, STRICT, USAGE
from tests.cluster import until, workers
from tests.commands.harm import write_sources
from tests.commands.test_postgres import REFERENCE_RUN, ServedProject, initialised, served, succeed, without_reasons

pytest.importorskip("distributed")

_LOCK = 78

__all__ = ["initialised", "served"]


def counts(report: str) -> dict[str, Any]:
    """What a load counted, by table."""
    tables = json.loads(report)["tables"]
    return {name: [table[each] for each in ("given", "rejected", "reasons")] for name, table in tables.items()}


def test_workers_of_the_commands_own_reproduce_the_reference_run(served: ServedProject) -> None:
    spread = ("insert_data", "--mode=dask", "--workers=2", "--share-size=0.0001", "--no-progress")
    assert without_reasons(succeed(served, *spread)) == REFERENCE_RUN
    assert served.query("users", "SELECT count(*) > 1 FROM loader_shares") == [(True,)]
    assert succeed(served, "verify") == "1 run, 3 tables: every count agrees\n"


@contextmanager
def one_worker(environment: Mapping[str, str], *, own: bool) -> Iterator[str]:
    """The option that a command takes to have it."""
    if own:
        yield "--workers=1"
        return
    with workers(1, environment=environment) as cluster:
        yield f"--scheduler={cluster.address}"


@pytest.mark.parametrize("own", [True, False], ids=["its own", "of a cluster"])
def test_ctrl_c_keeps_whole_shares_and_the_same_command_goes_on(served: ServedProject, *, own: bool) -> None:
    sources = write_sources(served, 2_000)
    served.environment |= {"DJANGO_SETTINGS_MODULE": "core.settings"}
    with one_worker(served.environment, own=own) as worker:
        told = ("--mode=dask", worker, "--share-size=0.004", "--report-rejects=0")
        command = ("insert_data", *sources, *told, "--format=json", "--no-progress")
        # Who holds a lock at one product lets all before it be committed first.
        function = f"""CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NEW; END $$"""
        trigger = "CREATE TRIGGER gate BEFORE INSERT ON products FOR EACH ROW WHEN (NEW.id = 1900)"
        served.query("products", f"{function}; {trigger} EXECUTE FUNCTION wait()")
        with (
            psycopg.connect(served.server.url(served.names["products"]), autocommit=True) as gate,
            served.start(*command) as process,
        ):
            gate.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
            until(lambda: served.query("products", waiting), "the record")
            shares = "SELECT count(*) FROM loader_shares"
            kept = served.query("products", shares)[0][0]
            assert kept
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=60)
        assert process.returncode == INTERRUPTED
        assert error.startswith("error: interrupted: users, ")
        assert " records of table products kept, the rest not; run the same command again" in error
        assert error.count("\n") == 1
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
    ("options", "code", "told"),
    [
        (["--mode=dask", "--commit-every=5"], USAGE, "workers commit share by share"),
        (["--workers=2"], USAGE, "mode async has no workers"),
        (["--mode=dask", "--scheduler=here"], USAGE, "a scheduler is at tcp://HOST:PORT"),
        (
            [
                "--mode=dask",
                "--scheduler=tls://127.0.0.1:1",
                *(f"--tls-{each}=none.pem" for each in ("ca", "cert", "key")),
            ],
            FAILED,
            "none.pem",
        ),
    ],
)
def test_what_cannot_be_spread_is_one_line(served: ServedProject, options: list[str], code: int, told: str) -> None:
    done = served.manage("insert_data", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
