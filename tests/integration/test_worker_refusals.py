"""A load that cannot be spread over workers ends with one line, and strangers are not let into a cluster."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_loader import Cluster, ClusterError, ConfigurationError, LoaderError, Options, Run, Source, SourceError
from tests.cluster import ROOT, Workers, workers
from tests.integration.pairs import Pair, users
from tests.processes import PATIENCE
from tests.sample import TABLES, Place
from tests.stores import Schemas

modes = pytest.importorskip("async_loader.modes.dask.driver")

pytestmark = pytest.mark.only("postgresql")

NO_TLS = {"ca": Path("ca.pem"), "certificate": Path("cert.pem"), "key": Path("key.pem")}
SECRET = "hunter-two"


@pytest.fixture(scope="module")
def plain() -> Iterator[Workers]:
    with workers(1) as started:
        yield started


@pytest.fixture
def spread(tmp_path: Path, store: Schemas) -> Place:
    return Place(tmp_path, TABLES, store)


def load(place: Place, cluster: Cluster, source: str | Source, **options: Any) -> None:
    Run(place.tables, {"users": source}, place.databases, Options(**options), mode="dask", cluster=cluster).perform()


def said(place: Place, cluster: Cluster, source: str | Source = "", **options: Any) -> str:
    """Return the line that a load ends with."""
    path = source or place.file("users.csv", users((1, "a", "@"), (2, "", "@")))
    with pytest.raises(LoaderError) as failed:
        load(place, cluster, path, **options)
    assert "\n" not in failed.value.text
    assert place.rows("users") == []
    return failed.value.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "tcp://host"}, "a scheduler is at tcp://HOST:PORT or tls://HOST:PORT"),
        ({"scheduler": "tcp://host:1", "workers": 1}, "not both"),
        ({"workers": 0}, "workers is at least 1"),
        ({"share_size": 0}, "share_size is at least 1"),
        ({"scheduler": "tls://host:1"}, "needs a CA, a certificate and a key"),
        ({"scheduler": "tls://host:1", "ca": Path("x")}, "needs all of a CA, a certificate and a key"),
        ({"scheduler": "tcp://host:1", **NO_TLS}, "and only that does"),
    ],
)
def test_a_cluster_that_cannot_be_is_one_line(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cluster(**options)


def test_what_workers_cannot_do_is_refused_before_any_is_asked(spread: Place, tmp_path: Path) -> None:
    nowhere = Cluster(scheduler="tcp://127.0.0.1:1")
    assert "workers commit share by share" in said(spread, nowhere, commit_every=1)
    assert "cannot read this process's stdin" in said(spread, nowhere, Source("-"))
    (tmp_path / "files").mkdir()
    files = Place(tmp_path / "files")
    assert "is an SQLite file, which one process writes" in said(files, nowhere)


def test_a_source_for_two_tables_of_one_database_is_refused(tmp_path: Path, store: Schemas) -> None:
    place = Place(tmp_path, (TABLES[0], replace(TABLES[0], name="people")), store)
    path = place.file("users.csv", users((1, "a", "@")))
    with pytest.raises(
        ConfigurationError, match=r"users.csv goes into two tables of one database; load them one after"
    ):
        Run(place.tables, {"users": path, "people": path}, place.databases, mode="dask")


@pytest.mark.wide
def test_a_cluster_that_does_not_answer_or_has_no_workers_is_one_line(
    spread: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "_ANSWER", 1)
    assert "no scheduler answers" in said(spread, Cluster(scheduler="tcp://127.0.0.1:1"))
    files = {name: tmp_path / path for name, path in NO_TLS.items()}
    wrong = Cluster(scheduler="tls://127.0.0.1:1", ca=files["ca"], certificate=files["certificate"], key=files["key"])
    assert "certificate and key cannot be used" in (message := said(spread, wrong))
    assert "ca.pem" in message
    for path in files.values():
        path.write_text("none")
    assert "certificate and key cannot be used" in said(spread, wrong)
    with workers(0) as empty:
        assert "has no workers; start some" in said(spread, empty.cluster(spread.databases))


def test_a_worker_that_does_not_answer_is_one_line(
    spread: Place, plain: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "_IMPORT", 0.5)
    [worker] = plain.workers.values()
    plain.wait_for(1)
    worker.send_signal(signal.SIGSTOP)
    try:
        assert "not all of it answers" in said(spread, plain.cluster(spread.databases))
    finally:
        worker.send_signal(signal.SIGCONT)


def test_sources_that_workers_do_not_find_as_they_were_are_named(
    spread: Place, plain: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread.file("here.csv", users((1, "a", "@")))
    monkeypatch.chdir(tmp_path)
    cluster = plain.cluster(spread.databases)
    assert "here.csv: a worker cannot read it" in said(spread, cluster, "here.csv")
    (plain.directory / "here.csv").write_text(users((2, "b", "@")))
    assert "here.csv: a worker finds it other than it was" in said(spread, cluster, "here.csv")


def test_a_source_that_changes_meanwhile_is_named(
    spread: Place, plain: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(spread.file("users.csv", users(*((n, "a", "@") for n in range(20)))))
    submit = modes.Workers._submit

    def change(mode: Any, effect: Any) -> Any:
        if effect.work == "load":
            path.write_text(path.read_text().replace("a,@", "b,@"))
        return submit(mode, effect)

    monkeypatch.setattr(modes.Workers, "_submit", change)
    with pytest.raises(SourceError, match="other than it was when the run began"):
        load(spread, plain.cluster(spread.databases), str(path))
    assert spread.rows("users") == []


@pytest.mark.wide
def test_workers_of_another_version_or_without_the_package_are_named(
    spread: Place, plain: Workers, tmp_path: Path
) -> None:
    metadata = tmp_path / "django_async_loader-9.9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: django-async-loader\nVersion: 9.9\n")
    (tmp_path / "missing" / "async_loader").mkdir(parents=True)
    (tmp_path / "missing" / "async_loader" / "__init__.py").write_text("raise ModuleNotFoundError('no such module')")
    for path, problem in ((tmp_path, "has django-async-loader 9.9, not "), (tmp_path / "missing", "no such module")):
        odd = plain.start_worker(PYTHONPATH=f"{path}:{ROOT}")
        try:
            plain.wait_for(2)
            assert problem in said(spread, plain.cluster(spread.databases))
        finally:
            odd.terminate()
            odd.wait()
            plain.wait_for(1)


def authority(directory: Path, name: str) -> dict[str, Path]:
    """Make a new authority and its certificate for 127.0.0.1, as docs/cluster.md does."""
    page = (ROOT / "docs" / "cluster.md").read_text()
    script = page.split("`certificates.sh`:\n\n```sh\n")[1].split("```")[0]
    (directory / name).mkdir()
    subprocess.run(
        ["bash", "-euc", script, "-", "one"], cwd=directory / name, timeout=PATIENCE, check=True, capture_output=True
    )
    return {
        "ca": directory / name / "ca.pem",
        "certificate": directory / name / "one.pem",
        "key": directory / name / "one.key",
    }


@pytest.mark.wide
@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_only_who_has_a_certificate_of_the_authority_is_let_in_and_no_secret_leaves_the_environment(
    tmp_path: Path, store: Schemas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "_ANSWER", PATIENCE)
    ours, others = authority(tmp_path, "ours"), authority(tmp_path, "others")
    tls = [f"--tls-ca-file={ours['ca']}", f"--tls-cert={ours['certificate']}", f"--tls-key={ours['key']}"]
    with workers(1, options=["--protocol=tls", *tls], environment={"DASK_LOGGING__DISTRIBUTED": "debug"}) as secure:
        pair = Pair(tmp_path, store, secure)
        # A server that trusts this user asks for no password, so one can be given that would be seen.
        databases = {name: f"{url}&password={SECRET}" for name, url in pair.many.databases.items()}
        assert secure.address.startswith("tls://")
        sources = {"users": pair.one.file("users.csv", users((1, "a", "@"), (2, "", "@"), (1, "b", "@")))}
        report = Run(
            TABLES, sources, databases, mode="dask", cluster=secure.cluster(databases, **ours, share_size=10)
        ).perform()
        assert (report.tables["users"].inserted, report.tables["users"].rejected) == (1, 2)
        written = [pair.many.query("users", f"SELECT * FROM loader_{name}") for name in ("runs", "rejects", "shares")]
        monkeypatch.setattr(modes, "_ANSWER", 1)
        cluster = secure.cluster(databases, **others)
        with pytest.raises(ClusterError, match="no scheduler answers that takes this process in"):
            Run(TABLES, sources, databases, mode="dask", cluster=cluster).perform()
        plain = secure.cluster(databases, scheduler=secure.address.replace("tls", "tcp"))
        with pytest.raises(ClusterError, match="no scheduler answers that takes this process in"):
            Run(TABLES, sources, databases, mode="dask", cluster=plain).perform()
        logs = secure.logs()
        assert "DEBUG" in logs
        assert SECRET not in logs + repr(report) + repr(written)
        assert "postgresql://" not in logs + repr(report) + repr(written)
