"""Runs commands and prints what they took, as one JSON object. To be started as a script, by a bare interpreter.

It imports next to nothing, because the peak memory that the system reports for a process includes that of the process
that started it. Its argument is a JSON object: `commands`, each a list of arguments that begins with a path;
`together`, whether they run side by side; `errors`, the file that gets their stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time

# Linux counts the largest resident set in KiB, macOS in bytes.
_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Run the commands up to the first that fails, and print what they took, with its exit code."""
    plan = json.loads(sys.argv[1])
    began = time.perf_counter()
    if plan["together"]:
        ended = [_end(process) for process in [_start(command, plan["errors"]) for command in plan["commands"]]]
    else:
        ended = _in_turn(plan["commands"], plan["errors"])
    seconds = time.perf_counter() - began
    memory = [usage.ru_maxrss * _BYTES for _, usage in ended]
    facts = {
        "exit_code": next((code for code, _ in ended if code), 0),
        "seconds": seconds,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for _, usage in ended),
        "memory": sum(memory) if plan["together"] else max(memory),
    }
    sys.stdout.write(json.dumps(facts))


def _in_turn(commands: list[list[str]], errors: str) -> list[tuple[int, os.struct_rusage]]:  # type: ignore[name-defined]
    ended = []
    for command in commands:
        ended.append(_end(_start(command, errors)))
        if ended[-1][0]:
            break
    return ended


def _start(command: list[str], errors: str) -> int:
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    nowhere = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    complaints = (os.POSIX_SPAWN_OPEN, 2, errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.posix_spawn(command[0], command, os.environ, file_actions=[nothing, nowhere, complaints])


def _end(process: int) -> tuple[int, os.struct_rusage]:  # type: ignore[name-defined]
    """Wait for a process. Return its exit code, and what it and all processes that it waited for have taken."""
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), usage


if __name__ == "__main__":
    main()
