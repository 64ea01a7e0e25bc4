"""`inspect_source`: the command that it prints loads the file, and the model that it prints can be pasted."""

from __future__ import annotations

import gzip
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import async_loader
from async_loader import Type
from tests import processes
from tests.commands.awkward_files import CUSTOMER, ORDER, PRODUCT, SHOPS, Awkward
from tests.commands.conftest import Project
from tests.commands.project import Oracle


@pytest.fixture
def shops(oracle: Oracle) -> Iterator[Oracle]:
    """Give the project in one process, with two customers and nothing else."""
    for label in (ORDER, PRODUCT, CUSTOMER):
        oracle.ask("empty", label)
    yield oracle
    for label in (ORDER, PRODUCT, CUSTOMER):
        oracle.ask("empty", label)


def inspected(project: Oracle, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = project.ask("inspect", arguments)
    assert (report["status"], report["error"]) == ("complete", None)
    return report


def loaded(project: Oracle, command: str) -> dict[str, Any]:
    """Return the report of the command, as a shell would run it, about its one table."""
    program, manage, *arguments = shlex.split(command)
    assert (program, manage) == ("python", "manage.py")
    [table] = [table for table in project.manage(*arguments)["tables"].values() if table["sources"]]
    return dict(table)


@pytest.mark.parametrize("awkward", SHOPS, ids=lambda awkward: awkward.name)
def test_the_command_that_it_prints_loads_the_file(shops: Oracle, awkward: Awkward, tmp_path: Path) -> None:
    if awkward.model == ORDER:
        people = [{"name": name, "email": f"{name.lower()}@example.com"} for name in ("Ada", "Bob")]
        shops.add(CUSTOMER, people)
    report = inspected(shops, awkward.write(tmp_path), "--model", awkward.model)
    assert report["judged"]["problem"] is None
    table = loaded(shops, report["command"])
    assert (table["inserted"], table["rejected"]) == (awkward.loaded, awkward.rejected)
    # What a dry run of the sample says is what the load does.
    assert (report["judged"]["given"], report["judged"]["rejected"]) == (table["given"], table["rejected"])
    guessed = report["file"] | (report["file"]["dialect"] or {})
    assert {name: guessed[name] for name in awkward.form or {}} == dict(awkward.form or {})
    declared = eval(report["format"], {"Format": async_loader.Format})
    source = async_loader.Source(report["source"], declared)
    assert source.base == report["file"]["base"]
    assert {name: getattr(source.dialect, name) for name in report["file"]["dialect"] or {}} == (
        report["file"]["dialect"] or {}
    )
    assert awkward.says in "\n".join([*report["file"]["evidence"], *report["file"]["ambiguous"]])


def fits(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return, by name in the file, which column it is for, and how they fit."""
    return {each["name"]: (each["column"], each["how"]) for each in report["fit"] if each["name"]}


def awkward_file(name: str, directory: Path) -> str:
    [found] = [each for each in SHOPS if each.name == name]
    return found.write(directory)


def test_an_object_is_stored_as_a_whole_where_the_table_has_a_column_for_it(shops: Oracle, tmp_path: Path) -> None:
    report = inspected(shops, awkward_file("objects.jsonl", tmp_path), "--model", PRODUCT)
    assert fits(report) == {
        "sku": ("sku", "exact"),
        "price": ("price", "exact"),
        "tags": ("tags", "exact"),
        "tags.fw": (None, "ignored"),
        "tags.at.x": (None, "ignored"),
    }
    assert not {"--map", "--ignore"} & set(shlex.split(report["command"]))
    loaded(shops, report["command"])
    tags = [row[-2] for row in shops.ask("rows", PRODUCT)["read"]]
    assert tags == [repr({"fw": "1.10", "at": {"x": 1}}), repr({"fw": "1.9"})]


def test_numbers_that_are_text_to_the_file_are_text_in_the_proposed_model(shops: Oracle, tmp_path: Path) -> None:
    report = inspected(shops, awkward_file("objects.jsonl", tmp_path))
    assert "price = models.CharField(max_length=10)" in report["model"]
    frame = pl.DataFrame({"version": ["1.10", "1.9"], "size": [1, 2]})
    frame.write_parquet(tmp_path / "typed.parquet")
    frame.write_excel(tmp_path / "typed.xlsx")
    for name in ("typed.parquet", "typed.xlsx"):
        report = inspected(shops, str(tmp_path / name))
        assert "version = models.CharField(max_length=10)" in report["model"]
        assert "size = models.IntegerField()" in report["model"]


def test_an_object_that_is_null_once_is_no_column_beside_its_members(shops: Oracle, tmp_path: Path) -> None:
    report = inspected(shops, awkward_file("null.jsonl", tmp_path))
    assert [column["name"] for column in report["file"]["columns"]] == ["sku", "price", "owner.email"]


def test_names_with_points_are_ignored_as_they_stand_there(shops: Oracle, tmp_path: Path) -> None:
    report = inspected(shops, awkward_file("points.csv", tmp_path), "--model", PRODUCT)
    assert fits(report)["Artikelnr."] == ("sku", "near")
    assert "--ignore shop.Product.Lager. --ignore shop.Product.a.b" in report["command"]


def test_what_is_no_number_among_numbers_of_a_file_with_types_is_no_text_for_null(
    shops: Oracle, tmp_path: Path
) -> None:
    pl.DataFrame({"sku": ["n1", "n2"], "price": [1.5, float("nan")]}).write_parquet(tmp_path / "nan.parquet")
    report = inspected(shops, str(tmp_path / "nan.parquet"), "--model", PRODUCT)
    assert "--null" not in report["command"]
    table = loaded(shops, report["command"])
    assert (table["inserted"], table["rejected"]) == (2 - report["judged"]["rejected"], report["judged"]["rejected"])


def test_no_text_stands_for_null_in_a_column_that_may_not_be_null(shops: Oracle, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("name,email\n12,a@example.com\n14,b@example.com\nN/A,c@example.com\n")
    report = inspected(shops, str(path), "--model", CUSTOMER)
    assert "--null" not in report["command"]
    assert report["fit"][0]["why"] == "'N/A' may stand for null, which the column may not be"
    assert loaded(shops, report["command"])["inserted"] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sku,price,Zeug\na,1,31.12.2024\nb,2,01.02.2025\n", True),
        # The day or the month.
        ("sku,price,Zeug\na,1,01.02.2024\nb,2,03.04.2025\n", False),
        # Written in two ways.
        ("sku,price,Zeug,Kram\na,1,31.12.2024,2024/12/31\nb,2,01.02.2025,2024/12/30\n", False),
        # Those that are read are written in ISO 8601.
        ("sku,price,since,Zeug\na,1,2024-12-31,31.12.2024\nb,2,2024-12-30,01.02.2025\n", False),
    ],
)
def test_how_dates_are_written_is_said_before_a_column_is_mapped(
    content: str, *, said: bool, shops: Oracle, tmp_path: Path
) -> None:
    (tmp_path / "prices.csv").write_text(content)
    report = inspected(shops, str(tmp_path / "prices.csv"), "--model", PRODUCT)
    assert ("--date-format %d.%m.%Y" in report["command"]) == said
    assert ('date_format=["%d.%m.%Y"]' in report["format"]) == said
    assert loaded(shops, report["command"])["inserted"] == 2


LINKED = {
    "csv": ("Title,Tags\nOne,red|blue\nTwo,red\n", "tags__name"),
    "json": ('[{"title": "One", "tags": ["red", "blue"]}, {"title": "Two", "tags": ["red"]}]', "tags__name"),
}


@pytest.mark.parametrize("kind", LINKED)
def test_values_of_a_many_to_many_field_go_by_a_unique_column(kind: str, shops: Oracle, tmp_path: Path) -> None:
    content, target = LINKED[kind]
    for label in ("press.Article", "press.Tag"):
        shops.ask("empty", label)
    shops.add("press.Tag", [{"name": "red"}, {"name": "blue"}])
    path = tmp_path / f"articles.{kind}"
    path.write_text(content)
    report = inspected(shops, str(path), "--model", "press.Article")
    assert [each["column"] for each in report["fit"] if (each["name"] or "").lower() == "tags"] == [target]
    assert loaded(shops, report["command"])["rejected"] == 0
    assert shops.ask("linked", "press.Article", "tags") == {"One": ["blue", "red"], "Two": ["red"]}
    for label in ("press.Article", "press.Tag"):
        shops.ask("empty", label)


@pytest.mark.parametrize(
    ("header", "targets"),
    [
        ("customer_name,customerEmail", ["name", "email"]),
        ("Kundenname,Mailadresse", ["name", "email"]),
        ("Name.,E-Mail:", ["name", "email"]),
        # Which of them is the name is not known.
        ("Vorname,Nachname,email", [None, None, "email"]),
    ],
)
def test_names_are_known_by_their_words(header: str, targets: list[str | None], shops: Oracle, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"{header}\n{'Ada,' * header.count(',')}ada@example.com\n")
    report = inspected(shops, str(path), "--model", CUSTOMER)
    assert [each["column"] for each in report["fit"] if each["name"]] == targets


def test_a_proposed_model_has_names_in_words_and_sheets_have_whole_numbers(shops: Oracle, tmp_path: Path) -> None:
    pl.DataFrame({"serialNumber": [1003, 1004], "lastSeen": ["x", "y"]}).write_excel(tmp_path / "devices.xlsx")
    report = inspected(shops, str(tmp_path / "devices.xlsx"))
    assert "serial_number = " in report["model"]
    assert "last_seen = " in report["model"]
    assert report["file"]["columns"][0]["examples"] == ["1003", "1004"]


SETTINGS = """
SECRET_KEY = "unused"
INSTALLED_APPS = ["myapp", "async_loader.contrib.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "pasted.db"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
# Runs commands, and prints what each has inserted and rejected.
LOAD_ALL = """
import io, json, pathlib
import django
from django.core.management import call_command

django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
call_command("init_db", stdout=io.StringIO())
for arguments in json.loads(pathlib.Path("commands.json").read_text()):
    out = io.StringIO()
    call_command(*arguments, "--format=json", "--no-progress", stdout=out)
    [table] = json.loads(out.getvalue())["tables"].values()
    print(json.dumps([table["inserted"], table["rejected"]]))
"""


def test_the_model_that_it_prints_can_be_pasted_and_the_command_loads_into_it(shops: Oracle, tmp_path: Path) -> None:
    reports = [inspected(shops, awkward.write(tmp_path)) for awkward in SHOPS]
    app = tmp_path / "myapp"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text("\n\n".join(["from django.db import models", *(each["model"] for each in reports)]))
    (tmp_path / "pasted.py").write_text(SETTINGS)
    (tmp_path / "load.py").write_text(LOAD_ALL)
    commands = [shlex.split(report["command"])[2:] for report in reports]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    environment = {"DJANGO_SETTINGS_MODULE": "pasted", "PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "error"}
    done = processes.run(["load.py"], cwd=tmp_path, env=os.environ | environment)
    assert (done.stderr, done.returncode) == ("", 0)
    counts = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    names = [each.name for each in SHOPS]
    assert dict(zip(names, counts, strict=True)) == {each.name: (each.loaded, each.rejected) for each in SHOPS}
    judged = [(each["judged"]["given"], each["judged"]["rejected"]) for each in reports]
    assert judged == [(inserted + rejected, rejected) for inserted, rejected in counts]


# More than both ends together, so that a part in the middle is not looked at.
LARGE = "".join(f"{number},user {number},{number}@example.com\n" for number in range(100_000))
OBJECTS = "".join(f'{{"id": {number}, "name": "n", "email": "{number}@example.com"}}\n' for number in range(50_000))


def inspect_user(project: Project, path: str, *arguments: str) -> dict[str, Any]:
    done = project.call("inspect_source", path, "--model=core.User", "--format=json", *arguments)
    assert (done.stderr, done.returncode) == ("", 0)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_of_a_large_file_both_ends_are_looked_at_and_rejects_say_where_they_stand(project: Project) -> None:
    header, footer = "id,name,email\n", "Total,100000\n"
    report = inspect_user(project, project.file("users.csv", f"{header}x,front,a@b\n{LARGE}y,back,a@b\n{footer}"))
    sample, file, judged = report["file"]["sample"], report["file"], report["judged"]
    assert (sample["is_whole"], sample["both_ends"], file["records_are_exact"]) == (False, True, False)
    assert sample["looked_at"] < sample["bytes"]
    assert 90_000 < file["records"] < 110_000
    assert [(each["line"], each["from_end"]) for each in judged["rejects"]] == [(2, None), (None, 2), (None, 1)]
    assert judged["reasons"] == {"id.not_integer": 2, "wrong_field_count": 1}


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv.gz"])
def test_a_sample_of_a_large_file_says_which_ends_it_has(kind: str, project: Project) -> None:
    contents = {
        "jsonl": OBJECTS.encode(),
        "json": f"[{OBJECTS.rstrip().replace(chr(10), ',')}]".encode(),
        # Packed, it would be small, were it not for what cannot be packed.
        "csv.gz": gzip.compress(f"id,name,email\n{LARGE}".encode(), 0),
    }
    path = project.directory / f"users.{kind}"
    path.write_bytes(contents[kind])
    report = inspect_user(project, str(path))
    sample = report["file"]["sample"]
    assert (sample["is_whole"], sample["both_ends"]) == (False, kind == "jsonl")
    records = 100_000 if kind == "csv.gz" else 50_000
    assert 0.8 * records < report["file"]["records"] < 1.2 * records
    assert (report["judged"]["rejected"], report["judged"]["problem"]) == (0, None)
    assert report["command"] == f"python manage.py insert_data core.User={path}"


def test_what_the_table_needs_and_the_file_lacks_is_said(project: Project) -> None:
    report = inspect_user(project, project.file("users.csv", "id,name\n1,Ada\n"))
    assert [(each["column"], each["how"]) for each in report["fit"]] == [
        ("id", "exact"),
        ("name", "exact"),
        ("email", "missing"),
    ]
    assert report["judged"] is None
    shown = project.call("inspect_source", str(project.directory / "users.csv"), "--model=core.User")
    assert "The table needs email, for which nothing was taken: give each with --map or --set." in shown.stdout


def test_a_terminal_gets_values_with_escapes_and_a_page_as_text(project: Project) -> None:
    path = project.file("users.csv", "id,name,email\n1,\x1b[31m<b>red</b>,a@b\nx,\u202eback,c@d\n")
    page = project.directory / "page.html"
    shown = project.call("inspect_source", path, "--model=core.User", f"--report={page}")
    assert (shown.stderr, shown.returncode) == ("", 0)
    assert r"\x1b[31m<b>red</b>" in shown.stdout
    assert not {"\x1b", "\u202e"} & set(shown.stdout)
    text = page.read_text()
    assert not {"\x1b", "\u202e"} & set(text)
    assert "&lt;b&gt;red&lt;/b&gt;" in text
    assert all(part in text for part in ("How it is written", "id must be an integer", "python manage.py insert_data"))


def test_without_a_model_a_page_has_the_model_to_paste(project: Project) -> None:
    page = project.directory / "page.html"
    path = project.file("users.csv", "id,name\n1,Ada\n")
    assert project.call("inspect_source", path, f"--report={page}").returncode == 0
    assert "class Users(models.Model):" in page.read_text()


def test_a_declared_format_does_not_say_how_rows_are_found(project: Project) -> None:
    shown = project.call("inspect_source", project.file("users.csv", "name\nAda\nBob\n"))
    assert "--append is no part of a format: give it with the command." in shown.stdout


def test_a_command_that_a_dry_run_refuses_is_not_shown_as_one_that_loads(project: Project) -> None:
    path = project.directory / "users.parquet"
    pl.DataFrame({"id": [1], "name": [True], "email": ["a@b"]}).write_parquet(path)
    page = project.directory / "page.html"
    shown = project.call("inspect_source", str(path), "--model=core.User", f"--report={page}").stdout
    assert "column 'name' is bool, and the table wants text" in shown
    for text in (shown, page.read_text()):
        assert "The command, which is refused too until what hinders the dry run is mended:" in text
    assert "To load it:" not in shown


REFUSED = {
    "gone.csv": (None, 1, "gone.csv: cannot be read: no such file or directory"),
    "empty.csv": (b"", 1, "is empty: there is nothing to inspect"),
    "page.xls": (b"<html><table></table></html>", 1, "is HTML or XML, whatever its name says"),
    "paper.pdf": (b"%PDF-1.7\n", 1, "is a PDF, which holds no records"),
    "one.json": (b'{"a": 1}\n', 1, "is a JSON document without an array of objects, which would be records"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_inspected_is_refused_on_one_line(name: str, project: Project) -> None:
    content, code, message = REFUSED[name]
    if content is not None:
        (project.directory / name).write_bytes(content)
    done = project.call("inspect_source", str(project.directory / name))
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_a_misspelt_model_and_stdin_are_refused(project: Project) -> None:
    path = project.file("users.csv", "id\n1\n")
    done = project.call("inspect_source", path, "--model=core.Usr")
    assert (done.returncode, done.stderr) == (2, "error: no table is called 'core.Usr'; did you mean core.User?\n")
    done = project.call("inspect_source", "-")
    assert (done.returncode, done.stderr) == (1, "error: -: is read only once: write it to a file to inspect it\n")


def test_from_python_a_file_is_read_by_what_was_guessed(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes("Preisliste\nid;price\n1;1.488,50\n2;k.A.\n3;0,35\n".encode("utf-16"))
    inspected = async_loader.inspect(path)
    columns = [async_loader.Column("id", Type.INTEGER), async_loader.Column("price", Type.REAL, nullable=True)]
    table = async_loader.Table("products", "main", tuple(columns))
    databases = {"main": str(tmp_path / "main.db")}
    async_loader.init([table], databases)
    source = async_loader.Source(str(path), inspected.format())
    report = async_loader.Run([table], {"products": source}, databases, mode="sequential").perform()
    assert report.tables["products"].accepted == ((1, 1488.5), (2, None), (3, 0.35))
