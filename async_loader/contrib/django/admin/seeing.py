"""What a file looks like under a plan: its columns and its first records, for a person to look at.

This is the seam to a better look: `look` is all that the pages know of it.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, cast

from django.utils.translation import gettext as _

import async_loader
from async_loader import LoaderError
from async_loader.contrib.django.admin.plans import Plan, kind_of

# Records that are shown, characters of a value, and columns. A longer line is cut.
_ROWS, _SHOWN, _MOST_COLUMNS = 8, 60, 400
_LONGEST_LINE = 1 << 20
# Kinds that are read as a whole to be inspected, and the bytes of the largest file of them that is.
_READ_AS_A_WHOLE = ("json", "xlsx", "xlsm", "xlsb", "xls", "ods")
_MOST_BYTES = 20_000_000
# Columns of a file of rejects that the loader reads for itself.
_OF_REJECTS = ("_line", "_reasons", "_reject")
# The byte order marks of UTF-16.
_MARKS = (b"\xff\xfe", b"\xfe\xff")
_OPEN: dict[str, Callable[..., IO[bytes]]] = {".gz": gzip.open, ".bz2": bz2.open}  # type: ignore[dict-item]


@dataclass(frozen=True, slots=True)
class Seen:
    """The columns of a file by their names, and its first records as text.

    Both are empty where the file cannot be shown: `problem` says why, if it cannot be read under the plan.
    """

    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    problem: str = ""

    @property
    def samples(self) -> list[tuple[str, list[str]]]:
        """The columns, each with its values."""
        return [(name, [row[place] for row in self.rows if place < len(row)]) for place, name in enumerate(self.header)]


def look(path: str, plan: Plan) -> Seen:
    """Return what a file looks like under a plan. One that would have to be read as a whole, and is large, shows
    nothing.
    """
    seen = _looked(path, plan)
    if not plan.rejects_of:
        return seen
    places = [place for place, name in enumerate(seen.header) if name not in _OF_REJECTS]
    rows = [tuple(row[place] for place in places if place < len(row)) for row in seen.rows]
    return Seen(tuple(seen.header[place] for place in places), tuple(rows), seen.problem)


def _looked(path: str, plan: Plan) -> Seen:
    kind = kind_of(path)
    if kind not in ("csv", "jsonl", "ndjson") or path.endswith(".zst"):
        return _inspected(path, plan, kind)
    try:
        with _opened(path) as file, io.TextIOWrapper(file, _encoding(plan, path), newline="") as text:
            return _csv(text, plan) if kind == "csv" else _json_lines(text)
    except (UnicodeError, LookupError):
        return Seen(problem=_("This is not text in the encoding %(name)s.") % {"name": plan.encoding or "utf-8"})
    except (OSError, EOFError, ValueError, csv.Error) as error:
        return Seen(problem=_("The file cannot be shown: %(reason)s") % {"reason": error})


def _opened(path: str) -> IO[bytes]:
    suffix = next((each for each in _OPEN if path.endswith(each)), "")
    return _OPEN[suffix](path, "rb") if suffix else cast("IO[bytes]", open(path, "rb"))


def _encoding(plan: Plan, path: str) -> str:
    """Return the encoding under a plan: UTF-16 where its mark says so, as the loader has it."""
    if plan.encoding not in ("", "utf-8"):
        return plan.encoding
    with _opened(path) as file:
        return "utf-16" if file.read(2) in _MARKS else "utf-8-sig"


def _lines(text: IO[str]) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        yield line


def _csv(text: IO[str], plan: Plan) -> Seen:
    after = islice(_lines(text), plan.skip_lines, None)
    lines = (line for line in after if not plan.comment or not line.startswith(plan.comment))
    marks: dict[str, Any] = {"quotechar": plan.quote} if plan.quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(lines, delimiter=plan.delimiter, escapechar=plan.escape or None, **marks)
    header, *rows = [*([plan.header] if plan.header else []), *islice(reader, _ROWS + 1)] or [[]]
    if not header:
        return Seen(problem=_("There is no header in the first line."))
    return _within_bounds(Seen(tuple(header), tuple(tuple(map(_short, row)) for row in rows)))


def _inspected(path: str, plan: Plan, kind: str) -> Seen:
    if not can_be_inspected(path):
        return Seen()
    try:
        columns = async_loader.inspect(plan.address(path)).columns
    except LoaderError as error:
        return Seen(problem=error.text.replace(path, _("the file")))
    # Objects within objects are one column for a load.
    names = [column.name.partition(".")[0] if kind == "json" else column.name for column in columns]
    examples = {name: column.examples for name, column in zip(reversed(names), reversed(columns), strict=True)}
    values = [[_short(text) for text in examples[name][:_ROWS]] for name in dict.fromkeys(names)]
    return _within_bounds(Seen(tuple(dict.fromkeys(names)), tuple(zip_longest(*values, fillvalue=""))))


def can_be_inspected(path: str) -> bool:
    """Return whether a page may wait for a file to be inspected: of some kinds that reads the whole file."""
    whole = kind_of(path) in _READ_AS_A_WHOLE
    return not whole or Path(path).stat().st_size <= _MOST_BYTES


def _json_lines(text: IO[str]) -> Seen:
    objects: list[Any] = [json.loads(line) for line in islice(_lines(text), _ROWS) if line.strip()]
    records = [each for each in objects if isinstance(each, dict)]
    names = tuple(dict.fromkeys(name for each in records for name in each))
    rows = tuple(tuple(_short(_as_text(each.get(name, ""))) for name in names) for each in records)
    return _within_bounds(Seen(names, rows))


def _within_bounds(seen: Seen) -> Seen:
    if len(seen.header) > _MOST_COLUMNS:
        return Seen(problem=_("The file has more than %(number)d columns to match here.") % {"number": _MOST_COLUMNS})
    return seen


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
