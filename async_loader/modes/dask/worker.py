"""A worker's side of a load that is spread: the pieces of work that it may be asked for, and how it does each.

What it needs to connect it finds for itself, in its own environment; what it knows of referenced keys it keeps for the
shares to come. A worker may do several things at once, in threads.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import cloudpickle
import distributed
import polars as pl

from async_loader.effects import Effect
from async_loader.errors import ClusterError, SourceError, UnreachableError
from async_loader.ledger.outcomes import Outcome
from async_loader.modes.sequential import Sequential
from async_loader.modes.threads import GivenUpError
from async_loader.records.keys import AcceptedKeys, ReferencedKeys
from async_loader.run.cluster import PAUSES
from async_loader.run.known_keys import KnownKeys
from async_loader.run.share_values import match_values_of
from async_loader.run.shared_keys import NO_SPAN
from async_loader.run.shares import Means, Share, load_share
from async_loader.run.spread import KEYS, LOAD, MATCHES, MERGE, PARTS, SPAN, SUMMARY
from async_loader.sources import Source, parts
from async_loader.sources.identity import Identity, identity
from async_loader.sources.parts import Part
from async_loader.stores import store_of
from async_loader.tables import Table

_PACKAGE = "django-async-loader"

Done = TypeVar("Done")
# By referenced table, the keys that the run has accepted; None where not all of them are known.
Accepted: TypeAlias = Mapping[str, AcceptedKeys | None]

# What each worker of this process knows, for as long as it is one.
_KNOWN: WeakKeyDictionary[distributed.Worker, KnownKeys] = WeakKeyDictionary()
_KNOWING = threading.Lock()
_GIVEN_UP: WeakSet[distributed.Worker] = WeakSet()


class Pickled(bytes):
    """A value that is to be unpickled where the project is set up."""


def pickled(argument: Any) -> Any:
    """Return an argument as it is sent: tables are pickled here, since rules may be functions of the project."""
    return Pickled(cloudpickle.dumps(argument)) if isinstance(argument, Share | Table | Part | Source) else argument


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions that must be the same everywhere, lest a record be read in two ways."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        _PACKAGE: importlib.metadata.version(_PACKAGE),
        "Python": python,
        "polars": pl.__version__,
        "dask": distributed.__version__,
    }


def check_versions(cluster: str, member: str, installed: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raise ClusterError unless a member of the cluster has the versions that are wanted."""
    others = {name: installed.get(name) for name, version in wanted.items() if installed.get(name) != version}
    if others:
        differences = ", ".join(f"{name} {version}, not {wanted[name]}" for name, version in others.items())
        raise ClusterError(cluster, f"{member} has {differences}; install the same everywhere")


def do_work(
    asked_by: tuple[str, Mapping[str, str]], work: str, stores: str, arguments: Sequence[Any], _: Sequence[Any]
) -> Any:
    """Do a piece of work. Returns what came of it. Workers may join while the run goes on, so each checks whether it
    has the versions of the process that asks.

    asked_by: the name of the cluster, and the versions of the process that asks.
    """
    cluster, wanted = asked_by
    check_versions(cluster, f"worker {distributed.get_worker().address}", versions(), wanted)
    find = _finder(stores)
    unpacked = [cloudpickle.loads(each) if isinstance(each, Pickled) else each for each in arguments]
    return _WORK[work](find, *unpacked)


def _finder(stores: str) -> Callable[[str], Any]:
    """Import the function that says where a database is."""
    module, _, name = stores.partition(":")
    finder: Callable[[str], Any] = getattr(importlib.import_module(module), name)
    return finder


def _patiently(work: Callable[[], Done]) -> Done:
    """Do work; where a server goes away, once more a little later."""
    for pause in PAUSES:
        try:
            return work()
        except UnreachableError:
            time.sleep(pause)
    return work()


def _load(find: Callable[[str], Any], share: Share, earlier: Mapping[int, Outcome], accepted: Accepted) -> Outcome:
    """Load a share, or find that it is loaded."""
    return _patiently(lambda: _load_once(find, share, earlier, accepted))


def _load_once(find: Callable[[str], Any], share: Share, earlier: Mapping[int, Outcome], accepted: Accepted) -> Outcome:
    with _KNOWING:
        learned = _KNOWN.setdefault(distributed.get_worker(), KnownKeys())
        known = {target.name: learned.take(share, target, accepted.get(target.name)) for target in share.targets}
    with _means(find, share, known) as opened:
        means = replace(opened, loaded=accepted, earlier=earlier)
        outcome = _AtWork(distributed.get_worker()).run(load_share(share, means))
    if not share.is_rehearsal:
        with _KNOWING:
            learned.give_back(share, known)
    return outcome


def _matches(find: Callable[[str], Any], share: Share) -> pl.Series | None:
    """Return the match values of a share's records; None where they bring primary keys as well."""
    return _patiently(lambda: _matches_once(find, share))


def _matches_once(find: Callable[[str], Any], share: Share) -> pl.Series | None:
    known = {target.name: ReferencedKeys(target.column(target.key), None, None) for target in share.targets}
    with _means(find, share, known) as means:
        values = _AtWork(distributed.get_worker()).run(match_values_of(share, means))
        means.check()
    return values


@contextmanager
def _means(find: Callable[[str], Any], share: Share, known: Mapping[str, ReferencedKeys]) -> Iterator[Means]:
    """Open what a share is read from, and close it at the end."""
    _check_sources(share)
    names = {each.database for each in (share.table, *share.targets)}
    stores = {name: share.store(store_of(name, find(name))) for name in names}
    with ExitStack() as stack:
        readers = []
        for part in share.parts:
            readers.append(parts.read(part, share.table, share.batch_size, among=len(share.parts)))
            stack.callback(readers[-1].close)
        yield Means(stores, readers, known, (), {}, lambda: _check_sources(share))


def give_up(worker: distributed.Worker) -> None:
    """Stop a worker of this process, also amid a share: the process that asked for the work has gone."""
    _GIVEN_UP.add(worker)


class _AtWork(Sequential):
    """Sequential, but it stops where the worker is given up."""

    def __init__(self, worker: distributed.Worker) -> None:
        super().__init__(lambda _: None)
        self._worker = worker

    def perform(self, effect: Effect) -> Any:
        """Perform one effect as Sequential does."""
        if self._worker in _GIVEN_UP:
            raise GivenUpError
        return super().perform(effect)


def _reach(source: Source, facts: Identity | None) -> None:
    """Raise SourceError unless this worker reads what the run began with."""
    try:
        own = identity(source)
    except SourceError as error:
        problem = f"a worker cannot read it ({error.problem}); put it where every worker finds it under this name"
        raise SourceError(source.name, problem) from error
    # The part is as the run has found it to be called.
    if own is None or facts is None or own | {"part": ""} != facts | {"part": ""}:
        problem = "a worker finds it other than it was when the run began; keep it as it is, and the same for all"
        raise SourceError(source.name, problem)


def _check_sources(share: Share) -> None:
    for source, facts in share.sources:
        _reach(source, facts)


def _parts(_: Any, source: Source, table: Table, size: int, facts: Identity | None) -> list[Part]:
    _reach(source, facts)
    return parts.parts(source, table, size=size)


def _span(_: Any, keys: pl.Series | None) -> tuple[Any, Any] | tuple[()] | None:
    if keys is None:
        return NO_SPAN
    return (keys.min(), keys.max()) if len(keys) else None


def _merged(_: Any, table: Table, outcomes: Sequence[Outcome], most: int | None) -> AcceptedKeys | None:
    """Return all keys that shares have accepted. None where not all of them are known, as of shares that an earlier
    process has committed or whose worker is lost; and where they are too many to be sent to every worker.
    """
    merged = AcceptedKeys(table.column(table.key))
    for outcome in outcomes:
        if outcome.accepted is None:
            return None
        merged.add(outcome.accepted)
        if most is not None and merged.size > most:
            return None
    return merged


def _summary(_: Any, outcome: Outcome) -> Outcome:
    return replace(outcome, accepted=None)


_WORK: dict[str, Callable[..., Any]] = {
    PARTS: _parts,
    KEYS: lambda _, part, table: parts.keys(part, table),
    MATCHES: _matches,
    SPAN: _span,
    MERGE: _merged,
    LOAD: _load,
    SUMMARY: _summary,
}
