"""What a large load says at the end: a report in, lines out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from async_loader import Column, Counts, Reason, Reference, Reject, Report, Table, TableReport, Type
from async_loader.contrib.django.terminal.text import report_lines
from tests.sample import TABLES, USERS

RUN = "5f0e"
COUNTS = TableReport("users", ("data/u.csv",), Counts(1000, 900, 0, 0, 100), (), 0.25, {"name.missing": 100}, ())


def summary(reports: dict[str, TableReport], tables: tuple[Table, ...] = TABLES, **facts: object) -> list[str]:
    report = Report(RUN, "async", "complete", dry_run=False, seconds=2.0, error=None, tables=reports)
    return list(report_lines(replace(report, **facts), tables))  # type: ignore[arg-type]


def counted(reasons: dict[str, int] | None = None, **counts: int) -> TableReport:
    return replace(COUNTS, counts=replace(COUNTS.counts, **counts), reasons=reasons or {})


def with_reasons(rejected: int, **reasons: int) -> TableReport:
    named = {f"name.{code}": count for code, count in reasons.items()}
    return counted(reasons=named, rejected=rejected)


def test_counts_are_aligned_and_summed_up() -> None:
    orders = replace(counted(given=2_000_000, inserted=1_999_995, updated=5, rejected=0), seconds=1.75)
    users = counted(rejected=0, unchanged=100)
    assert summary({"users": users, "orders": orders}) == [
        "table       given   inserted  updated  unchanged  rejected  seconds",
        "orders  2,000,000  1,999,995        5          0         0      1.8",
        "users       1,000        900        0        100         0      0.2",
        "total   2,001,000  2,000,895        5        100         0      2.0",
        "2,001,000 records in 2.0 s, 1,000,000 records/s",
    ]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (with_reasons(1, a=1), "1 reason explains 100 % of 1 reject"),
        (with_reasons(12_408, a=9_000, b=2_000, c=700, d=700, e=8), "3 reasons explain 94 % of 12,408 rejects"),
        (with_reasons(1000, a=999, b=1), "1 reason explains 99 % of 1,000 rejects"),
        (with_reasons(70, a=10, b=10, c=10, d=10, e=10, f=10, g=10), "5 reasons explain 71 % of 70 rejects"),
        (with_reasons(9, a=9, b=1), "9 rejects with 10 reasons; the commonest is 90 % of them"),
        (with_reasons(9, a=6, b=6), "9 rejects with 12 reasons; the 2 commonest are 100 % of them"),
    ],
)
def test_it_says_how_few_reasons_explain_most(counts: TableReport, text: str) -> None:
    assert f"users: {text}" in summary({"users": counts})


def test_reasons_are_listed_with_their_shares() -> None:
    lines = summary({"users": with_reasons(1000, a=999, b=900, c=10, d=9, e=1, f=1, g=1)})
    begins = next(place for place, line in enumerate(lines) if line.startswith("users: "))
    assert lines[begins + 1 : begins + 7] == [
        "         999   99 %  name.a",
        "         900   90 %  name.b",
        "          10    1 %  name.c",
        "           9   <1 %  name.d",
        "           1   <1 %  name.e",
        "                     ... and 2 other reasons",
    ]


def test_what_comes_from_records_and_names_is_escaped() -> None:
    reason = Reason("no\x07", "id\x1b", "is \x1b[31m")
    reject = Reject("u\x1b.csv", 2, 2, {"id": "\x1b[2J", "name": "\u202e", "email": "\r"}, (reason,))
    table = replace(USERS, name="us\x1bers")
    counts = replace(COUNTS, sources=("u\x1b.csv",), rejects=(reject,), reasons={reason.name: 100})
    lines = summary({table.name: counts}, (table,))
    assert all(line.isprintable() for line in lines)
    assert "  u\\x1b.csv, line 2: ('\\x1b[2J', '\\u202e', '\\r') --> Failed validation: is \\x1b[31m" in lines


def advice(reports: dict[str, TableReport], tables: tuple[Table, ...] = TABLES, **facts: object) -> list[str]:
    """Return the lines after the last empty one."""
    lines = summary(reports, tables, **facts)
    return lines[len(lines) - lines[::-1].index("") :]


def test_rejects_are_exported_in_the_format_of_their_source() -> None:
    sources = {"a.csv.gz": "csv", "a.JSONL": "jsonl", "a.ndjson.zst": "ndjson", "a.parquet": "parquet", "-": "csv"}
    for source, suffix in sources.items():
        assert advice({"users": replace(COUNTS, sources=(source,))}) == [
            "Next: write the rejects to files, mend them, and load them:",
            f"  python manage.py rejects export users-rejects.{suffix} --table users --run 5f0e",
        ]


def test_a_name_that_a_shell_would_take_apart_is_quoted() -> None:
    table = Table("a b/c;", "users", (Column("id", Type.INTEGER),))
    [_, command] = advice({"a b/c;": COUNTS}, (table,))
    assert command == "  python manage.py rejects export a-b-c--rejects.csv --table 'a b/c;' --run 5f0e"


def test_what_may_pass_later_is_tried_again_and_what_differs_can_be_replaced() -> None:
    orders = replace(COUNTS, reasons={"user_id.exists_in": 60, "id.exists": 40})
    assert advice({"users": COUNTS, "orders": orders}) == [
        "Next: write the rejects to files, mend them, and load them:",
        "  python manage.py rejects export orders-rejects.csv --table orders --run 5f0e",
        "  python manage.py rejects export users-rejects.csv --table users --run 5f0e",
        "Once the rows that they reference have been loaded, try the rejects again as they are:",
        "  python manage.py rejects retry --table orders --run 5f0e",
        "To replace rows that have the same key and other values, run the same command with --on-conflict update",
    ]


def test_a_dry_run_has_no_rejects_to_export() -> None:
    lines = summary({"users": COUNTS}, dry_run=True)
    assert lines[0] == "Dry run: nothing was written."
    assert lines[-1] == "Next: mend the sources, or run the same command without --dry-run to load the good records"


def test_a_run_that_went_on_with_another_claims_no_speed() -> None:
    lines = summary({"users": counted(rejected=0)}, resumed=True)
    assert lines[-1] == "1,000 records, with those of the earlier process; this one took 2.0 s"


def test_of_decimals_and_times_a_listing_shows_what_they_are() -> None:
    table = Table(
        "sales", "shop", (Column("id", Type.TEXT), Column("price", Type.DECIMAL), Column("at", Type.DATETIME))
    )
    accepted = (("a'b", Decimal("12.50"), datetime(2026, 3, 1, 9, 30, tzinfo=UTC)), ("c", None, None))
    outcomes = ("inserted", "inserted")
    counts = TableReport("shop", ("s.csv",), Counts(2, 2), (), 0.1, {}, (), accepted=accepted, outcomes=outcomes)
    lines = summary({"sales": counts}, (table,))
    assert lines[3:5] == ['("a\'b", 12.50, 2026-03-01 09:30:00+00:00)', "('c', None, None)"]


def test_a_table_that_references_itself_is_listed_as_any_other() -> None:
    parent = Column("parent_id", Type.INTEGER, nullable=True)
    nodes = Table("nodes", "here", (Column("id", Type.INTEGER), parent), references=(Reference("parent_id", "nodes"),))
    counts = replace(COUNTS, counts=Counts(1, 1, 0, 0, 0), reasons={}, accepted=((1, 1),), outcomes=("inserted",))
    lines = summary({"nodes": counts}, (nodes,))
    assert lines[2:4] == ["NODES TABLE (Inserted):", "(1, 1)"]
