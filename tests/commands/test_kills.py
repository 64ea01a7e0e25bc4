"""Loads are killed at random moments, and the same command is run again: nothing is lost and nothing is wrong."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands.conftest import Project
from tests.commands.harm import TABLES, Outcome, difference, emptied, orphans, outcome, wait_while, write_sources
from tests.sample import MODES

# Records per transaction, 0 being all of them; odd ones meet batches at odd places.
COMMIT_EVERY = (0, 0, 0, 10_000, 33_333, 4_999)
# To be given again where a failure is to be seen again. The moments are then the same, but the machine may not be.
SEED = "KILLS_SEED"
# Kills of one run before it is left in peace.
MOST_KILLS = 3
# Seconds after a commit within which the next one comes.
BEHIND_A_COMMIT = 0.06


@dataclass(frozen=True)
class Scene:
    """Databases to begin with, how to treat what they hold, and what an undisturbed load of that leaves."""

    template: Path
    on_conflict: str
    undisturbed: Outcome
    seconds: float


@dataclass(frozen=True)
class Kill:
    """When to kill: a number of seconds after the start, or after the first commit that is seen."""

    seconds: float
    after_commit: bool

    def strike(self, process: subprocess.Popen[str], directory: Path) -> bool:
        """Kill; whether the process still ran."""
        if self.after_commit:
            _wait_for_a_commit(process, directory)
        try:
            process.communicate(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode == -signal.SIGKILL


def _wait_for_a_commit(process: subprocess.Popen[str], directory: Path) -> None:
    """Wait until there is a new line of `loader_runs`: a database has committed, and others may be about to."""
    before = _runs(directory)
    wait_while(lambda: process.poll() is None and _runs(directory) == before, step=0.001)


def _runs(directory: Path) -> list[tuple[str, int]]:
    """Return the lines of all databases: a run that resumes another writes only some of them."""
    lines = []
    for table in TABLES:
        with closing(sqlite3.connect(directory / f"{table}.db")) as connection:
            lines += connection.execute("SELECT run, checkpoint FROM loader_runs").fetchall()
    return lines


def staged(project: Project, sources: list[str], records: int, on_conflict: str) -> Scene:
    """Make fresh databases, or ones that hold other values under a third of the keys, and load them once."""
    emptied(project)
    if on_conflict != "reject":
        _fill_with_other_values(project, records)
    template = project.directory / on_conflict
    template.mkdir()
    for file in project.directory.glob("*.db"):
        (template / file.name).write_bytes(file.read_bytes())
    began = time.monotonic()
    done = project.manage("insert_data", *sources, f"--on-conflict={on_conflict}", "--format=json")
    seconds = time.monotonic() - began
    assert done.returncode == 0
    return Scene(template, on_conflict, outcome(project, done.stdout), seconds)


def _fill_with_other_values(project: Project, records: int) -> None:
    keys = range(3, records, 3)
    users = project.file("old.csv", "id,name,email\n" + "".join(f"{key},old,@\n" for key in keys))
    products = project.file("older.csv", "id,name,price\n" + "".join(f"{key},old,9\n" for key in keys))
    done = project.call("insert_data", f"users={users}", f"products={products}")
    assert done.returncode == 0


def drawn(chance: random.Random, scene: Scene) -> Kill:
    """Draw a moment of a load. One in three is after a commit, when the next one is near."""
    if chance.random() < 1 / 3:
        return Kill(chance.uniform(0, BEHIND_A_COMMIT), after_commit=True)
    return Kill(chance.uniform(0.2, 1.1) * scene.seconds, after_commit=False)


def run_killed(project: Project, sources: list[str], scene: Scene, chance: random.Random) -> int:
    """Kill a load a few times, then run it to its end. Return how many kills it survived."""
    emptied(project, scene.template)
    commit_every = f"--commit-every={chance.choice(COMMIT_EVERY)}"
    kills: list[Kill] = []
    struck, again = 0, False
    for _ in range(chance.randint(1, MOST_KILLS)):
        kills.append(drawn(chance, scene))
        process = project.start(*_command(sources, scene, chance.choice(MODES), commit_every))
        struck += kills[-1].strike(process, project.directory)
        assert process.returncode in (0, -signal.SIGKILL), (commit_every, kills)
        assert orphans(project) == [], (commit_every, kills)
        again = again or finished(project)
    mode = chance.choice(MODES)
    done = project.manage(*_command(sources, scene, mode, commit_every))
    assert done.returncode == 0, (mode, commit_every, kills, done.stderr)
    assert orphans(project) == [], (mode, commit_every, kills)
    expected = unchanged(scene.undisturbed) if again else scene.undisturbed
    assert difference(outcome(project, done.stdout), expected) == [], (mode, commit_every, kills, done.stderr)
    return struck


def finished(project: Project) -> bool:
    """Return whether one run has committed all: then the next one is another run, and has nothing left to store."""
    sql = "SELECT run, state FROM loader_runs ORDER BY rowid DESC LIMIT 1"
    lines = {line for table in TABLES for line in project.query(table, sql) or [("", "none")]}
    return len(lines) == 1 and {state for _, state in lines} == {"complete"}


def unchanged(first: Outcome) -> Outcome:
    """Return what a run leaves that finds everything stored already."""
    counts = {
        name: table
        | {"inserted": 0, "updated": 0, "unchanged": table["inserted"] + table["updated"] + table["unchanged"]}
        for name, table in first.counts.items()
    }
    return Outcome(first.rows, first.rejects, counts)


def _command(sources: list[str], scene: Scene, mode: str, commit_every: str) -> list[str]:
    conflict = f"--on-conflict={scene.on_conflict}"
    return ["insert_data", *sources, f"--mode={mode}", commit_every, conflict, "--format=json"]


def say(line: str) -> None:
    """Print a line, to be seen if a test fails, or with `pytest -s`."""
    sys.stderr.write(f"{line}\n")


def survive(project: Project, runs: int, records: int) -> int:
    """Run `runs` loads of `records` records a table. Return how many kills there were, and print their seed."""
    seed = int(os.environ.get(SEED) or random.randrange(1 << 32))
    say(f"{SEED}={seed}")
    sources = write_sources(project, records)
    scenes = [staged(project, sources, records, on_conflict) for on_conflict in ("reject", "update")]
    kills = 0
    for number in range(runs):
        chance = random.Random(f"{seed} {number}")
        say(f"load {number}, {kills} kills before")
        kills += run_killed(project, sources, chance.choice(scenes), chance)
    say(f"{runs} loads, {kills} kills")
    return kills


def test_a_killed_load_leaves_no_orphans_and_the_same_command_finishes_it(project: Project) -> None:
    survive(project, 2, 10_000)


@pytest.mark.long
def test_many_killed_loads_leave_no_orphans_and_the_same_command_finishes_them(project: Project) -> None:
    survive(project, 80, 100_000)
