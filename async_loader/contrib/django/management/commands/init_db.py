"""`manage.py init_db`: create the databases and tables that a load needs."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.management.base import CommandParser

import async_loader
from async_loader.contrib.django.management.base import LoaderCommand
from async_loader.contrib.django.management.help import STORING, group


class Command(LoaderCommand):
    """The command; `help` describes it."""

    help = (
        "Create what a load needs and no migration creates: the loader's own tables in every database that models live "
        "in, and the tables of unmanaged models (managed = False) that ASYNC_LOADER_TABLES declares. Tables that exist "
        "stay as they are."
    )
    usage = "[TABLE ...] [options]"
    epilog = """\
example: begin with empty databases
  python manage.py init_db --fresh

exit codes:
  0 done, 1 failed, 2 usage, 130 Ctrl-C, 143 SIGTERM
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options, as docs/reference.md lists them."""
        parser.add_argument(
            "names",
            nargs="*",
            default=[],
            metavar="TABLE",
            help="the table of another unmanaged model, to be created as well",
        )
        group(parser, STORING).add_argument("--fresh", action="store_true", help="empty all these tables first")

    def handle(self, *, names: Sequence[str], fresh: bool, **_: object) -> None:
        """Create what is missing, and print the databases that are ready."""
        from async_loader.contrib.django.models.tables import ProjectTables

        project = ProjectTables()
        locations, unusable_databases = project.homes()
        for problem in unusable_databases:
            self.warn(problem)
        ready = async_loader.init(project.created_by_init(names), locations, fresh=fresh)
        self.print_lines(f"{name} database initialized." for name in ready)
