"""Commands that a command proposes do what they are proposed for."""

from __future__ import annotations

import shlex

from tests.commands.conftest import Project

READ = ("--delimiter=;", "--map=users.name=naam", "--set=users.email=a@b", "--null=users=NA", "--ignore=users.more")


def test_mended_rejects_are_read_as_their_source_was(project: Project) -> None:
    """With its delimiter, names, constants, nulls, and columns that are ignored."""
    source = project.file("u.csv", 'id;naam;more\n1;NA;x\n2;"  ";y\n3;Cy;z\n')
    loaded = project.call("insert_data", f"users={source}", *READ)
    assert (loaded.returncode, loaded.stderr) == (0, "")
    bad = project.directory / "bad.csv"
    exported = project.call("rejects", "export", str(bad))
    assert exported.returncode == 0, exported.stderr
    bad.write_text(bad.read_text().replace("NA", "Ann").replace("  ", "Bo"))
    proposed = exported.stdout.partition("then: ")[2]
    words = shlex.split(proposed)
    assert words[:3] == ["python", "manage.py", "insert_data"]
    mended = project.call(*words[2:])
    assert mended.returncode == 0, mended.stderr
    said, superseded = mended.stderr.splitlines()
    assert said.endswith("with --map users.name=naam --set users.email=a@b --null users=NA --ignore users.more")
    assert superseded == "users: 2 earlier rejects are superseded"
    names = {(1, "Ann", "a@b"), (2, "Bo", "a@b"), (3, "Cy", "a@b")}
    assert set(project.query("users", "SELECT id, name, email FROM users")) == names
