"""What a worker has learned of referenced keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from async_loader.records.keys import AcceptedKeys, ReferencedKeys
from async_loader.tables import Table

if TYPE_CHECKING:
    from async_loader.run.shares import Share


@dataclass(slots=True)
class KnownKeys:
    """What a worker has learned of referenced keys, for its next shares: by run and table, one value for each of the
    shares that it loads at the same time.
    """

    kept: dict[tuple[str, str], list[ReferencedKeys]] = field(default_factory=dict)

    def take(self, share: Share, target: Table, accepted: AcceptedKeys | None) -> ReferencedKeys:
        """Return what is known, for this share alone until it gives it back. accepted: all keys that the run has
        committed of the target; None where that is not known, so that the database must be asked about them as well.
        """
        if kept := self.kept.get((share.run, target.name)):
            return kept.pop()
        ranges = share.grown if accepted is None else share.ranges
        return ReferencedKeys(target.column(target.key), accepted, ranges[target.name])

    def give_back(self, share: Share, known: Mapping[str, ReferencedKeys]) -> None:
        """Keep what a share has learned for the next one. What other runs knew is of no use any more."""
        self.kept = {key: value for key, value in self.kept.items() if key[0] == share.run}
        for name, keys in known.items():
            self.kept.setdefault((share.run, name), []).append(keys)
