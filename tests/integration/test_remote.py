"""Sources on object storage and what else fsspec opens: read as files are, by every mode, or refused in one line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from async_loader import ConfigurationError, Options, Run, Source, SourceError
from async_loader.sources import Reader, parts
from async_loader.sources.identity import identity
from async_loader.sources.streams import BLOCK
from tests.integration.remote_contents import CONTENTS, CSV, ROWS, parquet
from tests.processes import PATIENCE
from tests.sample import MODES, TABLES, USERS, Place, comparable

# What is read does not depend on where it is stored.
pytestmark = pytest.mark.only("sqlite")

SECRET = "sesame-of-the-storage"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run an empty S3 server on loopback, and give its address."""
    with pytest.MonkeyPatch.context() as patch:
        # What it prints when it starts is no test's.
        patch.setattr("builtins.print", lambda *_, **__: None)
        running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    # What it holds stays in the process, where tests of another file may stand between those of this one.
    command(address, "reset")
    yield address
    running.stop()


@pytest.fixture(scope="module")
def bucket(server: str) -> Iterator[Any]:
    """Give the file system of that server with an empty bucket, found through the environment as users find theirs."""
    environment = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "open",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        system = s3fs.S3FileSystem()
        system.mkdir("bucket")
        yield system
        forget()


def command(server: str, instruction: str, body: bytes = b"") -> None:
    """Ask the server for something that no storage does."""
    plain = {"Content-Type": "text/plain"}
    urlopen(Request(f"{server}/moto-api/{instruction}", body, plain, method="POST"), timeout=PATIENCE).close()


def forget() -> None:
    """Close the sessions that are kept, so that others heed what the environment says now."""
    s3fs.S3FileSystem.clear_instance_cache()


def put(system: Any, name: str, content: bytes) -> str:
    system.pipe(f"bucket/{name}", content)
    return f"s3://bucket/{name}"


@pytest.mark.parametrize("name", CONTENTS)
def test_an_object_is_loaded_as_the_file_is(place: Place, bucket: Any, tmp_path: Path, name: str) -> None:
    """In all modes: the same rows, rejects and lines, under the name that the user gave."""
    file = place.file(name, CONTENTS[name])
    expected = json.dumps(comparable(place.load("sequential", {"users": file})))
    address = put(bucket, name, CONTENTS[name])
    for mode in MODES:
        (tmp_path / mode).mkdir()
        other = Place(tmp_path / mode)
        assert json.dumps(comparable(other.load(mode, {"users": address}))) == expected.replace(file, address)
        assert other.rows("users") == place.rows("users")
        assert other.stored_rejects("users") == place.stored_rejects("users")
        assert other.query("users", "SELECT DISTINCT source FROM loader_rejects") == [(address,)]
        [(sources,)] = other.query("users", "SELECT sources FROM loader_runs")
        assert json.loads(sources)["tables"]["users"][0]["path"] == address


def test_a_member_of_an_archive_in_a_bucket_is_read(place: Place, bucket: Any, mode: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("u.csv", CONTENTS["u.csv"])
        file.writestr("__MACOSX/._u.csv", b"x")
    address = put(bucket, "u.zip", archive.getvalue())
    report = place.load(mode, {"users": address})
    assert report.tables["users"].sources == (f"{address}#u.csv",)
    assert report.tables["users"].inserted
    assert place.load(mode, {"users": f"{address}#u.csv"}).tables["users"].inserted == 0


def test_progress_counts_bytes(place: Place, bucket: Any, mode: str) -> None:
    shown: list[Any] = []
    sources = {"users": put(bucket, "u.csv", CONTENTS["u.csv"])}
    Run(TABLES, sources, place.databases, Options(batch_size=100), mode=mode, show=shown.append).perform()
    assert {each.size for each in shown} == {len(CONTENTS["u.csv"])}
    assert shown[-1].read_to == len(CONTENTS["u.csv"])


@pytest.mark.parametrize("scheme", ["memory", "file", "local"])
def test_whatever_fsspec_opens_is_a_source(place: Place, mode: str, scheme: str, tmp_path: Path) -> None:
    name = f"{scheme}://{tmp_path}/u.csv"
    fsspec.filesystem(scheme).pipe(f"{tmp_path}/u.csv", CSV.encode())
    report = place.load(mode, {"users": name})
    assert report.tables["users"].given == len(ROWS)
    assert {reject.source for reject in report.tables["users"].rejects} == {name}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("s3://bucket/none.csv", "there is no such object, bucket or server; look at the address"),
        ("s3://nowhere/u.csv", "there is no such object, bucket or server; look at the address"),
        ("s3://bucket/folder.csv", "it is a directory; name one object"),
        ("s3://bucket/cut.csv.gz", "it ends too early: it is cut off"),
        ("s3://bucket/cut.parquet", "Parquet magic bytes not found"),
    ],
)
def test_what_cannot_be_read_is_one_line(place: Place, bucket: Any, name: str, problem: str) -> None:
    bucket.pipe("bucket/folder.csv/u.csv", b"")
    bucket.pipe("bucket/cut.csv.gz", CONTENTS["u.csv.gz"][:-9])
    bucket.pipe("bucket/cut.parquet", CONTENTS["u.parquet"][:-9])
    for mode in MODES:
        with pytest.raises(SourceError) as caught:
            place.load(mode, {"users": name})
        assert str(caught.value).startswith(f"{name}: cannot be read: {problem}")
        assert "\n" not in str(caught.value)
        assert place.rows("users") == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nosuch://bucket/u.csv", "protocol not known: nosuch; look at the address"),
        ("abfs://bucket/u.csv", "a library is not installed that opens such addresses: "),
    ],
)
def test_an_address_that_nothing_opens_is_one_line(place: Place, mode: str, name: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        place.load(mode, {"users": name})
    assert str(caught.value).startswith(f"{name}: {problem}")


def test_a_missing_library_is_named_with_the_extra_that_has_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(SourceError, match=r"fsspec is not installed.*: pip install 'django-async-loader\[remote\]'$"):
        place.load("async", {"users": "s3://bucket/u.csv"})


def denied(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the server require known credentials, and set others."""
    command(server, "reset-auth", b"0")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFNOBODY")
    return "cannot be read: access denied ("


def without_credentials(_: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return "cannot be read: unable to locate credentials; "


def without_server(_: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return "cannot be read: Could not connect to the endpoint URL: "


@pytest.mark.parametrize("harm", [denied, without_credentials, without_server])
def test_storage_that_denies_access_is_one_line(
    place: Place, bucket: Any, server: str, monkeypatch: pytest.MonkeyPatch, harm: Callable[..., str]
) -> None:
    name = put(bucket, "u.csv", CONTENTS["u.csv"])
    problem = harm(server, monkeypatch)
    forget()
    with pytest.raises(SourceError) as caught:
        place.load("async", {"users": name})
    command(server, "reset-auth", b"inf")
    forget()
    assert str(caught.value).startswith(f"{name}: {problem}")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://me:sesame@host/u.csv",
        "https://host/u.csv?X-Amz-Credential=a&X-Amz-Signature=sesame",
        "simplecache::https://host/u.csv?sig=sesame",
        "https://sesame@host/u.csv",
        "https://sesame@host:8443/u.csv",
        "simplecache::https://sesame@host/u.csv",
        "webdav://sesame@host/u.csv",
        "ftp://sesame@host/u.csv",
        "https://host/u.csv?code=sesame",
        "https://host/u.csv?a=1;Sig=sesame",
        "https://host/u.csv?auth-code=sesame",
        "https://host/u.csv?%63ode=sesame",
        "https://host/u.csv#access_token=sesame",
        "https://host/u.csv?x-amz-signature=sesame",
        "https://host/u.csv?api_key=sesame&a=1",
        "https://host/u.csv?sid=sesame",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ConfigurationError, match="the address holds a secret") as caught:
        Source(address, "csv")
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/code=7/u.csv",
        "https://host/u.csv?country=de&encoding=utf-8&design=a&passage=b",
        "https://host/@user/u.csv",
        "abfs://container@account.dfs.core.windows.net/u.csv",
        "sftp://user@host/u.csv",
    ],
)
def test_an_address_that_only_looks_so_is_taken(address: str) -> None:
    assert Source(address, "csv").path == address


@pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(kind, marks=pytest.mark.wide) for kind in ("jsonl", "parquet"))]
)
def test_an_object_that_is_replaced_while_it_is_read_keeps_nothing(
    place: Place, bucket: Any, mode: str, kind: str
) -> None:
    """Longer than what is fetched at a time, and another from the second batch on."""
    rows = [(key, os.urandom(300).hex(), "@") for key in range(1, 25_001)]
    lines = {
        "csv": ["id,name,email", *(f"{key},{name},{email}" for key, name, email in rows)],
        "jsonl": [json.dumps({"id": key, "name": name, "email": email}) for key, name, email in rows],
    }
    content = parquet(rows) if kind == "parquet" else "\n".join([*lines[kind], ""]).encode()
    assert len(content) > 3 * BLOCK
    name = put(bucket, f"u.{kind}", content)
    seen: list[Any] = []

    def show(progress: Any) -> None:
        if progress.given and not seen:
            seen.append(progress)
            put(bucket, f"u.{kind}", content[:-1] + b" ")

    run = Run(TABLES, {"users": name}, place.databases, Options(batch_size=500), mode=mode, show=show)
    with pytest.raises(SourceError) as caught:
        run.perform()
    assert str(caught.value) == f"{name}: changed while it was read; load it again when nothing writes to it"
    assert place.rows("users") == []


def test_an_object_is_the_same_until_it_is_written_anew(bucket: Any) -> None:
    address = put(bucket, "u.csv", CONTENTS["u.csv"])
    first = identity(Source(address))
    assert first is not None
    assert first["size"] == len(CONTENTS["u.csv"])
    assert identity(Source(address)) == json.loads(json.dumps(first))
    put(bucket, "u.csv", CONTENTS["u.csv"].replace(b"name 1000", b"name 1001"))
    other = identity(Source(address))
    assert other is not None
    assert {name for name in first if first[name] != other[name]} == {"modified", "digest"}


def test_a_load_of_an_object_is_gone_on_with(place: Place, bucket: Any, mode: str) -> None:
    address = put(bucket, "u.csv", CONTENTS["u.csv"])
    place.query(
        "users",
        "CREATE TRIGGER full BEFORE INSERT ON users WHEN new.id > 1000 BEGIN SELECT RAISE(ROLLBACK, 'full'); END",
    )
    with pytest.raises(Exception, match="full"):
        place.load(mode, {"users": address}, commit_every=500)
    kept = len(place.rows("users"))
    place.query("users", "DROP TRIGGER full")
    report = place.load(mode, {"users": address}, commit_every=500)
    assert 0 < kept < len(place.rows("users"))
    assert report.resumed
    assert [row[0] for row in place.rows("users")] == [key for key, name, _ in ROWS if name]


SCRIPT = """
from async_loader import Run, init
from tests.sample import MODES, TABLES
databases = {table.database: table.database + ".db" for table in TABLES}
init(TABLES, databases)
for mode in MODES:
    Run(TABLES, {"users": "s3://bucket/u.csv"}, databases, mode=mode).perform()
"""


def test_a_process_leaves_no_session_open(bucket: Any, tmp_path: Path) -> None:
    """What is not closed at the end of a process is warned of on stderr."""
    put(bucket, "u.csv", CONTENTS["u.csv"])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(kind, marks=pytest.mark.wide) for kind in ("jsonl", "parquet"))]
)
def test_an_object_in_parts_is_the_whole(bucket: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find it by the same environment."""
    content = parquet(ROWS, row_group_size=400) if kind == "parquet" else CONTENTS[f"u.{kind}"]
    source = Source(put(bucket, f"parts.{kind}", content))
    monkeypatch.setattr(parts, "COUNTED", 5_000)
    found = parts.parts(source, USERS, size=12_000)
    assert len(found) > 3
    expected = list(read(Reader(source, USERS, 1_000)))
    assert [each for part in found for each in read(parts.read(part, USERS, 1_000))] == expected
    assert [key for part in found for key in parts.keys(part, USERS)] == [key for key, *_ in ROWS]
    put(bucket, f"parts.{kind}", content + b" ")
    with pytest.raises(SourceError, match=f"parts.{kind}: changed while it was read"):
        parts.read(found[-1], USERS, 1_000)


def read(reader: Reader) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield lines and values of all records."""
    with closing(reader):
        while (batch := reader.read()) is not None:
            yield from zip(batch.lines, batch.values.rows(), strict=True)
