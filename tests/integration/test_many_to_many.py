"""Records bring the sets of rows that theirs are linked to, by keys and by lookups, in every mode, store and format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from async_loader import ConfigurationError, Reject, RejectFilter, Report, Retry, Source, SourceError
from tests.integration.press import ANN, BOB, MATCH, TABLES, TAGS, tags_of
from tests.sample import Place, reject_names
from tests.stores import Databases


@pytest.fixture
def press(tmp_path: Path, store: Databases) -> Place:
    """Return fresh databases, with three tags and two people."""
    place = Place(tmp_path, TABLES, store)
    place.load("sequential", {"tags": place.file("tags.csv", "name\nred\nblue\nbig\n")}, match=MATCH)
    people = place.file("people.csv", f"id,email\n{ANN},ann@x\n{BOB},bob@x\n")
    place.load("sequential", {"people": people})
    return place


def outcome(report: Report, table: str = "articles") -> tuple[int, int, int, int]:
    counts = report.tables[table]
    return counts.inserted, counts.updated, counts.unchanged, counts.rejected


def rejects_of(report: Report) -> list[Reject]:
    return [*report.tables["articles"].rejects]


def test_a_record_brings_its_set_by_keys_or_by_a_lookup_and_is_found_unchanged_again(press: Place, mode: str) -> None:
    names = press.file("names.csv", "title,tags__name\nOne,red|blue|red\nTwo,\nThree,big\n")
    first = press.load(mode, {"articles": names}, match=MATCH, batch_size=2)
    assert outcome(first) == (3, 0, 0, 0)
    assert tags_of(press) == [("One", "blue"), ("One", "red"), ("Three", "big")]
    assert press.query("orders", "SELECT DISTINCT weight FROM article_tags") == [(1.0,)]
    before = press.rows("article_tags")
    assert outcome(press.load(mode, {"articles": names}, match=MATCH)) == (0, 0, 3, 0)
    ids = press.file("ids.csv", "tags,title\n2|1,One\n,Two\n3,Three\n")
    assert outcome(press.load(mode, {"articles": ids}, match=MATCH, batch_size=1)) == (0, 0, 3, 0)
    assert press.rows("article_tags") == before


def test_what_finds_no_row_or_cannot_be_read_rejects_the_record_and_names_the_value(press: Place, mode: str) -> None:
    text = "title,tags\nOne,1|9|8\nTwo,1|x\nThree,2\n,1|7\nFive,1||2\n"
    report = press.load(mode, {"articles": press.file("ids.csv", text)}, match=MATCH)
    assert reject_names(report, "articles") == [
        (2, 2, ["tags.exists_in"]),
        (3, 3, ["tags.not_integer"]),
        (5, 5, ["title.not_empty", "tags.exists_in"]),
        (6, 6, ["tags.missing"]),
    ]
    messages = [reject.reasons[-1].message for reject in report.tables["articles"].rejects]
    assert messages == [
        "tags 9 does not exist in tags",
        "tags must be an integer, not 'x'",
        "tags 7 does not exist in tags",
        "tags is missing",
    ]
    assert tags_of(press) == [("Three", "blue")]


def test_an_update_makes_the_set_exactly_the_records_and_an_absent_column_leaves_it_alone(
    press: Place, mode: str
) -> None:
    press.load(
        mode, {"articles": press.file("a.csv", "title,tags__name\nOne,red|blue\nTwo,big\nThree,red\n")}, match=MATCH
    )
    changed = press.file("b.csv", "title,tags__name\nOne,blue|big\nTwo,big\nThree,\n")
    refused = press.load(mode, {"articles": changed}, match=MATCH)
    assert outcome(refused) == (0, 0, 1, 2)
    assert reject_names(refused, "articles") == [(2, 2, ["title.exists"]), (4, 4, ["title.exists"])]
    message = "title 'One' is in the database with other values: tags (--on-conflict update replaces them)"
    assert refused.tables["articles"].rejects[0].reasons[0].message == message
    dry = press.load(mode, {"articles": changed}, match=MATCH, on_conflict="update", dry_run=True)
    assert tags_of(press) == [("One", "blue"), ("One", "red"), ("Three", "red"), ("Two", "big")]
    report = press.load(mode, {"articles": changed}, match=MATCH, on_conflict="update")
    assert outcome(dry) == outcome(report) == (0, 2, 1, 0)
    assert tags_of(press) == [("One", "big"), ("One", "blue"), ("Two", "big")]
    pages = press.file("c.csv", "title,pages\nOne,7\nTwo,\n")
    assert outcome(press.load(mode, {"articles": pages}, match=MATCH, on_conflict="update")) == (0, 1, 1, 0)
    assert tags_of(press) == [("One", "big"), ("One", "blue"), ("Two", "big")]


def test_targets_of_the_same_run_and_of_another_database(press: Place, mode: str) -> None:
    sources = {
        "tags": press.file("t.csv", "name\nnew\nred\n\n"),
        "people": press.file("p.csv", f"id,email\n{3:032x},cid@x\n{4:032x},\n"),
        "articles": press.file("a.csv", "title,tags__name,readers__email\nOne,new|red,cid@x;ann@x\nTwo,,dan@x\n"),
    }
    articles = Source(sources["articles"], separators={"readers": ";"})
    dry = press.load(mode, sources | {"articles": articles}, match=MATCH, dry_run=True)
    report = press.load(mode, sources | {"articles": articles}, match=MATCH, commit_every=1)
    assert outcome(dry) == outcome(report) == (1, 0, 0, 1)
    assert reject_names(report, "articles") == [(3, 3, ["readers.exists_in"])]
    assert tags_of(press) == [("One", "new"), ("One", "red")]
    readers = press.query("orders", "SELECT person_id FROM readers")
    assert sorted(str(each).replace("-", "") for (each,) in readers) == [ANN, f"{3:032x}"]


KINDS = "name,kind\nred,colour\nblue,colour\nblue,mood\n"
BY_TWO = {"tags": ("name", "kind"), "articles": ("title",)}


@pytest.fixture
def two(tmp_path: Path, store: Databases) -> Place:
    """Return fresh databases, with tags that only two columns distinguish."""
    tags = replace(TAGS, columns=(TAGS.columns[0], replace(TAGS.columns[1], unique=False), TAGS.columns[2]))
    place = Place(tmp_path, (tags, *TABLES[1:]), store)
    place.load("sequential", {"tags": place.file("tags.csv", KINDS)}, match=BY_TWO)
    return place


def kinds_of(place: Place) -> list[tuple[str, str, str]]:
    rows = place.query(
        "orders",
        """SELECT title, name, kind FROM articles JOIN article_tags ON article_id = articles.id
        JOIN tags ON tag_id = tags.id ORDER BY title, name, kind""",
    )
    return [(title, name, kind) for title, name, kind in rows]


def test_rows_are_looked_up_by_several_columns_side_by_side(two: Place, mode: str) -> None:
    text = (
        "tags__name,title,tags__kind\nblue|red,One,mood|colour\n,Two,\nblue,Three,colour\nblue|red,Four,mood\n"
        "red,Five,mood\nblue,Six,\n|red,Seven,mood|colour\n"
    )
    source = two.file("a.csv", text)
    report = two.load(mode, {"articles": source}, match=BY_TWO)
    assert [(reject.line, reject.reasons[0].name, reject.reasons[0].message) for reject in rejects_of(report)] == [
        (5, "tags.missing", "tags__name and tags__kind must have the same number of values, not 2, 1"),
        (6, "tags.exists_in", "tags__name and tags__kind 'red', 'mood' does not exist in tags"),
        (7, "tags.missing", "tags__name and tags__kind must have the same number of values, not 1, 0"),
        (8, "tags.exists_in", "tags__name and tags__kind '', 'mood' does not exist in tags"),
    ]
    assert kinds_of(two) == [("One", "blue", "mood"), ("One", "red", "colour"), ("Three", "blue", "colour")]
    assert outcome(two.load(mode, {"articles": source}, match=BY_TWO, batch_size=1)) == (0, 0, 3, 4)
    alone = two.load(mode, {"articles": two.file("b.csv", "title,tags__name\nNew,blue\n")}, match=BY_TWO)
    assert reject_names(alone, "articles") == [(2, 2, ["tags.ambiguous"])]
    mapped = Source(two.file("c.csv", "title,n,k\nTwo,red,colour\n"), names={"tags__name": "n", "tags__kind": "k"})
    assert outcome(two.load(mode, {"articles": mapped}, match=BY_TWO, on_conflict="update")) == (0, 1, 0, 0)
    two.load(mode, {"tags": two.file("t.csv", "name,kind\nred,mood\n")}, match=BY_TWO)
    Retry(two.tables, RejectFilter(), two.databases, mode=mode).perform()
    assert ("Five", "red", "mood") in kinds_of(two)


def test_json_and_parquet_have_lists_side_by_side(two: Place, mode: str) -> None:
    lines = [
        {"title": "One", "tags__name": ["blue", "red"], "tags__kind": ["mood", "colour"]},
        {"title": "Two", "tags__name": ["blue"]},
        {"title": "Three"},
        {"title": "Four", "tags__name": [], "tags__kind": []},
        {"title": "Five", "tags__name": ["red"], "tags__kind": [None]},
    ]
    source = two.file("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    report = two.load(mode, {"articles": source}, match=BY_TWO)
    assert reject_names(report, "articles") == [(2, 2, ["tags.missing"]), (5, 5, ["tags.missing"])]
    assert kinds_of(two) == [("One", "blue", "mood"), ("One", "red", "colour")]
    path = two.directory / "a.parquet"
    kind = pa.list_(pa.string())
    names, kinds = pa.array([["blue"], None, []], kind), pa.array([["colour"], None, []], kind)
    pa.parquet.write_table(pa.table({"title": ["One", "Three", "Six"], "tags__name": names, "tags__kind": kinds}), path)
    report = two.load(mode, {"articles": str(path)}, match=BY_TWO, on_conflict="update")
    assert outcome(report) == (1, 1, 1, 0)
    assert kinds_of(two) == [("One", "blue", "colour")]


def test_json_has_lists_and_what_lacks_the_member_leaves_the_set_alone(press: Place, mode: str) -> None:
    lines = [
        {"title": "One", "tags__name": ["red", "blue", "red"]},
        {"title": "Two", "tags__name": []},
        {"title": "Three"},
        {"title": "Four", "tags__name": None},
        {"title": "Five", "tags__name": "red"},
        {"title": "Six", "tags__name": ["red", 5]},
        {"title": "Seven", "tags__name": ["red", None]},
    ]
    first = press.file("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    report = press.load(mode, {"articles": first}, match=MATCH)
    assert reject_names(report, "articles") == [
        (5, 5, ["tags.not_list"]),
        (6, 6, ["tags.not_text"]),
        (7, 7, ["tags.missing"]),
    ]
    assert tags_of(press) == [("One", "blue"), ("One", "red")]
    again = [{"title": "One"}, {"title": "Two"}, {"title": "Three", "tags": [3]}, {"title": "Four", "tags": []}]
    second = press.file("b.jsonl", "".join(json.dumps(line) + "\n" for line in again))
    assert outcome(press.load(mode, {"articles": second}, match=MATCH, batch_size=1, on_conflict="update")) == (
        0,
        1,
        3,
        0,
    )
    assert tags_of(press) == [("One", "blue"), ("One", "red"), ("Three", "big")]


def test_parquet_has_lists(press: Place, mode: str) -> None:
    path = press.directory / "a.parquet"
    kinds = {"title": pa.string(), "tags": pa.list_(pa.int32()), "readers__email": pa.list_(pa.string())}
    rows = [
        ("One", [1, 2, 1], ["ann@x"]),
        ("Two", [], None),
        ("Three", None, []),
        ("Four", [1, 99], ["x"]),
        ("Five", [None], []),
    ]
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds.values(), strict=True)]
    pa.parquet.write_table(pa.Table.from_arrays(columns, names=list(kinds)), path)
    report = press.load(mode, {"articles": str(path)}, match=MATCH)
    assert reject_names(report, "articles") == [
        (4, 4, ["tags.exists_in", "readers.exists_in"]),
        (5, 5, ["tags.missing"]),
    ]
    assert tags_of(press) == [("One", "blue"), ("One", "red")]
    [_, record, *_] = press.stored_rejects("articles")
    assert record[2] == {"title": "Five", "tags": [None], "readers__email": []}


def test_the_link_table_is_a_table_like_any_other(press: Place, mode: str) -> None:
    press.load(mode, {"articles": press.file("a.csv", "title\nOne\nTwo\n")}, match=MATCH)
    pairs = press.file("pairs.csv", "article__title,tag__name\nOne,red\nTwo,red\nOne,blue\nOne,red\nOne,none\n")
    options = {"match": {"article_tags": ("article_id", "tag_id")}}
    report = press.load(mode, {"article_tags": pairs}, **options)
    assert outcome(report, "article_tags") == (3, 0, 0, 2)
    assert outcome(press.load(mode, {"article_tags": pairs}, **options), "article_tags") == (0, 0, 3, 2)
    assert tags_of(press) == [("One", "blue"), ("One", "red"), ("Two", "red")]


def test_rejects_are_tried_again_with_the_separator_of_their_run(press: Place, mode: str) -> None:
    source = Source(press.file("a.csv", "title,tags__name\nOne,red;new\nTwo,red\n"), separators={"": ";"})
    assert outcome(press.load(mode, {"articles": source}, match=MATCH)) == (1, 0, 0, 1)
    press.load(mode, {"tags": press.file("t.csv", "name\nnew\n")}, match=MATCH)
    Retry(TABLES, RejectFilter(), press.databases, mode=mode).perform()
    assert tags_of(press) == [("One", "new"), ("One", "red"), ("Two", "red")]
    assert press.stored_rejects("articles") == []


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("title,tags,tags__name", "has tags__name beside tags, which say the same; leave one of them out"),
        ("title,tags__id,tags__name", "has tags__name beside tags__id, which say the same; leave one of them out"),
        ("title,tags__kind,tags__nam", "has 'tags__nam', but tags has no column 'nam'; did you mean 'tags__name'?"),
        ("title,tags__nam", "the header has 'tags__nam', but tags has no column 'nam'; did you mean 'tags__name'?"),
        ("title,Tags", "the header has 'Tags', which table articles does not have"),
    ],
)
def test_a_header_that_gives_no_set_is_refused(press: Place, header: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        press.load("sequential", {"articles": press.file("a.csv", f"{header}\nOne,1,red\n")}, match=MATCH)
    assert problem in str(caught.value)


def test_names_of_rows_whose_table_is_not_declared_are_refused(press: Place) -> None:
    press.tables = tuple(table for table in TABLES if table.name not in ("tags", "article_tags"))
    problem = (
        "'tags__name', which cannot be loaded: table tags, whose rows it names, is not declared; --ignore articles"
    )
    with pytest.raises(SourceError, match=problem):
        press.load(
            "sequential",
            {"articles": press.file("a.csv", "title,tags__name\nOne,red\n")},
            match={"articles": MATCH["articles"]},
        )


def test_an_unknown_name_of_a_separator_is_refused(press: Place) -> None:
    with pytest.raises(ConfigurationError, match="articles has no many-to-many field 'tag'; it has readers, tags"):
        press.load("sequential", {"articles": Source("a.csv", separators={"tag": ";"})}, match=MATCH)
