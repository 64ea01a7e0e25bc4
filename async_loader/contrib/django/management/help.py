"""How `--help` of the commands is laid out: options in groups, examples as they are typed, Django's options last."""

from __future__ import annotations

import argparse
import re

from django.core.management.base import CommandParser, DjangoHelpFormatter

# The titles of the groups. A command shows the groups that it has options for.
CHOOSING = "choosing rejects"
READING = "reading sources"
FORMAT = "formats of sources"
FINDING = "finding rows"
STORING = "storing"
RUNNING = "running"
REPORTING = "reporting"
DJANGO = "Django's options"


class HelpFormatter(DjangoHelpFormatter):
    """A formatter that fills paragraphs, and keeps the line breaks of a paragraph that has indented lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(self._paragraph(each, width, indent) for each in re.split(r"\n{2,}", text.strip("\n")))

    def _paragraph(self, text: str, width: int, indent: str) -> str:
        if any(line.startswith(" ") for line in text.splitlines()):
            return text
        return super()._fill_text(text, width, indent)


def group(parser: CommandParser, title: str) -> argparse._ArgumentGroup:
    """Return the parser's group of that title, made now if there is none yet."""
    present = next((each for each in parser._action_groups if each.title == title), None)
    return present or parser.add_argument_group(title)


def put_last(parser: CommandParser, title: str) -> None:
    """Move the options that every command of Django has to the end of the help, under a title."""
    parser._action_groups.remove(parser._optionals)
    parser._action_groups.append(parser._optionals)
    parser._optionals.title = title
