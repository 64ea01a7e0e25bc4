"""How `--help` of the commands reads: options in groups, examples as they are typed, Django's own at the end."""

from __future__ import annotations

import argparse
import re

from django.core.management.base import CommandParser, DjangoHelpFormatter

# The groups, as they are called; a command has those of them that it has options for.
WHICH = "which rejects"
READING = "how sources are read"
STORED = "what is stored"
WORK = "how the work is done"
TOLD = "what is told"
DJANGO = "Django's options"


class HelpFormatter(DjangoHelpFormatter):
    """Fills paragraphs, and leaves lines that are indented as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(self._paragraph(each, width, indent) for each in re.split(r"\n{2,}", text.strip("\n")))

    def _paragraph(self, text: str, width: int, indent: str) -> str:
        if any(line.startswith(" ") for line in text.splitlines()):
            return text
        return super()._fill_text(text, width, indent)


def group(parser: CommandParser, title: str) -> argparse._ArgumentGroup:
    """The group of options that is called so; made where there is none yet."""
    found = next((each for each in parser._action_groups if each.title == title), None)
    return found or parser.add_argument_group(title)


def put_last(parser: CommandParser, title: str) -> None:
    """Let what every command has come behind what this one has, under a title."""
    parser._action_groups.remove(parser._optionals)
    parser._action_groups.append(parser._optionals)
    parser._optionals.title = title
