"""`scale`: what is predicted hangs together, and follows from what is given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import django
import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.errors import BenchmarkError
from benchmarks.scale.costs import costs_from
from benchmarks.scale.forecast import Forecast, forecast, one_process
from benchmarks.scale.inputs import Cluster, Sources
from benchmarks.scale.phases import CLIENT, CUT, DISK, NETWORK, RESOURCES, SERVER, START, WORKERS
from benchmarks.scale.tables import against_lines, measured
from tests.commands.conftest import ROOT, Project

FACTS = json.loads((ROOT / "benchmarks" / "scale" / "costs.json").read_text())
COSTS = costs_from(FACTS)
PNG = b"\x89PNG\r\n\x1a\n"
SOURCES = st.builds(
    Sources,
    records=st.integers(1, 10**12),
    referenced=st.floats(0.001, 0.9),
    keys_far=st.booleans(),
    order_tables=st.none() | st.integers(1, 20),
    files=st.integers(1, 100),
)
CLUSTERS = st.builds(
    Cluster,
    hosts=st.integers(1, 200),
    cores=st.integers(1, 64),
    servers=st.integers(1, 20),
    network=st.floats(0.1, 100),
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call the command in this process, and return what it prints."""
    django.setup()

    def call(*arguments: str) -> str:
        call_command("scale", *arguments)
        return capsys.readouterr().out

    return call


def forecast_of(sources: Sources, **cluster: Any) -> Forecast:
    return forecast(COSTS, sources, Cluster(**cluster))


@settings(max_examples=30)
@given(SOURCES, CLUSTERS)
def test_totals_add_up(sources: Sources, cluster: Cluster) -> None:
    found = forecast(COSTS, sources, cluster)
    assert found.seconds == pytest.approx(sum(max(phase.needs.values()) for phase in found.phases))
    assert found.bottleneck in {phase.bottleneck for phase in found.phases}
    assert found.servers == min(cluster.servers, found.order_tables + 2)
    assert found.host_hours * 3600 == pytest.approx(found.seconds * (cluster.hosts + found.servers + 1))
    assert all(need >= 0 for phase in found.phases for need in phase.needs.values())


@settings(max_examples=30)
@given(SOURCES, CLUSTERS)
def test_no_phase_ends_before_the_cpu_that_it_needs_is_used(sources: Sources, cluster: Cluster) -> None:
    found = forecast(COSTS, sources, cluster)
    cores = cluster.cores * (cluster.hosts + found.servers) + 1
    assert found.seconds * cores >= 0.99 * (found.client_cpu + found.server_cpu) - COSTS.start_cluster_cpu


@settings(max_examples=30)
@given(SOURCES, CLUSTERS, st.integers(1, 100))
def test_more_hosts_slow_down_nothing_but_what_each_worker_asks_of_servers(
    sources: Sources, cluster: Cluster, more: int
) -> None:
    few = forecast(COSTS, sources, cluster)
    many = forecast(COSTS, sources, replace(cluster, hosts=cluster.hosts + more))
    for before, after in zip(few.phases, many.phases, strict=True):
        for name in {*before.needs} - {SERVER, NETWORK}:
            # A sixteenth of the keys may be asked about before all are read: that much more work is a worker's own.
            assert after.needs[name] <= 1.2 * before.needs[name] or name == WORKERS
    nothing = replace(COSTS, ask=0, ask_server=0, learn=0, learn_server=0)
    fast = replace(cluster, network=1e9)
    alone = [forecast(nothing, sources, replace(fast, hosts=hosts)) for hosts in (cluster.hosts, cluster.hosts + more)]
    assert alone[1].seconds <= alone[0].seconds * (1 + 1e-9)


@settings(max_examples=30)
@given(SOURCES, CLUSTERS)
def test_ten_times_the_records_never_take_less(sources: Sources, cluster: Cluster) -> None:
    more = replace(sources, records=10 * sources.records)
    one, ten = (forecast(COSTS, each, cluster) for each in (sources, more))
    assert one.shares <= ten.shares <= 10 * one.shares + 10
    assert one.stored < ten.stored
    assert one.client_cpu <= ten.client_cpu
    assert one.server_cpu <= ten.server_cpu


BILLION = Sources(records=10**9)


@pytest.mark.parametrize(
    ("sources", "cluster", "bottleneck"),
    [
        (Sources(records=1000), Cluster(), START),
        (BILLION, Cluster(cores=1, workers=1, servers=3, disk=1e6, network=1000), WORKERS),
        (BILLION, Cluster(hosts=100, cores=1, disk=1e6, network=1000), SERVER),
        (BILLION, Cluster(hosts=10, disk=10), DISK),
        (BILLION, Cluster(hosts=10, network=0.01), NETWORK),
        (replace(BILLION, share_size=1000), Cluster(hosts=10), CLIENT),
        (replace(BILLION, records=10**11, keys_far=True), Cluster(hosts=100, servers=16, memory=10**6), CLIENT),
    ],
)
def test_extremes_have_the_bottleneck_that_they_must_have(sources: Sources, cluster: Cluster, bottleneck: str) -> None:
    assert forecast(COSTS, sources, cluster).bottleneck == bottleneck


def test_a_source_of_one_file_is_cut_by_one_worker() -> None:
    slow = {name: replace(each, cut=100 * each.cut) for name, each in COSTS.tables.items()}
    found = forecast(replace(COSTS, tables=slow), replace(BILLION, files=1), Cluster(hosts=10))
    assert found.bottleneck == CUT


def test_one_table_is_on_one_server_however_many_there_are() -> None:
    billions = Sources(records=10**11, order_tables=1)
    assert forecast_of(billions, hosts=10, servers=3).seconds == forecast_of(billions, hosts=10, servers=16).seconds
    several = forecast_of(replace(billions, order_tables=None), hosts=10, servers=16)
    assert (several.order_tables, several.servers) == (14, 16)
    assert several.seconds < forecast_of(billions, hosts=10, servers=16).seconds / 2


def test_what_does_not_fit_is_said() -> None:
    assert forecast_of(Sources(records=10**8)).limits == ()
    assert "host memory" in forecast_of(Sources(records=10**10)).limits
    assert forecast_of(Sources(records=10**12), hosts=1000).limits == ("table size",)
    assert "client memory" in forecast_of(Sources(records=10**10, keys_far=True), hosts=100).limits


def test_costs_of_another_machine_are_taken(run: Callable[..., str], tmp_path: Path) -> None:
    slow = FACTS | {
        "tables": {name: {key: 10 * cost for key, cost in each.items()} for name, each in FACTS["tables"].items()}
    }
    (tmp_path / "costs.json").write_text(json.dumps(slow))
    options = ["--records=1e9", "--hosts=1", "--servers=1", "--format=json"]
    [quick], [late] = (json.loads(run(*options, *more)) for more in ([], [f"--costs={tmp_path / 'costs.json'}"]))
    assert late["seconds"] == pytest.approx(10 * quick["seconds"], rel=0.2)
    assert late["stored"] == pytest.approx(10 * quick["stored"])


@pytest.mark.long
def test_costs_are_measured_as_scale_takes_them() -> None:
    command = [sys.executable, "-m", "tests.costs", "20000"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    found = costs_from(json.loads(done.stdout))
    assert found.records == 20_000
    assert all(each.server > 0 and each.read > 0 and each.stored > 0 for each in found.tables.values())
    assert forecast(found, BILLION, Cluster()).seconds > 0


@pytest.mark.parametrize("change", [{"task": -1}, {"task": "1"}, {"task": float("nan")}, {"tables": {}}, {"more": 1}])
def test_costs_that_are_none_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError):
        costs_from(FACTS | change)


def test_json_has_each_phase_with_what_it_needs(run: Callable[..., str]) -> None:
    found = json.loads(run("--records", "1e6", "1e9", "--hosts", "1", "2", "--servers=3", "--format=json"))
    assert [(each["records"], each["hosts"]) for each in found] == [(10**6, 1), (10**9, 1), (10**6, 2), (10**9, 2)]
    for each in found:
        assert each["seconds"] == pytest.approx(sum(phase["seconds"] for phase in each["phases"]))
        for phase in each["phases"]:
            assert phase["needs"][phase["bottleneck"]] == phase["seconds"] == max(phase["needs"].values())
            assert set(phase["needs"]) <= set(RESOURCES)


def test_the_chart_is_what_its_name_says_and_always_the_same(run: Callable[..., str], tmp_path: Path) -> None:
    charts = [tmp_path / name for name in ("one.svg", "two.svg", "three.png")]
    run("--records", "1e8", "1e12", "--hosts", "1", "10", "--disk=100", *(f"--chart={path}" for path in charts))
    one, two, three = (path.read_bytes() for path in charts)
    assert one == two
    assert three.startswith(PNG)
    text = "".join(ET.fromstring(one).itertext())
    assert all(
        message in text
        for message in ("How long a load takes", "4 servers, orders in 2 tables", "10 hosts", "server disk")
    )


def test_the_pages_chart_is_of_the_pages_costs(run: Callable[..., str], tmp_path: Path) -> None:
    run("--servers", "1", "4", "16", f"--chart={tmp_path / 'scale.svg'}")
    drawn, kept = (
        ["".join(each.itertext()).strip() for each in ET.parse(path).iter() if each.tag.endswith("text")]
        for path in (tmp_path / "scale.svg", ROOT / "docs" / "scale.svg")
    )
    assert drawn == kept


def test_medians_of_runs_stand_beside_what_is_predicted() -> None:
    run = {"records": 3_000_000, "workers": 0, "cores": 2, "share_size": 4 << 20, "client": 1.0, "server": 1.0}
    lines = [json.dumps(run | {"wall": wall}) for wall in (1.0, 8.0, 100.0)]
    head, line = against_lines(COSTS, measured(lines))
    assert head.split()[:5] == ["records", "workers", "runs", "wall", "predicted"]
    predicted = one_process(COSTS, Sources(3_000_000, referenced=2 / 3), 2)
    cells = line.split()
    assert cells[:5] == ["3,000,000", "none", "3", "8.0", f"{predicted.seconds:.1f}"]
    assert cells[5] == f"{100 * (predicted.seconds / 8 - 1):+.0f}%"
    assert cells[7] == f"{predicted.client_cpu:.1f}"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--records=0"], 2, "--records"),
        (["--records=1.5"], 2, "--records"),
        (["--disk=nan"], 2, "--disk"),
        (["--chart=a.pdf"], 2, "a chart is one of .svg, .png"),
        (["--chart=no/where.svg"], 1, "cannot be written"),
        (["--costs=nowhere.json"], 1, "nowhere.json: cannot be read"),
        (["--costs=README.md"], 1, "README.md: is no JSON"),
        (["--against=README.md"], 1, "README.md: is no file of runs"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    done = Project(tmp_path).call("scale", *arguments)
    assert (done.returncode, done.stdout.count("Traceback")) == (code, 0)
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
