"""What the database itself refuses, by a constraint or a trigger of its user's, is a reject; all else is stored."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_loader import Column, Options, Run, StoreError, Table, Type
from async_loader.effects import Change, Effect, Start
from async_loader.modes.sequential import Sequential
from async_loader.run.run import run
from async_loader.stores.sqlite import Database
from tests.integration.guards import CHECK, NO, UNIQUE, function, made_anew, reasons_of, trigger
from tests.integration.test_crashes import SOURCES, crash_after, facts, orphans, some, started
from tests.sample import MODES, Place, reject_names
from tests.sample import USERS as USERS_TABLE
from tests.stores import Databases, examples
from tests.tiers import amounts

# Both stores, whatever the tier.
pytestmark = pytest.mark.turns("mode")

BATCH_SIZES = (1, 2, 3, 7, 1000)
CUTS = [(size, commit_every) for size in BATCH_SIZES for commit_every in (0, 1, 5)]


# What refuses users whose email is no@, and what it says of them.
VIOLATED = 'new row for relation "users" violates check constraint "users_email_check"'
GUARDS = {
    "sqlite": {
        "check": (CHECK, "CHECK constraint failed: email <> 'no@'"),
        "raise": (trigger("ABORT, 'not that one, please'"), "not that one, please"),
        "raise later": (trigger("FAIL, 'nor that'"), "nor that"),
        "pass over": (trigger("IGNORE").replace("AFTER", "BEFORE"), "a trigger passed over it"),
    },
    "postgresql": {
        "check": (CHECK, f"{VIOLATED}; Failing row contains ({{key}}, n, no@)."),
        "raise": (function("RAISE 'not that one, please'"), "not that one, please"),
        "raise later": (function("RAISE 'nor %', 'that'", "AFTER INSERT", "CONSTRAINT"), "nor that"),
        "pass over": (function("RETURN NULL"), "a trigger passed over it"),
    },
}
# Of 17 users, in every place that a batch has; some are bad for other reasons, and some keys come twice.
BAD = {1, 4, 8, 9, 10, 16, 17}
USERS = "id,name,email\n" + "".join(
    f"{key},{'' if key in (3, 9) else 'n'},{'no@' if key in BAD else f'{key}@'}\n" for key in range(1, 18)
)
AGAIN = "1,again,1@\n2,again,2@\n"
ORDERS = "id,user_id,product_id,quantity\n" + "".join(f"{key},{key},1,1\n" for key in range(1, 18))
PRODUCTS = "id,name,price\n1,a,1\n"


def sources(place: Place) -> dict[str, str]:
    contents = {"users": USERS + AGAIN, "products": PRODUCTS, "orders": ORDERS}
    return {table: place.file(f"{table}.csv", content) for table, content in contents.items()}


def wanted_reasons(key: int, message: str) -> list[Any]:
    if key in (3, 9):
        return [("not_empty", "name", "name must not be empty")]
    return [("refused", None, message.format(key=key))] if key in BAD else []


@pytest.mark.parametrize(
    ("size", "commit_every"),
    [(3, 5), *(pytest.param(*cut, marks=pytest.mark.long) for cut in CUTS)],
)
@pytest.mark.parametrize("guard", GUARDS["sqlite"])
def test_what_a_guard_refuses_is_rejected_and_all_else_is_stored(
    place: Place, mode: str, guard: str, size: int, commit_every: int
) -> None:
    statement, message = GUARDS[place.kind("users")][guard]
    made_anew(place, statement)
    report = place.load(mode, sources(place), batch_size=size, commit_every=commit_every)
    good = [key for key in range(1, 18) if not wanted_reasons(key, message)]
    rejects = [(key + 1, wanted_reasons(key, message)) for key in range(1, 18) if key not in good]
    duplicates = [(line, [("duplicate", "id", f"id {line - 18} appears earlier in this run")]) for line in (19, 20)]
    absent = [(line, [("exists_in", "user_id", f"user_id {line - 1} does not exist in users")]) for line, _ in rejects]
    assert reasons_of(report, "users") == rejects + duplicates
    assert reasons_of(report, "orders") == absent
    assert place.rows("users") == [(key, "n", f"{key}@") for key in good]
    assert [row[0] for row in place.rows("orders")] == good
    users = report.tables["users"]
    assert (users.given, users.inserted, users.rejected) == (19, len(good), 19 - len(good))
    assert users.reasons == {"refused": 6, "name.not_empty": 2, "id.duplicate": 2}
    assert users.accepted == tuple(place.rows("users"))
    stored = sorted((line, names) for line, _, _, names in place.stored_rejects("users"))
    assert stored == [(line, names) for line, _, names in reject_names(report, "users")]


def test_the_three_modes_refuse_alike(tmp_path: Path, store: Databases) -> None:
    outcomes = []
    for mode in MODES:
        directory = tmp_path / mode
        directory.mkdir()
        place = Place(directory, store=store)
        made_anew(place, UNIQUE, NO[place.kind("users")])
        report = place.load(mode, sources(place), batch_size=4, commit_every=6, rejects_dir=directory / "rejects")
        written = (directory / "rejects" / report.run / "users.csv").read_text()
        outcomes.append((facts(report), place.rows("users"), place.stored_rejects("users"), written))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def twice(place: Place, column: str, value: str, table: str = "users", index: str = "one_email") -> list[Any]:
    """Return the reasons of a record whose value another row has."""
    messages = {
        "sqlite": f"UNIQUE constraint failed: {table}.{column}",
        "postgresql": f'duplicate key value violates unique constraint "{index}"; '
        f"Key ({column})=({value}) already exists.",
    }
    return [("refused", None, messages[place.kind(table)])]


def test_a_unique_index_keeps_the_first_and_rejects_the_others(place: Place, mode: str) -> None:
    made_anew(place, UNIQUE)
    source = place.file("u.csv", "id,name,email\n1,a,@\n2,b,@\n3,c,c@\n2,d,d@\n4,e,@\n5,f,c@\n6,g,g@\n")
    report = place.load(mode, {"users": source})
    duplicate = [("duplicate", "id", "id 2 appears earlier in this run")]
    assert reasons_of(report, "users") == [
        (3, twice(place, "email", "@")),
        (5, duplicate),
        (6, twice(place, "email", "@")),
        (7, twice(place, "email", "c@")),
    ]
    assert place.rows("users") == [(1, "a", "@"), (3, "c", "c@"), (6, "g", "g@")]


def test_a_row_whose_update_is_refused_stays_and_can_be_referenced(place: Place, mode: str) -> None:
    place.load(mode, {"users": place.file("u.csv", "id,name,email\n1,a,@\n2,b,@\n"), **products(place)})
    guards = {"sqlite": trigger("ABORT, 'no'", "UPDATE"), "postgresql": function("RAISE 'no'", "AFTER UPDATE")}
    made_anew(place, guards[place.kind("users")])
    report = place.load(
        mode,
        {
            "users": place.file("v.csv", "id,name,email\n2,B,2@\n1,A,no@\n3,C,3@\n"),
            "orders": place.file("o.csv", "id,user_id,product_id,quantity\n1,1,1,1\n2,2,1,1\n3,3,1,1\n4,4,1,1\n"),
        },
        on_conflict="update",
    )
    assert reasons_of(report, "users") == [(3, [("refused", None, "no")])]
    assert place.rows("users") == [(1, "a", "@"), (2, "B", "2@"), (3, "C", "3@")]
    users = report.tables["users"]
    assert (users.inserted, users.updated, users.rejected) == (1, 1, 1)
    assert [row[0] for row in place.rows("orders")] == [1, 2, 3]


def products(place: Place) -> dict[str, str]:
    return {"products": place.file("products.csv", PRODUCTS)}


def test_a_column_that_may_not_be_null_in_the_database_refuses_null(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    columns = (Column("id", Type.INTEGER), Column("note", Type.TEXT, nullable=True))
    place = Place(tmp_path, (Table("notes", "notes", columns),), store=store)
    place.query("notes", "DROP TABLE notes")
    place.query("notes", "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT NOT NULL)")
    report = place.load(mode, {"notes": place.file("n.csv", "id,note\n1,a\n2,\n3,c\n")})
    messages = {
        "sqlite": "NOT NULL constraint failed: notes.note",
        "postgresql": 'null value in column "note" of relation "notes" violates not-null constraint; '
        "Failing row contains (2, null).",
    }
    assert reasons_of(report, "notes") == [(3, [("refused", None, messages[place.kind("notes")])])]
    assert place.rows("notes") == [(1, "a"), (3, "c")]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("commit_every", [0, 3])
def test_a_trigger_that_rolls_back_fails_the_run(place: Place, mode: str, commit_every: int) -> None:
    made_anew(place, trigger("ROLLBACK, 'all of it'"))
    users = place.file("u.csv", "id,name,email\n" + "".join(f"{key},n,{key}@\n" for key in range(7)) + "9,n,no@\n")
    with pytest.raises(StoreError, match=r"^database users: all of it"):
        place.load(mode, {"users": users}, batch_size=2, commit_every=commit_every)
    assert len(place.rows("users")) == (6 if commit_every else 0)


@pytest.mark.only("sqlite")
def test_a_trigger_that_rolls_back_ends_the_writing_of_other_tables_of_that_database(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    columns = (Column("id", Type.INTEGER), Column("email", Type.TEXT))
    place = Place(tmp_path, (Table("users", "one", columns), Table("guests", "one", columns)), store=store)
    place.query("one", trigger("ROLLBACK, 'all of it'"))
    many = "id,email\n" + "".join(f"{key},{key}@\n" for key in range(20_000))
    with pytest.raises(StoreError, match=r"^database one: all of it"):
        place.load(
            mode,
            {"users": place.file("u.csv", "id,email\n1,no@\n"), "guests": place.file("g.csv", many)},
            batch_size=100,
        )
    assert place.rows("users") == place.rows("guests") == []


@pytest.mark.only("sqlite")
def test_nothing_is_written_in_a_database_whose_transaction_is_gone(place: Place) -> None:
    database = Database("users", place.files["users"])
    [packed] = database.pack(pl.DataFrame({"id": [1], "name": ["a"], "email": ["@"]}))
    [insert] = database.write(USERS_TABLE, [packed], 1, replace=False)
    with closing(database.connect(lock_timeout=1, writable=True, create=False)) as connection:
        assert isinstance(insert, Change)
        with pytest.raises(StoreError, match=r"^database users: its transaction has been rolled back"):
            database.perform(connection, insert)
    assert place.rows("users") == []


@pytest.mark.only("sqlite")
def test_keys_that_the_database_takes_for_one_are_refused_beside_updates(
    tmp_path: Path, mode: str, store: Databases
) -> None:
    columns = (Column("word", Type.TEXT), Column("note", Type.TEXT))
    place = Place(tmp_path, (Table("words", "words", columns, key="word"),), store=store)
    place.query("words", "DROP TABLE words")
    place.query("words", "CREATE TABLE words (word TEXT PRIMARY KEY COLLATE NOCASE, note TEXT)")
    place.load(mode, {"words": place.file("w.csv", "word,note\na,1\nb,1\n")})
    source = place.file("v.csv", "word,note\nB,2\na,2\nc,2\nC,3\n")
    report = place.load(mode, {"words": source}, on_conflict="update")
    refused = [("refused", None, "UNIQUE constraint failed: words.word")]
    assert reasons_of(report, "words") == [(2, refused), (5, refused)]
    assert place.rows("words") == [("a", "2"), ("b", "1"), ("c", "2")]
    assert (report.tables["words"].inserted, report.tables["words"].updated) == (1, 1)


@pytest.mark.only("sqlite")
def test_constraints_that_would_replace_or_ignore_refuse_instead(place: Place, mode: str) -> None:
    made_anew(
        place,
        "CREATE TABLE users (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, name TEXT UNIQUE ON CONFLICT IGNORE,"
        " email TEXT UNIQUE ON CONFLICT REPLACE)",
    )
    source = place.file("u.csv", "id,name,email\n1,a,@\n2,b,@\n3,a,c@\n4,d,d@\n")
    report = place.load(mode, {"users": source}, on_conflict="update")
    assert reasons_of(report, "users") == [
        (3, [("refused", None, "UNIQUE constraint failed: users.email")]),
        (4, [("refused", None, "UNIQUE constraint failed: users.name")]),
    ]
    assert place.rows("users") == [(1, "a", "@"), (4, "d", "d@")]


@pytest.mark.parametrize(
    "steps", [pytest.param(range(40, 200, 70), id="some"), pytest.param(range(400), id="each", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("commit_every", [0, 5])
def test_a_crash_loses_no_refused_row(
    tmp_path: Path, store: Databases, *, mode: str, steps: Sequence[int], commit_every: int
) -> None:
    options = Options(batch_size=4, commit_every=commit_every)
    wanted = outcome(guarded(tmp_path / "undisturbed", store), mode, options)
    for effects in some(steps, store) if len(steps) > 10 else steps:
        place = guarded(tmp_path / str(effects), store)
        crashed = started(place, mode, options)
        crash_after(effects, mode, crashed)
        assert orphans(place) == [], effects
        if crashed.is_kept:
            break
        assert outcome(place, mode, options) == wanted, effects


def guarded(directory: Path, store: Databases) -> Place:
    directory.mkdir()
    place = Place(directory, store=store)
    made_anew(place, NO[place.kind("users")])
    sources(place)
    return place


def outcome(place: Place, mode: str, options: Options) -> tuple[Any, ...]:
    """Return what a complete load reports and stores."""
    report = started(place, mode, options).perform()
    return facts(report), {table: (place.rows(table), place.stored_rejects(table)) for table in SOURCES}


keys = st.integers(1, 7)
people = st.lists(st.tuples(keys, st.sampled_from("abx"), st.sampled_from(["@", "1@", "2@", "3@", "no@"])), max_size=14)
CHECKED = """CREATE TABLE users (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, name TEXT CHECK (name <> 'x'),
    email TEXT UNIQUE ON CONFLICT IGNORE)"""
CHECKED_IN = {
    "sqlite": CHECKED,
    "postgresql": "CREATE TABLE users (id bigint PRIMARY KEY, name text CHECK (name <> 'x'), email text UNIQUE)",
}
INSERT = "INSERT OR ABORT INTO users VALUES (?, ?, ?)"
UPDATE = "UPDATE OR ABORT users SET id = ?, name = ?, email = ? WHERE id = ?"


def one_by_one(connection: sqlite3.Connection, records: list[Any], on_conflict: str) -> list[tuple[int, str]]:
    """Load record by record; by line, why each that was not stored was not."""
    held = {row[0]: row for row in connection.execute("SELECT * FROM users")}
    taken, rejects = set[int](), list[tuple[int, str]]()
    for line, record in enumerate(records, 2):
        key = record[0]
        if key in taken:
            rejects.append((line, "id.duplicate"))
        elif key in held and held[key] != record and on_conflict == "reject":
            rejects.append((line, "id.exists"))
        else:
            taken.add(key)
            try:
                if key not in held:
                    connection.execute(INSERT, record)
                elif held[key] != record:
                    connection.execute(UPDATE, (*record, key))
            except sqlite3.IntegrityError:
                rejects.append((line, "refused"))
    return rejects


@amounts(4, 20)
def test_rows_are_refused_as_if_they_were_written_one_by_one(store: Databases, amount: int) -> None:
    @examples(amount, store)
    @given(
        first=people,
        second=people,
        cut=st.tuples(st.sampled_from(BATCH_SIZES), st.integers(0, 4)),
        on_conflict=st.sampled_from(["reject", "update"]),
        mode=st.sampled_from(MODES),
    )
    def holds(first: list[Any], second: list[Any], cut: tuple[int, int], on_conflict: str, mode: str) -> None:
        with tempfile.TemporaryDirectory() as directory, closing(sqlite3.connect(":memory:")) as plain:
            place = Place(Path(directory), store=store)
            made_anew(place, CHECKED_IN[place.kind("users")], NO[place.kind("users")])
            plain.execute(CHECKED)
            plain.execute(NO["sqlite"])
            for records in (first, second):
                expected = one_by_one(plain, records, on_conflict)
                report = place.load(
                    mode,
                    {"users": users(place, records)},
                    batch_size=cut[0],
                    commit_every=cut[1],
                    on_conflict=on_conflict,
                )
                assert [(line, *names) for line, _, names in reject_names(report, "users")] == expected
                assert place.rows("users") == plain.execute("SELECT * FROM users ORDER BY 1").fetchall()

    holds()


def users(place: Place, records: list[Any]) -> str:
    lines = ["id,name,email", *(",".join(map(str, record)) for record in records)]
    return place.file(f"{len(records)}.csv", "".join(f"{line}\n" for line in lines))


def test_a_tally_changes_between_writes_and_never_while_one_goes_on(place: Place) -> None:
    made_anew(place, CHECK)
    one = Run(place.tables, sources(place), place.databases, Options(batch_size=3), mode="sequential")
    tally = one._state.tallies["users"]
    changed: list[bool] = []

    def counts() -> tuple[object, ...]:
        return tally.counts.rejected, dict(tally.reasons), list(tally.accepted), list(tally.rejects)

    class Watching(Sequential):
        def perform(self, effect: Effect) -> Any:
            before = counts()
            result = super().perform(effect)
            if isinstance(effect, Start):
                changed.append(counts() != before)
            return result

    Watching(lambda _: None).run(run(one._state))
    assert tally.reasons["refused"] > 0
    assert changed
    assert not any(changed)
