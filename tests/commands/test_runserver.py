"""Loads in views of `runserver`, which serves in threads, with Django's reloader in the main thread."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from tests import processes
from tests.commands.project import Shop
from tests.sample import MODES


@pytest.fixture
def port(shop: Shop) -> Iterator[int]:
    """Run the server until the test is done, and give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    arguments = ("-m", "django", "runserver", f"127.0.0.1:{port}", "--settings=served")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    # The reloader starts a process of its own, which ends with this one's group.
    given = {"cwd": shop.directory, "env": shop.environment | {"PYTHONUNBUFFERED": "1"}, **pipes}
    with processes.start(arguments, is_real=True, start_new_session=True, **given) as server:
        try:
            _wait_for(port, server)
            yield port
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate()


def _wait_for(port: int, server: subprocess.Popen[str]) -> None:
    """Wait until the server answers."""
    for _ in range(20 * processes.PATIENCE):
        assert server.poll() is None
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def ask(port: int, view: str, **parameters: str) -> tuple[int, Any]:
    """Return the status and the answer of a view."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=processes.PATIENCE)) as connection:
        connection.request("GET", f"/{view}?{urlencode(parameters)}")
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.wide
def test_every_kind_of_view_loads(shop: Shop, port: int) -> None:
    for number, view in enumerate(("plain", "awaited", "blocking")):
        for place, mode in enumerate(MODES):
            key = f"k{number}{place}"
            path = shop.file("p.csv", f"sku,price\n{key},1\nbad key,1\n")
            assert ask(port, view, path=path, mode=mode) == (200, {"inserted": 1, "unchanged": 0, "rejected": 1})
        assert ask(port, view, path="none.csv", mode="async") == (
            400,
            {"error": "none.csv: cannot be read: no such file or directory", "code": 1},
        )
    assert shop.query("SELECT count(*) FROM shop_product") == [(9,)]
