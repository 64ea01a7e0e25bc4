"""The loader's COPY alone: records that are prepared in columns, into empty tables, as a load would write them.

`python -m benchmarks.copying SOURCES_DIR FIGURES`. It imports the engine's inner modules, because it measures a part of
the engine: packing batches, each while the one before it is written, and writing them. It measures from the first
connection to the last commit, without the start, the reading and the checks. It writes seconds and CPU seconds into the
file FIGURES.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from async_loader.effects import Call, Connect, Finish, Packed, Start, Steps, Together
from async_loader.modes import MODES
from async_loader.stores import store_of
from async_loader.stores.store import Store
from async_loader.tables import Table
from benchmarks.data import Dataset, read

# Records to a batch, as in `insert_data`.
_BATCH_SIZE = 100_000


def main() -> None:
    """Copy one table after another, and write how long that took."""
    sources, figures = map(Path, sys.argv[1:])
    os.environ["DJANGO_SETTINGS_MODULE"] = "core.settings"
    import django

    django.setup()
    from async_loader.contrib.django.models import tables

    declared = {table.name: table for table in tables.declared()}
    locations = tables.databases_of(declared.values())
    loads = [
        (declared[name], store_of(declared[name].database, locations[declared[name].database]), frame)
        for name, frame in read(Dataset(sources, ".csv", {})).items()
    ]
    began, spent = time.perf_counter(), time.process_time()
    for table, store, frame in loads:
        MODES["async"].perform(_alone(_copied(table, store, frame)), lambda _: None, None)
    facts = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - spent}
    figures.write_text(json.dumps(facts))


def _alone(steps: Steps[None]) -> Steps[None]:
    yield Together([steps])


def _copied(table: Table, store: Store, frame: pl.DataFrame) -> Steps[None]:
    yield Connect(store, 30)
    yield from store.begin([table])
    writing: list[Any] = []
    for batch in frame.iter_slices(_BATCH_SIZE):
        packed: list[Packed] = yield Call(store.pack, (batch, table.key))
        yield from _finished(writing)
        writing = [(yield Start(store.write(table, packed, batch.height, replace=False)))]
    yield from _finished(writing)
    yield from store.commit()


def _finished(writing: list[Any]) -> Steps[None]:
    for token in writing:
        yield Finish(token)


if __name__ == "__main__":
    main()
