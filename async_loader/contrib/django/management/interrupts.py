"""How signals end a command: SIGTERM as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from async_loader.contrib.django.management.base import INTERRUPTED, TERMINATED, Failure


class Interrupts:
    """What has interrupted a command."""

    def __init__(self) -> None:
        self._is_terminated = False

    def failure(self, message: str) -> Failure:
        """Return the failure of a command that was interrupted, with the exit code of the signal."""
        return Failure(message, TERMINATED if self._is_terminated else INTERRUPTED)

    def on_sigterm(self, _: int, __: FrameType | None) -> None:
        """Note the signal, and go on as after Ctrl-C."""
        self._is_terminated = True
        signal.raise_signal(signal.SIGINT)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[Interrupts]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does.

    Once an interrupt has ended the block, Ctrl-C does nothing any more: all that is left to do is to report and to
    exit, which a second Ctrl-C would only cut short.
    """
    interrupts = Interrupts()
    before = signal.signal(signal.SIGTERM, interrupts.on_sigterm)
    try:
        yield interrupts
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
