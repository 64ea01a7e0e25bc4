"""The content of a source, as far as it identifies what was loaded: so a later load of the same content is known. Pure.

What a source is called and how it is read does not count, but constants do: they are values of its records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from async_loader.ledger.entries import TableRun, facts_of
from async_loader.ledger.layouts import identities

# In the JSON of `loader_runs.sources`: by path, the contents that were read from there into the line's table.
CONTENTS = "contents"
# Bytes at either end of a source that its digest covers. With size and time of change, enough to notice that a file was
# edited.
DIGESTED = 1 << 16


@dataclass(frozen=True, slots=True)
class Content:
    """What was read from a source.

    size: in bytes, as stored. digest: of its first and last bytes; None for what can be read only once.
    modified: its time of change or version, which counts where the digest does not cover all of it; else None.
    checksum: of all bytes; None where it was not computed.
    constants: column and text of each constant. part: the part of a document that was read; empty for all.
    """

    size: int
    digest: str | None = None
    modified: int | str | None = None
    checksum: int | None = None
    constants: tuple[tuple[str, str], ...] = ()
    part: str = ""

    def is_same_as(self, other: Content) -> bool:
        """Return whether these are the same bytes with the same constants, as far as that can be known."""
        if (self.size, self.constants, self.part) != (other.size, other.constants, other.part):
            return False
        if self.checksum is not None and other.checksum is not None:
            return self.checksum == other.checksum
        return self.digest is not None and (self.digest, self.modified) == (other.digest, other.modified)

    @property
    def mark(self) -> str:
        """A text that the JSON of the same content has: its size. A file has a digest, and a pipe only a checksum."""
        return f'"size": {self.size}'

    def as_json(self) -> dict[str, Any]:
        """Return the content as `loader_runs` keeps it."""
        facts = asdict(self) | {"constants": dict(self.constants)}
        return {name: value for name, value in facts.items() if value not in (None, {}, "")}


def content_of(identity: Mapping[str, Any]) -> Content | None:
    """Return the content of a source from what identifies it, or from `as_json`; None where that is not readable."""
    size, digest = identity.get("size"), identity.get("digest")
    checksum, constants = identity.get("checksum"), identity.get("constants", {})
    if type(size) is not int or not isinstance(constants, dict) or (digest is None and checksum is None):
        return None
    return Content(
        size=size,
        digest=digest,
        modified=identity.get("modified") if size > 2 * DIGESTED else None,
        checksum=checksum,
        constants=tuple(sorted(constants.items())),
        part=str(identity.get("part", "")),
    )


def contents_as_json(contents: Mapping[str, Iterable[Content]]) -> dict[str, Any]:
    """Return contents by path as `loader_runs` keeps them."""
    return {path: [content.as_json() for content in several] for path, several in contents.items()}


# Each of a run's many sources asks the same line.
@lru_cache(maxsize=8)
def contents_by_path(line: TableRun) -> Mapping[str, Sequence[Content]]:
    """Return, by path, the contents that were read into the line's table, as far as the line says.

    A path of which not every content is known is missing.
    """
    kept = facts_of(line).get(CONTENTS)
    if isinstance(kept, dict):
        entries = [(path, entry) for path, several in kept.items() for entry in (several or [None])]
    else:
        # An older line has what identifies each source.
        entries = [(entry.get("path"), entry) for entry in identities(line) if isinstance(entry, dict)]
    contents: dict[str, list[Content | None]] = {}
    for path, entry in entries:
        contents.setdefault(path, []).append(content_of(entry) if isinstance(entry, dict) else None)
    return {
        path: [content for content in several if content is not None]
        for path, several in contents.items()
        if None not in several
    }
