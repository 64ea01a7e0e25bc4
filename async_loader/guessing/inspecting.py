"""An inspection: both ends of a file are read, its format is guessed, and a sample written that a dry run can judge."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mode

from async_loader.columns import Type
from async_loader.errors import SourceError
from async_loader.formats import Dialect, Format
from async_loader.guessing.columns import inspect_columns, is_standard_boolean, look_at
from async_loader.guessing.counting import count_of
from async_loader.guessing.encodings import Encoding, encoding_of
from async_loader.guessing.ends import Ends, ends_of, stream_of
from async_loader.guessing.inspected import Inspected, InspectedColumn, Sampling
from async_loader.guessing.kinds import kind_of
from async_loader.guessing.records import RECORDS, Read, read_records
from async_loader.guessing.shapes import cut_width, shape_of
from async_loader.sources.addresses import in_archive, shown
from async_loader.sources.archives import only_member
from async_loader.sources.csv_records import split
from async_loader.sources.source import SPREADSHEETS, Source

# Places of the end at which its first record is looked for.
_STARTS = 50
# How lines of sums begin.
_SUM = re.compile(r"\s*(?:grand |sub)?(?:total|sum|summe|gesamt|gesamtsumme|zwischensumme|endsaldo)\b", re.IGNORECASE)
# Rows of a sheet by which its header is found.
_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample as a file of its own: the records of both ends, to be read with the same format but for `base`.

    front: its lines that stand at the front of the file, under the same numbers; None where all of them do.
    lines: how many it has.
    """

    path: str
    base: str
    front: int | None = None
    lines: int = 0

    def from_end(self, line: int) -> int | None:
        """Return the number of a line of the sample, counted from the file's end; None where it is of the front."""
        return None if self.front is None or line <= self.front else self.lines - line + 1


@dataclass(frozen=True, slots=True)
class _Guess:
    """What reading a sample gives: the format but for spellings, the records, and what the guess rests on."""

    path: str
    form: Format
    read: Read
    sampling: Sampling
    sample: Sample
    evidence: Sequence[str] = ()
    ambiguous: Sequence[str] = ()
    preamble: tuple[str, ...] = ()
    has_header: bool = True


def inspect_file(path: str, directory: Path, base: str = "") -> tuple[Inspected, Sample]:
    """Return what a file looks like, and a sample of it, which is written to the directory where it is not all.

    base: the base format, where it is known. Raises SourceError where the file cannot be read.
    """
    file, part = _file_and_part(path)
    ends = ends_of(file)
    if not ends.size:
        raise SourceError(shown(file), "is empty: there is nothing to inspect")
    kind = base.partition(".")[0] or _kind(file, ends)
    guess = _GUESSES[kind](file, part, kind, ends, directory)
    return _with_columns(guess, _by_name(file, guess.form)), guess.sample


def _file_and_part(path: str) -> tuple[str, str]:
    """Return what is inspected, and the part that is named of it. A file of an archive is named with the archive."""
    archive = in_archive(path)
    if archive is None and Path(path).exists():
        return path, ""
    if archive is None:
        file, _, part = path.partition("#")
        return file, part
    address, rest = archive
    member, _, part = (rest or only_member(address)).partition("#")
    return f"{address}#{member}", part


def _kind(path: str, ends: Ends) -> str:
    kind = kind_of(shown(path), ends.front)
    if kind != "zip":
        return kind
    with closing(stream_of(path, ends.suffix)) as stream:
        return kind_of(shown(path), ends.front, stream.seekable_file())


def _by_name(path: str, form: Format) -> list[str]:
    """Return a line where the name of a file says another format than its content, or none."""
    try:
        named = Source(path).base
    except Exception:
        return [f"format: {form.base}, by its content; the name of the file says none"]
    if named in (form.base, form.base.replace("jsonl", "ndjson"), form.base.replace("xlsx", "xlsm")):
        return [f"format: {form.base}, as its name and its content say"]
    return [f"format: {form.base}, by its content, while its name says {named}"]


def _with_columns(guess: _Guess, by_name: list[str]) -> Inspected:
    read, form = guess.read, guess.form
    looks = [look_at(name, values) for name, values in read.values.items()]
    columns, marks, doubts = inspect_columns(looks, form.delimiter, is_json=form.base.startswith(("json", "ndjson")))
    columns = [replace(column, within=_within(column.name, read.objects)) for column in columns]
    if not form.base.startswith("csv"):
        said = {look.name for look in looks if look.native == {str}}
        columns = [replace(column, is_text=column.name in said) for column in columns]
    evidence = [*by_name, *guess.evidence]
    if marks.evidence:
        evidence.append(marks.evidence)
        form = replace(form, decimal=marks.decimal, thousands=marks.thousands)
    booleans = [column for column in columns if column.type is Type.BOOLEAN]
    if any(not is_standard_boolean(column) for column in booleans):
        form = replace(form, true=_texts(booleans, "true"), false=_texts(booleans, "false"))
    if blanks := _blanks(columns):
        evidence.append(blanks)
        form = replace(form, trim=True)
        columns = [replace(column, name=column.name.strip()) for column in columns]
    return Inspected(
        path=guess.path,
        form=form,
        has_header=guess.has_header,
        columns=tuple(columns),
        sampling=guess.sampling,
        preamble=guess.preamble,
        evidence=tuple(evidence),
        ambiguous=(*guess.ambiguous, *doubts, *_footer(read)),
    )


def _within(name: str, objects: Collection[str]) -> str:
    """Return the member of a record of which a name is a part; empty where it is a member itself."""
    first, point, _ = name.partition(".")
    return first if point and first in objects else ""


def _footer(read: Read) -> list[str]:
    """Return a line about a last record that looks like a sum of the others, if it does."""
    first = next(iter(read.values.values()), [])
    last = first[-1] if first else None
    if not isinstance(last, str) or not _SUM.match(last):
        return []
    return [f"the last record begins with {last.strip()!r}: it would be loaded, and may be a sum of the others"]


def _blanks(columns: Sequence[InspectedColumn]) -> str:
    """Return the line about blanks to be taken away: around names, or around what is no text; else nothing."""
    named = [column.name for column in columns if column.name != column.name.strip()]
    padded = [column for column in columns if column.padded and column.type is not Type.TEXT]
    if not (named or padded):
        return ""
    around = f"the name {named[0]!r}" if named else f"{count_of(padded[0].padded, 'value')} of {padded[0].name}"
    return f"blanks: around {around}, which --trim takes away"


def _texts(columns: Sequence[InspectedColumn], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for column in columns for text in getattr(column, name)))


def _csv(path: str, _: str, kind: str, ends: Ends, directory: Path) -> _Guess:
    encoding = encoding_of(ends.front, ends.back)
    front, back = _in_bytes(ends, encoding)
    shape = shape_of(front.decode(_ascii_compatible(encoding), errors="replace"))
    dialect = shape.dialect
    form = Format(
        "",
        kind + ends.suffix,
        encoding=encoding.name,
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        escape=dialect.escape,
        comment=dialect.comment,
        skip_lines=dialect.skip_lines,
        header=tuple(name.replace(",", " ") for name in dialect.header),
    )
    if not ends.is_whole:
        front = _whole_records(front, dialect)
        back = back[_first_record(back, dialect, len(shape.names), encoding) :]
    sample = Sample(path, form.base)
    if not ends.is_whole:
        target = directory / f"sample.{kind}"
        target.write_bytes(_encoded(front + back, encoding))
        sample = Sample(str(target), kind, _line_count(front), _line_count(front + back))
    elif ends.suffix:
        sample = Sample(path, form.base)
    read = read_records(Source(sample.path, replace(form, base=sample.base)), to_the_end=True)
    others = [f"encoding: {' or '.join(encoding.others)} fits as well as {encoding.name}"] if encoding.others else []
    return _Guess(
        path,
        form,
        read,
        _sampling(ends, read, len(front) + len(back)),
        sample,
        [encoding.evidence, *shape.evidence],
        [*others, *shape.ambiguous],
        shape.preamble,
        shape.has_header,
    )


def _sampling(ends: Ends, read: Read, taken: int) -> Sampling:
    """Return how much was looked at. taken: the bytes, unpacked, in which the records of the sample stand."""
    if ends.is_whole:
        return Sampling(ends.size, ends.size, read.given, read.given, is_whole=True, is_exact=True)
    unpacked = ends.size if not ends.suffix else ends.size * taken // max(1, ends.taken)
    estimate = round(read.given * unpacked / max(1, taken))
    return Sampling(ends.size, ends.looked_at, read.given, estimate, back=bool(ends.back))


def _ascii_compatible(encoding: Encoding) -> str:
    """Return the codec of text in which marks of CSV are single bytes."""
    return "utf-8" if encoding.codec.startswith(("utf-16", "utf-32")) else encoding.codec


def _in_bytes(ends: Ends, encoding: Encoding) -> tuple[bytes, bytes]:
    """Return both ends so that marks of CSV are single bytes: as they are, or UTF-16 as UTF-8."""
    if not encoding.codec.startswith(("utf-16", "utf-32")):
        return ends.front, ends.back
    width = 4 if "32" in encoding.codec else 2
    back = ends.back[-(len(ends.back) // width * width) :] if ends.back else b""
    front = ends.front[: len(ends.front) // width * width].decode(encoding.codec, errors="replace")
    return front.removeprefix("\ufeff").encode(), back.decode(encoding.codec.replace("32", "32-le"), "replace").encode()


def _encoded(text: bytes, encoding: Encoding) -> bytes:
    """Return text as the file has it, with its byte order mark."""
    if not encoding.codec.startswith(("utf-16", "utf-32")):
        return text
    mark = b"" if encoding.name or "32" in encoding.codec else _MARKS[encoding.codec]
    return mark + text.decode(errors="replace").encode(encoding.codec)


_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


def _whole_records(front: bytes, dialect: Dialect) -> bytes:
    """Return the front up to the end of its last whole record."""
    if not dialect.escape and (end := split(front, dialect, final=False).consumed):
        return front[:end]
    return front[: front.rfind(b"\n") + 1] or front


def _first_record(back: bytes, dialect: Dialect, width: int, encoding: Encoding) -> int:
    """Return where the first whole record of the end begins: after the first line end from which lines fit."""
    begin = 0
    for _ in range(_STARTS):
        end = re.compile(rb"\r\n|\n|\r").search(back, begin)
        if end is None:
            break
        begin = end.end()
        lines = back[begin : begin + 20_000].decode(_ascii_compatible(encoding), errors="replace").splitlines()[:20]
        if cut_width(lines[:-1] or lines, dialect) == width:
            return begin
    first = back.find(b"\n")
    return first + 1 if first >= 0 else len(back)


def _line_count(text: bytes) -> int:
    return len(re.findall(rb"\r\n|\n|\r", text)) + (not text.endswith((b"\n", b"\r")) and bool(text))


def _json_lines(path: str, _: str, kind: str, ends: Ends, directory: Path) -> _Guess:
    encoding = encoding_of(ends.front, ends.back)
    form = Format("", kind + ends.suffix, encoding=encoding.name)
    sample, taken = Sample(path, form.base), len(ends.front)
    if not ends.is_whole:
        front, back = _in_bytes(ends, encoding)
        front, back = front[: front.rfind(b"\n") + 1], back[back.find(b"\n") + 1 :]
        target = directory / "sample.jsonl"
        target.write_bytes(_encoded(front + back, encoding))
        sample = Sample(str(target), kind, _line_count(front), _line_count(front + back))
        taken = len(front) + len(back)
    read = read_records(Source(sample.path, replace(form, base=sample.base)), to_the_end=True)
    return _Guess(path, form, read, _sampling(ends, read, taken), sample, [encoding.evidence])


def _json(path: str, part: str, kind: str, ends: Ends, directory: Path) -> _Guess:
    from async_loader.sources.json_document import arrays_of

    encoding = encoding_of(ends.front, ends.back)
    form = Format("", kind + ends.suffix, encoding=encoding.name)
    with closing(stream_of(path, ends.suffix, encoding=form.encoding)) as stream:
        arrays = arrays_of(stream)
    of_objects = [name for name, has_objects in arrays.items() if has_objects]
    if not of_objects and not part:
        raise SourceError(shown(path), "is a JSON document without an array of objects, which would be records")
    chosen = part or of_objects[0]
    evidence = [encoding.evidence, f"array: {chosen}" if chosen else "array: the document itself"]
    others = [f"{path}#{name} is another array of objects" for name in of_objects if name != chosen]
    named = f"{path}#{chosen}" if chosen else path
    read = read_records(Source(named, form), to_the_end=ends.is_whole)
    sample = Sample(named, form.base)
    taken = sum(map(len, read.texts))
    if not ends.is_whole:
        target = directory / "sample.json"
        target.write_bytes(b"[" + b",\n".join(read.texts) + b"]")
        sample = Sample(str(target), kind)
    return _Guess(named, form, read, _sampling(replace(ends, back=b""), read, taken), sample, evidence, others)


def _spreadsheet(path: str, part: str, kind: str, ends: Ends, _: Path) -> _Guess:
    from async_loader.sources.spreadsheet import sheets_of, widths_of

    with closing(stream_of(path)) as stream:
        sheets = sheets_of(stream)
    chosen = part or next((name for name, rows in sheets.items() if rows > 1), next(iter(sheets), ""))
    named = f"{path}#{chosen}" if len(sheets) > 1 else path
    with closing(stream_of(path)) as stream:
        widths = widths_of(stream, chosen, _ROWS)
    before = _rows_before(widths)
    form = Format("", kind, skip_lines=before)
    read = read_records(Source(named, form), to_the_end=True)
    listed = ", ".join(f"{name} ({count_of(rows, 'row')})" for name, rows in sheets.items())
    evidence = [f"sheets: {listed}; taken: {chosen}"]
    if before:
        evidence.append(f"preamble: {count_of(before, 'row')} before the first of {count_of(widths[before], 'cell')}")
    is_whole = read.records + len(read.broken) >= read.given
    sampling = Sampling(ends.size, ends.size, read.records, read.given, is_whole=is_whole, is_exact=True, back=True)
    return _Guess(named, form, read, sampling, Sample(named, kind), evidence)


def _rows_before(widths: Sequence[int]) -> int:
    """Return how many rows stand before the header: the first row that is as wide as most are, if that is not the first
    row in which anything stands.
    """
    usual = mode(sorted(width for width in widths if width > 1) or [0])
    first = next((place for place, width in enumerate(widths) if width), 0)
    header = next((place for place, width in enumerate(widths) if width >= max(usual, 1)), first)
    return header if header > first else 0


def _columnar(path: str, _: str, kind: str, ends: Ends, directory: Path) -> _Guess:
    from async_loader.guessing.columnar import rows_of, values_of, write_rows

    rows, total, is_exact = rows_of(path, kind, ends.suffix)
    sample = Sample(path, kind + ends.suffix)
    if len(rows) < total:
        target = directory / f"sample.{kind}"
        write_rows(rows, target, kind)
        sample = Sample(str(target), kind, min(RECORDS, len(rows)), len(rows))
    read = Read(values_of(rows), len(rows), len(rows))
    types = ", ".join(f"{each.name} {each.type}" for each in list(rows.schema)[:20])
    is_whole = len(rows) == total and is_exact
    sampling = Sampling(ends.size, ends.size, len(rows), total, is_whole=is_whole, is_exact=is_exact, back=True)
    form = Format("", kind + ends.suffix)
    return _Guess(path, form, read, sampling, sample, [f"types: the file says them: {types}"])


_GUESSES: dict[str, Callable[[str, str, str, Ends, Path], _Guess]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "json": _json,
    "parquet": _columnar,
    "arrow": _columnar,
    **dict.fromkeys(SPREADSHEETS, _spreadsheet),
}
