"""Rules of a user's own: one that raises is a reason of the records on which it does; a message is always one line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from async_loader import Column, ConfigurationError, Rule, Table, Type, each_value, not_blank
from tests.sample import Place
from tests.stores import Databases

COLUMNS = (Column("id", Type.INTEGER), Column("name", Type.TEXT, nullable=True))
# Rules that raise on text that is no number, and what is said of "x" then.
RAISING: dict[str, tuple[Rule, str]] = {
    "a function of one value": (
        each_value("name", "even", "name must be even", lambda value: int(value) % 2 == 0),
        "rule even failed for 'x': ValueError: invalid literal for int() with base 10: 'x'",
    ),
    "an expression": (
        Rule("even", ("name",), "name must be even", pl.col("name").str.to_integer() % 2 == 0),
        "rule even failed for 'x': strict integer parsing failed for 1 value(s): ",
    ),
    "an expression over two columns": (
        Rule(
            "even", ("id", "name"), "name must be even", (pl.col("name").str.to_integer() + pl.col("id") * 0) % 2 == 0
        ),
        "rule even failed: strict integer parsing failed for 1 value(s): ",
    ),
}


def numbers(*rules: Rule) -> Table:
    return Table("numbers", "numbers", COLUMNS, rules=rules)


def lines(texts: list[str | None]) -> str:
    return "".join(json.dumps({"id": key, "name": text}) + "\n" for key, text in enumerate(texts, 1))


@pytest.mark.parametrize("name", RAISING)
def test_a_rule_that_raises_rejects_the_records_on_which_it_does(
    tmp_path: Path, mode: str, name: str, store: Databases
) -> None:
    rule, message = RAISING[name]
    place = Place(tmp_path, (numbers(not_blank("name"), rule),), store=store)
    source = place.file("n.jsonl", lines(["2", "3", "x", None, "4", "y", "6", " "]))
    report = place.load(mode, {"numbers": source}, batch_size=5).tables["numbers"]
    assert place.rows("numbers") == [(1, "2"), (4, None), (5, "4"), (7, "6")]
    column = f"{rule.column}." if rule.column else ""
    assert report.reasons == {f"{column}rule_failed": 3, f"{column}even": 1, "name.not_blank": 1}
    [reason] = next(reject.reasons for reject in report.rejects if reject.line == 3)
    assert (reason.code, reason.column) == ("rule_failed", rule.column)
    assert reason.message.startswith(message)


def test_a_rule_without_an_answer_for_each_record_is_one_line_and_nothing_is_kept(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    rule = Rule("odd", ("id",), "id must be odd", pl.col("id").filter(pl.col("id") > 1) > 0)
    place = Place(tmp_path, (numbers(rule),), store=store)
    with pytest.raises(ConfigurationError, match=r"^table numbers: rule odd gives 2 answers for 3 records$"):
        place.load(mode, {"numbers": place.file("n.jsonl", lines(["1", "2", "3"]))})
    assert place.rows("numbers") == []


def test_what_an_explanation_cannot_explain_has_the_message_of_its_rule(tmp_path: Path, store: Databases) -> None:
    rule = each_value("name", "short", "name is too long", lambda value: len(value) < 3, lambda value: value[9])
    place = Place(tmp_path, (numbers(rule),), store=store)
    report = place.load("sequential", {"numbers": place.file("n.jsonl", lines(["1234", "0123456789"]))})
    messages = [reason.message for reject in report.tables["numbers"].rejects for reason in reject.reasons]
    assert messages == ["name is too long", "9"]


def test_a_message_is_one_line_whatever_was_read(tmp_path: Path, mode: str, store: Databases) -> None:
    rule = each_value("name", "short", "", lambda value: len(value) < 3, lambda value: f"too long:\n{value}")
    place = Place(tmp_path, (numbers(rule),), store=store)
    source = place.file("n.csv", "id,name\n1,A\0nn\n2,\u2028\x1b[2J\u202e\n\x07,\n")
    rejects = place.load(mode, {"numbers": source}).tables["numbers"].rejects
    assert [reason.message for reject in rejects for reason in reject.reasons] == [
        r"name holds a NUL character: 'A\u0000nn'",
        r"too long:\u000a\u2028\u001b[2J\u202e",
        r"id must be an integer, not '\u0007'",
    ]
    assert [reject.record["name"] for reject in rejects[:2]] == ["A\0nn", "\u2028\x1b[2J\u202e"]
