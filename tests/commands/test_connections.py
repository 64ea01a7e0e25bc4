"""Connections of a load are Django's: what a project does to its own holds in a load, and a test lends its own."""

from __future__ import annotations

import datetime as dt
import io
import unittest
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.postgres.functions import RandomUUID
from django.core.management import CommandError, call_command
from django.db import connections, models, transaction
from django.db.backends.signals import connection_created
from django.test import TestCase, TransactionTestCase
from django.test.utils import isolate_apps

from async_loader import Options, Report, Run
from async_loader.contrib.django.models.databases import location
from async_loader.contrib.django.tables import table_of
from tests.commands.conftest import ROOT
from tests.postgres import Server
from tests.sample import MODES

ALIASES = ("users", "products", "orders")
pytestmark = pytest.mark.turns("mode")
EACH_MODE = pytest.mark.parametrize("mode", MODES)
EACH_MODE_WITH_WORKERS = pytest.mark.parametrize("mode", [*MODES, "dask"])

USERS = "id,name,email\n1,Ann,a@x.org\n2,,b@x.org\n"


class Databases:
    """The databases of this process, to be configured anew by alias."""

    def __init__(self, patch: pytest.MonkeyPatch, directory: Path) -> None:
        self._patch = patch
        self.directory = directory

    def configure(self, **entries: dict[str, Any]) -> None:
        """Take other entries for DATABASES."""
        for alias, entry in entries.items():
            known = type(connections)({"default": {}, alias: entry})
            self._patch.setitem(connections.settings, alias, known.settings[alias])
        self.forget()

    def forget(self) -> None:
        """Close the connections of this thread. The next ones are made anew."""
        connections.close_all()
        for alias in ALIASES:
            with suppress(AttributeError):
                del connections[alias]

    def file(self, content: str, name: str = "users.csv") -> str:
        """Write a source; its path."""
        path = self.directory / name
        path.write_text(content)
        return str(path)

    def load_users(self, mode: str, content: str = USERS) -> str:
        """Load users by the command."""
        return call("insert_data", f"users={self.file(content)}", mode=mode)

    def create(self, model: type[models.Model]) -> None:
        """Make the table of a model among the users, and what the loader needs there."""
        with connections["users"].schema_editor() as editor:
            editor.create_model(model)
        call("init_db")

    def load(self, model: type[models.Model], content: str, mode: str, **options: Any) -> Report:
        """Load into the table of a model among the users."""
        table = replace(table_of(model), database="users")
        sources = {table.name: self.file(content, "rows.csv")}
        return Run([table], sources, {"users": location("users")}, Options(**options), mode=mode).perform()


def call(*arguments: str, **options: Any) -> str:
    """Call a command, and return what it prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO(), verbosity=0, **options)
    return out.getvalue()


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Databases]:
    """Give databases in files, which `init_db` has yet to make."""
    django.setup()
    monkeypatch.chdir(ROOT)
    made = Databases(monkeypatch, tmp_path)
    made.configure(**{alias: in_file(tmp_path / f"{alias}.db") for alias in ALIASES})
    yield made
    made.forget()


@pytest.fixture
def served(databases: Databases, server: Server) -> str:
    """Lead the users to a new database of a server. Returns its name."""
    name = f"connections_{uuid.uuid4().hex[:8]}"
    server.query("postgres", f"CREATE DATABASE {name}")
    databases.configure(users=on_server(server, name))
    return name


def in_file(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, **more}


def on_server(server: Server, name: str, **more: Any) -> dict[str, Any]:
    entry = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "tester", "HOST": str(server.directory)}
    return entry | more


@EACH_MODE_WITH_WORKERS
def test_rows_are_where_a_receiver_sets_the_search_path(
    databases: Databases, served: str, server: Server, mode: str
) -> None:
    from core.models import User

    def choose(connection: Any, **_: Any) -> None:
        if connection.alias == "users":
            connection.cursor().execute("SET search_path = ours")

    server.query(served, "CREATE SCHEMA ours")
    connection_created.connect(choose)
    try:
        call("init_db")
        databases.load_users(mode)
        assert User.objects.get().name == "Ann"
        assert "every count agrees" in call("verify")
        assert "line 3" in call("rejects", "show")
    finally:
        connection_created.disconnect(choose)
    places = server.query(served, "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename ~ '^(users|loader_.*)$'")
    assert places == [("ours",)]


@pytest.mark.usefixtures("served")
def test_workers_are_refused_where_a_transaction_is_open(databases: Databases) -> None:
    call("init_db")
    with transaction.atomic(using="users"), pytest.raises(CommandError) as refused:
        databases.load_users("dask")
    assert str(refused.value).startswith(
        "database users: workers cannot see what its open transaction has written; load "
    )
    databases.load_users("dask")


@EACH_MODE_WITH_WORKERS
def test_a_load_is_of_the_tenant_that_is_chosen(databases: Databases, served: str, server: Server, mode: str) -> None:
    from core.models import User

    databases.configure(users=on_server(server, served, ENGINE="tests.backends.tenants"))
    chosen: Any = connections["users"]
    for tenant, name in (("t1", "Ann"), ("t2", "Bob")):
        server.query(served, f"CREATE SCHEMA {tenant}")
        chosen.set_schema(tenant)
        call("init_db")
        databases.load_users(mode, f"id,name,email\n1,{name},a@x.org\n2,,b@x.org\n")
        assert User.objects.get().name == name
        assert "1 run, 1 table: every count agrees" in call("verify")
        assert call("rejects", "show").count("line 3") == 1
    chosen.set_schema("t1")
    assert User.objects.get().name == "Ann"
    places = server.query(served, "SELECT schemaname FROM pg_tables WHERE tablename = 'users' ORDER BY 1")
    assert places == [("t1",), ("t2",)]


@EACH_MODE
def test_what_a_program_has_set_for_a_policy_holds_in_a_load(
    databases: Databases, served: str, server: Server, mode: str
) -> None:
    call("init_db")
    role = f"{served}_role"
    for statement in (
        "ALTER TABLE users ADD COLUMN tenant int DEFAULT current_setting('app.tenant', TRUE)::int",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON users USING (tenant = current_setting('app.tenant', TRUE)::int)",
        f"CREATE ROLE {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ):
        server.query(served, statement)
    with connections["users"].cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', '7', FALSE)")
        cursor.execute(f"SET ROLE {role}")
    databases.load_users(mode)
    assert server.query(served, "SELECT name, tenant FROM users") == [("Ann", 7)]


@EACH_MODE
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", None])
def test_the_orm_reads_the_instants_that_were_loaded_whatever_zone_a_file_is_in(
    databases: Databases, mode: str, zone: str | None
) -> None:
    with isolate_apps("core"):

        class Event(models.Model):  # noqa: DJ008 - is shown nowhere
            at = models.DateTimeField()
            objects: Any = models.Manager()

            class Meta:
                app_label = "core"

    databases.configure(users=in_file(databases.directory / "users.db", TIME_ZONE=zone))
    databases.create(Event)
    databases.load(Event, "id,at\n1,2024-07-01T12:00:00Z\n2,1950-01-01T00:30:00+02:00\n", mode)
    instants = [
        dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC),
        dt.datetime(1949, 12, 31, 22, 30, tzinfo=dt.UTC),
    ]
    assert list(Event.objects.using("users").order_by("id").values_list("at", flat=True)) == instants
    Event.objects.using("users").create(at=instants[0])
    stored = databases.load(Event, "id,at\n3,2024-07-01T14:00:00+02:00\n", mode)
    assert stored.tables["core_event"].unchanged == 1


@EACH_MODE
def test_check_constraints_may_use_the_functions_of_django(databases: Databases, mode: str) -> None:
    with isolate_apps("core"):

        class Checked(models.Model):  # noqa: DJ008 - is shown nowhere
            code = models.CharField(max_length=9)
            day = models.DateField()
            objects: Any = models.Manager()

            class Meta:
                app_label = "core"
                constraints = (
                    models.CheckConstraint(condition=models.Q(code__regex="^[A-Z]+$"), name="letters"),
                    models.CheckConstraint(condition=models.Q(day__month=6), name="june"),
                )

    databases.create(Checked)
    rows = "id,code,day\n1,AB,2024-06-01\n2,a1,2024-06-02\n3,CD,2024-07-01\n4,E,2023-06-30\n"
    report = databases.load(Checked, rows, mode)
    assert report.tables["core_checked"].rejected == 2
    assert list(Checked.objects.using("users").values_list("code", flat=True)) == ["AB", "E"]


@EACH_MODE
def test_aliases_of_one_file_are_loaded_together(databases: Databases, mode: str) -> None:
    from core.models import Order

    databases.configure(**{alias: in_file(databases.directory / "one.db") for alias in ALIASES})
    call("init_db")
    sources = [
        f"users={databases.file(USERS)}",
        "products=" + databases.file("id,name,price\n7,Pen,1\n", "products.csv"),
        "orders=" + databases.file("id,user_id,product_id,quantity\n1,1,7,1\n2,2,7,1\n", "orders.csv"),
    ]
    call("insert_data", *sources, mode=mode, lock_timeout=1)
    assert Order.objects.get().user_id == 1
    assert "every count agrees" in call("verify")
    assert call("rejects", "show").count("line 3") == 2


@EACH_MODE
@pytest.mark.parametrize("name", ['"app"."labelled"', 'app"."labelled', '"labelled"'])
def test_the_orm_finds_rows_of_a_table_whose_name_has_quotes(
    databases: Databases, served: str, server: Server, mode: str, name: str
) -> None:
    with isolate_apps("core"):

        class Labelled(models.Model):  # noqa: DJ008 - is shown nowhere
            name = models.CharField(max_length=9, unique=True)
            objects: Any = models.Manager()

            class Meta:
                app_label = "core"
                db_table = name

    server.query(served, "CREATE SCHEMA app")
    databases.create(Labelled)
    databases.load(Labelled, "id,name\n7,a\n", mode)
    databases.load(Labelled, "name\nb\n", mode, append=frozenset({name}))
    rows = Labelled.objects.using("users")
    assert list(rows.order_by("id").values_list("id", "name")) == [(7, "a"), (8, "b")]
    assert rows.create(name="c").pk == 9


class Drawn(models.Func):
    """Thirty-two random digits, which SQLite makes."""

    template = "lower(hex(randomblob(16)))"
    output_field = models.UUIDField()


KEYS: dict[str, Callable[[], models.Field[Any, Any]]] = {
    "small": lambda: models.SmallAutoField(primary_key=True),
    "auto": lambda: models.AutoField(primary_key=True),
    "big": lambda: models.BigAutoField(primary_key=True),
    "uuid4": lambda: models.UUIDField(primary_key=True, default=uuid.uuid4),
    "drawn": lambda: models.UUIDField(primary_key=True, db_default=Drawn()),
    "random": lambda: models.UUIDField(primary_key=True, db_default=RandomUUID()),
}


@EACH_MODE
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
@pytest.mark.parametrize("kind", KEYS)
def test_new_rows_get_keys_of_each_kind_and_the_orm_goes_on(
    databases: Databases, request: pytest.FixtureRequest, mode: str, store: str, kind: str
) -> None:
    if (kind, store) in {("drawn", "postgresql"), ("random", "sqlite")}:
        pytest.skip("the other database has no such function")
    if store == "postgresql":
        request.getfixturevalue("served")
    with isolate_apps("core"):

        class Kept(models.Model):  # noqa: DJ008 - is shown nowhere
            id = KEYS[kind]()
            name = models.CharField(max_length=9, unique=True)
            objects: Any = models.Manager()

            class Meta:
                app_label = "core"

    databases.create(Kept)
    rows = Kept.objects.using("users")
    rows.create(name="first")
    append = frozenset({"core_kept"})
    assert databases.load(Kept, "name\na\nb\nfirst\n", mode, append=append).tables["core_kept"].rejected == 1
    rows.create(name="between")
    databases.load(Kept, "name\nc\nd\n", mode, append=append, commit_every=1)
    rows.create(name="last")
    names = {row.name: row.pk for row in rows.order_by("pk")}
    assert set(names) == {"first", "a", "b", "between", "c", "d", "last"}
    assert rows.get(pk=names["a"]).name == "a"
    if kind in {"small", "auto", "big"}:
        assert list(names) == ["first", "a", "b", "between", "c", "d", "last"]


# In tests of a project.

MEMORY = [":memory:", "file:loader_tests_{}?mode=memory&cache=shared"]


def run(case: type[unittest.TestCase]) -> None:
    """Run a test of a project, which must pass."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun == 1
    assert not result.errors + result.failures, "\n".join(text for _, text in result.errors + result.failures)


def a_test(kind: type[TransactionTestCase], made: Databases, mode: str) -> type[TransactionTestCase]:
    """Make a test of that kind which loads users."""
    from core.models import User

    class LoadTest(kind):  # type: ignore[misc, valid-type]
        databases = frozenset(ALIASES)

        def test_load(self) -> None:
            User.objects.create(id=1, name="Ann", email="a@x.org")
            with transaction.atomic(using="users"):
                User.objects.create(id=5, name="Eve", email="e@x.org")
            rows = ["1,Ann,a@x.org", "2,,b@x.org", "3,Cy,c@x.org", "5,Al,e@x.org"]
            made.load_users(mode, "\n".join(["id,name,email", *rows]))
            assert list(User.objects.order_by("id").values_list("name", flat=True)) == ["Ann", "Cy", "Eve"]
            assert "every count agrees" in call("verify")
            assert call("rejects", "discard", "--all", "--yes") == "2 rejects discarded.\n"

    return LoadTest


@EACH_MODE
@pytest.mark.parametrize("kind", [TestCase, TransactionTestCase])
@pytest.mark.parametrize("name", MEMORY)
def test_a_load_in_a_test_sees_its_rows_in_memory(
    databases: Databases, mode: str, kind: type[TransactionTestCase], name: str
) -> None:
    from core.models import User

    names = {alias: name.format(f"{alias}_{uuid.uuid4().hex}") for alias in ALIASES}
    databases.configure(**{alias: in_file(names[alias]) for alias in ALIASES})
    call("init_db")
    run(a_test(kind, databases, mode))
    assert User.objects.count() == (0 if kind is TestCase else 3)


@EACH_MODE
@pytest.mark.parametrize("kind", [TestCase, TransactionTestCase])
def test_a_load_in_a_test_sees_its_rows_on_a_server(
    databases: Databases, served: str, server: Server, mode: str, kind: type[TransactionTestCase]
) -> None:
    call("init_db")
    run(a_test(kind, databases, mode))
    rows, rejects = 0 if kind is TestCase else 3, server.query(served, "SELECT count(*) FROM loader_runs")
    assert server.query(served, "SELECT count(*) FROM users") == [(rows,)]
    assert (rejects == [(0,)]) is (kind is TestCase)


@EACH_MODE
def test_a_load_within_a_transaction_ends_with_it(databases: Databases, mode: str) -> None:
    from core.models import User

    call("init_db")
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="users"):  # noqa: PT012 - what is in it is the test
        databases.load_users(mode)
        assert User.objects.count() == 1
        raise ZeroDivisionError
    assert User.objects.count() == 0
    with transaction.atomic(using="users"):
        databases.load_users(mode)
    assert User.objects.count() == 1
