"""`benchmark`: every contender and case with a few records. How long anything takes is never asserted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import django
import pytest
from django.core.management import CommandError, call_command

from benchmarks import contenders, data
from benchmarks.contenders import CASES, MODES, PEERS, SERVED_PEERS, Contender
from benchmarks.measure import Work, measure
from tests.commands.conftest import Project
from tests.commands.harm import wait_while
from tests.postgres import Server, binaries
from tests.processes import PATIENCE

RECORDS, INVALID = 200, 0.1
# Some cases have a contender in common.
ALL = [*dict.fromkeys(contender for case in CASES.values() for contender in case), *PEERS]
# Those that load all valid records by ids, match columns or lookups.
FINDING = ("ids", "match", "ids-again", "match-again", "lookup")
USAGE = {"seconds", "cpu_seconds", "memory_mib"}
PNG = b"\x89PNG\r\n\x1a\n"
MIB = 2**20


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a run of everything leaves: `out.json`, `kept/`, `chart.svg` and `chart.png`."""
    place = tmp_path_factory.mktemp("everything")
    project = Project(place)
    # What other people's libraries warn of is theirs to mend.
    del project.environment["PYTHONWARNINGS"]
    options = [f"--records={RECORDS}", f"--invalid={INVALID}", "--repeat=1", "--cases", "all", "--peers"]
    charts = [f"--chart={place / 'chart'}{suffix}" for suffix in (".svg", ".png")]
    done = project.manage("benchmark", *options, *charts, f"--keep={place / 'kept'}", "--format=json")
    assert (done.returncode, done.stderr) == (0, "")
    (place / "out.json").write_text(done.stdout)
    return place


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a run on a server of its own prints, and how much it leaves."""
    if binaries() is None:
        pytest.skip("no wheel of this platform brings a PostgreSQL server")
    project = Project(tmp_path_factory.mktemp("served"))
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="b") as directory:
        Path(directory).chmod(0o755)
        project.environment["TMPDIR"] = directory
        options = [f"--records={RECORDS}", f"--invalid={INVALID}", "--repeat=1", "--peers", "--format=json"]
        cases = ("csv", "copy")
        done = project.manage("benchmark", "--store=postgresql", *options, "--cases", *cases)
        left = [path.name for path in Path(directory).iterdir()]
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"left": left}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Call the command in this process, with few records."""
    django.setup()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return partial(call_command, "benchmark", "--records=50", "--repeat=1")


def contending(monkeypatch: pytest.MonkeyPatch, *chosen: Contender) -> None:
    """Let these be all that the case `csv` measures."""
    monkeypatch.setitem(contenders.CASES, "csv", chosen)


def python(code: str, *, times: int = 1) -> Callable[..., Work]:
    """Return the work of a contender that runs Python code, `times` times side by side."""
    return lambda *_: Work([[sys.executable, "-c", code]] * times, together=times > 1)


@pytest.mark.wide
def test_json_has_every_contender_with_its_runs_and_medians(everything: Path) -> None:
    report = json.loads((everything / "out.json").read_text())
    assert list(report) == [
        *("version", "command", "machine", "records", "invalid", "repeat", "contenders", "left_out")
    ]
    assert report["command"].startswith(f"python manage.py benchmark --records={RECORDS}")
    assert set(report["machine"]) == {"cores", "cpu", "system", "python", "sqlite", "polars", "pyarrow", "django"}
    assert (report["records"], report["invalid"], report["repeat"]) == (3 * RECORDS, INVALID, 1)
    measured = {each["name"]: each for each in report["contenders"]}
    assert list(measured) == [each.name for each in ALL if not each.missing()]
    assert {each["label"] for each in report["left_out"]} == {each.label for each in ALL if each.missing()}
    for each in measured.values():
        assert set(each["median"]) == USAGE
        assert each["runs"] == [each["median"]]
        assert all(number > 0 for number in each["median"].values())
    assert (measured["async"]["ratio"], measured["async"]["ratio_per_record"]) == (1, False)
    given = {name: each["records"] for name, each in measured.items() if each["records"] != 3 * RECORDS}
    finding = {name: given.pop(name) for name in (*FINDING, "ids-orders", "lookup-orders")}
    assert given == {"orders-alone": RECORDS, "ten-orders": 10, "sample": 30, "check": 0}
    valid, orders = {finding[name] for name in FINDING}, {finding["ids-orders"], finding["lookup-orders"]}
    assert len(valid) == len(orders) == 1
    assert 0 < orders.pop() * 3 < valid.pop() < 3 * RECORDS
    assert {each["name"] for each in measured.values() if each["by_ids"]} == {
        *("match", "match-again", "lookup", "lookup-orders")
    }
    assert measured["check"]["records_per_second"] is measured["check"]["ratio"] is None


@pytest.mark.wide
def test_charts_are_what_their_names_say(everything: Path) -> None:
    drawn = ET.parse(everything / "chart.svg").getroot()
    assert drawn.tag.endswith("svg")
    text = "".join(drawn.itertext())
    assert f"Seconds to load {3 * RECORDS} records in three tables, 10% of them bad" in text
    assert "insert_data --mode async" in text
    assert (everything / "chart.png").read_bytes().startswith(PNG)


@pytest.mark.wide
def test_the_files_and_the_last_databases_are_kept(everything: Path) -> None:
    kept = everything / "kept"
    assert {path.name for path in (kept / "sources").iterdir()} == set(data.recipes(RECORDS)) - {"shuffled", "sorted"}
    cases = Project(kept / "databases" / "half-bad"), Project(kept / "databases" / "async")
    half, most = (len(project.query("users", "SELECT * FROM users")) for project in cases)
    assert RECORDS * 0.3 < half < RECORDS * 0.6 < RECORDS * 0.8 < most < RECORDS


@pytest.mark.parametrize(("case", "counted"), [("again", "unchanged"), ("update", "updated"), ("parquet", "inserted")])
@pytest.mark.wide
def test_a_case_does_what_it_is_called_after(everything: Path, case: str, counted: str) -> None:
    project = Project(everything / "kept" / "databases" / case)
    for table in data.TABLES:
        runs = f"SELECT given, {counted} + rejected FROM loader_runs ORDER BY rowid DESC LIMIT 1"
        assert project.query(table, runs) == [(RECORDS, RECORDS)]


@pytest.mark.parametrize(
    ("case", "counted"), [("match", "inserted"), ("match-again", "unchanged"), ("lookup", "inserted")]
)
@pytest.mark.wide
def test_a_load_without_ids_loads_every_valid_record(everything: Path, case: str, counted: str) -> None:
    project = Project(everything / "kept" / "databases" / case)
    for table in data.TABLES:
        [(given, done)] = project.query(table, f"SELECT given, {counted} FROM loader_runs ORDER BY rowid DESC LIMIT 1")
        assert given == done > 0


@pytest.mark.long
def test_on_a_server_clients_and_server_are_counted_apart(served: dict[str, Any]) -> None:
    measured = {each["name"]: each for each in served["contenders"]}
    assert list(measured) == [
        *("async", "threads", "sequential", "dask", "copy", "copy-psql"),
        *(each.name for each in SERVED_PEERS),
    ]
    assert served["left_out"] == []
    for each in measured.values():
        assert set(each["median"]) == {*USAGE, "server_cpu_seconds"}
        assert all(each["median"][name] > 0 for name in USAGE)
        assert each["records"] == 3 * RECORDS
    # The kernel reports it in hundredths of a second.
    assert sum(each["median"]["server_cpu_seconds"] for each in measured.values()) > 0
    assert {"postgresql", "psycopg"} <= set(served["machine"])
    assert served["left"] == []


def test_a_server_of_the_users_keeps_what_it_has_and_nothing_else(tmp_path: Path, server: Server) -> None:
    project = Project(tmp_path)
    for table in data.TABLES:
        project.environment[f"{table.upper()}_DATABASE_URL"] = server.url("postgres")
    names = "SELECT datname FROM pg_database ORDER BY 1"
    before = server.query("postgres", names)
    options = ("--records=20", "--repeat=1", "--cases", "ten-orders")
    done = project.manage("benchmark", "--store=postgresql", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "server CPU s" not in done.stdout
    assert server.query("postgres", names) == before


def test_a_server_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for table in data.TABLES:
        project.environment[f"{table.upper()}_DATABASE_URL"] = f"postgresql://nobody@/none?host={tmp_path}"
    done = project.manage("benchmark", "--store=postgresql", "--records=20", "--no-progress")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: PostgreSQL: connection ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        (["postgresql://a@b/c"], "set PRODUCTS_DATABASE_URL and ORDERS_DATABASE_URL as well, or none of them"),
        (
            ["postgresql://a:secret@b/c"] * 3,
            "a URL with a password would be seen in the list of processes; leave it out and set PGPASSWORD",
        ),
    ],
)
def test_urls_that_cannot_be_used_are_a_usage_error(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, urls: list[str], message: str
) -> None:
    for table, url in zip(data.TABLES, urls, strict=False):
        monkeypatch.setenv(f"{table.upper()}_DATABASE_URL", url)
    with pytest.raises(CommandError) as caught:
        run("--store=postgresql")
    assert str(caught.value) == f"--store postgresql: {message}"


@pytest.mark.wide
def test_files_of_the_users_are_taken_and_nothing_stays(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.environment["TMPDIR"] = str(tmp_path / "temporary")
    (tmp_path / "temporary").mkdir()
    project.file("users.csv", 'email,id,name\n@,1,"a,\nb"\n@,2,\n')
    project.file("products.csv", "id,name,price\n1,a,1.5\n")
    project.file("orders.csv", "id,user_id,product_id,quantity\n1,1,1,1\n2,2,1,1\n")
    done = project.manage("benchmark", f"--sources={tmp_path}", "--repeat=1", "--cases", "csv", "quoted")
    assert (done.returncode, done.stderr) == (0, "")
    head, empty, columns, *rows = done.stdout.splitlines()
    assert (head, empty) == ("5 records in three tables; one run, each in a process of its own", "")
    assert columns.split() == ["checks", "records", "seconds", "CPU", "s", "MiB", "records/s", "to", "async"]
    labels = [row.split("  ")[0] for row in rows]
    assert labels == [*(f"insert_data --mode {mode.name}" for mode in MODES), "every text quoted"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_others_need_the_columns_in_their_order(tmp_path: Path) -> None:
    django.setup()
    for name, columns in (("users", "name,id,email"), ("products", "id"), ("orders", "id")):
        (tmp_path / f"{name}.csv").write_text(f"{columns}\n")
    with pytest.raises(CommandError, match=r"by their position: .*users.csv must have the columns id, name, email$"):
        call_command("benchmark", f"--sources={tmp_path}", "--peers")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--records=0"], "--records is at least 1, not 0"),
        (["--repeat=0"], "--repeat is at least 1, not 0"),
        (["--invalid=1.5"], "--invalid is a share between 0 and 1, not 1.5"),
        (["--sources=."], "--sources takes records as they are: leave out --records and --invalid"),
        (["--keep=."], "--keep .: is not empty; name a new directory"),
        (["--cases", "shuffled", "check", "copy"], "--cases shuffled copy: with --store postgresql only"),
        (["--chart=a.pdf"], "--chart a.pdf: a chart is one of .svg, .png"),
        (["--chart=a.svg", "--cases", "check"], "--chart compares with the mode async: add csv to --cases"),
    ],
)
def test_what_cannot_be_measured_is_a_usage_error(run: Callable[..., str], options: list[str], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(*options)
    assert str(caught.value) == message


def test_an_unknown_case_is_a_usage_error(run: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="invalid choice: 'nothing'"):
        run("--cases", "nothing")


def test_a_chart_that_cannot_be_written_is_refused_before_anything_runs(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contending(monkeypatch)
    with pytest.raises(CommandError, match=r"missing/a.svg: cannot be written: No such file or directory; nothing was"):
        run(f"--chart={tmp_path / 'missing' / 'a.svg'}")


def test_without_matplotlib_a_chart_is_refused_with_what_to_install(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CommandError) as caught:
        run(f"--chart={tmp_path / 'a.svg'}")
    assert str(caught.value) == "--chart needs matplotlib: pip install -e '.[benchmark]'"
    assert list(tmp_path.iterdir()) == []


def test_contenders_that_store_different_rows_fail_the_command(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contending(monkeypatch, MODES[0], replace(MODES[1], label="nobody", work=python("")))
    with pytest.raises(CommandError, match=r"^insert_data --mode async and nobody stored different rows in users: \d"):
        run()


def test_a_contender_that_fails_is_named_with_its_last_line(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contending(monkeypatch, replace(MODES[0], label="nobody", work=python("raise SystemExit('first\\nno luck')")))
    with pytest.raises(CommandError, match=r"^nobody: no luck$"):
        run()


def test_memory_is_that_of_the_process_and_summed_side_by_side(tmp_path: Path) -> None:
    held = bytearray(200 * MIB)
    some = "held = b'x' * (64 * 2**20)"

    def megabytes(code: str, times: int = 1) -> float:
        work = python(code, times=times)()
        return measure(work, tmp_path, os.environ, tmp_path / "errors").memory_mib

    assert megabytes("") < 50 < len(held) / MIB
    assert 64 < megabytes(some) < 120
    assert 128 < megabytes(some, 2) < 240


def test_an_interrupt_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.environment["TMPDIR"] = str(tmp_path)
    with project.start("benchmark", "--records=5000", "--repeat=1000") as process:
        wait_while(lambda: process.poll() is None and not list(tmp_path.glob("benchmark-*/databases/async/stderr.txt")))
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()
    assert (process.returncode, out, error) == (130, "", "error: interrupted\n")
    assert list(tmp_path.iterdir()) == []
    commands = subprocess.check_output(["ps", "-eo", "args"], text=True, timeout=PATIENCE)
    assert str(tmp_path) not in commands
