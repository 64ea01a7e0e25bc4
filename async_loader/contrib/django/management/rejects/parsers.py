"""The command line of `rejects`: a parser for each subcommand, whose options may stand before it too."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterable

from django.core.management.base import CommandParser

from async_loader.contrib.django.management.help import DJANGO, HelpFormatter, put_last
from async_loader.contrib.django.management.rejects.subcommand import Subcommand


def add_subcommands(
    parser: CommandParser, subcommands: Iterable[Subcommand], own_options: Iterable[Callable[[CommandParser], None]]
) -> list[CommandParser]:
    """Add the subcommands, then the command's own options, to a new parser of Django. Return the subparsers."""
    djangos_options = _copied_options(parser)
    adder = parser.add_subparsers(
        dest="action",
        metavar="SUBCOMMAND",
        title="subcommands",
        description="See SUBCOMMAND --help",
        prog=parser.prog,
    )
    for add_options in own_options:
        add_options(parser)
    subparsers = []
    for subcommand in subcommands:
        subparser: CommandParser = adder.add_parser(
            subcommand.name,
            help=subcommand.summary,
            description=f"{subcommand.summary.capitalize()}.{subcommand.more}",
            epilog=f"example: {subcommand.example}",
            usage=f"%(prog)s {subcommand.usage}",
            formatter_class=HelpFormatter,
            parents=[djangos_options],
        )
        subcommand.add_options(subparser)
        put_last(subparser, DJANGO)
        _leave_defaults_to_the_command(subparser, parser)
        subparsers.append(subparser)
    return subparsers


def _copied_options(parser: CommandParser) -> CommandParser:
    """Return a parser with copies of the parser's options, to be a parent of others."""
    options = CommandParser(add_help=False)
    for action in parser._actions:
        if action.dest != "help":
            options._add_action(copy.copy(action))
    return options


def _leave_defaults_to_the_command(subparser: CommandParser, parser: CommandParser) -> None:
    """Let an option that both have hold where it stands before the subcommand, unless it stands after it as well."""
    shared = {action.dest for action in parser._actions}
    for action in subparser._actions:
        if action.dest in shared:
            action.help = (action.help or "") % {"default": action.default}
            action.default = argparse.SUPPRESS
