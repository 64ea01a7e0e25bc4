"""`insert_data` with options that say how sources are written, and formats that a project declares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.project import Oracle


@pytest.fixture
def products(oracle: Oracle) -> Iterator[Oracle]:
    """Give the project in one process, without products."""
    yield oracle
    oracle.ask("empty", "shop.Product")


def file(directory: Path, content: str, encoding: str = "utf-8", name: str = "p.csv") -> str:
    path = directory / name
    path.write_bytes(content.encode(encoding))
    return str(path)


GERMAN = "Lager Süd\r\nsku;price;introduced;active\r\na1;1.488,50;31.12.2024;Ja\r\nb2;12.34;k.A.;Nein\r\n"
OPTIONS = [
    "--encoding=cp1252",
    "--delimiter=shop.Product=;",
    "--skip-lines=1",
    "--decimal=,",
    "--thousands=shop.Product=.",
    "--date-format=%d.%m.%Y",
    "--true=Ja",
    "--false=shop.Product=Nein",
    "--null=shop.Product.introduced=k.A.",
]
STORED = [("a1", 1488.5, "2024-12-31", 1)]
QUERY = "SELECT sku, price, since, active FROM shop_product ORDER BY sku"


def test_options_say_how_a_source_is_written(products: Oracle, tmp_path: Path) -> None:
    path = file(tmp_path, GERMAN, "cp1252")
    report = products.manage("insert_data", f"shop.Product={path}", *OPTIONS)["tables"]["shop_product"]
    assert products.shop.query(QUERY) == STORED
    assert (report["reasons"], report["rejects"][0]["line"]) == ({"price.not_number": 1}, 4)


def test_a_declared_format_is_used_by_its_name_and_options_change_it(products: Oracle, tmp_path: Path) -> None:
    path = file(tmp_path, GERMAN.replace("sku", "Artikel"), "cp1252")
    products.manage("insert_data", f"shop.Product:warehouse={path}")
    assert products.shop.query(QUERY) == STORED
    other = file(tmp_path, GERMAN.replace("sku", "Artikel").replace("a1", "c3"), "utf-8", "q.csv")
    products.manage("insert_data", f"shop.Product:warehouse={other}", "--encoding=utf-8")
    assert [sku for sku, *_ in products.shop.query(QUERY)] == ["a1", "c3"]


def test_what_is_said_of_all_tables_is_said_of_those_that_have_it(products: Oracle, tmp_path: Path) -> None:
    lines = '{"sku": "a", "price": 1}\n'
    path = file(tmp_path, lines, name="p.jsonl")
    products.manage("insert_data", f"shop.Product={path}", "--delimiter=;", "--quote='", "--skip-lines=7")
    assert products.shop.query("SELECT sku FROM shop_product") == [("a",)]


REFUSED = {
    "--encoding=cp9999": "table shop_product: 'cp9999' is no encoding of text that Python knows",
    "--encoding=shop.Nope=cp1252": "no table is called 'shop.Nope'",
    "--encoding=shop.Order=cp1252": "an option names shop_order, which is not loaded",
    "--quote=ab": "table shop_product: a quote is one ASCII character, not 'ab'",
    "--skip-lines=few": "table shop_product: --skip-lines is a number of lines, not 'few'",
    "--decimal=shop.Product.price=,": "no table is called 'shop.Product.price'",
    "--date-format=shop.Product.nope=%Y": "table shop_product has no column 'nope'",
    "warehose": "there is no format 'warehose'; did you mean warehouse?",
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_meant_is_one_line(products: Oracle, option: str, tmp_path: Path) -> None:
    path = file(tmp_path, "sku,price\na,1\n")
    named = ["insert_data", f"shop.Product={path}", option]
    if not option.startswith("-"):
        named = ["insert_data", f"shop.Product:{option}={path}"]
    refusal = products.ask("refusal", named)
    assert refusal.startswith(REFUSED[option])
    assert len(refusal.splitlines()) == 1
