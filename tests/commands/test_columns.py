"""`insert_data --map`, `--set`, `--null`, `--ignore`: names that a source has, what it lacks, how it writes null."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.commands.project import Oracle, Shop

# What is said of names does not depend on the format, but for how its reader finds them.
pytestmark = pytest.mark.turns("kind")

Rows = list[dict[str, Any]]

# sku, price, introduced, tags and active under the names, and with the nulls, of another program.
THEIRS: Rows = [
    {"Artikel": "a-1", "Preis": "1.5", "seit": "-", "active": "true"},
    {"Artikel": "a-2", "Preis": "NULL", "seit": "2024-01-01", "active": "false"},
    {"Artikel": "a-3", "Preis": "x", "seit": "NULL", "active": "false"},
    {"Artikel": "a-4", "Preis": "2", "seit": "NULL", "active": "false"},
]
MAPPED = ["--map=shop.Product.sku=Artikel", "--map=shop_product.price=Preis", "--map=shop.product.since=seit"]
READ = [
    *MAPPED,
    "--set=shop.Product.tags=[1, 2]",
    "--set=shop.Product.active=f",
    "--null=-",
    "--null=shop.Product=NULL",
]


@pytest.fixture
def products(oracle: Oracle) -> Iterator[Oracle]:
    """Give the project in one process, without products."""
    yield oracle
    oracle.ask("empty", "shop.Product")


def write(directory: Path, kind: str, rows: Rows) -> str:
    path = directory / f"theirs.{kind}"
    if kind == "parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def _file(directory: Path, content: str) -> Path:
    path = directory / "p.csv"
    path.write_text(content)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_source_may_have_its_own_names_constants_and_nulls(products: Oracle, kind: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects"
    path = write(tmp_path, kind, THEIRS)
    report = products.manage("insert_data", f"shop.Product={path}", *READ, f"--rejects-dir={rejects}")
    table = report["tables"]["shop_product"]
    assert table["reasons"] == {"price.missing": 1, "price.not_number": 1}
    assert table["ignored_columns"] == []
    stored = [("a-1", 1.5, None, "[1, 2]", 0), ("a-4", 2, None, "[1, 2]", 0)]
    assert products.shop.query("SELECT sku, price, since, tags, active FROM shop_product ORDER BY sku") == stored
    again = products.manage("insert_data", f"shop.Product={path}", *READ)
    assert again["tables"]["shop_product"]["unchanged"] == 2

    [file] = (rejects / report["run"]).iterdir()
    unmended = products.manage("insert_data", f"shop.Product={file}", *READ)["tables"]["shop_product"]
    assert unmended["reasons"] == table["reasons"]
    for before, after in zip(table["rejects"], unmended["rejects"], strict=True):
        assert before["record"].items() <= after["record"].items()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_even_the_key_may_be_a_constant(products: Oracle, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind, THEIRS[2:])
    given = [
        f"shop.Product={path}",
        *READ,
        "--set=shop.Product.sku=only",
        f"--rejects-dir={tmp_path / 'rejects'}",
    ]
    report = products.manage("insert_data", *given)
    assert report["tables"]["shop_product"]["reasons"] == {"price.not_number": 1}
    assert products.shop.query("SELECT sku FROM shop_product") == [("only",)]
    assert len(list((tmp_path / "rejects" / report["run"]).iterdir())) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_nothing_may_stand_for_null(products: Oracle, kind: str, tmp_path: Path) -> None:
    """Empty text too, which is otherwise no null, is missing then where there must be a value."""
    rows = [{"sku": "a-1", "price": "1", "introduced": ""}, {"sku": "", "price": "1", "introduced": ""}]
    report = products.manage("insert_data", f"shop.Product={write(tmp_path, kind, rows)}", "--null=")
    assert report["tables"]["shop_product"]["reasons"] == {"sku.missing": 1}
    assert products.shop.query("SELECT sku, since FROM shop_product") == [("a-1", None)]


def test_text_for_null_may_hold_an_equals_sign(products: Oracle, tmp_path: Path) -> None:
    path = _file(tmp_path, "sku,price,introduced\na,1,=\nb,1,a=b\n")
    report = products.manage("insert_data", f"shop.Product={path}", "--null==", "--null", "shop.Product=a=b")
    assert report["tables"]["shop_product"]["rejected"] == 1
    report = products.manage("insert_data", f"shop.Product={path}", "--null===", "--null", "shop.Product=a=b")
    assert report["tables"]["shop_product"]["rejected"] == 0


USAGE = {
    "--map=shop.Product.nope=x": "table shop_product has no column 'nope'; it has sku, price",
    "--map=shop.Nope.sku=x": "no table is called 'shop.Nope'; there are ",
    "--map=sku=x": "--map 'sku=x' is not of the form TABLE.COLUMN=...",
    "--map=shop.Product.sku": "--map 'shop.Product.sku' is not of the form TABLE.COLUMN=...",
    "--map=shop.Product.sku=": "--map",
    "--map=shop.Order.id=x": "an option names shop_order, which is not loaded",
    "--set=shop.Product.price=much": "table shop_product: a constant cannot be stored: price must be a number",
    "--set=shop.Product.price=1.234": "table shop_product: a constant cannot be stored: price has too many digits",
    "--set=shop.Product.price=": "table shop_product: a constant cannot be stored: price is missing",
    "--set=shop.Product.introduced=": "table shop_product: a constant cannot be stored: since is missing",
    "--ignore=shop.Order.x": "an option names shop_order, which is not loaded",
    "--null=shop.Nope=x": "no table is called 'shop.Nope'; there are ",
    "--null=shop.Order=x": "an option names shop_order, which is not loaded",
}


@pytest.mark.parametrize("option", USAGE)
def test_what_cannot_be_meant_is_said_in_one_line(products: Oracle, option: str, tmp_path: Path) -> None:
    path = _file(tmp_path, "sku,price\na,1\n")
    refusal = products.ask("refusal", ["insert_data", f"shop.Product={path}", option])
    assert refusal.startswith(USAGE[option])
    assert len(refusal.splitlines()) == 1
    assert products.shop.query("SELECT count(*) FROM shop_product") == [(0,)]


def test_a_constant_is_held_to_the_rules_and_may_be_null_only_where_that_is_allowed(
    products: Oracle, tmp_path: Path
) -> None:
    path = _file(tmp_path, "sku,price\na,1\n")
    report = products.manage("insert_data", f"shop.Product={path}", "--set=shop.Product.sku=no slug")
    assert report["tables"]["shop_product"]["reasons"] == {"sku.regex": 1}
    never = ["--set=shop.Product.price=NULL", "--null=NULL"]
    refusal = products.ask("refusal", ["insert_data", f"shop.Product={path}", *never])
    assert refusal == "table shop_product: a constant cannot be stored: price is missing"
    products.manage("insert_data", f"shop.Product={path}", "--set=shop.Product.introduced=NULL", "--null=NULL")
    assert products.shop.query("SELECT sku, since FROM shop_product") == [("a", None)]


@pytest.mark.parametrize("option", ["--map=shop.Product.nope=x", "--set=shop.Product.price=", "--null=nope=x"])
def test_what_cannot_be_meant_is_a_usage_error(shop: Shop, option: str) -> None:
    path = shop.file("p.csv", "sku,price\na,1\n")
    done = shop.manage("insert_data", f"shop.Product={path}", option)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


CHANGED = [["--map=shop.Product.sku=other"], ["--set=shop.Product.active=f"], ["--null=NULL"], ["--ignore=more"]]


@pytest.mark.parametrize("options", CHANGED, ids=str)
def test_a_run_goes_on_only_with_the_same_names_constants_and_nulls(shop: Shop, options: list[str]) -> None:
    path = shop.file("p.csv", "sku,other,price\na,b,1\nc,d,2\n")
    shop.load(f"shop.Product={path}", "--commit-every=1", "--ignore=other")
    shop.query("UPDATE loader_runs SET state = 'running', checkpoint = 1, given = 1, inserted = 1, unchanged = 0")
    shop.query("DELETE FROM shop_product WHERE sku = 'c'")
    begun = shop.manage("insert_data", f"shop.Product={path}", "--commit-every=1", "--ignore=other", *options)
    assert begun.returncode == 0, begun.stderr
    [line] = [line for line in begun.stderr.splitlines() if "resuming" in line]
    assert line.startswith("not resuming run ")
    assert line.endswith(f"({options[0].split('=')[0]}) now; starting over")


def test_the_same_names_constants_and_nulls_go_on(shop: Shop) -> None:
    path = shop.file("p.csv", "sku,other,price\na,b,1\nc,d,2\n")
    given = [f"shop.Product={path}", "--commit-every=1", *(option for options in CHANGED for option in options)]
    shop.load(*given)
    shop.query("UPDATE loader_runs SET state = 'running', checkpoint = 1, given = 1, inserted = 1, unchanged = 0")
    shop.query("DELETE FROM shop_product WHERE sku = 'd'")
    done = shop.manage("insert_data", *given)
    assert "resuming" in done.stderr
    assert shop.query("SELECT sku FROM shop_product") == [("b",), ("d",)]


def test_a_column_that_comes_late_in_json_lines_is_loaded(shop: Shop) -> None:
    front = "".join(f'{{"sku": "a{n}", "price": 1, "tags": "{"x" * 100_000}"}}\n' for n in range(100))
    path = shop.file("p.jsonl", front + '{"sku": "b", "price": 1, "active": false}\n')
    report = shop.load(f"shop.Product={path}")
    assert report["tables"]["shop_product"]["inserted"] == 101
    assert shop.query("SELECT sku FROM shop_product WHERE NOT active") == [("b",)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_unknown_columns_beside_absent_ones_are_named_mapped_or_ignored(
    products: Oracle, kind: str, tmp_path: Path
) -> None:
    path = write(tmp_path, kind, [{"sku": "a", "price": "1", "Introduced": "2024-01-01", "shop.zip": "x"}])
    source = f"shop.Product={path}"
    refusal = products.ask("refusal", ["insert_data", source])
    assert "has 'Introduced', 'shop.zip', which table shop_product does not have, and lacks 'since', 'tags'" in refusal
    assert "did you mean 'since' by 'Introduced'? --map shop_product.since=Introduced reads it" in refusal
    mapped = "--map=shop.Product.introduced=Introduced"
    assert "'shop.zip', which table" in products.ask("refusal", ["insert_data", source, mapped])
    for ignore in ("shop.zip", "shop.Product.shop.zip", "*", "shop_product.*"):
        report = products.manage("insert_data", source, mapped, f"--ignore={ignore}")
        assert report["tables"]["shop_product"]["ignored_columns"] == []
        assert products.shop.query("SELECT sku, since FROM shop_product") == [("a", "2024-01-01")]


@pytest.mark.parametrize(("name", "column"), [("Price", "price"), (" active", "active"), ("SINCE", "since")])
def test_a_name_that_is_nearly_a_columns_is_refused_in_any_record_of_json_lines(
    shop: Shop, name: str, column: str
) -> None:
    whole = {"sku": "a", "price": 1, "since": None, "tags": [], "active": True}
    odd = {name if key == column else key: value for key, value in whole.items()} | {"sku": "b"}
    for lines, number in (([odd], 1), ([whole, odd], 2), ([whole] * 3 + [odd], 4)):
        path = shop.file("p.jsonl", "".join(f"{json.dumps(each)}\n" for each in lines))
        done = shop.manage("insert_data", f"shop.Product={path}")
        assert done.returncode == 1
        assert done.stderr.startswith(
            f"error: {path}, line {number}: the record has {name!r}, which table shop_product"
        )
        assert shlex.quote(f"shop_product.{column}={name}") in done.stderr
    assert shop.query("SELECT count(*) FROM shop_product") == [(0,)]
    ignored = shop.load(f"shop.Product={path}", f"--ignore=shop.Product.{name}")["tables"]["shop_product"]
    assert ignored["ignored_columns"] == []


@pytest.mark.wide
def test_what_was_kept_of_a_source_that_must_be_mended_comes_with_no_advice_that_cannot_help(shop: Shop) -> None:
    """The same command would end in the same way."""
    padding = "x" * 5_000_000
    lines = [f'{{"sku": "a{number}", "price": 1, "tags": "{padding}"}}\n' for number in range(4)]
    path = shop.file("p.jsonl", "".join(lines) + '{"sku": "b", "Price": 1}\n')
    done = shop.manage("insert_data", f"shop.Product={path}", "--commit-every=1")
    assert done.returncode == 1
    kept = (
        "table shop_product up to record [1-4] kept, once it is mended, a load of the whole source finds them unchanged"
    )
    assert re.search(f"line 5: .*; {kept}\n$", done.stderr)
    assert "same command" not in done.stderr
    Path(path).write_text("".join(lines) + '{"sku": "b", "price": 1}\n')
    report = shop.load(f"shop.Product={path}", "--commit-every=1")["tables"]["shop_product"]
    assert (report["inserted"] + report["unchanged"], report["rejected"]) == (5, 0)
    assert report["unchanged"] > 0


def test_columns_that_the_loader_fills_itself_are_not_lacking(shop: Shop) -> None:
    """New keys are made, so a source without them may have columns that the table does not know."""
    path = shop.file("l.csv", "number,owner,more\n1,,x\n")
    done = shop.manage("insert_data", f"legacy={path}", "--append=legacy")
    assert (done.returncode, done.stderr) == (
        0,
        "warning: legacy: columns that the table does not have were ignored: more\n",
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_foreign_key_under_two_of_its_names_is_refused(products: Oracle, kind: str, tmp_path: Path) -> None:
    row = {"id": "1", "customer": "7" * 32, "product": "a", "product_id": "b", "at": "2026-01-01 00:00:00"}
    path = write(tmp_path, kind, [row])
    refusal = products.ask("refusal", ["insert_data", f"shop.Order={path}"])
    assert "'product_id', 'product', which are names of one column, article; leave one of them out: " in refusal
    assert refusal.endswith("--ignore shop_order.product")
    assert len(refusal.splitlines()) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", ["product", "product_id", "article"])
def test_a_foreign_key_may_stand_under_its_field_attribute_or_column(
    products: Oracle, kind: str, name: str, tmp_path: Path
) -> None:
    row = {"id": 1, "customer": "7" * 32, name: "a", "at": "2026-01-01 00:00:00"}
    path = write(tmp_path, kind, [{key: str(value) for key, value in row.items()} if kind == "csv" else row])
    table = products.manage("insert_data", f"shop.Order={path}", "--dry-run")["tables"]["shop_order"]
    assert table["reasons"] == {"article.exists_in": 1, "customer_id.exists_in": 1}
    assert table["ignored_columns"] == []


def test_lines_that_are_no_records_do_not_decide_which_columns_json_lines_have(shop: Shop) -> None:
    path = shop.file("p.jsonl", ("x" * 100_000 + "\n") * 50 + '{"sku": "b", "price": 1, "active": false}\n')
    report = shop.load(f"shop.Product={path}", "--report-rejects=1")
    assert report["tables"]["shop_product"]["rejected"] == 50
    assert shop.query("SELECT sku, active FROM shop_product") == [("b", 0)]


def test_tables_of_the_projects_own_setting_may_have_fewer_columns_than_the_model(shop: Shop) -> None:
    (shop.directory / "mine.py").write_text(
        "from async_loader import Column, Table, Type\n"
        "def tables():\n"
        "    columns = (Column('sku', Type.TEXT), Column('price', Type.DECIMAL, digits=8, places=2),\n"
        "        Column('tags', Type.JSON, default='[]'), Column('active', Type.BOOLEAN, default=True))\n"
        "    return (Table('shop_product', 'default', columns, key='sku'),)\n"
    )
    own = Shop(shop.directory, PROJECT_TABLES="mine.tables")
    own.environment["PYTHONPATH"] += f":{shop.directory}"
    path = own.file("p.csv", "sku,price\na,1\n")
    report = own.load(f"shop.Product={path}")
    assert report["tables"]["shop_product"]["inserted"] == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_name_that_was_given_must_be_there(products: Oracle, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind, [{"sku": "a", "price": "1", "Since": "2024-01-01"}])
    refusal = products.ask("refusal", ["insert_data", f"shop.Product={path}", "--map=shop.Product.introduced=since "])
    assert "'since '" in refusal
    assert products.shop.query("SELECT count(*) FROM shop_product") == [(0,)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", ["introduced", "since"])
def test_a_column_may_have_the_fields_name_or_its_own(products: Oracle, kind: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind, [{"sku": "a", "price": "1", name: "2024-01-01"}])
    products.manage("insert_data", f"shop.Product={path}")
    assert products.shop.query("SELECT sku, since FROM shop_product") == [("a", "2024-01-01")]


def test_a_record_of_json_lines_may_go_without_what_has_a_default(products: Oracle, tmp_path: Path) -> None:
    rows: Rows = [{"sku": "a", "price": "1"}, {"sku": "b", "price": "1", "active": False}, {"sku": "c", "price": "1"}]
    report = products.manage("insert_data", f"shop.Product={write(tmp_path, 'jsonl', rows)}")
    assert report["tables"]["shop_product"]["rejected"] == 0
    assert products.shop.query("SELECT sku, active FROM shop_product") == [("a", 1), ("b", 0), ("c", 1)]
