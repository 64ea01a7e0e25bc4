"""What to paste: the options that read a file right, the command, and the format as code. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from async_loader import Format, Inspected, Source, Type
from async_loader.contrib.django.inspection.fit import EXACT, IGNORED, LOOKUP, MOMENTS, ColumnFit, Fit
from async_loader.contrib.django.terminal.wording import shell_quoted

# With more columns that are not loaded than these, all unknown ones are left out by one option.
_IGNORED_ONE_BY_ONE = 8
_TABS = {"\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """The way to load a file. arguments: of `insert_data`, after its source, each option with its value.

    table: by the name that the command uses. form: the declared format that says the same, under a name.
    """

    table: str
    path: str
    form: Format
    options: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        """The argument that names table and file."""
        return self.source_of(self.path)

    def source_of(self, path: str, base: str = "") -> str:
        """Return the argument for a file that is read in the same way."""
        base = base or self.form.base
        return f"{self.table}={path}" if _named_base(path) == base else f"{self.table}:{base}={path}"

    @property
    def arguments(self) -> list[str]:
        """The options as a program passes them."""
        return [each for option, value in self.options for each in _as_arguments(option, value)]

    @property
    def command(self) -> str:
        """The line to paste into a shell."""
        words = [shell_quoted(self.source)]
        for option, value in self.options:
            name, *values = _as_arguments(option, value)
            words += [name, *map(shell_quoted, values)] if "=" not in name else [_quoted_after_equals(name)]
        return " ".join(["python manage.py insert_data", *words])


def proposal_of(inspected: Inspected, fit: Fit, table: str) -> Proposal:
    """Return the way to load a file into a table that goes by a name."""
    form = _without_useless_nulls(inspected, fit).format(_named(fit), fit.types)
    form = _with_unread_dates(inspected, fit, _with_booleans(inspected, fit, form))
    form = replace(form, names={each.target: each.name for each in fit.columns if each.is_read and _is_mapped(each)})
    form = replace(form, ignore=tuple(_ignored(inspected, fit)))
    options = [*_reading(form), *_by_column(form, table), *_finding(fit, table)]
    return Proposal(table, inspected.path, form, tuple(_safe(table, option, value) for option, value in options))


def _without_useless_nulls(inspected: Inspected, fit: Fit) -> Inspected:
    """Return the inspection without texts for null in columns that may not be null: they would only make rejects."""
    needed = {each.name for each in fit.columns if each.is_read and not each.nullable}
    columns = [replace(each, null_texts={}) if each.name in needed else each for each in inspected.columns]
    return replace(inspected, columns=tuple(columns))


def _with_unread_dates(inspected: Inspected, fit: Fit, form: Format) -> Format:
    """Return the format with that of dates which no column was found for, while the table has some left for them: the
    user may name one. Where dates that are read are written otherwise, or there is a doubt, nothing is added.
    """
    is_open = any(each.type in MOMENTS and not each.name for each in fit.columns)
    if form.date_format or not is_open or any(kind in MOMENTS for kind in fit.types.values()):
        return form
    read = set(fit.names.values())
    left = [each for each in inspected.columns if each.type in MOMENTS and each.date_formats and each.name not in read]
    formats = {each.date_formats for each in left}
    doubts = [f" in {each.name} may begin with the day or the month" for each in left]
    if len(formats) != 1 or any(doubt in line for doubt in doubts for line in inspected.ambiguous):
        return form
    return replace(form, date_format=next(iter(formats)))


def _named(fit: Fit) -> dict[str, str]:
    return {target: name for target, name in fit.names.items() if "__" not in target}


def _is_mapped(each: ColumnFit) -> bool:
    return each.how != EXACT and not (each.how == LOOKUP and each.name == each.target)


def _with_booleans(inspected: Inspected, fit: Fit, form: Format) -> Format:
    """Return the format with 1 and 0 as well, where a column of booleans has them beside other words."""
    by_name = {column.name: column for column in inspected.columns}
    digits = any(
        fit.types.get(target) is Type.BOOLEAN and by_name[name].type is Type.INTEGER
        for target, name in fit.names.items()
        if name in by_name
    )
    if not digits or not form.true:
        return form
    return replace(form, true=(*form.true, "1"), false=(*form.false, "0"))


def _ignored(inspected: Inspected, fit: Fit) -> Iterator[str]:
    within = {column.name: column.within for column in inspected.columns}
    read = {within.get(each.name) or each.name for each in fit.columns if each.is_read}
    names = dict.fromkeys(within.get(each.name) or each.name for each in fit.columns if each.how == IGNORED)
    ignored = [name for name in names if name not in read]
    # What cannot be seen cannot be pasted.
    is_plain = len(ignored) <= _IGNORED_ONE_BY_ONE and all(map(str.isprintable, ignored))
    yield from ignored if is_plain else ["*"]


def _reading(form: Format) -> Iterator[tuple[str, str]]:
    """Yield the options that are about the whole file."""
    plain = Format()
    for name in ("encoding", "delimiter", "quote", "escape", "comment", "skip_lines"):
        if (value := getattr(form, name)) != getattr(plain, name):
            yield f"--{name.replace('_', '-')}", _TABS.get(value, str(value))
    if form.header:
        yield "--header", ",".join(form.header)
    for name in ("decimal", "thousands"):
        if (value := getattr(form, name)) not in ("", "." if name == "decimal" else ""):
            yield f"--{name}", value
    for name in ("true", "false"):
        for text in getattr(form, name):
            yield f"--{name}", text
    if form.trim:
        yield "--trim", ""


def _by_column(form: Format, table: str) -> Iterator[tuple[str, str]]:
    for name in ("null", "date_format"):
        said = getattr(form, name)
        by_target = said if isinstance(said, Mapping) else {"": said}
        for column, texts in by_target.items():
            for text in texts:
                yield f"--{name.replace('_', '-')}", f"{table}.{column}={text}" if column else text
    for column, given in form.names.items():
        yield "--map", f"{table}.{column}={given}"
    for given in form.ignore:
        yield "--ignore", f"{table}.{given}"


def _finding(fit: Fit, table: str) -> Iterator[tuple[str, str]]:
    if fit.match:
        yield "--match", f"{table}={','.join(fit.match)}"
    if fit.append:
        yield "--append", table


def _safe(table: str, option: str, value: str) -> tuple[str, str]:
    """Return an option whose value cannot be taken for one that names a table before an equals sign."""
    if option in ("--map", "--match", "--append", "--ignore", "--trim"):
        return option, value
    is_plain = "=" not in value or value.startswith(f"{table}.")
    return (option, value) if is_plain else (option, f"{table}={value}")


def _as_arguments(option: str, value: str) -> list[str]:
    if option == "--trim":
        return [option]
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def _quoted_after_equals(argument: str) -> str:
    option, _, value = argument.partition("=")
    return f"{option}={shell_quoted(value)}"


def _named_base(path: str) -> str:
    try:
        return Source(path).base
    except Exception:
        return ""


def format_code(form: Format, name: str) -> str:
    """Return the format as Python that declares it."""
    plain = Format()
    parts = {
        each: value
        for each in Format.__dataclass_fields__
        if each not in ("name", "base") and _says(value := getattr(form, each), getattr(plain, each))
    }
    base = form.base.partition(".")[0] if form.base.startswith(("csv", "json")) else form.base
    lines = [f'    "{name}",', f'    "{base}",', *(f"    {each}={_literal(value)}," for each, value in parts.items())]
    return "\n".join(["Format(", *lines, ")"])


def _says(value: object, default: object) -> bool:
    """Return whether a part of a format says something: nothing does so only where the default is something."""
    return value != default and bool(value or default)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(each)}' for key, each in value.items())}}}"
    return repr(value)
