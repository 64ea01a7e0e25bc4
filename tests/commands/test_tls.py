"""TLS to a PostgreSQL server, as docs/postgresql.md has it: by a URL alone, and refused in one line."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests import postgres
from tests.certificates import Authority, authority
from tests.commands.conftest import Project

# The wheel's servers speak no TLS.
VERSION = 15
SECRET = "hunter two/3"
# A role with a password, and one that is let in by its certificate.
RULES = """\
hostssl all guarded all scram-sha-256
hostssl all certified all cert
"""


@dataclass(frozen=True)
class Secured:
    """A server that speaks TLS alone, and shows a certificate for `localhost`."""

    ours: Authority
    port: int

    def url(self, options: Mapping[str, object], user: str = "guarded", host: str = "localhost") -> str:
        """Return the URL of its database with options for libpq."""
        password = f":{quote(SECRET, safe='')}" if user == "guarded" else ""
        return f"postgresql://{user}{password}@{host}:{self.port}/users?{urlencode(options)}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    if postgres.binaries(VERSION) is None:
        pytest.skip(f"the system has no PostgreSQL {VERSION}, whose server speaks TLS")
    directory = tmp_path_factory.mktemp("authorities")
    ours, _ = authority(directory / "ours"), authority(directory / "others")
    with postgres.server(VERSION, ()) as server:
        server.query("postgres", "CREATE DATABASE users")
        server.query("postgres", f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
        server.query("postgres", "CREATE ROLE certified LOGIN IN ROLE guarded")
        server.query("users", "GRANT CREATE ON SCHEMA public TO guarded")
        server.stop()
        (server.data / "pg_hba.conf").write_text(RULES)
        files = [shown(path, server) for path in (*ours.signed("localhost"), ours.file)]
        names = ("ssl_cert_file", "ssl_key_file", "ssl_ca_file")
        tls = [f"{name}={file}" for name, file in zip(names, files, strict=True)]
        port = free_port()
        replace(
            server, settings=(*server.settings, "listen_addresses=localhost", f"port={port}", "ssl=on", *tls)
        ).start()
        yield Secured(ours, port)


def shown(path: Path, server: postgres.Server) -> Path:
    """Copy a file so that only the server may read it."""
    copied = Path(shutil.copy(path, server.directory))
    owner = server.data.stat()
    os.chown(copied, owner.st_uid, owner.st_gid)
    copied.chmod(0o600)
    return copied


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.mark.wide
def test_a_url_that_trusts_the_servers_authority_alone_is_enough(project: Project, secured: Secured, mode: str) -> None:
    """Mixed with databases that are files; by a password, and by a certificate of the client's."""
    certificate, key = secured.ours.signed("certified")
    trusting = {"sslmode": "verify-full", "sslrootcert": secured.ours.file}
    urls = [secured.url(trusting), secured.url(trusting | {"sslcert": certificate, "sslkey": key}, "certified")]
    project.environment["USERS_DATABASE_URL"] = urls[0]
    assert project.manage("init_db", "--fresh").returncode == 0
    for url in urls:
        project.environment["USERS_DATABASE_URL"] = url
        done = project.manage("insert_data", f"--mode={mode}")
        assert (done.returncode, done.stderr) == (0, "")
        assert "(1, 'Alice', 'alice@example.com')" in done.stdout
        assert SECRET not in done.stdout


FULL = "verify-full"
# What a URL says of TLS, of user and host; and the expected message.
REFUSED: dict[str, tuple[list[str], dict[str, str], str]] = {
    "another authority": ([FULL, "others"], {}, "certificate verify failed"),
    "another host": ([FULL, "ours"], {"host": "127.0.0.1"}, 'does not match host name "127.0.0.1"'),
    "no such authority": ([FULL, "none"], {}, "does not exist"),
    "no TLS": (["disable", "ours"], {}, "no encryption"),
    "no certificate": ([FULL, "ours"], {"user": "certified"}, "connection requires a valid client certificate"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line_without_the_password(
    project: Project, secured: Secured, why: str
) -> None:
    (mode, trusted), target, told = REFUSED[why]
    options = {"sslmode": mode, "sslrootcert": secured.ours.directory.parent / trusted / "ca.pem"}
    project.environment["USERS_DATABASE_URL"] = secured.url(options, **target)
    done = project.manage("insert_data")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: database users: ")
    assert told in done.stderr
    assert not [text for text in (SECRET, quote(SECRET, safe="")) if text in done.stderr]
    assert project.query("products", "SELECT * FROM products") == []
