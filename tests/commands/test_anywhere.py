"""Commands called by programs: from a thread, in and beside a running event loop, as Django's own commands are."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.management import CommandError, call_command
from django.db import connections

from async_loader import LoaderError
from tests.commands.conftest import ROOT, Project
from tests.processes import PATIENCE
from tests.sample import MODES

Call = Callable[[], Any]


def directly(call: Call) -> Any:
    return call()


def in_a_thread(call: Call) -> Any:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(call).result(PATIENCE)


def in_an_event_loop(call: Call) -> Any:
    async def main() -> Any:
        return call()

    return asyncio.run(main())


def beside_an_event_loop(call: Call) -> Any:
    async def main() -> Any:
        return await asyncio.to_thread(call)

    return asyncio.run(main())


def as_an_async_view_does(call: Call) -> Any:
    return async_to_sync(sync_to_async(call))()


def in_an_event_loop_of_a_thread(call: Call) -> Any:
    return in_a_thread(lambda: in_an_event_loop(call))


PLACES = [
    directly,
    in_a_thread,
    in_an_event_loop,
    beside_an_event_loop,
    as_an_async_view_does,
    in_an_event_loop_of_a_thread,
]
ANYWHERE = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)


@pytest.fixture
def ours(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Lead this process to the test's own databases."""
    django.setup()
    for alias, settings in connections.settings.items():
        monkeypatch.setitem(settings, "NAME", project.directory / f"{alias}.db")
    connections.close_all()
    monkeypatch.chdir(ROOT)
    yield project
    connections.close_all()


def call(*arguments: str, **options: Any) -> str:
    """Call a command without progress, and return what it prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, verbosity=0, **options)
    return out.getvalue()


def failure(*arguments: str, **options: Any) -> CommandError:
    """Return the error of a command that must fail."""
    with pytest.raises(CommandError) as caught:
        call(*arguments, **options)
    return caught.value


@ANYWHERE
@pytest.mark.parametrize("mode", MODES)
def test_a_load_works_anywhere(ours: Project, place: Callable[[Call], Any], mode: str) -> None:
    printed = place(lambda: call("insert_data", f"--mode={mode}"))
    assert printed == ours.call("insert_data").stdout
    assert ours.query("orders", "SELECT count(*) FROM orders") == [(7,)]


@ANYWHERE
def test_every_other_command_works_anywhere(ours: Project, place: Callable[[Call], Any]) -> None:
    place(lambda: call("init_db", "--fresh"))
    place(lambda: call("insert_data"))
    assert "7 rows, every reference exists" in place(lambda: call("check_references"))
    assert place(lambda: call("verify")) == "1 run, 3 tables: every count agrees\n"
    assert "1 of 1 rejects stored" in place(lambda: call("rejects"))
    assert "name.not_" in place(lambda: call("rejects", "show", "--table=users"))
    exported = ours.directory / "bad.csv"
    place(lambda: call("rejects", "export", str(exported), "--table=users"))
    assert "jane@example.com" in exported.read_text()
    assert "1 rejected" not in place(lambda: call("rejects", "retry", "--table=users"))
    assert place(lambda: call("rejects", "discard", "--all", "--yes")) == "5 rejects discarded.\n"


def test_the_event_loop_stays_free_while_a_load_is_awaited(ours: Project) -> None:
    """The load waits for records that only the event loop can give it."""
    reading, writing = os.pipe()

    async def feed() -> None:
        os.write(writing, b"id,name,email\n1,Ada,ada@example.com\n")
        os.close(writing)

    async def main() -> None:
        load = asyncio.to_thread(call, "insert_data", f"users:csv=/dev/fd/{reading}")
        await asyncio.gather(load, feed())

    asyncio.run(main())
    os.close(reading)
    assert ours.query("users", "SELECT id, name FROM users") == [(1, "Ada")]


@ANYWHERE
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("insert_data", "people=p.csv"), 2, "no table is called 'people'"),
        (("insert_data", "users=missing.csv"), 1, "missing.csv"),
        (("insert_data", "--strict"), 3, "5 records were rejected; all others were kept"),
        (("insert_data", "--max-rejects=0"), 4, "more rejects than the 0 allowed"),
        (("insert_data", "--batch-size=x"), 1, "invalid int value: 'x'"),
        (("verify", "none"), 2, "none"),
        (("rejects", "discard"), 2, "say what to discard"),
        (("rejects", "retry", "--run=none"), 2, "none"),
    ],
)
@pytest.mark.usefixtures("ours")
def test_a_command_that_fails_raises_a_command_error(
    place: Callable[[Call], Any], arguments: tuple[str, ...], code: int, message: str
) -> None:
    error = place(lambda: failure(*arguments))
    assert message in str(error)
    assert "\n" not in str(error)
    assert error.returncode == code


@pytest.mark.usefixtures("ours")
def test_the_cause_of_a_failure_is_the_engines_error() -> None:
    error = failure("insert_data", "users=missing.csv")
    assert error.__cause__ is None or isinstance(error.__cause__, LoaderError)
    report = json.loads(_json_of("insert_data", "users=missing.csv"))
    assert (report["status"], report["error"]) == ("failed", str(error))


def _json_of(*arguments: str) -> str:
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command(*arguments, "--format=json", stdout=out, verbosity=0)
    return out.getvalue()


def test_options_may_be_given_by_name(ours: Project) -> None:
    report, rejects = ours.directory / "report.json", ours.directory / "rejects"
    source = ours.file("people.csv", "id,who,email\n1,Ada,a@b\n2,-,c@d\n")
    call_command(
        "insert_data",
        sources=f"users={source}",
        map="users.name=who",
        null="users=-",
        batch_size="1",
        report=str(report),
        rejects_dir=str(rejects),
        format="json",
        stdout=io.StringIO(),
        verbosity=0,
    )
    assert json.loads(report.read_text())["tables"]["users"]["inserted"] == 1
    assert [path.name for path in rejects.rglob("*.csv")] == ["users.csv"]
    for option in ({"mode": "tomorrow"}, {"format": "xml"}, {"batch_size": "many"}, {"on_conflict": "x"}):
        assert failure("insert_data", **option).returncode == 2


def test_warnings_and_progress_go_to_the_stderr_that_is_given(
    ours: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ours.file("people.csv", "id,name,email,age\n1,Ada,a@b,36\n")
    error = io.StringIO()
    call_command("insert_data", f"users={source}", stdout=io.StringIO(), stderr=error)
    assert error.getvalue() == "warning: users: columns that the table does not have were ignored: age\n"
    assert capsys.readouterr() == ("", "")


@ANYWHERE
@pytest.mark.usefixtures("ours")
def test_the_process_is_left_as_it_was(place: Callable[[Call], Any]) -> None:
    def state() -> Any:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        opened = [each.alias for each in connections.all(initialized_only=True) if each.connection is not None]
        return handlers, gc.get_threshold(), gc.get_freeze_count(), dict(os.environ), opened, Path.cwd()

    before = state()
    place(lambda: call("insert_data"))
    place(lambda: call("rejects"))
    place(lambda: failure("insert_data", "users=missing.csv"))
    assert state() == before
    assert threading.current_thread() is threading.main_thread()


def test_an_interrupt_reaches_the_caller_and_leaves_its_signals_alone(ours: Project) -> None:
    """Ctrl-C comes while the load waits for a pipe that only its thread of the test writes to."""
    reading, writing = os.pipe()
    handler = signal.getsignal(signal.SIGINT)
    report = ours.directory / "report.json"
    this_thread = threading.get_ident()

    def interrupt() -> None:
        # A pipe holds 64 KiB: once more than that is taken, the load is reading.
        os.write(writing, b"id,name,email\n" + b"x" * 200_000)
        time.sleep(0.2)
        signal.pthread_kill(this_thread, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    # A load that does not feel it comes to an end all the same.
    end_of_pipe = threading.Timer(PATIENCE, os.close, (writing,))
    end_of_pipe.daemon = True
    end_of_pipe.start()
    with pytest.raises(KeyboardInterrupt, match="interrupted: nothing was kept; run the same command again"):
        call("insert_data", f"users:csv=/dev/fd/{reading}", "--mode=sequential", f"--report={report}")
    end_of_pipe.cancel()
    os.close(writing)
    os.close(reading)
    assert signal.getsignal(signal.SIGINT) is handler
    assert json.loads(report.read_text())["status"] == "interrupted"


def load_sample() -> str:
    """Load the sample's files: the function of a task, which must stand in a module."""
    return call("insert_data")


@pytest.mark.skipif(find_spec("django.tasks") is None, reason="tasks are of Django 6.0")
def test_a_task_calls_a_command(ours: Project) -> None:
    from django.tasks import task

    result = task(load_sample).enqueue()
    assert "ORDERS TABLE (Inserted)" in result.return_value
    assert ours.query("orders", "SELECT count(*) FROM orders") == [(7,)]


SCRIPT = """\
import gc, importlib, os, sys
import django
django.setup()
from django.core.management import call_command
for name in ("init_db", "insert_data", "rejects", "check_references", "verify"):
    importlib.import_module(f"async_loader.contrib.django.management.commands.{name}")
# A process is tuned before these are imported.
assert not {"numpy", "polars", "pyarrow"} & set(sys.modules)
before = gc.get_threshold()
call_command("init_db", stdout=open(os.devnull, "w"))
call_command("insert_data", stdout=open(os.devnull, "w"))
assert gc.get_threshold() == before
assert not {"OPENBLAS_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL"} & set(os.environ)
assert gc.get_freeze_count() == 0
"""


def test_a_program_that_calls_a_command_is_not_tuned(tmp_path: Path) -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "core.settings", "DATABASE_DIR": str(tmp_path)}
    for name in ("OPENBLAS_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
