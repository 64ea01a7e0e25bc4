"""Files inspected before they are loaded: what they look like, and a sample to be judged."""

from __future__ import annotations

import tempfile
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from async_loader.guessing.inspected import Inspected
from async_loader.guessing.inspecting import Sample, inspect_file


class Inspection:
    """One inspection of a file, as a context: `inspected` is what it looks like, and `sample` a file of some of its
    records, which is there until the context ends. A dry run of the sample says what a load would reject.

    source: the path, which may name a part, as in `answer.json#results.items`. base: the base format, if it is known.
    Raises SourceError where the file cannot be read.
    """

    def __init__(self, source: str | PathLike[str], base: str = "") -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="inspect-")
        try:
            self.inspected: Inspected
            self.sample: Sample
            self.inspected, self.sample = inspect_file(str(source), Path(self._directory.name), base)
        except BaseException:
            self._directory.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._directory.cleanup()


def inspect(source: str | PathLike[str], base: str = "") -> Inspected:
    """Return how a file is written, as far as a sample of both its ends shows: its format, columns, and the evidence.

    Nothing of it is used when a file is loaded, unless the caller says it: `Source(path, inspected.format())`.
    """
    with Inspection(source, base) as inspection:
        return inspection.inspected
