"""The arguments and options that name sources and say how they are read, and the engine's sources made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandParser

import async_loader
from async_loader import ConfigurationError
from async_loader.contrib.django.management.formats import FormatOptions
from async_loader.contrib.django.management.help import READING, group

if TYPE_CHECKING:
    from async_loader import Source
    from async_loader.contrib.django.models.tables import ProjectTables

# Stands for all tables where an option may name one.
_ALL_TABLES = ""


def add_reading_options(parser: CommandParser) -> None:
    """Add the options that say how sources are read."""
    reading = group(parser, READING)
    reading.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="TABLE.COLUMN=NAME",
        help="the name that the source has for a column, if it is not the name of the column, field or attribute. "
        "COLUMN may be a lookup such as customer__email; may be given several times",
    )
    reading.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.COLUMN=VALUE",
        help="the value of a column in all records, even if the source has the column; may be given several times",
    )
    reading.add_argument(
        "--separator",
        action="append",
        default=[],
        metavar="[TABLE.COLUMN=]TEXT",
        help="what stands between the values of a many-to-many field in CSV and spreadsheets, for all fields or one, "
        "if it is not a vertical bar; may be given several times",
    )
    reading.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="[TABLE.]COLUMN",
        help="a column of the source that is not loaded, for all tables or one; * is every column that the table does "
        "not have. If the source has such columns and lacks optional ones of the table, it is refused until each is "
        "mapped or ignored; may be given several times",
    )


def sources_of(project: ProjectTables, arguments: Sequence[str], options: Mapping[str, Any]) -> dict[str, list[Source]]:
    """Return the sources by table, in the order of the arguments; without arguments, a file for each declared table.

    Raises ConfigurationError for an argument or option of another form, and for an option about a table that is not
    loaded.
    """
    formats = FormatOptions(project, options)
    names = _by_column(project, "--map", options["map"])
    constants = _by_column(project, "--set", options["set"])
    ignored = _ignored(project, options["ignore"])
    separators = _separators(project, options["separator"])
    sources: dict[str, list[Source]] = {}
    for argument in arguments or _declared_files(project):
        table, named, path = _parts(argument)
        name = project.name(table)
        source = async_loader.Source(
            path,
            formats.format_of(name, named, path),
            names=names.get(name, {}),
            constants=constants.get(name, {}),
            aliases=project.source_names(name),
            ignore=(*ignored.get(_ALL_TABLES, ()), *ignored.get(name, ())),
            separators=separators.get(_ALL_TABLES, {}) | separators.get(name, {}),
        )
        sources.setdefault(name, []).append(source)
    if others := {*names, *constants, *formats.tables, *ignored, *separators} - {_ALL_TABLES, *sources}:
        raise ConfigurationError(f"an option names {', '.join(sorted(others))}, which is not loaded")
    return sources


def _separators(project: ProjectTables, arguments: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what separates values, by table and many-to-many field, or for all of them."""
    separators: dict[str, dict[str, str]] = {}
    for argument in arguments:
        target, equals, text = argument.partition("=")
        table, point, field = target.rpartition(".")
        if not (equals and point and table and field):
            separators.setdefault(_ALL_TABLES, {})[""] = argument
        else:
            separators.setdefault(project.name(table), {})[field] = text
    return separators


def _ignored(project: ProjectTables, arguments: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of the sources that are not loaded, by table. A name may have points in it: what stands before
    one is a table's name only where there is such a table.
    """
    ignored: dict[str, list[str]] = {}
    for argument in arguments:
        table, column = _ALL_TABLES, argument
        for place in reversed([place for place, letter in enumerate(argument) if letter == "."]):
            name = _table_name(project, argument[:place])
            if name is not None and argument[place + 1 :]:
                table, column = name, argument[place + 1 :]
                break
        ignored.setdefault(table, []).append(column)
    return ignored


def _table_name(project: ProjectTables, given: str) -> str | None:
    try:
        return project.name(given)
    except ConfigurationError:
        return None


def _by_column(project: ProjectTables, option: str, arguments: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the texts that an option gives for columns, by table and column."""
    texts: dict[str, dict[str, str]] = {}
    for argument in arguments:
        target, equals, text = argument.partition("=")
        table, _, column = target.rpartition(".")
        if not (equals and table and column) or (option == "--map" and not text):
            raise ConfigurationError(f"{option} {argument!r} is not of the form TABLE.COLUMN=...")
        name = project.name(table)
        texts.setdefault(name, {})[project.column_name(name, column)] = text
    return texts


def _declared_files(project: ProjectTables) -> list[str]:
    if not project.declared:
        raise ConfigurationError("nothing to load: name sources as TABLE=SOURCE; see --help")
    directory = os.path.relpath(settings.BASE_DIR / "data")
    return [f"{table.name}={os.path.join(directory, table.name)}.csv" for table in project.declared]


def _parts(argument: str) -> tuple[str, str, str]:
    """Return table, format and path of TABLE[:FORMAT]=SOURCE."""
    target, equals, path = argument.partition("=")
    if not (equals and target and path):
        raise ConfigurationError(f"{argument!r} is not of the form TABLE=SOURCE")
    table, _, file_format = target.partition(":")
    return table, file_format, path
