"""In which order runs wrote, by the counters of their databases and by no clock. Pure.

A database numbers the lines of its ledger as they are first written. So within a database the order of runs is certain,
whatever the clocks of their hosts said. Across databases it follows where two runs wrote into a common one, or by way
of runs between them. Runs that nothing connects never met: only for these, and only to list them, does the time decide
that the clocks of their hosts gave.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from async_loader.ledger.entries import TableRun


def order_of_runs(ledgers: Iterable[Sequence[TableRun]]) -> list[str]:
    """Return the ids of all runs, the first one first.

    ledgers: the lines of each database, in the order in which they were first written there.
    """
    orders: list[list[str]] = []
    began: dict[str, str] = {}
    for lines in ledgers:
        orders.append(list(dict.fromkeys(str(line.run) for line in lines)))
        for line in lines:
            run, at = str(line.run), str(line.started_at)
            began[run] = min(began.get(run, at), at)
    return _merged(orders, began)


def _merged(orders: Iterable[Sequence[str]], began: Mapping[str, str]) -> list[str]:
    """Merge orders into one that keeps all of them, and takes the run that began first where none of them decides."""
    after: dict[str, set[str]] = {run: set() for run in began}
    waits_for = dict.fromkeys(began, 0)
    for order in orders:
        for earlier, later in pairwise(order):
            if later not in after[earlier]:
                after[earlier].add(later)
                waits_for[later] += 1
    ready = [(at, run) for run, at in began.items() if not waits_for[run]]
    heapq.heapify(ready)
    merged: dict[str, None] = {}
    while len(merged) < len(began):
        if not ready:
            # Two runs took turns, each first in one database: the one that began first comes first.
            ready = [min((at, run) for run, at in began.items() if run not in merged)]
        _, run = heapq.heappop(ready)
        if run in merged:
            continue
        merged[run] = None
        for later in after[run]:
            waits_for[later] -= 1
            if waits_for[later] == 0 and later not in merged:
                heapq.heappush(ready, (began[later], later))
    return list(merged)
