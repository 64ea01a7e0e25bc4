"""Sessions of a server that are not the load's own, in which it leaves nothing; and roles that policies bind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import conninfo

from async_loader import Lent, LoaderError, Options, PostgreSQL, Run
from tests.sample import TABLES, USERS, Place, comparable

pytestmark = pytest.mark.only("postgresql")

# What is of the session itself, and outlives its transactions.
SESSION = """\
SELECT 'setting', name || ' = ' || setting FROM pg_settings WHERE source = 'session' UNION ALL
SELECT 'role', current_setting('role') UNION ALL
SELECT 'table', relname FROM pg_class WHERE relpersistence = 't' UNION ALL
SELECT 'statement', name FROM pg_prepared_statements UNION ALL
SELECT 'cursor', name FROM pg_cursors WHERE is_holdable UNION ALL
SELECT 'channel', channel FROM pg_listening_channels() AS channel UNION ALL
SELECT 'lock', locktype FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
ORDER BY 1, 2"""
USERS_CSV = "id,name,email\n1,Ann,a@x.org\n2,,b@x.org\n3,Cy,c@x.org\n"


@pytest.fixture
def pooled(place: Place) -> Iterator[psycopg.Connection[Any]]:
    """Give the one session that a pooler has, in which its client has set something."""
    with closing(psycopg.connect(str(place.databases["users"]), autocommit=True)) as session:
        session.execute("SET work_mem = '7MB'")
        yield session


def through(session: psycopg.Connection[Any], place: Place) -> PostgreSQL:
    """Return the users' database, over that session."""
    parameters = conninfo.conninfo_to_dict(str(place.databases["users"]))
    return PostgreSQL(parameters, lend=lambda: Lent(session, lambda: None))


@pytest.mark.parametrize("options", [{}, {"commit_every": 1}, {"dry_run": True}, {"on_conflict": "update"}])
def test_nothing_of_a_load_stays_in_a_session_of_a_pooler(
    place: Place, pooled: psycopg.Connection[Any], mode: str, options: dict[str, Any]
) -> None:
    place.load(mode, {"users": place.file("before.csv", "id,name,email\n1,Al,a@x.org\n")})
    before = pooled.execute(SESSION).fetchall()
    users = {"users": place.file("u.csv", USERS_CSV)}
    Run([USERS], users, {"users": through(pooled, place)}, Options(**options), mode=mode).perform()
    assert pooled.execute(SESSION).fetchall() == before
    assert pooled.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_nothing_stays_of_a_load_that_fails(place: Place, pooled: psycopg.Connection[Any], mode: str) -> None:
    before = pooled.execute(SESSION).fetchall()
    users = {"users": place.file("u.csv", USERS_CSV)}
    run = Run([USERS], users, {"users": through(pooled, place)}, Options(max_rejects=0), mode=mode)
    with pytest.raises(LoaderError, match="nothing was kept"):
        run.perform()
    assert pooled.execute(SESSION).fetchall() == before
    assert place.rows("users") == []


# What a role, a database or the options of a connection may set, and what no load may depend on.
ODD = (
    "default_transaction_isolation=serializable",
    "standard_conforming_strings=off",
    "array_nulls=off",
    "bytea_output=escape",
    "DateStyle=SQL,DMY",
    "extra_float_digits=-15",
    "client_encoding=LATIN1",
)


def test_a_load_depends_on_no_setting_of_the_session(place: Place, mode: str) -> None:
    odd = {name: f"{url}{quote(''.join(f' -c{each}' for each in ODD))}" for name, url in place.databases.items()}
    users = place.file("u.csv", 'id,name,email\n1,Ann\\\'é,a@x.org\n2,,b@\n3,"{NULL,\\""}",c@x.org\n')
    more = place.file("v.csv", "id,name,email\n1,Bea,a@x.org\n3,Cy\\,\n9,,\n")
    for sources, options in (({"users": users}, Options()), ({"users": more}, Options(on_conflict="update"))):
        Run(TABLES, sources, odd, options, mode=mode).perform()
    stored = place.rows("users"), place.stored_rejects("users")
    for table in ("users", "loader_rejects", "loader_runs"):
        place.query("users", f"DELETE FROM {table}")
    place.load(mode, {"users": users})
    place.load(mode, {"users": more}, on_conflict="update")
    assert stored == (place.rows("users"), place.stored_rejects("users"))


@pytest.fixture
def guarded(place: Place) -> Iterator[PostgreSQL]:
    """Give the users' database as a role that a policy of row-level security allows only names without an X."""
    role = f"guarded_{place.directory.name}"
    [(schema,)] = place.query("users", "SELECT current_schema()")
    for statement in (
        f'CREATE ROLE "{role}" LOGIN',
        f'GRANT ALL ON SCHEMA "{schema}" TO "{role}"',
        f'GRANT ALL ON ALL TABLES IN SCHEMA "{schema}" TO "{role}"',
        f'GRANT ALL ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{role}"',
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        f"""CREATE POLICY no_x ON users TO "{role}" USING (TRUE) WITH CHECK (name NOT LIKE '%X%')""",
    ):
        place.query("users", statement)
    parameters = conninfo.conninfo_to_dict(str(place.databases["users"]))
    yield PostgreSQL(parameters | {"user": role})
    for statement in (f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"'):
        place.query("users", statement)


def test_rows_that_a_policy_allows_are_stored_and_the_others_are_refused(
    place: Place, guarded: PostgreSQL, mode: str
) -> None:
    users = place.file("u.csv", "id,name,email\n1,Ann,a@\n2,MrX,b@\n3,Cy,c@\n")
    report = Run([USERS], {"users": users}, {"users": guarded}, mode=mode).perform()
    assert place.rows("users") == [(1, "Ann", "a@"), (3, "Cy", "c@")]
    [reject] = report.tables["users"].rejects
    [reason] = reject.reasons
    assert (reject.line, reason.code) == (3, "refused")
    assert reason.message == 'new row violates row-level security policy for table "users"'
    changed = place.file("c.csv", "id,name,email\n1,AnX,a@\n3,Cyd,c@\n")
    options = Options(on_conflict="update")
    again = Run([USERS], {"users": changed}, {"users": guarded}, options, mode=mode).perform()
    assert comparable(again)["tables"]["users"]["updated"] == 1
    assert place.rows("users") == [(1, "Ann", "a@"), (3, "Cyd", "c@")]
