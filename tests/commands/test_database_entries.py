"""Entries of DATABASES for PostgreSQL mean to the loader what they mean to Django."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.utils import ConnectionHandler

import async_loader
from async_loader import ConfigurationError, PostgreSQL, StoreError
from async_loader.contrib.django.models import databases
from tests.commands.test_postgres import SECRET
from tests.postgres import Server


@pytest.fixture
def located(monkeypatch: pytest.MonkeyPatch) -> Callable[..., databases.Location]:
    """Give a function that locates a database which `DATABASES` has under one alias."""

    def locate(**entry: Any) -> databases.Location:
        known = ConnectionHandler({"default": {}, "sales": {"ENGINE": "django.db.backends.postgresql", **entry}})
        monkeypatch.setattr(databases, "connections", known)
        return databases.location("sales")

    return locate


def test_an_entry_of_databases_means_to_the_loader_what_it_means_to_django(
    located: Callable[..., databases.Location],
) -> None:
    found = located(
        NAME="sales",
        USER="loader",
        PASSWORD=SECRET,
        HOST="db.example.com",
        PORT="6543",
        OPTIONS={
            "sslmode": "verify-full",
            "passfile": "/etc/pass",
            "options": "-c search_path=ours",
            "pool": True,
            "isolation_level": 3,
            "server_side_binding": True,
            "assume_role": "an owner",
        },
    )
    assert isinstance(found, PostgreSQL)
    assert found.parameters == {
        "dbname": "sales",
        "user": "loader",
        "password": SECRET,
        "host": "db.example.com",
        "port": "6543",
        "client_encoding": "UTF8",
        "sslmode": "verify-full",
        "passfile": "/etc/pass",
        "options": "-c search_path=ours",
    }
    assert SECRET not in repr(found)


def test_a_service_and_a_role_that_django_assumes_are_the_loaders_too(
    located: Callable[..., databases.Location],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"sales_{uuid.uuid4().hex[:8]}"
    server.query("postgres", f"CREATE DATABASE {name}")
    server.query(name, f'CREATE ROLE "{name} owner"')
    server.query(name, f'GRANT CREATE ON SCHEMA public TO "{name} owner"')
    services = tmp_path / "services.conf"
    services.write_text(f"[sales]\nhost={server.directory}\ndbname={name}\nuser=tester\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    place = located(NAME="", OPTIONS={"service": "sales", "assume_role": f"{name} owner"})
    async_loader.init((), {"sales": place})
    owners = server.query(name, "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename LIKE 'loader%'")
    assert owners == [(f"{name} owner",)]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"NAME": ""}, "Please supply the NAME"),
        ({"NAME": "x" * 64}, "longer than PostgreSQL's limit"),
    ],
)
def test_an_entry_that_django_refuses_is_refused_in_one_line(
    located: Callable[..., databases.Location], entry: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem) as raised:
        located(**entry)
    assert str(raised.value).startswith("database sales: ")


def test_an_option_that_is_not_known_is_one_line(located: Callable[..., databases.Location]) -> None:
    place = located(NAME="sales", OPTIONS={"sslmod": "verify-full"})
    with pytest.raises(StoreError, match='invalid connection option "sslmod"'):
        async_loader.init((), {"sales": place})
