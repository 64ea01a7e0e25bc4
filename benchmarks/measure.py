"""What a process takes: wall and CPU seconds, and memory. The only place that starts processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError

_LAUNCHER = Path(__file__).with_name("launcher.py")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run took.

    seconds: from the first start to the last end.
    cpu_seconds: user and system time of all processes and their children.
    memory_mib: the largest resident set of a process; summed where several ran side by side.
    server_cpu_seconds: what the databases' server took meanwhile; None where there is none, or no knowing.
    """

    seconds: float
    cpu_seconds: float
    memory_mib: float
    server_cpu_seconds: float | None = None

    def as_dict(self) -> dict[str, float]:
        """Return the figures that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Work:
    """Commands, each beginning with a path, that run one after another or together.

    figures: the file into which a command itself writes, as JSON, its `seconds` and `cpu_seconds`, for a part of what
        it does, without its start.
    """

    commands: Sequence[Sequence[str]]
    together: bool = False
    figures: Path | None = None


def measure(work: Work, directory: Path, environment: Mapping[str, str], errors: Path) -> Usage:
    """Run it in `directory`, with stderr in the file `errors`. Raises BenchmarkError if a command fails.

    Programs may keep the bytecode that Python compiles, as they do by default: a contender is not measured by how long
    compiling takes. Whatever ends this early, no process is left.
    """
    environment = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    plan = {"commands": work.commands, "together": work.together, "errors": str(errors)}
    facts = json.loads(_launched(json.dumps(plan), directory, environment))
    if facts["exit_code"]:
        raise BenchmarkError(
            _last_line(errors).removeprefix("error: ") or f"failed with exit code {facts['exit_code']} and not a word"
        )
    if work.figures is not None:
        facts |= json.loads(work.figures.read_text())
    return Usage(facts["seconds"], facts["cpu_seconds"], facts["memory"] / _MIB)


def _launched(plan: str, directory: Path, environment: dict[str, str]) -> str:
    """Return what the launcher prints. It leads a process group, so that all that it starts can be ended with it."""
    command = [sys.executable, "-I", "-S", str(_LAUNCHER), plan]
    with subprocess.Popen(  # noqa: S603 - our own script, with arguments that no shell sees
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            out, complaint = process.communicate()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode:
        raise BenchmarkError((complaint.splitlines() or ["the launcher was killed"])[-1])
    return out


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="backslashreplace").splitlines() if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
