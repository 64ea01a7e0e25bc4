"""Files of rejects, of two kinds. A load writes `RejectFiles` with `--rejects-dir`, as it goes; `rejects export` writes
`ExportedFiles` of stored rejects. Both have the source's own format and columns, plus `_line` and `_reasons`, for a
person to mend and load; exported files have `_reject` too: the name of the stored reject, which a mended record
supersedes.

Here is decided which file a reject goes into, and when that file is made; `formats` writes it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from async_loader.errors import OutputError
from async_loader.ledger.layouts import Layout, layout_with_columns
from async_loader.records.batches import LINE, REASONS, REJECT
from async_loader.rejects.formats import FileOfRejects, RejectInFile, open_format
from async_loader.tables import Table

_decode = msgspec.json.Decoder().decode


class HasLayouts(Protocol):
    """A source, as far as files of its rejects need it."""

    @property
    def layouts(self) -> Sequence[Layout]:
        """How its records stand in it: one layout, or several where it is not the same file each time."""


class RejectFiles:
    """The files that a load writes of one table's rejects, made in `directory` when their first reject comes; one for
    each layout of a source.

    `made` are those that there are by now. Raises OutputError where one cannot be written.
    """

    # What the files add to the source's columns, and how they are opened.
    marks: tuple[str, ...] = (LINE, REASONS)
    mode = "w"

    def __init__(self, directory: Path, table: Table) -> None:
        self._directory = directory
        self._table = table
        self._files: dict[Layout, FileOfRejects] = {}
        self.made: list[Path] = []

    def check(self) -> None:
        """Find out before anything is loaded whether files can be made."""
        parent = self._directory.parent
        with self._failures():
            parent.mkdir(parents=True, exist_ok=True)
            if not os.access(parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def write(self, source: HasLayouts, rejects: pl.DataFrame) -> None:
        """Add a batch's rejects."""
        self.write_rows(source.layouts, rejects.rows())

    def write_rows(self, layouts: Sequence[Layout], rows: Iterable[RejectInFile]) -> dict[Layout, int]:
        """Add rejects, each to the file of the layout, among these, that it has. Returns how many went to each."""
        written = {}
        with self._failures():
            for layout, several in _by_layout(layouts, rows):
                self._file(layout).write(several)
                written[layout] = len(several)
        return written

    def close(self) -> None:
        """Finish all files; harmless when done already."""
        while self._files:
            _, file = self._files.popitem()
            with self._failures():
                file.close()

    def path(self, kind: str, number: int) -> Path:
        """Return the path of a file: `users.csv`, or `users-2.csv` and so on for sources that differ in their columns.
        A table's name may be none for a file: that of `a/b` is `a%2Fb.csv`.
        """
        name = self._table.name.replace("/", "%2F")
        return self._directory / f"{name}{_numbered(number)}.{kind}"

    def _file(self, layout: Layout) -> FileOfRejects:
        if layout not in self._files:
            self._directory.mkdir(parents=True, exist_ok=True)
            number = 1 + sum(other.kind == layout.kind for other in self._files)
            path = self.path(layout.kind, number)
            file = path.open(f"{self.mode}b")
            self.made.append(path)
            self._files[layout] = open_format(file, self._table, layout, self.marks)
        return self._files[layout]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(str(self._directory), error.strerror or str(error)) from error


class ExportedFiles(RejectFiles):
    """Files of stored rejects, with the name of each: `target`, and beside it `-2` and so on for other layouts.

    A file that exists already is left as it is: OutputError.
    """

    marks = (LINE, REASONS, REJECT)
    mode = "x"

    def __init__(self, target: Path, table: Table) -> None:
        super().__init__(target.parent, table)
        self._target = target

    def path(self, kind: str, number: int) -> Path:  # noqa: ARG002 - the target's suffix says the format
        """Return the target, or another path for each further layout."""
        path = self._target.with_name(f"{self._target.stem}{_numbered(number)}{self._target.suffix}")
        if path.exists():
            raise OutputError(str(path), "it exists already; name another file, or move it away")
        return path

    def remove(self) -> None:
        """Remove the files that were made: they are not whole."""
        with suppress(OutputError):
            self.close()
        for path in self.made:
            path.unlink(missing_ok=True)


def _by_layout(layouts: Sequence[Layout], rows: Iterable[RejectInFile]) -> Iterator[tuple[Layout, list[RejectInFile]]]:
    """Return rejects by the layout whose columns they have; one that has those of none goes with the first."""
    if len(layouts) == 1:
        yield layouts[0], list(rows)
        return
    groups: dict[Layout, list[RejectInFile]] = {}
    for row in rows:
        groups.setdefault(layout_with_columns(layouts, _decode(row[2])), []).append(row)
    yield from groups.items()


def _numbered(number: int) -> str:
    return f"-{number}" if number > 1 else ""
