"""The match values of a share's records, by which several shares find out what they have in common. Steps."""

from __future__ import annotations

import polars as pl

from async_loader.effects import Steps
from async_loader.loading.finding import Finding
from async_loader.loading.load import read_next
from async_loader.records.keys import AcceptedKeys
from async_loader.run.shares import Means, Share, open_databases


def match_values_of(share: Share, means: Means) -> Steps[pl.Series | None]:
    """Return the match values of a share's records, as far as they can be read; some of records that will be rejected
    are among them. None where records bring primary keys too, which no other record may have either.
    """
    yield from open_databases(share, means)
    targets = {target.name: (target, means.stores[target.database]) for target in share.targets}
    table = share.table
    finding = Finding(table, means.stores[table.database], targets, AcceptedKeys(table.column(table.key)))
    values: list[pl.Series] = []
    for reader in means.readers:
        while (batch := (yield from read_next(reader))) is not None:
            if batch.values[table.key].null_count() < len(batch.values):
                return None
            values.append((yield from finding.identities_of(batch)).drop_nulls())
    return pl.concat(values) if values else pl.Series([], dtype=pl.String)
