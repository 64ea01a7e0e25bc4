"""Whether ledgers and databases agree is judged from values: each disagreement is found, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from async_loader import VerifiedRun
from async_loader.ledger.agreement import DatabaseState, verify_ledgers
from async_loader.ledger.counts import NAMES, Counts
from async_loader.ledger.entries import TableRun

ALL = ("users", "products", "orders")


def sources(*names: str) -> str:
    return json.dumps({"on_conflict": "reject", "tables": {name: [{"path": f"{name}.csv"}] for name in names}})


def line(table: str, run: str = "a", **changes: Any) -> TableRun:
    """Return a line of the ledger: of ten records seven are new, one changed, one unchanged, one rejected.

    Runs begin in the order of their names.
    """
    counts = replace(Counts(10, 7, 1, 1, 1), **{name: changes.pop(name) for name in NAMES if name in changes})
    ten = {"counts": counts, "checkpoint": 10}
    facts = {"mode": "async", "sources": sources(*ALL), "state": "complete", "finished_at": "later"}
    return TableRun(**{"run": run, "table_name": table, "started_at": f"at {run}", **ten, **facts, **changes})


def half(table: str, run: str = "a") -> TableRun:
    """Return a line as a checkpoint leaves it."""
    return line(table, run, state="running", finished_at=None, given=5, inserted=2, checkpoint=5)


def held(
    lines: Sequence[TableRun],
    rejects: Mapping[str, Mapping[str, int]] | None = None,
    rows: Mapping[str, int] | None = None,
) -> list[DatabaseState]:
    """Return databases that hold these lines, each named after its table. By table, changes to what would agree."""
    return [
        DatabaseState(
            name,
            mine := tuple(line for line in lines if line.table_name == name),
            (rejects or {}).get(name, {each.run: 1 for each in mine}),
            {name: (rows or {}).get(name, 9 if mine else 0)},
        )
        for name in ALL
    ]


def reported(runs: Sequence[VerifiedRun]) -> list[tuple[str, str, str | None, str | None, str]]:
    """run, code, database, table and problem of each finding."""
    return [
        (run.run, finding.code, finding.database, finding.table, finding.problem)
        for run in runs
        for finding in run.findings
    ]


def states(runs: Sequence[VerifiedRun]) -> dict[str, str]:
    return {run.run: run.state for run in runs}


def test_nothing_is_found_where_all_agrees() -> None:
    runs = verify_ledgers(held([line(table, run) for run in "ab" for table in ALL]))
    assert (states(runs), reported(runs)) == ({"a": "complete", "b": "complete"}, [])
    assert list(runs[0].tables) == list(ALL)
    assert verify_ledgers(held([])) == ()


def test_runs_come_in_the_order_of_their_lines_and_only_where_that_is_open_of_their_times() -> None:
    lines = [line("users", "a", started_at="2"), line("users", "b", started_at="1")]
    assert [run.run for run in verify_ledgers(held(lines))] == ["a", "b"]
    lines = [line("users", "a", started_at="2"), line("orders", "b", started_at="1")]
    assert [run.run for run in verify_ledgers(held(lines))] == ["b", "a"]
    took_turns = [*lines, line("users", "b", started_at="1"), line("orders", "a", started_at="2")]
    assert [run.run for run in verify_ledgers(held(took_turns))] == ["b", "a"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unchanged": 0}, "inserted + updated + unchanged + rejected is 9, but given 10"),
        ({"given": 1001, "checkpoint": 1001}, "inserted + updated + unchanged + rejected is 10, but given 1,001"),
        ({"checkpoint": 9}, "checkpoint is 9, but given 10"),
    ],
)
def test_counts_that_do_not_add_up(changes: dict[str, Any], problem: str) -> None:
    runs = verify_ledgers(held([line("users", sources=sources("users"), **changes)]))
    assert reported(runs) == [("a", "counts", "users", "users", problem)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"state": "done\x1b"}, "state is 'done\\x1b', not running or complete"),
        ({"given": -1}, "given is -1, which is no count"),
        ({"rejected": "many"}, "rejected is 'many', which is no count"),
        ({"updated": 1.5}, "updated is 1.5, which is no count"),
        ({"inserted": None}, "inserted is None, which is no count"),
        ({"sources": sources("users", "b").replace("users", "people")}, "sources does not name the table"),
    ],
)
def test_a_line_that_cannot_be_read_is_a_finding_and_no_crash(changes: dict[str, Any], problem: str) -> None:
    runs = verify_ledgers(held([line("users", **{"sources": sources("users"), **changes})]))
    assert reported(runs)[0] == ("a", "unreadable", "users", "users", problem)
    assert json.dumps(runs[0].tables["users"].rejected) in {"1", "\"'many'\""}


STRANGE = ["", "[]", "{}", "null", "7", '{"tables": []}', '{"tables": {"users": 1}}', "[" * 100_000, "9" * 5_000]


@pytest.mark.parametrize("text", [*STRANGE, None, 7], ids=lambda text: str(text)[:30])
def test_sources_that_are_none_of_ours_leave_the_state_unknown(text: Any) -> None:
    runs = verify_ledgers(held([line("users", sources=text)]))
    assert states(runs) == {"a": "unknown"}
    [(_, code, database, table, problem)] = reported(runs)
    assert (code, database, table) == ("unreadable", "users", "users")
    assert problem.startswith("sources is ")
    assert len(problem) < 300


def test_two_lines_of_one_run_and_table() -> None:
    runs = verify_ledgers(held([line("users", sources=sources("users"))] * 2, {"users": {"a": 2}}))
    assert reported(runs) == [
        ("a", "unreadable", "users", "users", "there is more than one line of this run and table"),
    ]


def test_rejects_that_are_missing_and_rejects_too_many() -> None:
    lines = [line(table, run) for run in "ab" for table in ALL]
    runs = verify_ledgers(held(lines, {"users": {"b": 1}, "orders": {"a": 1, "b": 3}}))
    assert reported(runs) == [
        ("a", "rejects", "users", None, "loader_rejects has 0 where 1 were rejected"),
        ("b", "rejects", "orders", None, "loader_rejects has 3 where 1 were rejected"),
    ]


def test_rejects_of_a_run_without_lines() -> None:
    runs = verify_ledgers(held([], {"users": {"lost": 2}}))
    assert reported(runs) == [("lost", "rejects", "users", None, "loader_rejects has 2 of a run that has no line here")]
    assert (runs[0].state, runs[0].started_at, runs[0].tables) == ("unknown", "", {})


def test_tables_in_one_database_have_their_rejects_together() -> None:
    lines = (line("users", sources=sources("users", "groups")), line("groups", sources=sources("users", "groups")))
    for rejects, findings in ((2, 0), (1, 1)):
        assert (
            len(reported(verify_ledgers([DatabaseState("one", lines, {"a": rejects}, {"users": 9, "groups": 9})])))
            == findings
        )


def test_a_run_whose_tables_are_not_all_complete_is_unfinished() -> None:
    runs = verify_ledgers(held([line("users"), half("products")]))
    assert states(runs) == {"a": "unfinished"}
    problem = (
        "unfinished: users (database users) complete, products (database products) up to record 5, "
        "orders (database orders) not begun"
    )
    assert reported(runs) == [("a", "unfinished", None, None, problem)]
    assert "--restart" in runs[0].findings[0].advice


@pytest.mark.parametrize(
    ("source", "append", "advice"),
    [
        ({"path": "u.csv"}, False, "run the same command again to finish it, or anew with --restart"),
        ({"path": "u.csv"}, True, "run the same command again to finish it"),
        (None, False, "load all of its sources again: stdin and pipes are not resumed"),
        (None, True, "load what is missing: stdin and pipes are not resumed"),
    ],
)
def test_the_advice_on_an_unfinished_run_is_one_that_ends(source: Any, append: bool, advice: str) -> None:  # noqa: FBT001
    read = [{"path": "u.csv", "kind": "csv", "append": append}]
    facts = json.dumps({"on_conflict": "reject", "tables": {"users": [source]}, "read": read})
    [run] = verify_ledgers(held([replace(half("users"), sources=facts)]))
    assert [finding.advice for finding in run.findings] == [f"unless it is still at work, {advice}"]


def test_a_table_that_is_declared_no_more_is_unfinished_somewhere() -> None:
    [run] = verify_ledgers(held([line("users", sources=sources("users", "gone"))]))
    assert run.findings[0].problem.endswith(", gone not begun")


def test_later_runs_of_all_that_it_left_supersede_it() -> None:
    crashed = [line("users"), half("products")]
    products, orders = (line(table, "b", sources=sources(table)) for table in ("products", "orders"))
    runs = verify_ledgers(held([*crashed, products, orders]))
    assert (states(runs), reported(runs)) == ({"a": "superseded", "b": "complete"}, [])
    runs = verify_ledgers(held([*crashed, products]))
    assert states(runs) == {"a": "unfinished", "b": "complete"}


def test_earlier_runs_supersede_nothing() -> None:
    complete = [line(table) for table in ALL]
    assert states(verify_ledgers(held([*complete, half("users", "b")]))) == {"a": "complete", "b": "unfinished"}


def test_a_crashed_run_and_its_crashed_repetition_are_one_to_finish() -> None:
    runs = verify_ledgers(held([half("users"), half("users", "b")]))
    assert [run for run, code, *_ in reported(runs) if code == "unfinished"] == ["a", "b"]
    runs = verify_ledgers(held([half("users"), *(line(table, "b") for table in ALL)]))
    assert (states(runs), reported(runs)) == ({"a": "superseded", "b": "complete"}, [])


def test_rows_that_are_gone_are_missed_by_the_last_run_that_completed_the_table() -> None:
    complete = [line(table, run) for run in "ab" for table in ALL]
    missed = ("b", "rows", "users", "users", "8 rows where the run left 9 or more")
    assert reported(verify_ledgers(held(complete, rows={"users": 8}))) == [missed]
    runs = verify_ledgers(held([*complete, half("users", "c")], rows={"users": 8}))
    assert [finding for finding in reported(runs) if finding[1] == "rows"] == [missed]
    assert reported(verify_ledgers(held(complete, rows={"users": 10}))) == []


def test_tables_that_are_declared_no_more_are_not_counted() -> None:
    here = DatabaseState("users", (line("gone", sources=sources("gone")),), {"a": 1}, {})
    assert reported(verify_ledgers([here])) == []


def gone(database: str, run: str, **counts: Mapping[str, int]) -> TableRun:
    """Return the line of a run that superseded rejects, or of a discard if it discarded them."""
    sources = json.dumps({"on_conflict": "reject", "tables": {database: []}, **counts})
    if "discarded" not in counts:
        return line(database, run, sources=sources)
    zeros = dict.fromkeys(("given", "inserted", "updated", "unchanged", "rejected", "checkpoint"), 0)
    return line(database, run, mode="discard", sources=sources, **zeros)


@pytest.mark.parametrize("field", ["superseded", "discarded"])
def test_rejects_that_the_ledger_says_are_gone_are_not_missed(field: str) -> None:
    lines = [*map(line, ALL), gone("users", "b", **{field: {"a": 1}})]
    left = {"b": 1} if field == "superseded" else {}
    assert reported(verify_ledgers(held(lines, {"users": left}))) == []
    [(_, code, database, _, problem)] = reported(verify_ledgers(held(lines, {"users": left | {"a": 1}})))
    later = "where 1 were rejected, and 1 superseded or discarded since"
    assert (code, database, problem) == ("rejects", "users", f"loader_rejects has 1 {later}")


def test_a_discard_hides_neither_an_unfinished_run_nor_missing_rows() -> None:
    lines = [half("users"), gone("users", "b", discarded={"a": 1})]
    assert [code for _, code, *_ in reported(verify_ledgers(held(lines, {"users": {}})))] == ["unfinished"]
    lines = [*map(line, ALL), gone("users", "b", discarded={"a": 1})]
    assert [code for _, code, *_ in reported(verify_ledgers(held(lines, {"users": {}}, {"users": 3})))] == ["rows"]
