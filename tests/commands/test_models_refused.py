"""Models that cannot be loaded, are not known, or have no table of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.project import Oracle, ServedShop, Shop
from tests.commands.test_models import counts
from tests.processes import PATIENCE

_OF_DATABASES = ("odd.Elsewhere", "odd.Nowhere")
REFUSED = {
    "odd.Derived": "odd.Derived: its fields lie in several tables, and its key is not that of odd.Base",
    "estate.Loop": "estate.Loop: beside references estate.Building, which is its own parent",
    "odd.Hen": None,
    "odd.DeviceKey": "odd.DeviceKey.mac is a Mac, which is stored as macaddr",
    "odd.TwoKeys": "odd.TwoKeys: a key of several columns",
    "odd.JsonKey": "key data is JSON, which no key can be",
    "odd.BadDefault": "odd.BadDefault.number: its default 'none' is no value of it",
    "odd.One": "table shared is of several models, odd.One, odd.Another",
    "odd.Elsewhere": "database elsewhere: is of oracular; only SQLite and PostgreSQL can be loaded into",
    "odd.Nowhere": "database nowhere: ",
}


@pytest.mark.parametrize("label", REFUSED)
def test_a_model_that_cannot_be_loaded_is_refused_in_one_line(oracle: Oracle, label: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,egg_id\n1,1\n")
    refusal = oracle.ask("refusal", ["insert_data", f"{label}={path}"])
    expected = REFUSED[label]
    if expected is None:
        # In a circle with another model, which is only looked up.
        assert refusal is None
    else:
        assert expected in refusal
        assert len(refusal.splitlines()) == 1


def test_models_that_cannot_be_loaded_are_in_no_ones_way(shop: Shop) -> None:
    for command in (["check_references"], ["verify"], ["rejects"], ["rejects", "show"], ["rejects", "retry"]):
        done = shop.manage(*command)
        assert (done.returncode, done.stderr) == (0, "")
    for asked in (
        ["insert_data", "odd.DeviceKey=x.csv"],
        ["check_references", "odd.DeviceKey"],
        ["rejects", "show", "--table=odd.DeviceKey"],
    ):
        refused = shop.manage(*asked)
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: odd.DeviceKey.mac is a Mac, which is stored as macaddr")
        assert len(refused.stderr.splitlines()) == 1


def test_the_check_reports_in_one_warning_the_models_that_cannot_be_loaded(shop: Shop) -> None:
    done = shop.manage("check")
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if "async_loader.W003" in line and "HINT" not in line]
    [told] = warning.split(" models cannot be loaded: ")[1:]
    reported = told.removesuffix(".").split("; ")
    of_models = {label: line for label, line in REFUSED.items() if line and label not in _OF_DATABASES}
    for line in of_models.values():
        assert [each for each in reported if line.partition(";")[0] in each], line
    assert [each for each in reported if each == "odd.Hen: its references lead back to it"]
    silenced = shop.manage("check", "--settings=silent")
    assert "W003" not in silenced.stderr


UNFINISHED = {
    "Lost": "broken.Lost.there: its foreign key leads to no field",
    "Aside": "broken.Aside.lost: its foreign key leads to no field",
    "OfPair": "broken.OfPair.pair: its foreign key leads to no field",
    "Left": "broken.Left.right: its foreign key leads to no field",
    "OddDay": "broken.OddDay.day: its default 5 is no value of it",
}


def test_models_that_django_finds_fault_with_break_no_check(shop: Shop) -> None:
    done = shop.manage("check", "--settings=unfinished")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "broken.Lost.there: (fields.E300)" in done.stderr
    # What Django says is not said once more.
    [warning] = [line for line in done.stderr.splitlines() if "async_loader.W003)" in line]
    assert "broken.OddDay.day: its default 5 is no value of it" in warning
    assert "broken.Lost" not in warning
    for model, line in UNFINISHED.items():
        refused = shop.manage("insert_data", f"broken.{model}=x.csv", "--settings=unfinished")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"error: {line}")
    assert shop.manage("rejects", "--settings=unfinished").returncode == 0


DOES_NOT_IMPORT = """
import django, sys
django.setup()
from django.core.checks import run_checks
assert any(message.id == "async_loader.W003" for message in run_checks())
print({"polars", "numpy", "pyarrow"} & set(sys.modules))
"""


def test_a_check_without_declarations_imports_nothing_heavy(shop: Shop) -> None:
    environment = shop.environment
    done = subprocess.run(
        [sys.executable, "-c", DOES_NOT_IMPORT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("shop.Custmer", "shop.Customer"),
        ("SHOP.orders", "shop.Order"),
        ("shop_produkt", "shop_product"),
        ("Card", "shop.Card"),
    ],
)
def test_an_unknown_table_is_answered_with_the_nearest_name(oracle: Oracle, given: str, meant: str) -> None:
    refusal = oracle.ask("refusal", ["insert_data", f"{given}=x.csv"])
    assert refusal == f"no table is called {given!r}; did you mean {meant}?"


def test_a_name_that_is_like_no_other_is_answered_with_the_tables(oracle: Oracle) -> None:
    refusal = oracle.ask("refusal", ["insert_data", "zzzz=x.csv"])
    assert refusal.startswith("no table is called 'zzzz'; there are auth_group, ")
    assert refusal.endswith(" more")


QUERIES_OF_ALL_TABLES = """
import django
django.setup()
from contextlib import ExitStack
from django.db import connections
from django.test.utils import CaptureQueriesContext
from async_loader.contrib.django.models.tables import ProjectTables
with ExitStack() as stack:
    seen = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in ("default", "archive")]
    found = ProjectTables().all_tables()
    print(len(found) > len(seen), *map(len, seen))
"""


def test_a_database_is_asked_once_which_of_its_tables_are_made(shop: Shop) -> None:
    with shop.start("-c", QUERIES_OF_ALL_TABLES) as process:
        out, error = process.communicate()
    assert (out, error) == ("True 1 1\n", "")


def test_init_db_creates_and_empties_no_tables_but_unmanaged_ones_that_are_named(shop: Shop) -> None:
    shop.query("INSERT INTO auth_user VALUES (1, '', NULL, 0, 'a', '', '', 0, 1, '2024-01-01', '')")
    shop.query("INSERT INTO legacy VALUES (1, 5, 1)")
    assert shop.manage("init_db", "--fresh").returncode == 0
    assert shop.query("SELECT count(*) FROM legacy") == [(1,)]
    done = shop.manage("init_db", "shop.Legacy", "--fresh")
    assert done.returncode == 0, done.stderr
    assert shop.query("SELECT count(*) FROM auth_user") == [(1,)]
    assert shop.query("SELECT count(*) FROM legacy") == [(0,)]
    [(sql,)] = shop.query("SELECT sql FROM sqlite_master WHERE name = 'legacy'")
    assert '"number" INTEGER NOT NULL UNIQUE' in sql


RELATIONS = "SELECT type, name FROM sqlite_master WHERE name IN ('summary', 'imported') ORDER BY name"


@pytest.mark.parametrize("declared", [False, True])
def test_init_db_leaves_a_view_and_the_place_of_a_missing_one_alone(shop: Shop, *, declared: bool) -> None:
    assert shop.manage("init_db").returncode == 0
    assert shop.query(RELATIONS) == []
    shop.query("CREATE VIEW summary AS SELECT 1 AS id, 2 AS total")
    if declared:
        shop.environment["PROJECT_TABLES"] = "odd.models.tables"
    for names in ([], ["odd.Summary", "imported"]):
        done = shop.manage("init_db", *names, "--fresh")
        assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
        made = [("table", "imported")] if declared or names else []
        assert shop.query(RELATIONS) == [*made, ("view", "summary")]


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_init_db_leaves_a_view_of_a_server_alone(new_served_shop: ServedShop, tmp_path: Path, kind: str) -> None:
    shop = new_served_shop.copy_to(tmp_path)
    shop.query(f"CREATE {kind} summary AS SELECT 1::bigint AS id, 2 AS total")
    shop.environment["PROJECT_TABLES"] = "odd.models.tables"
    for names in ([], ["odd.Summary", "imported"]):
        done = shop.manage("init_db", *names, "--fresh")
        assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    kinds = "SELECT relname, relkind::text FROM pg_class WHERE relname IN ('summary', 'imported') ORDER BY 1"
    assert shop.query(kinds) == [("imported", "r"), ("summary", "v" if kind == "VIEW" else "m")]


def test_init_db_makes_no_table_of_a_model_that_migrations_create(shop: Shop) -> None:
    done = shop.manage("init_db", "shop.Order")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "error: table shop_order: migrations create it; run manage.py migrate"


def test_an_app_that_is_called_as_the_samples_is_loaded_like_any_other(shop: Shop) -> None:
    path = shop.file("notes.csv", "id,text\n1,x\n")
    report = shop.load(f"core.Note={path}")
    assert counts(report, "inserted") == {"core_note": [1]}
    assert shop.query("SELECT * FROM core_note", "archive") == [(1, "x")]
