"""How signals end a command: SIGTERM as Ctrl-C does."""

from __future__ import annotations

import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from async_loader.contrib.django.management.base import INTERRUPTED, TERMINATED, Failure


class Interrupts:
    """The signals that have interrupted a command, and the exception that ends it then."""

    def __init__(self, *, owns_process: bool) -> None:
        self._owns_process = owns_process
        self._is_terminated = False

    def on_sigterm(self, _: int, __: FrameType | None) -> None:
        """Note the signal, and go on as after Ctrl-C."""
        self._is_terminated = True
        signal.raise_signal(signal.SIGINT)

    def ending(self, message: str) -> Failure | KeyboardInterrupt:
        """Return what ends the command: its failure, with the exit code of the signal. A caller gets the interrupt."""
        if not self._owns_process:
            return KeyboardInterrupt(message)
        return Failure(message, TERMINATED if self._is_terminated else INTERRUPTED)


@contextmanager
def sigterm_as_ctrl_c(*, owns_process: bool) -> Iterator[Interrupts]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does, in a process that the command owns.

    Once an interrupt has ended the block, Ctrl-C does nothing any more: all that is left to do is to report and to
    exit, which a second Ctrl-C would only cut short. In the process of a caller no signal is touched.
    """
    interrupts = Interrupts(owns_process=owns_process)
    if not owns_process:
        yield interrupts
        return
    before = signal.signal(signal.SIGTERM, interrupts.on_sigterm)
    try:
        yield interrupts
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def answer() -> str:
    """Return the line that is typed next. A signal that comes just before the wait for it ends that wait, as one that
    comes meanwhile does: by a byte that it writes.
    """
    if threading.current_thread() is threading.main_thread():
        signals, woken = socket.socketpair()
        with signals, woken:
            signals.settimeout(0)
            before = signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
            try:
                select.select([sys.stdin, woken], [], [])
            finally:
                signal.set_wakeup_fd(before)
    return sys.stdin.readline()
