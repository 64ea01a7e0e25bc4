"""Whether the names that a source has fit a table, and the line that says what to do where they do not. Pure.

A name that is nearly a column's is never taken for it: it is proposed. A source that has unknown names while it lacks
optional columns is refused, because those columns would get their defaults in every row without a word.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from async_loader.records.parsing import clipped
from async_loader.records.reasons import on_one_line
from async_loader.sources.fields import Fields
from async_loader.sources.source import EVERYTHING
from async_loader.tables import LOOKUP

# Names that a line lists.
_LISTED = 5
# Names that are compared with others letter by letter, which takes long.
_COMPARED = 100
# How alike two names are that may be meant for each other: as `difflib` measures it.
_ALIKE = 0.6
# Rows that a header below others is looked for in.
ROWS_LOOKED_AT = 50
_INSIGNIFICANT = re.compile(r"[\W_]+")


def problem_of(fields: Fields, header: Sequence[str], subject: str = "the header") -> str | None:
    """Return what is wrong with a header, and what to do; None where it fits.

    fields: matched with the header. subject: what has the names.
    """
    for problem in (_named_twice, refused_column, several_names, wrong_lookup, _lacking, unknown_beside_absent):
        if (found := problem(fields, header, subject)) is not None:
            return found
    return None


def distinct(fields: Fields, header: Sequence[str]) -> list[str]:
    """Return the names of a header; one that is to be ignored gets another name where it stands there once more."""
    met: Counter[str] = Counter()
    names = []
    for name in header:
        met[name] += 1
        is_again = met[name] > 1 and fields.is_left_out(name)
        names.append(_free(f"{name} ({met[name]})", header) if is_again else name)
    return names


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name with as many marks as make it another one than all that are taken."""
    while name in taken:
        name += "*"
    return name


def _named_twice(fields: Fields, header: Sequence[str], subject: str) -> str | None:
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if not twice:
        return None
    problem = f"{subject} names {listed(twice)} twice"
    ignorable = next(iter(fields.unknown(twice)), None)
    if ignorable is None:
        return problem
    argument = _argument(fields.table.name, ignorable or EVERYTHING)
    return f"{problem}; --ignore {argument} leaves out all that are called so"


def refused_column(fields: Fields, header: Sequence[str], subject: str) -> str | None:
    """Report a column of the table that no source may have."""
    name = next((name for name in fields.unknown(header) if name in fields.table.refused), None)
    if name is None:
        return None
    table = fields.table.name
    problem = f"{subject} has {name!r}, which cannot be loaded: {fields.table.refused[name]}"
    return f"{problem}; --ignore {_argument(table, name)} leaves it out"


def several_names(fields: Fields, header: Sequence[str], subject: str) -> str | None:
    """Report a column that stands there under two of its names."""
    names = set(header)
    for column in fields.names:
        present = fields.present(column, names)
        if len(present) > 1:
            table = fields.table.name
            return (
                f"{subject} has {listed(present)}, which are names of one column, {column}; "
                f"leave one of them out: --ignore {table}.{present[1]}"
            )
    return None


def wrong_lookup(fields: Fields, header: Sequence[str], subject: str) -> str | None:
    """Report a name that would look a reference up by what is no column of its target, where nothing else gives it."""
    lacking = {*fields.absent, *fields.missing(set(header))}
    for name in fields.unknown(header):
        first, lookup, rest = name.partition(LOOKUP)
        if (problem := _wrong_link(fields, name, subject)) is not None:
            return problem
        reference = next((each for each in fields.table.references if lookup and each.name == first), None)
        if reference is None or reference.column not in lacking:
            continue
        if LOOKUP in rest:
            return f"{subject} has {name!r}, and lookups have one step: give a column of {reference.table} itself"
        near = nearest_name(rest, [column.name for column in reference.targets])
        hint = (
            f"did you mean '{first}{LOOKUP}{near}'?"
            if near
            else f"give another column of it, as in {first}{LOOKUP}NAME"
        )
        return f"{subject} has {name!r}, but {reference.table} has no column {rest!r}; {hint}"
    return None


def _wrong_link(fields: Fields, name: str, subject: str) -> str | None:
    """Report a name that would look up rows to link by what is no column of theirs."""
    first, lookup, rest = name.partition(LOOKUP)
    links = next((each for each in fields.table.links if lookup and each.name == first), None)
    if links is not None and links.problem:
        problem = f"{subject} has {name!r}, which cannot be loaded: {links.problem}"
        return f"{problem}; --ignore {_argument(fields.table.name, name)} leaves it out"
    if links is None or links.name in fields.mapped_links or links.target is None:
        return None
    near = nearest_name(rest, [column.name for column in links.target.columns])
    hint = f"did you mean '{first}{LOOKUP}{near}'?" if near else f"give a column of it, as in {first}{LOOKUP}NAME"
    return f"{subject} has {name!r}, but {links.target.name} has no column {rest!r}; {hint}"


def _lacking(fields: Fields, header: Sequence[str], subject: str) -> str | None:
    """Report columns that must be there and are not."""
    missing = fields.missing(set(header))
    if not missing:
        return None
    table, names = fields.table.name, [fields.names[column] for column in missing]
    ignored = [name for column in missing for name in fields.candidates[column] if name in {*header} & fields.ignore]
    if ignored:
        return f"{subject} has {listed(ignored)}, which --ignore leaves out and table {table} must have"
    mapped = [column for column in missing if column in fields.mapped]
    problem = f"{subject} lacks {listed(names)}" + (f", named by --map for {mapped[0]}" if mapped else "")
    problem += f", and has {listed(header)}" if len(header) else ""
    column, near = _nearest_pair(fields, missing, fields.unknown(header)) or (missing[0], None)
    if near is not None:
        return f"{problem}; did you mean {near!r}? --map {_mapping(fields, column, near)} reads it"
    return f"{problem}; --map {table}.{column}=NAME reads another column, --set {table}.{column}=VALUE gives a constant"


def unknown_beside_absent(fields: Fields, header: Sequence[str], subject: str) -> str | None:
    """Report names that no column has, where the source also lacks columns that it may go without, or that one of those
    names may be meant for.
    """
    unknown = [name for name in fields.unknown(header) if name not in fields.table.computed]
    if not unknown:
        return None
    unlinked = [links.name for links in fields.table.links if links.name not in fields.links and not links.problem]
    lacking = [*fields.absent, *fields.missing(set(header)), *unlinked]
    pair = _nearest_pair(fields, lacking, unknown)
    meant = [] if pair is None else [pair[0]]
    absent = [name for name in lacking if name in meant or (name in fields.absent and not fields.is_made(name))]
    if not absent:
        return None
    table = fields.table.name
    problem = f"{subject} has {listed(unknown)}, which table {table} does not have, and lacks {listed(absent)}"
    if pair is not None:
        column, near = pair
        problem += f"; did you mean {column!r} by {near!r}? --map {_mapping(fields, column, near)} reads it"
    others = [name for name in unknown if pair is None or name != pair[1]] or unknown
    # Of a name that is long only its beginning is shown.
    other = next((name for name in others if name and clipped(name) == name), None)
    one = "" if other is None else f"--ignore {_argument(table, other)} leaves one out, "
    return f"{problem}; {one}--ignore '{table}.*'{' leaves out' if other is None else ''} all that are unknown"


def misspelt(fields: Fields, unknown: Iterable[str]) -> dict[str, str]:
    """Return, by unknown name, the column whose name differs from it in case, blanks and punctuation only."""
    plain = {_plain(name): column for column, names in fields.candidates.items() for name in (*names, column)}
    return {name: plain[same] for name in unknown if (same := _plain(name)) in plain}


def misspelt_problem(fields: Fields, name: str, column: str, subject: str) -> str:
    """Return what is wrong with a record that has a column under such a name, and what to do."""
    table = fields.table.name
    problem = f"{subject} has {clipped(name)!r}, which table {table} does not have, and lacks {column!r}"
    meant = f"--map {_argument(table, column, name)} reads it, --ignore {_argument(table, name)} leaves it out"
    return f"{problem}; {meant}"


def _mapping(fields: Fields, column: str, name: str) -> str:
    """Return the value of --map by which a name is read that is likely meant for a column, or for a lookup of it."""
    _, lookup, rest = name.partition(LOOKUP)
    reference = next((each for each in fields.table.references if lookup and each.column == column), None)
    if reference is not None:
        rest = nearest_name(rest, [each.name for each in reference.targets]) or rest
        column = next(iter(reference.looked_up([f"{reference.name}{LOOKUP}{rest}"])), column)
    return _argument(fields.table.name, column, name)


def _argument(table: str, column: str, name: str | None = None) -> str:
    """Return the value of an option as one word of a shell's command line."""
    return on_one_line(shlex.quote(f"{table}.{column}" if name is None else f"{table}.{column}={name}"))


def _nearest_pair(fields: Fields, columns: Sequence[str], unknown: Sequence[str]) -> tuple[str, str] | None:
    """Return a column of these, and the unknown name that is likely meant for it."""
    plain = {_plain(name): column for column in columns for name in _names_of(fields, column)}
    for name in unknown:
        if (same := _plain(name)) in plain:
            return plain[same], name
    for name in unknown[:_COMPARED]:
        if (near := _alike(_plain(name), plain)) is not None:
            return plain[near], name
    return None


def _names_of(fields: Fields, column: str) -> Iterator[str]:
    """Yield the names under which a source may give a column, also by a lookup of one part."""
    yield from (column, *fields.candidates.get(column, ()))
    for reference in fields.table.references:
        if reference.column == column and reference.name:
            yield from (f"{reference.name}{LOOKUP}{target.name}" for target in islice(reference.targets, _COMPARED))


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return which of some names is likely meant by another one; None where none is."""
    plain = {_plain(each): each for each in islice(names, _COMPARED)}
    near = _alike(_plain(name), plain)
    return None if near is None else plain[near]


def _alike(name: str, names: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, 1, _ALIKE)), None)


def _plain(name: str) -> str:
    """Return a name without what people write in different ways: case, blanks and punctuation."""
    return _INSIGNIFICANT.sub("", clipped(name).casefold())


def listed(names: Iterable[str], most: int = _LISTED) -> str:
    """Return names as a line lists them: the first of many."""
    several = list(names)
    shown = ", ".join(repr(clipped(name)) for name in several[:most])
    return shown if len(several) <= most else f"{shown} and {len(several) - most:,} more"


def names_no_column(fields: Fields, header: Sequence[str], subject: str, hint: str | None = None) -> str | None:
    """Return what is wrong with a header of which no name is one that is read, and what to do; None for another one.

    hint: what to do, if anything about the source says so; else the nearest names are proposed.
    """
    if set(header) & set(fields.names.values()) or not fields.candidates:
        return None
    table, wanted = fields.table.name, list(fields.names)
    problem = (
        f"{subject} names no column of table {table}: it has {listed(name for name in header if name) or 'no name'}"
    )
    if hint is not None:
        return f"{problem}; {hint}"
    lacking = [*wanted, *fields.absent]
    if (pair := _nearest_pair(fields, lacking, [name for name in header if name])) is not None:
        column, near = pair
        return f"{problem}; did you mean {column!r} by {near!r}? --map {_mapping(fields, column, near)} reads it"
    if wanted:
        problem += f", and must have {listed(fields.names[column] for column in wanted)}"
    return f"{problem}; --map {table}.{lacking[0]}=NAME reads another column"


def header_below(fields: Fields, rows: Iterable[tuple[int, Sequence[str]]]) -> int | None:
    """Return how many rows stand before the one, among the next, that names the most columns; None where none does.

    rows: how many stand before each, and what is in it.
    """
    wanted = {_plain(name) for column, names in fields.candidates.items() for name in (column, *names)}
    best, found = 0, None
    for before, names in islice(rows, ROWS_LOOKED_AT):
        named = len({_plain(name) for name in names if name} & wanted)
        if named > best:
            best, found = named, before
    return found
