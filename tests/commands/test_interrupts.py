"""Ctrl-C and SIGTERM while a load with checkpoints goes on, and what the next run makes of what is left."""

from __future__ import annotations

import signal
import time

import pytest

from tests.commands.conftest import Project
from tests.commands.harm import assert_resumed_as_undisturbed, orphans, wait_while, write_sources
from tests.sample import MODES

RECORDS = 10_000
SIGNALS = [((signal.SIGINT,), 130), ((signal.SIGTERM,), 143), ((signal.SIGINT, signal.SIGINT), 130)]


@pytest.mark.parametrize(
    ("mode", "numbers", "code"),
    [
        ("async", (signal.SIGINT, signal.SIGINT), 130),
        pytest.param("threads", (signal.SIGTERM,), 143, marks=pytest.mark.wide),
        *(pytest.param(mode, *case, marks=pytest.mark.long) for mode in MODES for case in SIGNALS),
    ],
)
def test_an_interrupt_keeps_the_checkpoints_and_the_next_run_goes_on(
    project: Project, mode: str, numbers: tuple[signal.Signals, ...], code: int
) -> None:
    command = ("insert_data", *write_sources(project, RECORDS), f"--mode={mode}", "--commit-every=500")
    with project.start(*command) as process:
        # One short question, lest the load be over before it is answered.
        wait_while(
            lambda: not project.query("users", "SELECT 1 FROM loader_runs") and process.poll() is None, step=0.002
        )
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.01)
        _, error = process.communicate()
    assert process.returncode == code
    assert error.startswith("error: interrupted: ")
    assert error.endswith(" kept, the rest not; the same command goes on from there\n")
    assert error.count("\n") == 1
    assert orphans(project) == []
    assert_resumed_as_undisturbed(project, command)
