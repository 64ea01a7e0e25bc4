"""Pages of the documentation as what they show: files that a reader writes, commands, and what these print.

A line that ends in a path, as in "`shop/models.py`:", before a block of code makes that file, and one that ends in
"end of `shop/models.py`:" adds to it. A block of `console` is a transcript: lines after `$ ` are commands, the others
what they print, where a line of `...` stands for any lines. Other blocks are only to be looked at.

`python -m tests.transcripts docs/PAGE.md` puts into a page what its commands print now.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import fork_client, postgres, processes

ROOT = Path(__file__).resolve().parent.parent

# What pages call the directory that everything is done in.
HOME = "/home/me/loader"
# What pages call a port of this machine. Another run of the tests may be at the same page.
_PORT = "18786"
# Seconds that a page may take.
_LONGEST = 240
_BLOCK = re.compile(
    r"(?:^(?P<lead>[^\n]*)\n\n?)?^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PATH = re.compile(r"(?P<end>\bend of )?`(?P<path>[\w./-]+\.[a-z]{1,5})`:$")
_COMMAND = "$ "
_ANY_LINES = "..."
# Stands where a command has ended. No command prints it.
_MARK = "\x1e"
# What is never the same twice: names of runs and rejects (tables of one database take turns in counting them), moments,
# and how long something took.
_CHANGING = (
    (re.compile(r"\b[0-9a-f]{32}\b(:[0-9]+)?"), "NAME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:[0-9.:+Z]+"), "MOMENT"),
    (re.compile(r"\b[0-9.]+ s\b|(?<=\"seconds\": )[0-9.]+"), "SECONDS"),
    (re.compile(r"\b[0-9,]+ records/s"), "SPEED"),
    (re.compile(r"(?m)^(table .*|total .*|\w+( +[0-9,]+){5}) +\S+$"), r"\1 SECONDS"),
    (re.compile(r" {2,}"), "  "),
)


@dataclass(frozen=True)
class File:
    """A file that the reader writes, or text that is added to it."""

    path: str
    text: str
    is_added: bool

    def script(self) -> str:
        """Return shell code that writes the file."""
        path, directory = shlex.quote(self.path), shlex.quote(str(Path(self.path).parent))
        return f"mkdir -p {directory}\ncat {'>>' if self.is_added else '>'} {path} <<'{_MARK}'\n{self.text}{_MARK}"


@dataclass(frozen=True)
class Command:
    """A command, and what the page says that it prints."""

    line: str
    printed: str

    def script(self) -> str:
        """Return shell code that runs the command, and leaves its exit code to the next one."""
        return f"{self.line}\n{{ left=$?; printf '\\n{_MARK}\\n'; (exit $left); }} 2>/dev/null"


def steps(page: str) -> Iterator[File | Command]:
    """Yield what the reader does, in order."""
    for block in _BLOCK.finditer(page):
        if block["language"] == "console":
            yield from _commands(block["text"])
        elif named := _PATH.search(block["lead"] or ""):
            yield File(named["path"], block["text"], is_added=named["end"] is not None)


def _commands(transcript: str) -> Iterator[Command]:
    parts = re.split(rf"^{re.escape(_COMMAND)}", transcript, flags=re.MULTILINE)
    for part in parts[1:]:
        line, _, printed = part.partition("\n")
        yield Command(line, printed)


def run(page: str, directory: Path) -> list[tuple[Command, str]]:
    """Do all of it in a directory; each command with what it printed on both streams, as a terminal shows it."""
    done = list(steps(page))
    script, port = "\n".join(step.script() for step in done), _free_port()
    with tempfile.TemporaryDirectory() as packages, _surroundings(page) as (programs, surroundings):
        # The package as it is installed: without the rest of this repository.
        (Path(packages) / "async_loader").symlink_to(ROOT / "async_loader")
        _put_programs(Path(packages) / "bin")
        shell = subprocess.run(
            ["bash", "-u"],
            input=script.replace(_PORT, port),
            cwd=directory,
            env=_environment(packages, *programs) | surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    commands = [step for step in done if isinstance(step, Command)]
    printed = shell.stdout.replace(str(directory), HOME).replace(port, _PORT).split(f"\n{_MARK}\n")
    assert len(printed) == len(commands) + 1, shell.stdout
    return list(zip(commands, (_ended(text) for text in printed), strict=False))


def _put_programs(directory: Path) -> None:
    """Write programs `python` and `dask` that cost a fork, where they can be one, and no start of Python."""
    directory.mkdir()
    command = [sys.executable, "-I", "-S", fork_client.__file__, processes.server().address]
    for name, module in {"python": [], "dask": ["-m", "dask"]}.items():
        program = directory / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*command, *module])} "$@"\n')
        program.chmod(0o755)


def _free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def _environment(packages: str, *programs: Path) -> dict[str, str]:
    """Return the variables of a shell that finds a package, and these directories' programs besides its own."""
    kept = {
        name: value for name, value in os.environ.items() if not re.match("DJANGO_|DATABASE_|PG|.*_DATABASE_", name)
    }
    path = [f"{packages}/bin", str(Path(sys.executable).parent), *map(str, programs), kept["PATH"]]
    return kept | {
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": packages,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "error",
        "COLUMNS": "80",
    }


def is_of_a_server(page: str) -> bool:
    """Return whether the page says that it needs a PostgreSQL server."""
    return "where a PostgreSQL server runs" in " ".join(page.split())


@contextmanager
def _surroundings(page: str) -> Iterator[tuple[list[Path], dict[str, str]]]:
    """Give the directories of programs and the variables that the page needs in its environment."""
    programs = postgres.binaries()
    if programs is None or not is_of_a_server(page):
        yield [], {}
        return
    with postgres.server() as server:
        yield [programs], {"PGHOST": str(server.directory), "PGUSER": "tester"}


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def copy_of_the_sample(directory: Path) -> Path:
    """Copy the sample project into a directory, as a clone has it."""
    shutil.copy(ROOT / "manage.py", directory)
    for package in ("core", "benchmarks"):
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data", directory / "data", ignore=shutil.ignore_patterns("*.db*"))
    return directory


def new_project(directory: Path) -> Path:
    """Make a Django project with an app in a directory, and return it."""
    making = "python -m django startproject mysite . && python manage.py startapp shop"
    subprocess.run(["bash", "-c", making], cwd=directory, env=_environment(str(ROOT)), timeout=_LONGEST, check=True)
    return directory


def fits(shown: str, printed: str) -> bool:
    """Return whether a command printed what the page says, except for what is never the same twice."""
    parts = re.split(rf"^{re.escape(_ANY_LINES)}$\n?", shown, flags=re.MULTILINE)
    wanted = "(.*\n)*".join(re.escape(unchanging(part)) for part in parts)
    return re.fullmatch(wanted, unchanging(printed)) is not None


def unchanging(text: str) -> str:
    """Return the text without what is never the same twice."""
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text


def differences(page: str, directory: Path) -> str:
    """Return what commands printed otherwise than the page says; empty if all is as it says."""
    return "\n".join(
        f"$ {command.line}\nis said to print\n{command.printed}but printed\n{printed}"
        for command, printed in run(page, directory)
        if not fits(command.printed, printed)
    )


def mended(page: str, directory: Path) -> str:
    """Return the page with what its commands print now."""
    results = iter(run(page, directory))

    def block(match: re.Match[str]) -> str:
        if match["language"] != "console":
            return match[0]
        parts = []
        for command in _commands(match["text"]):
            _, printed = next(results)
            shown = command.printed if fits(command.printed, printed) else printed
            parts.append(f"{_COMMAND}{command.line}\n{shown}")
        return match[0].replace(match["text"], "".join(parts))

    return _BLOCK.sub(block, page)


def is_of_the_sample(page: str) -> bool:
    """Return whether the page says that it begins in a clone of this repository."""
    return "in a clone of this repository" in " ".join(page.lower().split())


def is_of_a_project(page: str) -> bool:
    """Return whether the page says that it begins in a Django project with an app."""
    return "in a django project called `mysite` with an app `shop`" in " ".join(page.lower().split())


def begin(page: str, directory: Path) -> Path:
    """Prepare a directory as the page wants it at its beginning, and return it."""
    if is_of_a_project(page):
        return new_project(directory)
    return copy_of_the_sample(directory) if is_of_the_sample(page) else directory


def _main(paths: list[str]) -> None:
    if not paths:
        sys.exit(textwrap.dedent(__doc__ or ""))
    for path in map(Path, paths):
        page = path.read_text()
        with tempfile.TemporaryDirectory() as directory:
            path.write_text(mended(page, begin(page, Path(directory))))


if __name__ == "__main__":
    _main(sys.argv[1:])
