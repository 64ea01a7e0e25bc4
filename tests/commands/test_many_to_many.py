"""Many-to-many fields of models: loaded with their model's records, and as the tables that Django makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.commands.conftest import EVERY_STORE
from tests.commands.project import Oracle

pytestmark = pytest.mark.turns("oracle")

TAGS, SHELVES, READERS = "name\nred\nblue\n", "code\nA1\nB2\n", "email\nann@x.de\n"
LATER = "it links rows of one table, which may come later"
ARTICLES = ["--match=press.Article=title", "--on-conflict=update"]


@pytest.fixture(scope="module")
def press(oracle: Oracle) -> Oracle:
    """Give the project with tags, shelves and, in the other database, readers."""
    shop = oracle.shop
    oracle.manage(
        "insert_data",
        f"press.Tag={shop.file('tags.csv', TAGS)}",
        f"press.Shelf={shop.file('shelves.csv', SHELVES)}",
        f"press.Reader={shop.file('readers.csv', READERS)}",
        "--match=press.Tag=name",
        "--match=press.Shelf=code",
        "--match=press.Reader=email",
    )
    return oracle


def load(press: Oracle, content: str, *options: str, table: str = "press.Article") -> dict[str, Any]:
    report = press.manage("insert_data", f"{table}={press.shop.file('source.csv', content)}", *options)
    [counts] = report["tables"].values()
    return {name: counts[name] for name in ("inserted", "updated", "unchanged", "rejected")} | {
        "reasons": counts["reasons"]
    }


def counts(inserted: int, updated: int, unchanged: int, rejected: int, **reasons: int) -> dict[str, Any]:
    return {
        "inserted": inserted,
        "updated": updated,
        "unchanged": unchanged,
        "rejected": rejected,
        "reasons": {name.replace("__", "."): count for name, count in reasons.items()},
    }


@EVERY_STORE
def test_fields_are_loaded_with_the_records_and_the_orm_reads_them(press: Oracle) -> None:
    text = (
        "title,tags__name,readers__email,shelves\nOne,red|blue,ann@x.de,B2|A1\nTwo,,,\nThree,red|green,,\nFour,,,C3\n"
    )
    rejected = {"tags__exists_in": 1, "shelves__exists_in": 1}
    assert load(press, text, *ARTICLES) == counts(2, 0, 0, 2, **rejected)
    assert press.ask("linked", "press.Article", "tags") == {"One": ["blue", "red"], "Two": []}
    assert press.ask("linked", "press.Article", "shelves") == {"One": ["A1", "B2"], "Two": []}
    # Django itself reads no links to rows of another database.
    readers = press.shop.query("SELECT reader_id FROM press_article_readers", "archive")
    assert readers == press.shop.query("SELECT id FROM press_reader")
    filed = "SELECT count(*), min(weight), max(weight), count(DISTINCT filed) FROM press_filing"
    assert press.shop.query(filed, "archive") == [(2, 7, 7, 1)]
    assert load(press, text, *ARTICLES) == counts(0, 0, 2, 2, **rejected)
    changed = "title;tags__name;shelves\nOne;red;A1\nTwo;blue,red;\n"
    options = ["--delimiter=;", "--separator=press.Article.tags=,", *ARTICLES]
    assert load(press, changed, *options) == counts(0, 2, 0, 0)
    assert press.ask("linked", "press.Article", "tags") == {"One": ["red"], "Two": ["blue", "red"]}
    assert press.ask("linked", "press.Article", "shelves") == {"One": ["A1"], "Two": []}
    assert press.shop.query("SELECT reader_id FROM press_article_readers", "archive") == readers
    press.ask("empty", "press.Article")


@EVERY_STORE
def test_the_table_that_django_makes_is_loaded_by_the_fields_name(press: Oracle) -> None:
    load(press, "title\nOne\nTwo\n", *ARTICLES)
    pairs = "article__title,tag__name\nOne,red\nTwo,red\nTwo,green\nOne,red\n"
    rejected = {"tag_id__exists_in": 1, "duplicate": 1}
    assert load(press, pairs, table="press.Article.tags") == counts(2, 0, 0, 2, **rejected)
    assert load(press, pairs, table="press.Article.tags") == counts(0, 0, 2, 2, **rejected)
    assert press.ask("linked", "press.Article", "tags") == {"One": ["red"], "Two": ["red"]}
    quotes = "from_article__title,to_article__title\nOne,Two\nTwo,Two\n"
    assert load(press, quotes, table="press.Article.quotes") == counts(2, 0, 0, 0)
    assert press.ask("linked", "press.Article", "quotes") == {"One": ["Two"], "Two": ["Two"]}
    pairs = "from_article__title,to_article__title\nOne,Two\nTwo,One\n"
    assert load(press, pairs, table="press.Article.related") == counts(2, 0, 0, 0)
    assert press.ask("linked", "press.Article", "related") == {"One": ["Two"], "Two": ["One"]}
    report = press.manage("check_references", "press.Article.tags")
    assert [*report["tables"]] == ["press_article_tags"]
    press.ask("empty", "press.Article")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("editors", "a row of press_edit needs role, too; load press.Edit by itself"),
        ("quotes", f"{LATER}; load press.Article.quotes by itself"),
        ("related", f"{LATER}; load press.Article.related by itself, with both rows of each pair"),
    ],
)
def test_a_field_that_cannot_be_loaded_refuses_the_source_that_has_it(press: Oracle, header: str, problem: str) -> None:
    source = press.shop.file("source.csv", f"title,{header}\nOne,1\n")
    said = press.ask("refusal", ["insert_data", f"press.Article={source}", *ARTICLES])
    assert said == f"{source}: has {header}, and {problem}; leave it out with --ignore press_article.{header}"
    assert load(press, f"title,{header}\nOne,1\n", f"--ignore={header}", *ARTICLES) == counts(1, 0, 0, 0)
    press.ask("empty", "press.Article")
