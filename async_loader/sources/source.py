"""A source as a value: where it is, and how it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from async_loader.errors import ConfigurationError
from async_loader.formats import Dialect, Format, Spellings, as_facts, known_encoding
from async_loader.sources.addresses import (
    has_secret,
    in_archive,
    is_remote,
    last_name,
    local_path,
    shown,
    without_secrets,
)
from async_loader.sources.opening import STDIN
from async_loader.sources.streams import CODECS

SPREADSHEETS = ("xlsx", "xlsm", "xlsb", "xls", "ods")
# What a dialect says, and which of it counts for rows of a spreadsheet too.
_OF_CSV = tuple(each.name for each in dataclasses.fields(Dialect))
_OF_SHEETS = ("skip_lines", "header")
# As what a program gives is read: records one after another, and a frame.
RECORDS, ARROW = "jsonl", "arrow"
KINDS = ("csv", RECORDS, "ndjson", "json", "parquet", ARROW, *SPREADSHEETS)
# What is text, in an encoding.
_TEXT = ("csv", RECORDS, "ndjson", "json")
# What can be packed, by suffix.
_PACKED = (*_TEXT, "parquet", ARROW)
# What has parts of which one is read, named after `#`.
_WITH_PARTS = ("json", *SPREADSHEETS)
# In `ignore`, every name that the table does not know.
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a path, an address that fsspec opens (`s3://bucket/users.csv`), or `-` for stdin; of a JSON
    document, the array that is named after `#`, as in `answer.json#results.items`; of a spreadsheet, the sheet by its
    name or its number from 1. In a ZIP archive, the file is named after `#`, and what is read of it after another one:
    `export.zip#answer.json#items`. The only file of an archive need not be named: it is looked up here, with a
    SourceError where there are several.

    `format` is a `Format`, or the name of a base: csv, jsonl, ndjson, json, parquet or arrow, which may be followed by
    .gz, .bz2 or .zst, or xlsx, xlsm, xlsb, xls or ods; by default the suffixes of the path say it, and stdin is csv.
    `delimiter` is for CSV; by default it is the format's. Raises ConfigurationError for an unknown one.

    names: by column of the table, the name that the source must have for it.
    constants: by column, text that is the value of all records, whatever the source has.
    means_null: text that stands for null.
    aliases: by column that has no name in `names`, other names under which the source may have it.
    ignore: names of the source that are not read; `*` is every name that the table does not know. A source that has
        unknown names while it lacks optional columns is refused unless all of them stand here.
    separators: by name of links of the table, and "" for all of them, what stands between the values of a list that is
        given as text; "|" where nothing is said.
    data: what is read instead of a file: a frame (Polars, pandas, Arrow), or any iterable or asynchronous iterable of
        mappings. Then `path` is only the name that reports and rejects have for it, and a format may say names, names
        to ignore, nulls and spellings of texts, and nothing else.

    What `names`, `means_null` and `ignore` of the format say is part of these; where both name a column, the source's
    own name holds.
    """

    path: str
    format: str | Format = ""
    delimiter: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    means_null: tuple[str, ...] = ()
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    separators: Mapping[str, str] = field(default_factory=dict)
    data: Any = field(default=None, compare=False, repr=False)
    # Of the format: they hold whatever was given instead of one.
    base: str = field(init=False)
    encoding: str = field(init=False)
    dialect: Dialect = field(init=False)
    spellings: Spellings = field(init=False)

    def __post_init__(self) -> None:
        if has_secret(self.path):
            raise ConfigurationError(
                f"{without_secrets(self.name)}: the address holds a secret, and every report would show it; "
                "give it in the environment"
            )
        self._settle_member()
        form = self.format if isinstance(self.format, Format) else Format("", self.format)
        try:
            dialect = replace(form.dialect, delimiter=self.delimiter or form.delimiter)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.name}: {error}") from error
        parts = {
            "base": _base(form, self.path) if self.data is None else _base_of_data(self.name, form, self.data),
            "encoding": known_encoding(form.encoding),
            "dialect": dialect,
            "spellings": form.spellings,
            "names": {**form.names, **self.names},
            "means_null": tuple(dict.fromkeys((*form.means_null, *self.means_null))),
            "ignore": tuple(dict.fromkeys((*form.ignore, *self.ignore))),
        }
        for name, value in parts.items():
            object.__setattr__(self, name, value)
        self._refuse_bytes_that_are_no_text()
        kind, codec = self._parts()
        if self.member.lower().endswith(".zip"):
            raise ConfigurationError(
                f"{self.name}: is an archive within another one: take it out, and name a file of it"
            )
        if kind not in KINDS or codec not in ("", *CODECS) or (codec and kind not in _PACKED):
            raise ConfigurationError(
                f"{self.name}: unknown format {self.base!r}; name one before the equals sign, as in "
                f"TABLE:csv={self.name}; known are {', '.join(KINDS)}, and {', '.join(_PACKED)} "
                f"may end in {', '.join(CODECS)}"
            )
        if not all(self.separators.values()):
            raise ConfigurationError(f"{self.name}: a separator of values is one character at least")
        self._refuse_what_its_kind_has_not()

    def _settle_member(self) -> None:
        """Name the only file of an archive in the path, if none is named."""
        found = in_archive(self.path) if self.data is None else None
        if found is not None and not found[1]:
            from async_loader.sources.archives import only_member

            object.__setattr__(self, "path", f"{found[0]}#{only_member(found[0])}")

    def _refuse_what_its_kind_has_not(self) -> None:
        """Raise ConfigurationError for marks of CSV of what is no CSV, and what is of text of what is none."""
        of_csv = [name for name in as_facts(self.dialect) if name != "delimiter" or self.data is not None]
        of_csv = [name for name in of_csv if name not in self.parts_of_dialect]
        kind = self.kind if self.data is None else "what a program gives"
        if of_csv:
            raise ConfigurationError(f"{self.name}: {of_csv[0]} is of CSV, and this is {kind}")
        if self.encoding and (self.data is not None or not self.is_text):
            raise ConfigurationError(f"{self.name}: an encoding is of text, and {kind} has none to be named")

    @property
    def parts_of_dialect(self) -> tuple[str, ...]:
        """What a `Dialect` says that counts for a source of this kind, by the names of its fields."""
        if self.data is not None:
            return ()
        return _OF_CSV if self.kind == "csv" else _OF_SHEETS if self.kind in SPREADSHEETS else ()

    def read_as(self, encoding: str, dialect: Dialect, spellings: Spellings) -> Source:
        """Return the source as one that is written so, with the same names."""
        return replace(self, format=Format.of_parts(self.base, encoding, dialect, spellings), delimiter="")

    def _refuse_bytes_that_are_no_text(self) -> None:
        """Raise ConfigurationError for text with bytes that are not UTF-8; in the path of a file they may be."""
        texts = [
            *self.names.values(),
            *self.constants.values(),
            *self.means_null,
            *self.ignore,
            *self.separators.values(),
        ]
        if self.data is None and is_remote(self.path):
            texts.append(self.path)
        for text in texts:
            if shown(text) != text:
                raise ConfigurationError(f"{self.name}: '{shown(text)}' holds bytes that are not UTF-8")
        if "\0" in self.path:
            raise ConfigurationError(f"{self.name}: the name of a file holds no NUL")

    @property
    def name(self) -> str:
        """The path as reports, rejects and the ledger have it: a byte of it that is not UTF-8 is an escape."""
        return shown(self.path)

    @property
    def address(self) -> str:
        """The path or address that is opened: all but the member and the part that are read of it."""
        return self._address_and_parts()[0]

    @property
    def member(self) -> str:
        """The file in a ZIP archive that is read; empty for what is no archive."""
        return self._address_and_parts()[1]

    @property
    def part(self) -> str:
        """The part that is read, as its name stands after `#`; empty for all."""
        return self._address_and_parts()[2]

    def _address_and_parts(self) -> tuple[str, str, str]:
        archive = in_archive(self.path) if self.data is None else None
        whole = self.path if archive is None else archive[1]
        name, part = whole, ""
        if self.kind in _WITH_PARTS:
            name, _, part = whole.partition("#")
        return (name, "", part) if archive is None else (archive[0], name, part)

    @property
    def file(self) -> Path | None:
        """The local file that it is; None for stdin, for what is stored elsewhere and for what a program gives."""
        if self.data is not None or self.address == STDIN or is_remote(self.path):
            return None
        return Path(local_path(self.address))

    @property
    def kind(self) -> str:
        """The format less its compression."""
        return self._parts()[0]

    @property
    def is_text(self) -> bool:
        """Whether it is text, in some encoding."""
        return self.kind in _TEXT

    @property
    def suffix(self) -> str:
        """The part of the format that says how it is compressed, such as .gz; empty where it is not."""
        return self._parts()[1]

    @property
    def codec(self) -> str | None:
        """Pyarrow's name of the compression."""
        return CODECS.get(self.suffix)

    def _parts(self) -> tuple[str, str]:
        kind, dot, codec = self.base.partition(".")
        return kind, dot + codec


def _format_of(path: str) -> str:
    if path == STDIN:
        return "csv"
    archive = in_archive(path)
    path = archive[1] if archive is not None else path
    whole, _, part = path.partition("#")
    kind = "".join(_suffixes(whole)).removeprefix(".")
    if part and kind.partition(".")[0] in _WITH_PARTS:
        return kind
    if suffixes := _suffixes(path):
        return "".join(suffixes).removeprefix(".")
    name = shown(path)
    raise ConfigurationError(f"{name}: has no suffix that names its format; name it, as in users:csv={name}")


def _base(form: Format, path: str) -> str:
    """Return the base of a format, by the suffixes of the path where it has none, or no word on how it is packed."""
    if not form.base:
        return _format_of(path)
    archive = in_archive(path)
    path = path if archive is None else archive[1].partition("#")[0]
    packed = _suffixes(path)[-1:] if form.name and path != STDIN and form.base in _PACKED else []
    return form.base + packed[0] if packed and packed[0] in CODECS else form.base


def _base_of_data(name: str, form: Format, data: Any) -> str:
    """Return how what a program gives is read. Raises ConfigurationError for what is neither a frame nor records."""
    if name in ("", STDIN):
        raise ConfigurationError(f"what a program gives needs a name for reports, not {name!r}")
    if form.base:
        raise ConfigurationError(f"{name}: {form.base} is the format of a file, and this is what a program gives")
    if is_frame(data):
        return ARROW
    if hasattr(data, "iterrows"):
        raise ConfigurationError(f"{name}: frames of pandas are read from its version 2.2 on")
    if isinstance(data, str | bytes | bytearray | PathLike | Mapping) or not is_iterable(data):
        raise ConfigurationError(
            f"{name}: an object of type {type(data).__name__} is neither a frame nor several records"
        )
    return RECORDS


def is_frame(data: object) -> bool:
    """Return whether something is a table in memory, or a query that gives one."""
    return hasattr(data, "__arrow_c_stream__") or is_lazy(data)


def is_lazy(data: object) -> bool:
    """Return whether something is a query of Polars."""
    return hasattr(data, "collect_schema") and hasattr(data, "collect")


def is_iterable(data: object) -> bool:
    """Return whether something gives one thing after another, at once or asynchronously."""
    return hasattr(data, "__iter__") or hasattr(data, "__aiter__")


def _suffixes(path: str) -> list[str]:
    """Return the suffixes that say a format: the last one, and the one before it where something is packed."""
    suffixes = [suffix.lower() for suffix in PurePath(last_name(path)).suffixes]
    return suffixes[-2:] if suffixes[-1:] and suffixes[-1] in CODECS else suffixes[-1:]
