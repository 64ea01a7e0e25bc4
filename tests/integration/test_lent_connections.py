"""Connections that their owner goes on using: what the owner has begun is the owner's to end."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_loader import Lent, Run, SQLite
from tests.sample import USERS, Place

pytestmark = pytest.mark.only("sqlite")


@pytest.mark.parametrize("isolation_level", [None, "", "IMMEDIATE"])
def test_the_owners_transaction_is_not_committed(place: Place, mode: str, isolation_level: Any) -> None:
    table = replace(USERS, references=())
    path = Path(place.files["users"])
    with closing(sqlite3.connect(path, isolation_level=isolation_level, check_same_thread=False)) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO users VALUES (9, 'Own', 'o@')")
        where = SQLite(path, lend=lambda: Lent(connection, lambda: None, is_shared=True, is_joined=True))
        source = place.file("u.csv", "id,name,email\n1,Ann,a@\n9,Own,o@\n")
        report = Run([table], {"users": source}, {"users": where}, mode=mode).perform()
        assert (report.tables["users"].inserted, report.tables["users"].unchanged) == (1, 1)
        assert connection.in_transaction
        assert connection.isolation_level == isolation_level
        connection.rollback()
    assert place.rows("users") == []
