"""A process that the fork server makes is as one that is really started: else the tests of commands prove nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import processes

# Whatever a program can see of how it was started.
FACTS = """\
import json, os, signal, sys, threading, time, warnings

def stream(opened):
    kept = (opened.name, opened.mode, opened.encoding, opened.errors, opened.line_buffering, opened.write_through)
    return [*kept, type(opened.buffer).__name__, opened.fileno(), opened.closed, opened.isatty()]

print(json.dumps({
    "arguments": sys.argv,
    "path": sys.path,
    "directory": os.getcwd(),
    "environment": dict(os.environ),
    "main": [__name__, globals().get("__file__"), sys.modules["__main__"].__dict__ is globals()],
    "streams": [stream(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "kept": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "open": sorted(os.listdir("/dev/fd")),
    "filters": [str(each) for each in warnings.filters],
    "warnings": sys.warnoptions,
    "flags": str(sys.flags),
    "handlers": {str(each): str(signal.getsignal(each)).split(" at ")[0] for each in signal.valid_signals()},
    "masked": [str(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "zone": time.tzname,
    "threads": [each.name for each in threading.enumerate()],
}))
"""


def both(arguments: list[str], directory: Path, **options: Any) -> list[tuple[int, str, str]]:
    """Run a program in a fork and in a process that is really started: exit code, stdout and stderr of each."""
    given: dict[str, Any] = {"cwd": directory, "env": environment(), "stdin": subprocess.DEVNULL} | options
    ended = []
    for is_real in (False, True):
        with processes.start(arguments, is_real=is_real, **PIPES, **given) as process:
            assert process.is_fork != is_real
            out, error = process.communicate()
        ended.append((process.returncode, out, error))
    return ended


PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONWARNINGS": "error", "TZ": "America/Lima", "ODD": "\udcff", "PYTHONPATH": "/a:/b"} | more


@pytest.mark.parametrize(
    "arguments", [["program.py"], ["-m", "program"], ["-c", FACTS]], ids=["script", "module", "code"]
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start_new_session": True},
        {"stdin": subprocess.PIPE},
        {"env": dict(os.environ)},
    ],
    ids=["plain", "session", "pipe", "environment"],
)
def test_a_program_sees_the_same(tmp_path: Path, arguments: list[str], options: dict[str, Any]) -> None:
    (tmp_path / "program.py").write_text(FACTS)
    forked, real = both([*arguments, "one", "--two=\udcfe"], tmp_path, **options)
    assert (forked[0], real[0]) == (0, 0)
    assert (forked[2], real[2]) == ("", "")
    assert json.loads(forked[1]) == json.loads(real[1])


@pytest.mark.parametrize(
    "code",
    [
        "",
        "print('out'); import sys; sys.exit('a line')",
        "raise SystemExit(3)",
        "raise SystemExit(259)",
        "raise SystemExit(None)",
        "import warnings; warnings.warn('w')",
        "raise KeyboardInterrupt",
        "import os; os._exit(5)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 15)",
        "import os; os.write(1, b'x'); os.abort()",
        "import atexit; atexit.register(print, 'at the end'); 1 / 0",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('after'))).start()",
        "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(7)'], capture_output=True))",
        "import os, sys; sys.stdout = sys.__stdout__ = open('/dev/full', 'w'); print('lost')",
        "import nothing_of_this_name",
    ],
)
def test_a_program_ends_the_same(tmp_path: Path, code: str) -> None:
    forked, real = both(["-c", code], tmp_path)
    assert forked[:2] == real[:2]
    # Of a traceback the last line: the others name the files that the program was called from.
    assert forked[2].splitlines()[-1:] == real[2].splitlines()[-1:]


def test_a_process_is_waited_for_and_killed_by_its_id(tmp_path: Path) -> None:
    given: dict[str, Any] = {"cwd": tmp_path, "env": environment(), **PIPES}
    with processes.start(["-c", "print(input())"], stdin=subprocess.PIPE, **given) as process:
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        assert process.communicate("hello\n") == ("hello\n", "")
        assert process.poll() == 0
    with processes.start(["-c", "input()"], stdin=subprocess.PIPE, **given) as process:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("is_real", [False, True], ids=["a fork", "really started"])
def test_a_process_that_would_never_end_ends_with_the_test_that_fails(tmp_path: Path, *, is_real: bool) -> None:
    forever = ["-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"]
    with (
        pytest.raises(ZeroDivisionError),
        processes.start(forever, is_real=is_real, cwd=tmp_path, env=environment(), stdin=subprocess.PIPE) as process,
    ):
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL


def test_many_processes_at_once_end_each_with_its_own_code(tmp_path: Path) -> None:
    started = [
        processes.start(["-c", f"raise SystemExit({code})"], cwd=tmp_path, env=environment()) for code in range(30)
    ]
    assert [process.wait() for process in started] == list(range(30))


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "LC_ALL", "POLARS_MAX_THREADS"])
def test_what_is_read_at_the_start_needs_a_real_one(tmp_path: Path, variable: str) -> None:
    code = f"import os; print(os.environ['{variable}'])"
    with processes.start(["-c", code], cwd=tmp_path, env=environment(**{variable: "1"}), **PIPES) as process:
        assert not process.is_fork
        assert process.communicate()[0] == "1\n"
