"""When a load commits: at the end with all others, or at checkpoints by itself. Steps, taken within the load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from async_loader.effects import Complete, Steps
from async_loader.ledger.entries import COMPLETE, RUNNING
from async_loader.loading.versions import Versions
from async_loader.records.keys import KeyRange

if TYPE_CHECKING:
    from async_loader.loading.judging import Knowledge
    from async_loader.loading.load import Load


class Commits:
    """A load that commits nothing by itself: the run commits it in the end, or a worker its share.

    others_write: whether other programs may write to the table while it is loaded.
    are_several: whether the load commits more than once.
    """

    others_write: ClassVar[bool] = False
    are_several: ClassVar[bool] = False

    def begin(self, load: Load) -> Steps[KeyRange | None]:
        """Prepare the load's database for writing. Returns bounds of the keys that the table holds."""
        yield from ()
        return load.ranges[load.table.name]

    def borders(self, position: int, size: int) -> Iterable[int]:  # noqa: ARG002 - of a load with checkpoints
        """Return after how many of the next `size` records, which follow the first `position`, a commit is due."""
        return ()

    def is_due(self, position: int) -> bool:  # noqa: ARG002 - of a load with checkpoints
        """Return whether a commit is due after the first `position` records."""
        return False

    def commit(self, load: Load) -> Steps[None]:  # noqa: ARG002 - of a load with checkpoints
        """Commit what has been written, and begin the next transaction."""
        yield from ()

    def refresh(self, load: Load, known: Knowledge) -> Steps[None]:  # noqa: ARG002 - of a load with checkpoints
        """Find what other programs have inserted since the transaction before this one."""
        yield from ()

    def end(self, load: Load) -> Steps[None]:  # noqa: ARG002 - of a load with checkpoints
        """Commit the last records."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Checkpoints(Commits):
    """A load that commits its own database as it goes, and keeps there how far it has come.

    every: records of the table per transaction.
    after: the tables whose loads use the same connection before this one.
    save: steps, in the open transaction, that keep how far the run has come with the table, in this state.
    confirm: steps, in the open transaction, that fail where another process has resumed the run.
    recheck: steps, in the open transaction, that fail where rows of the load name what was deleted since the versions
        of databases were noted; they are given the state in which the table is committed.
    last: the state in which the last records are committed: complete, unless rows are deleted after that.
    """

    others_write: ClassVar[bool] = True
    are_several: ClassVar[bool] = True

    every: int
    after: Sequence[str]
    save: Callable[[str], Steps[None]]
    confirm: Callable[[], Steps[None]]
    recheck: Callable[[Load, Versions, str], Steps[None]]
    last: str = COMPLETE
    inserted: Versions = field(default_factory=Versions)
    relied_on: Versions = field(default_factory=Versions)

    def begin(self, load: Load) -> Steps[KeyRange | None]:
        """Take the database, once no other load of the run needs the connection."""
        yield from load.wait_for(self.after)
        for database in {each.name: each for each in (load.database, *load.target_databases)}.values():
            yield from self.inserted.note(database)
            yield from self.relied_on.note(database)
        yield from load.database.begin(load.written)
        yield from self.confirm()
        load.ranges[load.table.name] = yield from load.database.key_range(load.table)
        return load.ranges[load.table.name]

    def borders(self, position: int, size: int) -> Iterable[int]:
        """Return the places of checkpoints among the next `size` records."""
        return range(-position % self.every, size, self.every)

    def is_due(self, position: int) -> bool:
        """Return whether a checkpoint follows the first `position` records."""
        return position % self.every == 0

    def commit(self, load: Load) -> Steps[None]:
        """Commit at a checkpoint, and begin the next transaction."""
        yield from self.recheck(load, self.relied_on, RUNNING)
        yield Complete(self._commit(load, RUNNING))
        yield from load.database.begin_next(load.written)
        yield from self.confirm()

    def refresh(self, load: Load, known: Knowledge) -> Steps[None]:
        """Find what other programs have inserted since the transaction before this one.

        Where the database does not say whether they have, only updates need to know of new rows before they are
        written: without them, the database refuses a record whose row is there by now, and is asked then.
        """
        changes = yield from self.inserted.changes([load.database, *load.target_databases])
        changed = changes[load.database.name]
        if changed or (changed is None and load.on_conflict == "update"):
            known.key_range = yield from load.database.key_range(load.table)
        known.finding.forget(name for name, change in changes.items() if change is not False)
        for each in known.references:
            if changes[each.database.name] is not False:
                each.keys.renew((yield from each.database.key_range(each.target)))

    def end(self, load: Load) -> Steps[None]:
        """Commit the last records, and say that the table is complete."""
        yield from self.recheck(load, self.relied_on, COMPLETE)
        yield Complete(self._commit(load, self.last))

    def _commit(self, load: Load, state: str) -> Steps[None]:
        """Commit in one transaction what was written and how far that is."""
        yield from self.save(state)
        yield from load.database.commit()
        load.tally.keep(whole=state == COMPLETE)
