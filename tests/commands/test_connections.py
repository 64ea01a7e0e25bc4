"""Connections of a load are Django's: what a project does to its own holds in a load, and a test lends its own."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.postgres.functions import RandomUUID
from django.core.management import CommandError
from django.db import connections, models, transaction
from django.db.backends.signals import connection_created
from django.test.utils import isolate_apps

from tests.commands.databases import (
    ALIASES,
    EACH_MODE,
    EACH_MODE_WITH_WORKERS,
    USERS,
    Databases,
    call,
    in_file,
    on_server,
)
from tests.postgres import Server

pytestmark = pytest.mark.turns("mode")


@EACH_MODE_WITH_WORKERS
def test_rows_are_where_a_receiver_sets_the_search_path(
    databases: Databases, users_database: str, server: Server, mode: str
) -> None:
    from core.models import User

    def choose(connection: Any, **_: Any) -> None:
        if connection.alias == "users":
            connection.cursor().execute("SET search_path = ours")

    server.query(users_database, "CREATE SCHEMA ours")
    connection_created.connect(choose)
    try:
        call("init_db")
        databases.load_users(mode)
        assert User.objects.get().name == "Ann"
        assert "every count agrees" in call("verify")
        assert "line 3" in call("rejects", "show")
    finally:
        connection_created.disconnect(choose)
    places = server.query(
        users_database, "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename ~ '^(users|loader_.*)$'"
    )
    assert places == [("ours",)]


@pytest.mark.usefixtures("users_database")
def test_workers_are_refused_where_a_transaction_is_open(databases: Databases) -> None:
    call("init_db")
    with transaction.atomic(using="users"), pytest.raises(CommandError) as refused:
        databases.load_users("dask")
    assert str(refused.value).startswith(
        "database users: workers cannot see what its open transaction has written; load "
    )
    databases.load_users("dask")


@EACH_MODE_WITH_WORKERS
def test_a_load_is_of_the_tenant_that_is_chosen(
    databases: Databases, users_database: str, server: Server, mode: str
) -> None:
    from core.models import User

    databases.configure(users=on_server(server, users_database, ENGINE="tests.backends.tenants"))
    chosen: Any = connections["users"]
    for tenant, name in (("t1", "Ann"), ("t2", "Bob")):
        server.query(users_database, f"CREATE SCHEMA {tenant}")
        chosen.set_schema(tenant)
        call("init_db")
        databases.load_users(mode, f"id,name,email\n1,{name},a@x.org\n2,,b@x.org\n")
        assert User.objects.get().name == name
        assert "1 run, 1 table: every count agrees" in call("verify")
        assert call("rejects", "show").count("line 3") == 1
    chosen.set_schema("t1")
    assert User.objects.get().name == "Ann"
    places = server.query(users_database, "SELECT schemaname FROM pg_tables WHERE tablename = 'users' ORDER BY 1")
    assert places == [("t1",), ("t2",)]


@EACH_MODE
def test_what_a_program_has_set_for_a_policy_holds_in_a_load(
    databases: Databases, users_database: str, server: Server, mode: str
) -> None:
    call("init_db")
    role = f"{users_database}_role"
    for statement in (
        "ALTER TABLE users ADD COLUMN tenant int DEFAULT current_setting('app.tenant', TRUE)::int",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON users USING (tenant = current_setting('app.tenant', TRUE)::int)",
        f"CREATE ROLE {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ):
        server.query(users_database, statement)
    with connections["users"].cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', '7', FALSE)")
        cursor.execute(f"SET ROLE {role}")
    databases.load_users(mode)
    assert server.query(users_database, "SELECT name, tenant FROM users") == [("Ann", 7)]


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
    databases: Databases, users_database: str, server: Server, mode: str, name: str
) -> None:
    with isolate_apps("core"):

        class Labelled(models.Model):  # noqa: DJ008 - is shown nowhere
            name = models.CharField(max_length=9, unique=True)
            objects: Any = models.Manager()

            class Meta:
                app_label = "core"
                db_table = name

    server.query(users_database, "CREATE SCHEMA app")
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
        request.getfixturevalue("users_database")
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
