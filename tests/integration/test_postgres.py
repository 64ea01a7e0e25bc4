"""What is PostgreSQL's alone: types of its own, constraints that wait, what cuts a value, and servers that go away."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from async_loader import (
    Column,
    Reference,
    ReferenceCheck,
    StoreError,
    Table,
    Type,
)
from async_loader.checks import references
from tests.integration.guards import reasons_of
from tests.integration.things import EVERY, NAME, TEXT, made, messages, table_with
from tests.processes import PATIENCE
from tests.sample import Place, reject_names
from tests.stores import Databases

pytestmark = pytest.mark.only("postgresql", "postgresql 15", "postgresql 18")


CONFLICT = "Key (x)=(7) conflicts with existing key (x)=(7)."
CONSTRAINTS = {
    "unique": (
        "x bigint UNIQUE DEFERRABLE INITIALLY DEFERRED",
        'duplicate key value violates unique constraint "things_x_key"; Key (x)=(7) already exists.',
    ),
    "exclusion": (
        "x bigint, EXCLUDE (x WITH =) DEFERRABLE INITIALLY DEFERRED",
        f'conflicting key value violates exclusion constraint "things_x_excl"; {CONFLICT}',
    ),
}


@pytest.mark.parametrize("commit_every", [0, 2])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_constraint_that_waits_for_the_commit_is_asked_about_each_statement(
    tmp_path: Path, store: Databases, mode: str, constraint: str, commit_every: int
) -> None:
    declaration, message = CONSTRAINTS[constraint]
    place = made(tmp_path, store, declaration, Column("x", Type.INTEGER))
    source = place.file("t.csv", "id,x\n1,7\n2,8\n3,7\n4,9\n5,7\n")
    for _ in range(2):
        report = place.load(mode, {"things": source}, batch_size=2, commit_every=commit_every)
        assert reasons_of(report, "things") == [(line, [("refused", None, message)]) for line in (4, 6)]
    assert place.rows("things") == [(1, 7), (2, 8), (4, 9)]


def test_a_foreign_key_of_several_columns_that_waits_refuses_rows(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (table_with(Column("x", Type.INTEGER)),), store=store)
    place.query("things", "CREATE TABLE parents (id bigint, x bigint, PRIMARY KEY (id, x))")
    place.query("things", "INSERT INTO parents VALUES (1, 1), (3, 1)")
    place.query("things", "ALTER TABLE things ADD FOREIGN KEY (id, x) REFERENCES parents DEFERRABLE INITIALLY DEFERRED")
    report = place.load(mode, {"things": place.file("t.csv", "id,x\n1,1\n2,2\n3,1\n")})
    message = (
        'insert or update on table "things" violates foreign key constraint "things_id_x_fkey"; '
        'Key (id, x)=(2, 2) is not present in table "parents".'
    )
    assert reasons_of(report, "things") == [(3, [("refused", None, message)])]
    assert place.rows("things") == [(1, 1), (3, 1)]


def test_a_key_that_waits_for_the_commit_is_one_line(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, (table_with(),), store=store)
    place.query("things", "DROP TABLE things")
    place.query("things", "CREATE TABLE things (id bigint PRIMARY KEY DEFERRABLE)")
    with pytest.raises(StoreError, match="table things: key id is neither primary key nor unique"):
        messages(place, "id\n1\n")


@pytest.mark.parametrize("identity", ["ALWAYS", "BY DEFAULT"])
def test_a_key_that_the_server_counts_up_takes_the_records_own(
    tmp_path: Path, store: Databases, mode: str, identity: str
) -> None:
    place = Place(tmp_path, (table_with(TEXT),), store=store)
    place.query("things", "DROP TABLE things")
    counted, computed = f"GENERATED {identity} AS IDENTITY PRIMARY KEY", "GENERATED ALWAYS AS (length(x)) STORED"
    place.query("things", f"CREATE TABLE things (id bigint {counted}, x text UNIQUE, size int {computed})")
    for content in ("id,x\n5,a\n6,a\n", "id,x\n5,bb\n7,c\n8,c\n"):
        report = place.load(mode, {"things": place.file("t.csv", content)}, on_conflict="update")
        assert report.tables["things"].rejected == 1
    assert place.rows("things") == [(5, "bb", 2), (7, "c", 1)]


@pytest.mark.parametrize("counted", ["bigserial", "bigint DEFAULT nextval('counter')"], ids=["owned", "unowned"])
@pytest.mark.parametrize("options", [{}, {"commit_every": 1}])
@pytest.mark.parametrize(("keys", "following"), [((5, 9, 2), 10), ((), 1), ((-3,), 1)])
def test_keys_that_the_server_generates_come_after_those_that_were_loaded(
    tmp_path: Path, store: Databases, counted: str, keys: tuple[int, ...], following: int, *, options: dict[str, int]
) -> None:
    place = Place(tmp_path, (table_with(TEXT),), store=store)
    place.query("things", "DROP TABLE things")
    place.query("things", "CREATE SEQUENCE counter")
    place.query("things", f"CREATE TABLE things (id {counted} PRIMARY KEY, x text)")
    given = place.file("t.csv", "id,x\n" + "".join(f"{key},a\n" for key in keys))
    for _ in range(2):
        place.load("async", {"things": given}, **options)
    assert place.query("things", "INSERT INTO things (x) VALUES ('own') RETURNING id") == [(following,)]
    place.load("async", {"things": place.file("t.csv", "id,x\n1,a\n")}, on_conflict="update")
    assert place.query("things", "INSERT INTO things (x) VALUES ('own') RETURNING id") == [(following + 1,)]


def test_a_table_that_the_planner_believes_to_be_empty_is_looked_up_by_its_index(place: Place, mode: str) -> None:
    with psycopg.connect(str(place.databases["products"])) as other:
        other.execute("INSERT INTO products SELECT key, 'p', 1 FROM generate_series(1, 20000) AS key")
        # It sees rows that are not committed, and takes the table for one of many pages and none.
        place.query("products", "VACUUM products")
    orders = "id,user_id,product_id,quantity\n" + "".join(f"{key},1,{key * 19},1\n" for key in range(1, 1001))
    sources = {"users": place.file("u.csv", "id,name,email\n1,a,@\n"), "orders": place.file("o.csv", orders)}
    assert place.load(mode, sources).tables["orders"].inserted == 1000
    wait_until(lambda: looked_up(place) >= 1000)


def looked_up(place: Place) -> int:
    """Return how often the products' index has been used, as far as sessions that have ended reported."""
    [(stored_rows,)] = place.query(
        "products", "SELECT idx_scan FROM pg_stat_user_tables WHERE relid = to_regclass('products')"
    )
    return int(stored_rows)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the server has done what it does a little later."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)


def test_a_trigger_of_each_statement_refuses_rows(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (table_with(TEXT),), store=store)
    place.query(
        "things",
        """CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM added WHERE x = 'no') THEN RAISE 'not that'; END IF; RETURN NULL; END $$;
        CREATE TRIGGER guard AFTER INSERT ON things REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION guard()""",
    )
    lines = "id,x\n" + "".join(f"{key},{'no' if key in (3, 900) else 'yes'}\n" for key in range(1, 1000))
    report = place.load(mode, {"things": place.file("t.csv", lines)})
    assert reasons_of(report, "things") == [(line, [("refused", None, "not that")]) for line in (4, 901)]
    assert len(place.rows("things")) == 997


NAMES = Table("names", "names", (Column("name", Type.UUID),), key="name")
USES = Table("uses", "things", (*EVERY, Column("used", Type.UUID)), references=(Reference("used", "names"),))


def test_keys_that_are_uuids_are_found_however_they_are_spelled(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (NAMES, USES), store=store)
    names = place.file("n.csv", f"name\n{NAME}\n{str(NAME).upper()}\n{uuid.UUID(int=5).hex}\n")
    assert reject_names(place.load(mode, {"names": names}), "names") == [(3, 3, ["name.duplicate"])]
    assert place.load(mode, {"names": names}).tables["names"].unchanged == 2
    lines = "".join(
        f'{{"id": {key}, "used": "{name}"}}\n' for key, name in enumerate([NAME, uuid.UUID(int=6), uuid.UUID(int=5)])
    )
    report = place.load(mode, {"uses": place.file("u.jsonl", lines)})
    assert reject_names(report, "uses") == [(2, 2, ["used.exists_in"])]


def test_rows_that_reference_nothing_are_shown_whatever_they_hold(tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, (NAMES, USES), store=store)
    columns = '"id", "real", "text", "price", "yes", "day", "at", "local", "name", "more", "used"'
    plain = f"1, 'NaN', '', 1.5, TRUE, '2024-02-29', '2024-01-01 00:00+00', '2024-01-01', '{NAME}', '[1]'"
    endless = "2, '-Infinity', NULL, 'NaN', FALSE, 'infinity', '-infinity', '0044-03-15 BC', NULL, 'null'"
    for values in (plain, endless):
        place.query("things", f"INSERT INTO uses ({columns}) VALUES ({values}, '{NAME}')")
    report = ReferenceCheck(place.tables, place.databases).perform()
    first, second = report.tables["uses"].rejects
    json.dumps(report.as_dict(), allow_nan=False)
    assert [reason.message for reason in first.reasons] == [f"used '{NAME.hex}' does not exist in names"]
    assert list(first.record.values()) == [
        *(1, None, "nan", "", "1.5000000000", True, "2024-02-29", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00"),
        *(NAME.hex, "[1]", NAME.hex),
    ]
    assert list(second.record.values())[2:8] == ["-inf", None, "NaN", False, "infinity", "-infinity"]


def test_text_keys_in_an_order_of_their_own_are_read_in_parts(
    tmp_path: Path, store: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 2)
    words = Table("words", "words", (Column("word", Type.TEXT), Column("next", Type.TEXT, nullable=True)), key="word")
    texts = Table("texts", "texts", words.columns, "word", (), (Reference("next", "words"),))
    place = Place(tmp_path, (words, texts), store=store)
    place.query("texts", 'ALTER TABLE texts ALTER word TYPE text COLLATE "C.utf8"')
    place.query("words", 'ALTER TABLE words ALTER word TYPE varchar(9) COLLATE "C.utf8"')
    keys = ["", " ", "a", "A", "B", "b", "é", "É", "\U0001f600", "\uffff", "a b", "a,b", "\n", "'"]
    for key in keys:
        place.query("words", "INSERT INTO words VALUES (?, NULL)", (key,))
        place.query("texts", "INSERT INTO texts VALUES (?, ?)", (f"{key}!", key))
    place.query("texts", "INSERT INTO texts VALUES ('lost', 'e')")
    stored_rows = ReferenceCheck(place.tables, place.databases).perform().tables["texts"]
    assert (stored_rows.given, [orphan.key for orphan in stored_rows.rejects]) == (len(keys) + 1, ["lost"])
    lines = "".join(json.dumps({"word": key, "next": key}) + "\n" for key in [*keys, "E"])
    report = place.load("sequential", {"words": place.file("w.jsonl", lines)}, on_conflict="update", batch_size=4)
    assert (report.tables["words"].updated, report.tables["words"].inserted) == (len(keys), 1)
