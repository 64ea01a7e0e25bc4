"""What the benchmark makes of its measurements, and the files it reads."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks import data, machine
from benchmarks.chart import bars
from benchmarks.contenders import PEERS, STARTS, STORES
from benchmarks.errors import BenchmarkError
from benchmarks.generated_keys import NAMES
from benchmarks.measure import Usage
from benchmarks.results import Outcome, Result, as_dict, table_lines
from benchmarks.stored import Stored, must_be_all, must_be_equal
from tests.commands.test_benchmark import ALL


def result(name: str, seconds: float, records: int) -> Result:
    contender = next(each for each in ALL if each.name == name)
    return Result(contender, records, (Usage(seconds, 1.0, 10.0), Usage(seconds * 3, 3.0, 30.0)))


def outcome(*results: Result, **left_out: str) -> Outcome:
    return Outcome(300, 0.015, 2, machine.facts(), "python manage.py benchmark", results, left_out)


def test_different_rows_are_found_though_equally_many() -> None:
    first, second = {"users": Stored(1, "a")}, {"users": Stored(1, "b")}
    must_be_equal("one", first, "other", first)
    with pytest.raises(BenchmarkError, match="one and other stored different rows in users, though equally many"):
        must_be_equal("one", first, "other", second)


@pytest.mark.wide
def test_who_checks_nothing_must_store_everything() -> None:
    must_be_all("one", {"users": 1}, {"users": Stored(1, "")})
    with pytest.raises(BenchmarkError, match="one stored 1 of 2 users"):
        must_be_all("one", {"users": 2}, {"users": Stored(1, "")})


def test_the_table_shows_medians_and_compares_by_record_where_the_numbers_differ() -> None:
    lines = list(table_lines(outcome(result("async", 1, 300), result("loaddata", 1, 30), result("check", 1, 0))))
    assert lines[0] == "300 records in three tables, 1.5% of them bad; medians of 2 runs, each in a process of its own"
    assert [line.split("  ")[0] for line in lines[3:6]] == [
        "insert_data --mode async",
        "Django loaddata",
        "manage.py check",
    ]
    assert lines[3].split()[-7:] == ["yes", "300", "2.00", "2.00", "20", "150", "1.00x"]
    assert lines[4].split()[-7:] == ["nothing", "30", "2.00", "2.00", "20", "15", "10.00x*"]
    assert lines[5].split()[-7:] == ["-", "-", "2.00", "2.00", "20", "-", "-"]
    assert lines[6:] == ["", "* per record: it was given fewer records than async, so that its start weighs more"]


def test_loads_without_ids_are_compared_with_the_same_load_by_ids() -> None:
    measured = outcome(result("async", 1, 300), result("ids", 2, 300), result("match", 3, 300))
    lines = list(table_lines(measured))
    assert [line.split()[-1] for line in lines[3:6]] == ["1.00x", "-", "-"]
    assert lines[6:] == [
        "",
        "the same without ids: 1.50x the seconds and 1.00x the CPU seconds of: valid records, by id",
    ]
    by_ids = [each["by_ids"] for each in as_dict(measured)["contenders"]]
    assert by_ids == [None, None, {"label": "valid records, by id", "seconds": 1.5, "cpu_seconds": 1.0}]
    assert as_dict(outcome(result("match", 3, 300)))["contenders"][0]["by_ids"] is None


def test_what_a_server_took_is_a_column_where_it_is_known() -> None:
    runs = (Usage(1, 1, 10, 0.5), Usage(1, 1, 10, 1.5))
    served = replace(outcome(replace(result("async", 1, 300), runs=runs)), machine={"postgresql": "18.4"})
    head, _, columns, row = table_lines(served)
    assert head.startswith("300 records in three tables of PostgreSQL 18.4, 1.5% of them bad; medians of 2 runs")
    assert "  seconds  CPU s  server CPU s  MiB  " in columns
    assert row.split()[-7:] == ["300", "1.00", "1.00", "1.00", "10", "300", "1.00x"]


def test_the_chart_puts_the_fastest_first_and_scales_by_records() -> None:
    shown = bars(outcome(result("loaddata", 1, 30), result("async", 1, 300), result("check", 1, 0)))
    assert [bar.label for bar in shown] == ["2.00 s  (1.00x)", "20 s*  (10x)"]


def test_who_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert [each.name for each in PEERS if "shell" in each.missing()] == ["sqlite3", "sqlite3-together"]
    left = outcome(result("async", 1, 300), nobody="not installed")
    assert list(table_lines(left))[-1] == "left out: nobody: not installed"
    assert as_dict(left)["left_out"] == [{"label": "nobody", "reason": "not installed"}]


def broken(frames: data.Frames) -> dict[str, int]:
    """Return by table how many records break a rule or reference what does not exist."""
    rules: dict[str, Any] = {
        "users": (pl.col("name") == "") | ~pl.col("email").str.contains("@"),
        "products": pl.col("price") <= 0,
        "orders": (pl.col("quantity") <= 0) | (pl.max_horizontal("user_id", "product_id") > 10**15),
    }
    return {table: frames[table].filter(rule).height for table, rule in rules.items()}


def test_made_records_are_the_same_each_time_and_bad_by_the_share() -> None:
    frames = data.made(1000, 0.25)
    assert all(frame.equals(data.made(1000, 0.25)[table]) for table, frame in frames.items())
    assert all(200 < count < 300 for count in broken(frames).values())
    assert set(broken(data.made(1000, 0)).values()) == {0}
    assert set(broken(data.made(1000, 1)).values()) == {1000}


def test_changed_records_differ_and_stay_as_good_as_they_were() -> None:
    frames = data.made(1000, 0.25)
    changed = data.changed(frames)
    assert broken(changed) == broken(frames)
    differing = pl.concat([frames["products"], changed["products"]]).unique()
    assert differing.height == 2000


def test_shuffled_records_are_the_same_ones_in_another_order() -> None:
    frames = data.made(1000, 0.25)
    shuffled = data.shuffled(frames)
    assert not any(frame.equals(frames[table]) for table, frame in shuffled.items())
    assert all(frame.sort("id").equals(frames[table]) for table, frame in shuffled.items())


def test_numbered_records_are_the_valid_ones_and_their_ids_count_from_1() -> None:
    frames = data.made(1000, 0.25)
    frames = {**frames, "users": pl.concat([frames["users"], frames["users"].with_columns(pl.col("id") + 5000)])}
    numbered = data.numbered(frames)
    assert set(broken(numbered).values()) == {0}
    assert all(frame["id"].to_list() == list(range(1, frame.height + 1)) for frame in numbered.values())
    assert all(frame[name].is_unique().all() for frame, name in zip(numbered.values(), NAMES.values(), strict=True))
    valid = {table: frames[table].height - count for table, count in broken(frames).items()}
    assert numbered["users"].height == valid["users"] / 2
    assert numbered["products"].height == valid["products"]
    assert numbered["orders"].height < valid["orders"]


def test_named_records_lead_to_the_users_and_products_of_numbered_ones() -> None:
    frames = data.made(1000, 0.25)
    numbered, named = data.numbered(frames), data.named(frames)
    assert named["orders"].columns == ["id", "number", "quantity", "user__email", "product__name"]
    by_email = dict(numbered["users"].select("email", "id").iter_rows())
    assert [by_email[email] for email in named["orders"]["user__email"]] == numbered["orders"]["user_id"].to_list()
    by_name = dict(numbered["products"].select("name", "id").iter_rows())
    assert [by_name[name] for name in named["orders"]["product__name"]] == numbered["orders"]["product_id"].to_list()


def test_names_of_databases_are_no_longer_than_the_server_takes() -> None:
    owners = [each.name for cases, peers in STORES.values() for case in (*cases.values(), peers) for each in case]
    names = [f"loader_benchmark_{2**22}_{owner}_products" for owner in (*owners, *(f"start {name}" for name in STARTS))]
    assert max(map(len, names)) < 64


def test_awkward_names_hold_commas_and_line_breaks_between_quotes(tmp_path: Path) -> None:
    data.recipes(1)["quoted"].cook(data.made(20, 0), tmp_path / "quoted")
    lines = (tmp_path / "quoted" / "users.csv").read_text().splitlines()
    assert lines[10:12] == ['10,"User 10, the second', 'of this name","user10@example.com"']


def test_files_that_no_other_can_be_made_of_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id,name,email\nx,a,@\n")
    with pytest.raises(BenchmarkError, match="no other files can be made of these; leave out --peers") as caught:
        data.read(data.Dataset(tmp_path, ".csv", {}))
    assert "\n" not in str(caught.value)
