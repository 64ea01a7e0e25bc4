"""`manage.py init_db`: create the databases and tables that a load needs."""

from __future__ import annotations

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.base import LoaderCommand
from async_loader.contrib.django.management.help import STORING, group


class Command(LoaderCommand):
    """The command; `help` describes it."""

    help = (
        "Create the databases and tables that are missing: the loader's own tables, and those of models that Django's "
        "migrations leave alone (managed = False)."
    )
    epilog = """\
example: begin with empty databases
  python manage.py init_db --fresh

exit codes:
  0 done, 1 failed, 2 usage, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        group(parser, STORING).add_argument("--fresh", action="store_true", help="empty those tables first")

    def handle(self, *, fresh: bool, **_: object) -> None:
        """Create what is missing, and print the databases that are ready."""
        from async_loader.contrib.django.models.tables import ProjectTables

        project = ProjectTables()
        locations, unusable_databases = project.homes()
        tables, unloadable_models = project.unmanaged()
        for problem in dict.fromkeys([*unusable_databases, *unloadable_models]):
            self.warn(problem)
        ready = async_loader.init(tables, locations, fresh=fresh)
        self.print_lines(f"{name} database initialized." for name in ready)
