"""What callers give as the sources of a table, made into sources."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from async_loader.errors import ConfigurationError
from async_loader.sources import Source
from async_loader.sources.source import is_frame, is_iterable

if TYPE_CHECKING:
    import polars as pl


class Frame(Protocol):
    """A table in memory, or a stream of one, of any library that has Arrow's PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows as a stream of Arrow."""


Given: TypeAlias = "Frame | pl.LazyFrame | Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]"
# One source. The format of a path is known by its suffix.
SourceLike: TypeAlias = "Source | str | PathLike[str] | Given"


def sources_of(table: str, given: SourceLike | Sequence[SourceLike]) -> tuple[Source, ...]:
    """Return the sources of a table. A list of mappings is one source, any other list is several."""
    several = [*cast("Sequence[SourceLike]", given)] if _are_several(given) else [given]
    return tuple(_source(table, each, place if len(several) > 1 else 0) for place, each in enumerate(several, 1))


def _are_several(given: Any) -> bool:
    if isinstance(given, str | bytes) or is_frame(given) or not isinstance(given, Sequence):
        return False
    return not given or not isinstance(given[0], Mapping)


def _source(table: str, given: Any, place: int) -> Source:
    if isinstance(given, Source):
        return given
    if isinstance(given, str | PathLike):
        return Source(str(given))
    if isinstance(given, Mapping) or not (is_frame(given) or is_iterable(given)):
        kind = type(given).__name__
        raise ConfigurationError(f"{table}: an object of type {kind} is neither a path, a frame nor several records")
    # Rejects are attributed to tables by the names of their sources, so each table has its own.
    return Source(f"<{table} {place}>" if place else f"<{table}>", data=given)
