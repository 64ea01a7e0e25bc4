"""Asks the fork server for a process. Run as a script, it stands in the place of Python itself.

It imports little, because the script is to start in less time than a fork takes.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

# Seconds for the server to answer; what it imports first takes long where nothing is compiled yet.
ANSWER = 300


def ask(
    address: str,
    arguments: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    descriptors: Mapping[int, int],
    *,
    new_session: bool = False,
) -> tuple[int, socket.socket]:
    """Return the id of a new process, and a socket that gives its wait status once it has ended.

    The id is 0 where a fork would differ from a process that is really started. Raises OSError or EOFError where the
    server does not answer.

    descriptors: those of the new process, and which of this process they are to be.
    """
    request = {
        "arguments": arguments,
        "descriptors": list(descriptors),
        "directory": directory,
        "environment": dict(environment),
        "largest_file": resource.getrlimit(resource.RLIMIT_FSIZE),
        "new_session": new_session,
    }
    message = json.dumps(request).encode()
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.settimeout(ANSWER)
        peer.connect(address)
        socket.send_fds(peer, [len(message).to_bytes(4, "big")], list(descriptors.values()))
        peer.sendall(message)
        return _number(peer), peer
    except BaseException:
        peer.close()
        raise


def wait_status(peer: socket.socket) -> int:
    """Return the wait status of the process, which has ended. Raises EOFError where the server has ended before it."""
    return _number(peer)


def _number(peer: socket.socket) -> int:
    answer = peer.recv(4)
    # The server sends four bytes at once.
    if len(answer) < 4:
        raise EOFError("the fork server has ended")
    return int.from_bytes(answer, "big")


def main(address: str, arguments: list[str]) -> None:
    """Run a fork where Python would run: pass streams and signals on, and end as the fork ends."""
    # Of Python's own options a fork knows these.
    is_known = arguments and (arguments[0] in ("-c", "-m") or not arguments[0].startswith("-"))
    if is_known:
        pid, peer = ask(address, arguments, os.getcwd(), os.environ, _open())  # noqa: PTH109
    if not is_known or not pid:
        os.execv(sys.executable, [sys.executable, *arguments])
    # A signal that comes just before `select` does not end it, but the byte that it writes does.
    signals, woken = socket.socketpair()
    signals.settimeout(0)
    signal.set_wakeup_fd(signals.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    # It stands for a program, which may run for any time; the caller has a limit.
    while peer not in select.select([peer, woken], [], [])[0]:
        woken.recv(4096)
    code = os.waitstatus_to_exitcode(wait_status(peer))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _open() -> dict[int, int]:
    """Return all descriptors that a new program would inherit, each as itself."""
    numbers = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208
    # The list names the descriptor by which it was read, which is closed by now.
    return {number: number for number in numbers if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
