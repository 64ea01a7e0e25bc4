"""A load within a project's own test or transaction sees its rows, and ends with it."""

from __future__ import annotations

import unittest
import uuid
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from async_loader import Options, Run, Source
from tests.commands.databases import ALIASES, EACH_MODE, Databases, call, in_file
from tests.postgres import Server

pytestmark = pytest.mark.turns("mode")


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


def test_a_queryset_of_a_test_is_loaded_with_what_the_test_has_made(databases: Databases) -> None:
    from async_loader.contrib.django.tables import databases_of, table_of
    from core.models import User

    class LoadTest(TestCase):
        databases: Any = frozenset(ALIASES)

        def test_load(self) -> None:
            User.objects.create(id=1, name="Ann", email="a@x.org")
            User.objects.create(id=2, name="Bo", email="b@x.org")
            rows = User.objects.values("id", "email").order_by("id")
            tables = (table_of(User),)
            for name, given in (("Cy", rows.iterator()), ("Di", rows)):
                source = Source("rows", data=given, constants={"name": name})
                options = Options(on_conflict="update", batch_size=1)
                run = Run(tables, {"users": source}, databases_of(tables), options, mode="sequential")
                assert run.perform().tables["users"].updated == 2
                assert set(User.objects.values_list("name", flat=True)) == {name}

    databases.configure(**{alias: in_file(f"file:{uuid.uuid4().hex}?mode=memory&cache=shared") for alias in ALIASES})
    call("init_db")
    run(LoadTest)
    assert not User.objects.exists()


@EACH_MODE
@pytest.mark.parametrize("kind", [TestCase, TransactionTestCase])
def test_a_load_in_a_test_sees_its_rows_on_a_server(
    databases: Databases, users_database: str, server: Server, mode: str, kind: type[TransactionTestCase]
) -> None:
    call("init_db")
    run(a_test(kind, databases, mode))
    rows, rejects = 0 if kind is TestCase else 3, server.query(users_database, "SELECT count(*) FROM loader_runs")
    assert server.query(users_database, "SELECT count(*) FROM users") == [(rows,)]
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


@EACH_MODE
def test_rows_that_no_record_names_are_deleted_in_a_test_too(databases: Databases, mode: str) -> None:
    """In the transactions of the test, of both databases, in which an order still references a user."""
    from core.models import Order, Product, User

    class LoadTest(TestCase):
        databases: Any = frozenset(ALIASES)

        def test_load(self) -> None:
            for key in (1, 2, 3):
                User.objects.create(id=key, name="Ann", email="a@x.org")
            Product.objects.create(id=1, name="Pen", price=1)
            for key in (1, 2):
                Order.objects.create(id=key, user_id=key, product_id=1, quantity=1)
            missing = ["--delete-missing=users", "--max-deletes=3", f"--mode={mode}"]
            call("insert_data", f"users={source}", *missing)
            assert set(User.objects.values_list("id", flat=True)) == {1, 2}
            call("insert_data", f"users={source}", f"orders={orders}", "--delete-missing=orders", *missing)
            assert set(User.objects.values_list("id", flat=True)) == {1}
            assert set(Order.objects.values_list("id", flat=True)) == {1}

    source = databases.file("id,name,email\n1,Ann,a@x.org\n")
    orders = databases.file("id,user_id,product_id,quantity\n1,1,1,1\n", "orders.csv")
    databases.configure(**{alias: in_file(f"file:{uuid.uuid4().hex}?mode=memory&cache=shared") for alias in ALIASES})
    call("init_db")
    run(LoadTest)
    assert not User.objects.exists()
