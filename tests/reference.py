"""What the code says of options: the tables of docs/reference.md.

`python -m tests.reference` puts them into the page.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator

import django
from django.core.management import load_command_class

from tests.transcripts import ROOT

PAGE = ROOT / "docs" / "reference.md"
APP = "async_loader.contrib.django"
COMMANDS = {
    "init_db": APP,
    "insert_data": APP,
    "inspect_source": APP,
    "rejects": APP,
    "check_references": APP,
    "verify": APP,
    "run_job": f"{APP}.admin",
    "benchmark": "benchmarks",
    "scale": "benchmarks",
}
# What argparse and Django give to every command.
DJANGOS = {"-h", "--version", "-v", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color"}


def option_tables() -> dict[str, str]:
    """Return by heading of the page the rows of its table."""
    django.setup()
    tables = {}
    for name, app in COMMANDS.items():
        parser = load_command_class(app, name).create_parser("manage.py", name)
        for called, each in [(name, parser), *((f"{name} {sub}", each) for sub, each in _subcommands(parser))]:
            rows = "".join(_rows(each))
            if rows:
                tables[called] = rows
    return tables


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the rows in the order in which `--help` has the options."""
    for group in parser._action_groups:
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction) or DJANGOS & set(action.option_strings):
                continue
            meaning, default = _meaning_and_default(action)
            yield f"| `{_synopsis(action)}` | {default} | {meaning} |\n"


def _synopsis(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar)
    value = "" if action.nargs == 0 else f" {action.metavar or _choices(action) or action.dest.upper()}"
    return f"{', '.join(action.option_strings)}{value}{' ...' if action.nargs == '+' else ''}"


def _choices(action: argparse.Action) -> str:
    return "\\|".join(map(str, action.choices or ()))


def _meaning_and_default(action: argparse.Action) -> tuple[str, str]:
    """Return what the help says, and what it says of the default."""
    text = " ".join(argparse.HelpFormatter("")._expand_help(action).split())
    meaning, _, default = text.removesuffix(")").partition(" (default: ")
    return meaning.replace("|", "\\|"), _code(default)


def _code(text: str) -> str:
    return f"`{text}`" if re.fullmatch(r"[\w.,-]+", text) else text


def section(heading: str, page: str) -> str:
    """Return the part of the page under a heading, up to the next one of any rank."""
    return re.split(rf"^#+ {re.escape(heading)}$\n", page, flags=re.MULTILINE)[1].split("\n#", 1)[0]


def documented_options(page: str) -> dict[str, str]:
    """Return by heading the rows that the page has."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {heading: found[2] for heading in headings if (found := _table(heading).search(page))}


def _table(heading: str) -> re.Pattern[str]:
    """Return a pattern for the text up to a table of options, and for its rows."""
    above = rf"^#+ {re.escape(heading)}$\n(?:(?!#).*\n)*?\| option \| default \| meaning \|\n.*\n"
    return re.compile(rf"({above})((?:\|.*\n)*)", re.MULTILINE)


def first_cells(heading: str, page: str) -> list[str]:
    """Return the code in the first cells of the table under a heading."""
    rows = [line.split(" | ", 1)[0] for line in section(heading, page).splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]*)`", row)]


def _main() -> None:
    page = PAGE.read_text()
    for heading, rows in option_tables().items():
        found = _table(heading).search(page)
        if found is None:
            sys.exit(f"{PAGE} has no table of options under {heading!r}")
        page = page[: found.start(2)] + rows + page[found.end(2) :]
    PAGE.write_text(page)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    _main()
