"""Memory does not grow with the source: measured on whole processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands.conftest import Project
from tests.sample import MODES

RECORDS = 200_000
# What one process may take more than another that does the same; holding the longer source would take over 130 MB.
NOISE_MB = 60


def peak_megabytes(project: Project, mode: str, source: Path) -> float:
    """Return the most memory that a load took, in MB."""
    project.call("init_db", "--fresh")
    with project.start("insert_data", f"--mode={mode}", f"users={source}", stdout=None, is_real=True) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make one source, and one five times as long."""
    paths = []
    for times in (1, 5):
        paths.append(tmp_path_factory.mktemp("sources") / f"{times}.csv")
        with paths[-1].open("w") as file:
            file.write("id,name,email\n")
            # Every seventh record is a reject, so that these are seen to pass through as well.
            file.writelines(f"{key},{'name' if key % 7 else ''},user{key}@b\n" for key in range(times * RECORDS))
    return paths


@pytest.mark.parametrize("mode", ["async", *(pytest.param(mode, marks=pytest.mark.wide) for mode in MODES[1:])])
def test_five_times_the_records_take_no_more_memory(project: Project, sources: list[Path], mode: str) -> None:
    short, long = (peak_megabytes(project, mode, source) for source in sources)
    assert long < short + NOISE_MB
