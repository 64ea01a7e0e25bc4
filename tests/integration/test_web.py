"""Sources at addresses of a web server, which can be read only once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from async_loader import Source, SourceError
from async_loader.sources import parts, remote
from async_loader.sources import reader as opening_of_readers
from async_loader.sources.identity import identity
from tests.integration.remote_contents import CONTENTS, ROWS
from tests.processes import PATIENCE
from tests.sample import USERS, Place

# What is read does not depend on where it is stored.
pytestmark = pytest.mark.only("sqlite")


class Web(BaseHTTPRequestHandler):
    """Gives whole files only, as simple servers do."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENTS[self.path[1:]])))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(CONTENTS[self.path[1:]])

    def log_message(self, *_: Any) -> None:
        """Log nothing of a request."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server on loopback, and give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """Run such a server, and give its address."""
    with served(Web) as address:
        yield address


@pytest.mark.parametrize("given", [0, 20_000])
def test_a_server_that_stalls_ends_the_load_and_keeps_nothing(
    place: Place, mode: str, given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first byte, or in the middle."""
    over = threading.Event()

    class Stalling(Web):
        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(CONTENTS[self.path[1:]][:given])
            self.wfile.flush()
            over.wait(30)

    monkeypatch.setattr(remote, "TIMEOUT", 0.5)
    with served(Stalling) as address:
        with pytest.raises(SourceError, match=r"u.csv: cannot be read: no answer in time; look at the network"):
            place.load(mode, {"users": f"{address}/u.csv"})
        over.set()
    assert place.rows("users") == []


def test_addresses_of_many_are_asked_for_again_in_their_turn(
    place: Place, web: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening_of_readers, "MOST_OPEN", 1)
    report = place.load(mode, {"users": [f"{web}/{name}" for name in CONTENTS]})
    assert report.tables["users"].given == len(CONTENTS) * len(ROWS)
    assert [row[0] for row in place.rows("users")] == [key for key, name, _ in ROWS if name]


@pytest.mark.parametrize("name", CONTENTS)
def test_what_can_be_read_only_once_is_read_as_a_pipe_is(place: Place, web: str, mode: str, name: str) -> None:
    """No bar shows its end, no later run goes on with it, and it is one part."""
    address = f"{web}/{name}"
    assert place.load(mode, {"users": address}).tables["users"].given == len(ROWS)
    assert identity(Source(address)) is None
    assert parts.parts(Source(address), USERS, size=1) == [parts.Part(Source(address), 1)]
