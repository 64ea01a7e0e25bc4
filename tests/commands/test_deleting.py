"""`--delete-missing`: rows that no record names go, or are marked, where no model of the project references them."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import EVERY_STORE, Project
from tests.commands.project import Oracle

pytestmark = pytest.mark.turns("oracle")

USERS = "id,name,email\n"


def users(project: Project, *keys: int) -> str:
    return project.file("u.csv", USERS + "".join(f"{key},n{key},{key}@x.de\n" for key in keys))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--delete-missing=users"], "say how many rows may be deleted at most with --max-deletes N"),
        (["--max-deletes=3"], "nothing is deleted without --delete-missing TABLE"),
        (["--delete-missing=users", "--max-deletes=many"], "a number of rows, or a percentage such as 5%, not 'many'"),
        (["--delete-missing=users", "--max-deletes=101%"], "a number of rows, or a percentage such as 5%, not '101%'"),
        (["--delete-missing=persons", "--max-deletes=3"], "no table is called 'persons'"),
        (["--delete-missing=orders", "--max-deletes=3"], "--delete-missing orders: no source is for orders"),
        (["--delete-missing=users:name", "--max-deletes=3"], "is not of the form TABLE[:COLUMN=VALUE]"),
        (["--delete-missing=users:id=3", "--max-deletes=3"], "records find their rows by id; mark another column"),
        (["--delete-missing=users:gone=1", "--max-deletes=3"], "table users has no column 'gone'"),
        (["--delete-missing=users", "--max-deletes=3", "--mode=dask"], "error: "),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(project: Project, options: list[str], said: str) -> None:
    done = project.call("insert_data", f"users={users(project, 1)}", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert project.query("users", "SELECT count(*) FROM loader_runs") == [(0,)]


def test_more_deletes_than_allowed_keep_nothing_and_exit_4(project: Project) -> None:
    assert project.call("insert_data", f"users={users(project, 1, 2, 3, 4)}").returncode == 0
    few = [f"users={users(project, 1, 2, 9)}", "--delete-missing=users"]
    for most, problem in (
        ("1", "2 rows would be deleted, more than the 1 that --max-deletes allows"),
        ("49.9%", "2 of 4 rows of users would be deleted, more than the 49.9% that --max-deletes allows"),
    ):
        done = project.call("insert_data", *few, f"--max-deletes={most}")
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr == f"error: {problem}: nothing was kept; look at the sources, or allow more\n"
        assert project.query("users", "SELECT id FROM users ORDER BY id") == [(1,), (2,), (3,), (4,)]
        assert project.query("users", "SELECT count(*) FROM loader_runs") == [(1,)]
    done = project.call("insert_data", *few, "--max-deletes=50%", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "users: 2 rows that no record names would be deleted or marked" in done.stdout.splitlines()
    path = project.directory / "report.html"
    done = project.call("insert_data", *few, "--max-deletes=2", "--report", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "users: 2 rows that no record names were deleted or marked" in done.stdout.splitlines()
    assert "<dt>Deleted</dt><dd>2</dd>" in path.read_text()
    assert project.query("users", "SELECT id FROM users ORDER BY id") == [(1,), (2,), (9,)]
    assert project.query("users", "SELECT deleted FROM loader_runs ORDER BY rowid") == [(0,), (2,)]


def test_rows_that_others_reference_are_shown_and_verified(project: Project) -> None:
    assert project.call("insert_data").returncode == 0
    count = project.query("users", "SELECT count(*) FROM users")[0][0]
    done = project.call(
        "insert_data", f"users={users(project, 999)}", "--delete-missing=users", "--max-deletes=100%", "--format=json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["tables"]["users"]
    named = {key for (key,) in project.query("orders", "SELECT DISTINCT user_id FROM orders")}
    assert (report["deleted"], report["referenced"]) == (count - len(named), len(named))
    assert report["referenced_rows"] == [{"key": key, "table": "orders", "column": "user_id"} for key in sorted(named)]
    done = project.call("verify")
    kept = f"table users: {len(named)} rows that no record named were kept, because other rows reference them"
    assert done.returncode == 0
    assert any(line.endswith(kept) for line in done.stdout.splitlines())
    done = project.call("verify", "--format=json")
    assert json.loads(done.stdout)["runs"][-1]["tables"]["users"]["referenced"] == len(named)


ARTICLES = "title,tags__name,readers__email\nOne,red,ann@x.de\n"
LINKS = "article__title,tag__name\nFive,second\n"
TAGS, READERS = "id,name\n1,red\n2,blue\n3,green\n", "email\nann@x.de\nbob@x.de\neve@x.de\n"


@pytest.fixture(scope="module")
def press(oracle: Oracle) -> Oracle:
    """Give the project with articles that have tags, quotes, and readers in another database."""
    shop = oracle.shop
    articles = f"{ARTICLES}Two,blue,bob@x.de\nThree,,\n"
    oracle.manage(
        "insert_data",
        f"press.Tag={shop.file('tags.csv', TAGS)}",
        f"press.Reader={shop.file('readers.csv', READERS)}",
        f"press.Article={shop.file('a.csv', articles)}",
        "--match=press.Reader=email",
        "--match=press.Article=title",
    )
    quotes = "from_article__title,to_article__title\nTwo,One\nOne,Three\n"
    oracle.manage("insert_data", f"press.Article.quotes={shop.file('q.csv', quotes)}")
    return oracle


@EVERY_STORE
def test_links_keep_what_they_lead_to_and_go_with_the_row_that_has_them(press: Oracle) -> None:
    shop = press.shop
    new_tag, new_reader = shop.file("t.csv", "id,name\n9,new\n"), shop.file("r.csv", "email\nzoe@x.de\n")
    tags = ["insert_data", f"press.Tag={new_tag}", "--max-deletes=100%"]
    report = press.manage(*tags, "--delete-missing=press.Tag")["tables"]["press_tag"]
    assert (report["deleted"], report["referenced"]) == (1, 2)
    assert report["referenced_rows"][0] == {"key": 1, "table": "press_article_tags", "column": "tag_id"}
    readers = ["insert_data", f"press.Reader={new_reader}", "--max-deletes=100%"]
    readers += ["--match=press.Reader=email", "--delete-missing=press.Reader"]
    report = press.manage(*readers)["tables"]["press_reader"]
    # The links are in the other database, of which the run loads nothing.
    assert (report["deleted"], report["referenced"]) == (1, 2)
    # Article One is quoted, Two and Three are not: the one that quotes goes with its quotes.
    articles = [f"press.Article={shop.file('b.csv', ARTICLES.replace('One', 'Four'))}", "--match=press.Article=title"]
    missing = ["--delete-missing=press.Article", "--max-deletes=100%"]
    report = press.manage("insert_data", *articles, *missing)["tables"]["press_article"]
    assert (report["inserted"], report["deleted"], report["referenced"]) == (1, 3, 0)
    assert shop.query("SELECT count(*) FROM press_article_quotes", "archive") == [(0,)]
    assert shop.query("SELECT count(*) FROM press_article_tags", "archive") == [(1,)]
    assert shop.query("SELECT count(*) FROM press_article_readers", "archive") == [(1,)]
    # Nothing names what only Two had.
    assert press.manage(*readers)["tables"]["press_reader"]["deleted"] == 1
    assert press.manage(*tags, "--delete-missing=press.Tag")["tables"]["press_tag"]["deleted"] == 1


@EVERY_STORE
def test_the_table_of_links_is_kept_in_step_too(press: Oracle) -> None:
    shop = press.shop
    tags, articles = shop.file("t.csv", "name\nfirst\nsecond\n"), shop.file("a.csv", "title,tags__name\nFive,first\n")
    press.manage(
        *("insert_data", f"press.Tag={tags}", f"press.Article={articles}"),
        *("--match=press.Tag=name", "--match=press.Article=title"),
    )
    links = f"press.Article.tags={shop.file('l.csv', LINKS)}"
    missing = ["--delete-missing=press.Article.tags", "--max-deletes=100%"]
    report = press.manage("insert_data", links, *missing)["tables"]["press_article_tags"]
    assert (report["inserted"], report["unchanged"]) == (1, 0)
    linked = """SELECT title, name FROM press_article_tags JOIN press_article ON press_article.id = article_id
        JOIN press_tag ON press_tag.id = tag_id"""
    assert shop.query(linked, "archive") == [("Five", "second")]
    assert press.manage("insert_data", links, *missing)["tables"]["press_article_tags"]["deleted"] == 0


@EVERY_STORE
def test_rows_are_marked_by_a_field_and_stamped(press: Oracle) -> None:
    shop = press.shop
    text = "title,pages\nSix,1\nSeven,2\n"
    articles = ["insert_data", f"press.Article={shop.file('a.csv', text)}", "--match=press.Article=title"]
    press.manage(*articles)
    shop.query("UPDATE press_article SET changed = '2001-01-01 00:00:00'", "archive")
    few = ["insert_data", f"press.Article={shop.file('b.csv', text[:18])}", "--match=press.Article=title"]
    missing = ["--delete-missing=press.Article:pages=-1", "--max-deletes=100%"]
    marked = press.manage(*few, *missing)["tables"]["press_article"]["deleted"]
    unmarked = "SELECT title, pages FROM press_article WHERE pages <> -1 OR changed < '2002-01-01 00:00:00'"
    assert shop.query(unmarked, "archive") == [("Six", 1)]
    assert marked == shop.query("SELECT count(*) - 1 FROM press_article", "archive")[0][0]
    assert press.manage(*few, *missing)["tables"]["press_article"]["deleted"] == 0
