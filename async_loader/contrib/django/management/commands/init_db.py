"""`manage.py init_db`: create the databases and their tables, with plain SQL."""

from __future__ import annotations

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.commands._command import LoaderCommand
from async_loader.contrib.django.management.commands._help import STORED, group
from async_loader.contrib.django.models.tables import ProjectTables
from async_loader.contrib.django.terminal.output import complain


class Command(LoaderCommand):
    """See `help`."""

    help = (
        "Create the databases and tables that are missing: the loader's own, and those of models that Django's "
        "migrations leave alone (managed = False)."
    )
    epilog = """\
example: begin with empty databases
  python manage.py init_db --fresh

exit codes:
  0 done, 1 failed, 2 usage, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """One option."""
        group(parser, STORED).add_argument("--fresh", action="store_true", help="empty those tables first")

    def handle(self, *, fresh: bool, **_: object) -> None:
        """Say which databases are ready."""
        project = ProjectTables()
        homes, problems = project.homes()
        unmanaged, others = project.unmanaged()
        for problem in dict.fromkeys([*problems, *others]):
            complain(f"warning: {problem}")
        ready = async_loader.init(unmanaged, homes, fresh=fresh)
        self.say(f"{name} database initialized." for name in ready)
