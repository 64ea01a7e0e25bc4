"""A benchmark from its beginning to its end: prepare files and databases, run all contenders in turn, compare."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

import async_loader
from async_loader import Run
from async_loader.contrib.django.models import tables
from benchmarks import machine
from benchmarks.contenders import STARTS, STORES, Contender
from benchmarks.data import TABLES, Dataset, Frames, given, made, read, recipes
from benchmarks.databases import Databases, Store
from benchmarks.errors import BenchmarkError
from benchmarks.measure import Usage, measure
from benchmarks.opening import opened
from benchmarks.results import Outcome, Result
from benchmarks.stored import Stored, must_be_all, must_be_equal, stored

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a benchmark is to do.

    store: the kind of databases, a name in STORES.
    records, invalid: how many records of each table to make, and which part of them bad, unless `sources` names a
        directory.
    peer_records: how many records of each table the slow peers get, at most.
    keep: the directory in which files, and databases that are files, stay; None for a temporary one that is removed.
    """

    store: str
    records: int
    invalid: float
    sources: Path | None
    repeat: int
    cases: tuple[str, ...]
    peers: bool
    peer_records: int
    keep: Path | None

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """All contenders that are asked for, in the order in which they run."""
        of_cases, peers = STORES[self.store]
        cases = [contender for case in self.cases for contender in of_cases[case]]
        # Some cases have a contender in common.
        return tuple(dict.fromkeys((*cases, *(peers if self.peers else ()))))

    @property
    def steps(self) -> int:
        """How often `benchmark` shows something."""
        return sum(not contender.missing() for contender in self.contenders) * (1 + self.repeat)


def benchmark(wanted: Wanted, show: Show) -> Outcome:
    """Run a benchmark. `show` gets a line for each step. Raises BenchmarkError or LoaderError if anything fails."""
    left_out = {each.label: why for each in wanted.contenders if (why := each.missing())}
    contenders = [each for each in wanted.contenders if each.label not in left_out]
    with _place(wanted.keep) as place, opened(wanted.store, place) as store:
        stage = Stage(wanted, place, store)
        stage.prepare(contenders, show)
        runs = _rounds(stage, contenders, wanted.repeat, show)
        return Outcome(
            records=stage.all_records,
            invalid=None if wanted.sources else wanted.invalid,
            repeat=wanted.repeat,
            machine={**machine.facts(), **store.version()},
            command=shlex.join(["python", *sys.argv]),
            results=tuple(Result(each, stage.records(each), tuple(runs[each.name])) for each in contenders),
            left_out=left_out,
        )


def _rounds(stage: Stage, contenders: Sequence[Contender], repeat: int, show: Show) -> Mapping[str, list[Usage]]:
    """Return what each took in each round. All run once before any runs again, so that other work slows all alike."""
    runs: dict[str, list[Usage]] = {contender.name: [] for contender in contenders}
    for number in range(1, repeat + 1):
        for contender in contenders:
            show(f"round {number} of {repeat}: {contender.label}")
            runs[contender.name].append(stage.perform(contender))
    return runs


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Give a directory for all files."""
    if keep is not None:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        yield Path(directory)


class Stage:
    """The files and databases of a benchmark, in a directory; all are made outside the runs that are measured."""

    def __init__(self, wanted: Wanted, place: Path, store: Store) -> None:
        self._wanted = wanted
        self._store = store
        self._place = place
        self._recipes = recipes(wanted.peer_records)
        self._frames: Frames = {}
        self._datasets: dict[str, Dataset] = {}
        # By the name of rows, the label of the contender that left them first, and a digest of them.
        self._expected: dict[str, tuple[str, Mapping[str, Stored]]] = {}

    @property
    def all_records(self) -> int:
        """The number of records of the three tables together."""
        if self._wanted.sources is None:
            return self._wanted.records * len(TABLES)
        return sum(self._dataset("csv").records.values())

    def prepare(self, contenders: Sequence[Contender], show: Show) -> None:
        """Make all that the contenders read and start from."""
        for contender in contenders:
            show(f"preparing {contender.label}")
            self._dataset(contender.data)
            self._start(contender.start)
        # The records are in files now, and memory is for the contenders.
        self._frames = {}

    def records(self, contender: Contender) -> int:
        """Return how many records the contender is given in each run."""
        return sum(self._given(contender).values())

    def perform(self, contender: Contender) -> Usage:
        """Run a contender on databases of its own, and examine what it stored. A BenchmarkError names the contender."""
        self._start(contender.start)
        databases = self._store.fresh(contender.name, contender.start)
        work = contender.work(self._dataset(contender.data), databases)
        before = self._store.cpu_seconds()
        try:
            usage = measure(work, settings.BASE_DIR, databases.environment, databases.directory / "stderr.txt")
        except BenchmarkError as error:
            raise BenchmarkError(f"{contender.label}: {error}") from error
        after = self._store.cpu_seconds()
        self._examine(contender, databases)
        if self._wanted.keep is None:
            self._store.remove(contender.name)
        return usage if before is None or after is None else replace(usage, server_cpu_seconds=after - before)

    def _examine(self, contender: Contender, databases: Databases) -> None:
        """Raise BenchmarkError if the stored rows are not those that should be stored."""
        if contender.rows is None:
            return
        rows = stored(databases.locations, digested=contender.checks)
        if not contender.checks:
            must_be_all(contender.label, self._given(contender), rows)
            return
        first, expected = self._expected.setdefault(contender.rows, (contender.label, rows))
        must_be_equal(first, expected, contender.label, rows)

    def _given(self, contender: Contender) -> Mapping[str, int]:
        records = self._dataset(contender.data).records
        return {table: records[table] for table in contender.tables}

    def _dataset(self, name: str) -> Dataset:
        if name not in self._datasets:
            self._datasets[name] = self._made(name)
        return self._datasets[name]

    def _made(self, name: str) -> Dataset:
        if name == "sample":
            return given(settings.BASE_DIR / "data")
        if name == "csv" and self._wanted.sources:
            return given(self._wanted.sources.absolute())
        self._frames = self._frames or self._base()
        return self._recipes[name].cook(self._frames, self._place / "sources" / name)

    def _base(self) -> Frames:
        """Return the records that all files are derived from."""
        if self._wanted.sources:
            return read(self._dataset("csv"))
        return made(self._wanted.records, self._wanted.invalid)

    def _start(self, name: str) -> None:
        """Make the databases that runs begin with, the first time they are needed."""
        locations, is_new = self._store.start(name)
        if not is_new:
            return
        start = STARTS[name]
        declared = start.declared()
        databases = {alias: locations[alias] for alias in tables.databases_of(declared)}
        async_loader.init(declared, databases)
        for data, loaded in start.loaded:
            dataset = self._dataset(data)
            Run(declared, {table: dataset.source(table) for table in loaded}, databases).perform()
        self._store.settle(name)
