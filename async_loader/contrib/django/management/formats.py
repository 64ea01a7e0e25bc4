"""The options that say in which format sources are, and the formats that a project declares."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.help import FORMAT, group
from async_loader.contrib.django.settings import FORMATS, function_of

if TYPE_CHECKING:
    from async_loader import Format
    from async_loader.contrib.django.models.tables import ProjectTables

# Stands for all tables, or all columns of a table, where an option may name one.
_ALL = ""
_TABS = {"tab": "\t", "\\t": "\t"}
_ONE = "[TABLE=]C"
_TEXT = "[TABLE=]TEXT"
# By option: what its value is called in help, and what it says.
_OPTIONS = {
    "encoding": ("[TABLE=]NAME", "the encoding of text, as Python names it (default: utf-8, or utf-16 by its mark)"),
    "delimiter": (_ONE, "the character between the fields of CSV; tab or \\t is a tab (default: a comma)"),
    "quote": (_ONE, 'the character around fields of CSV, doubled inside; empty if nothing is quoted (default: ")'),
    "escape": (_ONE, "a character of CSV before one that is no mark there, such as a backslash (default: none)"),
    "comment": (_ONE, "the character that begins a line of CSV which is no record (default: none)"),
    "skip-lines": ("[TABLE=]N", "lines of CSV, or rows of a sheet, before its header (default: 0)"),
    "header": ("[TABLE=]NAME,...", "the names of the columns, for CSV or a sheet that has no header"),
    "decimal": (
        _ONE,
        "the mark before the decimals of a number (default: a point, or a comma if --thousands is a point)",
    ),
    "thousands": (_ONE, "the mark between groups of three digits; a space is also a space that does not break"),
}
_SEVERAL = {
    "true": (_TEXT, "a text that is true, instead of true, t and 1; may be given several times"),
    "false": (_TEXT, "a text that is false, instead of false, f and 0; may be given several times"),
    "null": ("[TABLE[.COLUMN]=]TEXT", "a text that stands for null; may be given several times"),
    "date-format": (
        "[TABLE[.COLUMN]=]FORMAT",
        "how dates or times are written, as strptime has it (%%d.%%m.%%Y); may be given several times",
    ),
}


_OF_CSV = ("delimiter", "quote", "escape", "comment", "skip-lines", "header")


def add_format_options(parser: CommandParser) -> None:
    """Add the options that say how values and records are written."""
    options = group(parser, FORMAT)
    for name, (metavar, text) in (_OPTIONS | _SEVERAL).items():
        options.add_argument(f"--{name}", action="append", default=[], metavar=metavar, help=text)
    options.add_argument("--trim", action="store_true", help="take away blanks around values")


def declared_formats() -> dict[str, Format]:
    """Return, by name, the formats that the function named by ASYNC_LOADER_FORMATS gives; none without the setting."""
    formats: Callable[[], Iterable[Format]] | None = function_of(FORMATS)
    found: dict[str, Format] = {}
    for each in () if formats is None else formats():
        if not isinstance(each, async_loader.Format) or not each.name:
            path = getattr(settings, FORMATS)
            raise ConfigurationError(f"setting {FORMATS}: {path} gives {each!r}, which is no Format with a name")
        if each.name in found:
            raise ConfigurationError(f"setting {FORMATS}: two formats have the name {each.name}")
        found[each.name] = each
    return found


class FormatOptions:
    """What the options say of the formats of sources, by table. ConfigurationError for what they cannot mean."""

    def __init__(self, project: ProjectTables, options: Mapping[str, Any]) -> None:
        self._project = project
        self._declared = declared_formats()
        self._trim = options["trim"]
        self._given = {name: self._by_target(name, _listed(options[_field(name)])) for name in (*_OPTIONS, *_SEVERAL)}

    @property
    def tables(self) -> set[str]:
        """The tables that options are about."""
        return {table for by_target in self._given.values() for table, _ in by_target if table != _ALL}

    def format_of(self, table: str, named: str, path: str) -> Format:
        """Return the format of a source of a table, which is `named` in the argument if anything is."""
        declared = self._declared.get(named)
        if declared is None:
            declared = async_loader.Format("", named)
            if named and (near := difflib.get_close_matches(named, self._declared, 1)):
                raise ConfigurationError(f"there is no format {named!r}; did you mean {near[0]}?")
        declared = self._with_columns(table, declared)
        source = async_loader.Source(path, declared)
        fitting = [name for name in _OPTIONS if name not in _OF_CSV or _field(name) in source.parts_of_dialect]
        if not source.is_text:
            fitting.remove("encoding")
        try:
            return replace(declared, **self._changes(table, fitting))
        except ConfigurationError as error:
            raise ConfigurationError(f"table {table}: {error}") from error

    def _with_columns(self, table: str, declared: Format) -> Format:
        """Return the format with the columns of the database for the fields of the model that it names."""
        parts: dict[str, Any] = {
            name: {column and self._project.column_name(table, column): value for column, value in said.items()}
            for name in ("names", "null", "date_format")
            if isinstance(said := getattr(declared, name), Mapping)
        }
        return replace(declared, **parts)

    def _changes(self, table: str, fitting: Sequence[str]) -> dict[str, Any]:
        """Return what the options say of a table. fitting: options that hold for its source if they name no table."""
        changes: dict[str, Any] = {"trim": True} if self._trim else {}
        for name in _OPTIONS:
            general = self._given[name].get((_ALL, _ALL)) if name in fitting else None
            if values := self._given[name].get((table, _ALL)) or general:
                changes[_field(name)] = _meant(name, values[-1])
        for name in ("true", "false"):
            if values := [text for of in (_ALL, table) for text in self._given[name].get((of, _ALL), ())]:
                changes[name] = values
        for name in ("null", "date-format"):
            own = {column: texts for (of, column), texts in self._given[name].items() if of == table and column != _ALL}
            every = [text for of in (_ALL, table) for text in self._given[name].get((of, _ALL), ())]
            if own or every:
                changes[_field(name)] = {**own, _ALL: every}
        return changes

    def _by_target(self, option: str, arguments: Sequence[str]) -> dict[tuple[str, str], list[str]]:
        """Return the values of an option by table and column, each empty where the option names none."""
        found: dict[tuple[str, str], list[str]] = {}
        for argument in arguments:
            target, equals, text = argument.partition("=")
            is_mark = option in _OPTIONS and argument == "="
            place = self._target(option, target) if equals and target else (_ALL, _ALL)
            found.setdefault(place, []).append(text if equals and not is_mark else argument)
        return found

    def _target(self, option: str, target: str) -> tuple[str, str]:
        """Return the table and column that stand before the equals sign: a table may have points in its name."""
        try:
            return self._project.name(target), _ALL
        except ConfigurationError as error:
            table, point, column = target.rpartition(".")
            if not point or option not in ("null", "date-format"):
                raise
            try:
                name = self._project.name(table)
            except ConfigurationError:
                raise error from None
            return name, self._column(name, column)

    def _column(self, table: str, given: str) -> str:
        name = self._project.column_name(table, given)
        if name in self._project.column_names(table):
            return name
        raise ConfigurationError(f"table {table} has no column {given!r}; {self._project.column_hint(table, name)}")


def _field(option: str) -> str:
    """Return the name of what an option says in a `Format`."""
    return option.replace("-", "_")


def _listed(given: Any) -> Sequence[str]:
    """Return the values of an option, of which a program may give one by itself."""
    return list(map(str, given)) if isinstance(given, list | tuple) else [str(given)]


def _meant(option: str, value: str) -> Any:
    """Return what the value of an option is to a format."""
    match option:
        case "delimiter":
            return _TABS.get(value, value)
        case "header":
            return tuple(value.split(","))
        case "skip-lines" if not value.isdecimal():
            raise ConfigurationError(f"--skip-lines is a number of lines, not {value!r}")
        case "skip-lines":
            return int(value)
    return value
