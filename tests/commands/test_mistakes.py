"""Options that do not fit each other, or no table: a usage error of one line, which names the option."""

from __future__ import annotations

import pytest

from async_loader.contrib.django.management.base import USAGE
from tests.commands.conftest import Project

OPTIONS = {
    ("--match=users",): "--match 'users' is not of the form TABLE=COLUMN[,COLUMN]",
    ("--match=users=emial",): "--match: table users has no column 'emial'; did you mean email?",
    ("--match=users=email", "--match=users=name,email"): (
        "--match is given twice for users; name all columns in one: --match users=email,name"
    ),
    ("--match=users=zzz",): "--match: table users has no column 'zzz'; it has id, name, email",
    ("--workers=2", "--share-size=1"): "--workers, --share-size: mode async has no workers; add --mode dask",
    ("--mode=dask", "--share-size=0"): "--share-size is more than 0 MiB, and no more than any file has, not 0",
}


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_options_that_do_not_fit_are_one_line(project: Project, options: tuple[str, ...]) -> None:
    done = project.call("insert_data", *options)
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", f"error: {OPTIONS[options]}\n")
