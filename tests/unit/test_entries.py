"""What `loader_runs` says decides alone whether a run resumes an earlier one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from async_loader.ledger.counts import Counts
from async_loader.ledger.entries import COMPLETE, RUNNING, TableRun
from async_loader.ledger.resuming import NotResumable, UnfinishedRun, run_to_resume

SOURCE = {"path": "u.csv", "format": "csv", "delimiter": ",", "size": 1, "modified": 2, "digest": "d"}
RUN, OLD = "e" * 32, "0" * 32
FACTS: dict[str, Any] = {"on_conflict": "reject", "tables": {"users": [SOURCE], "orders": [SOURCE]}}


def line(
    table: str, state: str, *, run: str = RUN, at: str = "2026-01-02 00:00:00+00:00", facts: object = FACTS
) -> TableRun:
    finished_at = at if state == COMPLETE else None
    return TableRun(run, table, "async", json.dumps(facts), state, Counts(5, 5), 5, at, finished_at)


def test_a_run_that_is_complete_or_was_never_there_is_not_gone_on_with() -> None:
    assert run_to_resume(FACTS, {}) is None
    assert run_to_resume(FACTS, {name: line(name, COMPLETE) for name in FACTS["tables"]}) is None


@pytest.mark.parametrize("state", [COMPLETE, RUNNING])
def test_a_run_that_lacks_a_table_is_gone_on_with(state: str) -> None:
    users = line("users", state, facts={**FACTS, "previous": {"orders": OLD}})
    found = run_to_resume(
        FACTS, {"users": users, "orders": line("orders", COMPLETE, run=OLD, at="2026-01-03 00:00:00+00:00")}
    )
    assert isinstance(found, UnfinishedRun)
    where = "users complete" if state == COMPLETE else "users from record 6"
    assert found.message(["users", "orders"]) == f"resuming run {RUN}: {where}, orders from record 1"


def test_of_two_runs_that_took_turns_neither_is_gone_on_with() -> None:
    previous = {**FACTS, "previous": {"users": RUN}}
    for facts in (FACTS, previous):
        lines = {
            "users": line("users", RUNNING, run=OLD, at="2026-01-01 00:00:00+00:00", facts=facts),
            "orders": line("orders", COMPLETE),
        }
        assert run_to_resume(FACTS, lines) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '["u.csv"]', '{"tables": 1}', "[" * 100_000])
def test_what_another_version_wrote_is_let_be(text: str) -> None:
    old = TableRun("r", "users", "async", text, RUNNING, Counts(5, 5), 5, "1", None)
    assert run_to_resume(FACTS, {"users": old}) is None


CHANGES: dict[str, tuple[Any, str]] = {
    "size": ({**SOURCE, "size": 9, "digest": "e"}, "u.csv has another size and content now"),
    "time": ({**SOURCE, "modified": 9}, "u.csv has another time of change now"),
    "path": ({**SOURCE, "path": "v.csv"}, "users was read from u.csv, not from v.csv"),
    "stdin": (None, "users came from stdin, a pipe or a program, which cannot be read again"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_source_is_not_gone_on_with_and_it_is_said_why(change: str) -> None:
    source, why = CHANGES[change]
    now = {**FACTS, "tables": {**FACTS["tables"], "users": [source]}}
    found = run_to_resume(now, {"users": line("users", RUNNING)})
    assert found == NotResumable(RUN, why)
    assert found.message == f"not resuming run {RUN}: {why}; starting over"


def test_another_way_to_treat_conflicts_or_another_number_of_sources_is_another_load() -> None:
    last = {"users": line("users", RUNNING)}
    assert run_to_resume({**FACTS, "on_conflict": "update"}, last) == NotResumable(
        RUN, "it was to treat conflicts as reject, not as update"
    )
    twice = {**FACTS, "tables": {**FACTS["tables"], "users": [SOURCE, SOURCE]}}
    assert run_to_resume(twice, last) == NotResumable(RUN, "users had 1 sources, not 2")
    assert run_to_resume({**FACTS, "tables": {"users": [SOURCE]}}, last) is None
