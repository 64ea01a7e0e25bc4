"""Sources that a program gives: frames, and records of iterables and asynchronous iterables."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import signal
import threading
import uuid
from collections import OrderedDict, UserDict
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from async_loader import (
    Column,
    ConfigurationError,
    Format,
    Options,
    OverLimitError,
    RejectFilter,
    Retry,
    Run,
    Show,
    Source,
    SourceError,
    StoredRejects,
    Table,
    Type,
    load,
    verify,
)
from tests.integration import press
from tests.integration.library import LOANS, PEOPLE, SHELVES
from tests.sample import TABLES, Place, reject_names
from tests.stores import Databases

USERS: list[dict[str, Any]] = [
    {"id": 1, "name": "Ada", "email": "ada@x"},
    {"id": 2, "name": "", "email": "bo"},
    {"id": 3, "name": "Cy", "email": "cy@x"},
    {"id": "4", "name": None, "email": "dee@x"},
]
USER_REJECTS = [
    (2, 2, ["name.not_empty", "email.contains"]),
    (4, 4, ["id.not_integer", "name.missing"]),
]


async def slowly(records: Iterable[Any]) -> AsyncIterator[Any]:
    """Give records after a wait each."""
    for record in records:
        await asyncio.sleep(0)
        yield record


class Once:
    """An asynchronous iterator that is no generator."""

    def __init__(self, records: Iterable[Any]) -> None:
        self._records = iter(records)

    def __aiter__(self) -> Once:
        return self

    async def __anext__(self) -> Any:
        for record in self._records:
            return record
        raise StopAsyncIteration


class Rows:
    """What a library has that gives rows through Arrow's interface, and nothing else that is known of it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


RECORDS: dict[str, Callable[[], Any]] = {
    "list": lambda: USERS,
    "tuple": lambda: tuple(USERS),
    "generator": lambda: (record for record in USERS),
    "map of mappings": lambda: map(MappingProxyType, USERS),
    "values of a dict": lambda: dict(enumerate(USERS)).values(),
    "async generator": lambda: slowly(USERS),
    "async iterator": lambda: Once(USERS),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_records_are_loaded_from_anything_that_gives_mappings(place: Place, mode: str, kind: str) -> None:
    report = place.load(mode, {"users": RECORDS[kind]()}, batch_size=3)
    assert place.rows("users") == [(1, "Ada", "ada@x"), (3, "Cy", "cy@x")]
    assert reject_names(report, "users") == USER_REJECTS
    assert {reject.source for reject in report.tables["users"].rejects} == {"<users>"}
    records = place.query("users", "SELECT record FROM loader_rejects ORDER BY id")
    assert [json.loads(record) for (record,) in records] == [USERS[1], USERS[3]]
    assert asyncio.run(verify(place.tables, place.databases)).runs[0].findings == ()


FRAME = pl.DataFrame({"id": [1, 2, None], "name": ["Ada", None, "Cy"], "email": ["a@", "b@", "c@"]})
FRAMES: dict[str, Callable[[], Any]] = {
    "polars": lambda: FRAME,
    "lazy": FRAME.lazy,
    "lazy with no rows": lambda: FRAME.lazy().filter(pl.col("id") > 7),
    "arrow table": FRAME.to_arrow,
    "arrow batch": lambda: FRAME.to_arrow().to_batches()[0],
    "arrow reader": lambda: FRAME.to_arrow().to_reader(max_chunksize=2),
    "chunks": lambda: pl.concat([FRAME[:1], FRAME[1:]], rechunk=False),
    "any library": lambda: Rows(FRAME.to_arrow()),
    # As pandas has it after a filter.
    "row labels": lambda: Rows(FRAME.to_arrow().append_column("__index_level_0__", pa.array([7, 8, 9]))),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_loaded_through_the_interface_that_libraries_share(place: Place, mode: str, kind: str) -> None:
    report = place.load(mode, {"users": FRAMES[kind]()}, batch_size=2)
    is_empty = "no rows" in kind
    assert place.rows("users") == ([] if is_empty else [(1, "Ada", "a@")])
    assert reject_names(report, "users") == ([] if is_empty else [(2, 2, ["name.missing"]), (3, 3, ["id.missing"])])
    assert report.tables["users"].ignored_columns == ()


VALUES = {
    "whole": (np.int64(7), 7),
    "real": (np.float64(1.5), 1.5),
    "text": ("x\u2028y", "x\u2028y"),
    "price": (Decimal("1.50"), Decimal("1.50")),
    "yes": (np.bool_(True), True),  # noqa: FBT003 - a value
    "day": (date(2026, 1, 31), date(2026, 1, 31)),
    "at": (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 31, 10, tzinfo=UTC)),
    "hour": (time(1, 2, 3, 4), time(1, 2, 3, 4)),
    "long": (timedelta(days=-1, microseconds=5), timedelta(days=-1, microseconds=5)),
    "name": (uuid.UUID(int=10), uuid.UUID(int=10)),
    "raw": (b"\0\xff", b"\0\xff"),
    "more": ({"a": [1, None, {"b": Decimal("2.5")}]}, {"a": [1, None, {"b": 2.5}]}),
}
TYPES = {
    "whole": Type.INTEGER,
    "real": Type.REAL,
    "text": Type.TEXT,
    "price": Type.DECIMAL,
    "yes": Type.BOOLEAN,
    "day": Type.DATE,
    "at": Type.DATETIME,
    "hour": Type.TIME,
    "long": Type.DURATION,
    "name": Type.UUID,
    "raw": Type.BINARY,
    "more": Type.JSON,
}
PARAMETERS: dict[str, dict[str, Any]] = {"price": {"digits": 8, "places": 2}, "at": {"zone": "UTC"}}
EVERY = Table(
    "every",
    "things",
    (
        Column("id", Type.INTEGER),
        *(Column(name, kind, nullable=True, default=None, **PARAMETERS.get(name, {})) for name, kind in TYPES.items()),
    ),
)


def test_values_of_python_are_stored_as_json_lines_would_store_them(
    tmp_path: Path, store: Databases, mode: str
) -> None:
    place = Place(tmp_path, (EVERY,), store)
    given = {name: value for name, (value, _) in VALUES.items()}
    place.load(mode, {"every": [{"id": 1, **given}, {"id": 2, **dict.fromkeys(given)}, {"id": 3}]})
    # Whatever a database has for them: what is equal is unchanged.
    plain = OrderedDict({"id": 1, **{name: value for name, (_, value) in VALUES.items()}})
    report = place.load(mode, {"every": [plain, {"id": 2}, {"id": 3, **dict.fromkeys(given)}]})
    assert (report.tables["every"].unchanged, report.tables["every"].rejected) == (3, 0)
    assert [row[1:] for row in place.rows("every")[1:]] == [(None,) * len(given)] * 2
    assert place.query("things", "SELECT whole, text, yes FROM every WHERE id = 1") == [(7, "x\u2028y", True)]


def test_a_key_that_a_record_lacks_keeps_what_its_row_holds(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (EVERY,), store)
    place.load(mode, {"every": [{"id": 1, "whole": 7, "text": "kept"}]})
    place.load(mode, {"every": slowly([{"id": 1, "whole": 8}, {"id": 2, "text": "new"}])}, on_conflict="update")
    rows = place.query("things", "SELECT id, whole, text FROM every ORDER BY id")
    assert rows == [(1, 8, "kept"), (2, None, "new")]


class Odd:
    """A value that says no more of itself than that it cannot."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


NESTED: list[Any] = []
NESTED.append(NESTED)
# A record, the column and code of its reject, and a part of what is said of it.
WRONG: list[tuple[Any, str, str]] = [
    ({"id": 1, "whole": "7"}, "whole.not_integer", 'not "7"'),
    ({"id": 1, "whole": True}, "whole.not_integer", "true"),
    ({"id": 1, "whole": 2**63}, "whole.out_of_range", "9223372036854775808"),
    ({"id": 1, "text": 7}, "text.not_text", "7"),
    ({"id": 1, "price": Decimal("1.555")}, "price.too_many_digits", "1.555"),
    ({"id": 1, "day": "soon"}, "day.not_date", "soon"),
    ({"id": 1, "name": "x"}, "name.not_uuid", "x"),
    ({"id": 1, "raw": "%"}, "raw.not_base64", "%"),
    ({"id": 1, "real": float("nan")}, "invalid_json", "real is nan, which is no value in JSON; give None for null"),
    ({"id": 1, "more": {"a": [np.float64("-inf")]}}, "invalid_json", "more is -inf"),
    ({"id": 1, "more": np.array([1.0, np.nan])}, "invalid_json", "more is no value in JSON: it is nan"),
    ({"id": 1, "price": Decimal("NaN")}, "invalid_json", "price is no value in JSON"),
    ({"id": 1, "more": Odd()}, "invalid_json", "more is no value in JSON: it is of type Odd"),
    ({"id": 1, "more": NESTED}, "invalid_json", "more is nested too deep"),
    ({"id": 1, "text": "\ud800"}, "invalid_json", "half of a surrogate pair"),
    ({"id": 1, None: ["more"]}, "invalid_json", "a name in the record is of type NoneType, not text"),
    ((1, 7), "invalid_json", "the record is of type tuple, not a mapping"),
    (None, "invalid_json", "the record is of type NoneType, not a mapping"),
]


@pytest.mark.parametrize("place_of_it", range(len(WRONG)))
def test_a_value_that_is_none_is_one_reject(tmp_path: Path, store: Databases, mode: str, place_of_it: int) -> None:
    place = Place(tmp_path, (EVERY,), store)
    record, code, said = WRONG[place_of_it]
    report = place.load(mode, {"every": iter([{"id": 5}, record, {"id": 6}])})
    assert reject_names(report, "every") == [(2, 2, [code])]
    [reject] = report.tables["every"].rejects
    assert said in reject.reasons[0].message
    assert [row[0] for row in place.rows("every")] == [5, 6]


def test_a_null_of_pandas_among_records_is_null(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (EVERY,), store)
    # Pandas has them under these names, and the first is of the kind of a datetime.
    nat = type("NaTType", (datetime,), {})(2026, 1, 1)
    missing = type("NAType", (), {})()
    report = place.load(mode, {"every": [{"id": 1, "at": nat, "whole": missing, "day": np.datetime64("NaT")}]})
    assert report.tables["every"].inserted == 1
    assert place.query("things", "SELECT at, whole, day FROM every") == [(None, None, None)]


def test_names_constants_and_nulls_hold_for_what_is_given(place: Place, mode: str) -> None:
    said: dict[str, Any] = {"constants": {"email": "@"}, "ignore": ("x",)}
    form = Format(names={"name": "Nom"}, null=["-"])
    records = [{"id": 1, "Nom": "Ada", "x": 0}, {"id": 2, "Nom": "-", "x": 0}]
    given = {
        "records": Source("crm", form, data=slowly(records), **said),
        "frame": Source("lake", form, data=pl.DataFrame(records), **said),
    }
    for name, source in given.items():
        report = place.load(mode, {"users": source})
        assert reject_names(report, "users") == [(2, 2, ["name.missing"])], name
        assert report.tables["users"].sources == (source.name,)
    assert place.rows("users") == [(1, "Ada", "@")]


def test_spellings_hold_for_texts_alone(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (EVERY,), store)
    form = Format(true=["ja"], false=["nein"], decimal=",", date_format={"day": ["%d.%m.%Y"]}, null={"text": ["-"]})
    records = [
        {"id": 1, "day": "31.01.2026", "yes": "ja", "price": "1,50", "text": "-"},
        {"id": 2, "day": "2026-01-31", "yes": False, "price": Decimal("1.50"), "text": "x"},
    ]
    for given in (records, pl.DataFrame(records[:1])):
        report = place.load(mode, {"every": Source("form", form, data=given)})
        assert reject_names(report, "every") == [(2, 2, ["day.not_date"])] * (len(given) - 1)
    assert place.query("things", "SELECT id, yes, text FROM every") == [(1, True, None)]


def test_lookups_and_generated_keys_hold_for_what_is_given(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, (PEOPLE, SHELVES, LOANS), store)
    sources: dict[str, Any] = {
        "people": [{"name": "Ada", "email": "ada@x"}, {"name": "Bo", "email": "bo@x"}],
        "shelves": pl.DataFrame({"hall": ["a"], "code": [7]}),
        "loans": slowly(
            [{"person__email": "bo@x", "day": date(2026, 1, 1)}, {"person__email": "?", "day": "2026-01-01"}]
        ),
    }
    match = {"people": ("email",), "shelves": ("hall", "code"), "loans": ("person_id", "day")}
    report = place.load(mode, sources, match=match)
    assert reject_names(report, "loans") == [(2, 2, ["person_id.exists_in"])]
    [(bo,)] = place.query("users", "SELECT id FROM people WHERE email = 'bo@x'")
    assert [row[0] for row in place.query("orders", "SELECT person_id FROM loans")] == [bo]


def test_sets_of_links_are_lists(tmp_path: Path, store: Databases, mode: str) -> None:
    place = Place(tmp_path, press.TABLES, store)
    place.load(mode, {"tags": [{"name": "red"}, {"name": "blue"}]}, match=press.MATCH)
    articles = [{"title": "One", "tags__name": ["red", "blue"]}, {"title": "Two", "tags__name": ("blue",)}]
    lists = pl.DataFrame({"title": ["Three"], "tags__name": [["red"]]})
    report = place.load(mode, {"articles": [articles, lists]}, match=press.MATCH)
    assert report.tables["articles"].rejected == 0
    assert press.tags_of(place) == [("One", "blue"), ("One", "red"), ("Three", "red"), ("Two", "blue")]


def test_no_more_than_two_batches_are_drawn_ahead(place: Place, mode: str) -> None:
    seen, ahead, size = {"judged": 0, "drawn": 0}, [], 10

    def records() -> Iterator[dict[str, Any]]:
        for number in range(1, 500):
            seen["drawn"] = number
            ahead.append(number - seen["judged"])
            yield {"id": number, "name": "x", "email": "@"}

    def show(event: object) -> None:
        if isinstance(event, Show):
            seen["judged"] = event.given

    for given in (records(), slowly(records())):
        Run(TABLES, {"users": given}, place.databases, Options(batch_size=size), mode=mode, show=show).perform()
        assert max(ahead) <= 2 * size
        seen["judged"] = 0
        ahead.clear()


def test_nothing_is_drawn_before_the_databases_are_open(place: Place, mode: str) -> None:
    drawn: list[int] = []

    def given() -> Iterator[dict[str, Any]]:
        drawn.append(1)
        yield from USERS

    nowhere = {**place.databases, "users": place.directory / "nowhere.db"}
    with pytest.raises(Exception, match="users"):
        Run(TABLES, {"users": given()}, nowhere, mode=mode).perform()
    assert drawn == []


def test_a_large_record_does_not_wait_for_a_whole_batch(place: Place, mode: str) -> None:
    text = "x" * (1 << 20)
    report = place.load(mode, {"users": ({"id": number, "name": text, "email": "@"} for number in range(5))})
    assert report.tables["users"].inserted == 5


class PageError(OSError):
    """An error of a program's own, of a kind that the loader has words for where a file is read."""


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("commit_every", [0, 2])
def test_an_error_of_the_programs_own_reaches_it_as_it_is(
    place: Place, mode: str, commit_every: int, *, is_async: bool
) -> None:
    ended: list[str] = []

    def pages() -> Iterator[dict[str, Any]]:
        try:
            yield from ({"id": number, "name": "x", "email": "@"} for number in range(1, 6))
            raise PageError("page 2")
        finally:
            ended.append("sync")

    async def later() -> AsyncIterator[dict[str, Any]]:
        try:
            async for record in slowly({"id": number, "name": "x", "email": "@"} for number in range(1, 6)):
                yield record
            raise PageError("page 2")
        finally:
            ended.append("async")

    products = iter([{"id": 1, "name": "x", "price": 1.0}])
    with pytest.raises(PageError) as caught:
        place.load(
            mode,
            {"products": products, "users": later() if is_async else pages()},
            commit_every=commit_every,
            batch_size=2,
        )
    assert caught.value.args == ("page 2",)
    assert ended == ["async" if is_async else "sync"]
    notes = getattr(caught.value, "__notes__", [])
    if not commit_every:
        assert place.rows("users") == place.rows("products") == []
        assert notes == []
        return
    assert [row[0] for row in place.rows("users")] == [1, 2, 3, 4]
    assert "table users up to record 4 kept" in notes[0]


def test_a_load_that_fails_closes_what_it_draws_from(place: Place, mode: str) -> None:
    ended: list[int | None] = []

    def endless() -> Iterator[dict[str, Any]]:
        try:
            yield from ({"id": "?"} for _ in itertools.count())
        finally:
            ended.append(threading.get_ident())

    async def forever() -> AsyncIterator[dict[str, Any]]:
        try:
            while True:
                yield {"id": "?"}
        finally:
            # Cleaning up may wait.
            await asyncio.sleep(0)
            ended.append(threading.get_ident())

    for given in (endless(), forever()):
        with pytest.raises(OverLimitError):
            place.load(mode, {"users": given}, max_rejects=5, batch_size=3)
    assert len(ended) == 2
    assert place.rows("users") == []


@pytest.mark.parametrize("mode", ["async", "threads"])
def test_records_that_are_waited_for_end_with_a_load_beside_them(place: Place, mode: str) -> None:
    begun, ended = threading.Event(), []

    async def users() -> AsyncIterator[dict[str, Any]]:
        try:
            yield USERS[0]
            begun.set()
            await asyncio.Event().wait()
        finally:
            # A connection that is closed answers once more.
            for _ in range(5):
                await asyncio.sleep(0)
            ended.append(True)

    def products() -> Iterator[dict[str, Any]]:
        assert begun.wait(60)
        yield {"id": "?"}

    with pytest.raises(OverLimitError):
        place.load(mode, {"users": users(), "products": products()}, max_rejects=0)
    assert ended == [True]
    assert place.rows("users") == []


def test_records_that_come_at_once_are_drawn_and_closed_in_one_thread(place: Place, mode: str) -> None:
    threads: list[threading.Thread] = []

    def records() -> Iterator[dict[str, Any]]:
        try:
            for record in USERS:
                threads.append(threading.current_thread())
                yield record
        finally:
            threads.append(threading.current_thread())

    place.load(mode, {"users": records()}, batch_size=1)
    assert len({*threads}) == 1
    assert (threads[0] is threading.current_thread()) == (mode == "sequential")


def test_a_loop_that_runs_draws_asynchronous_records_itself_and_encodes_none(place: Place) -> None:
    threads: dict[str, set[threading.Thread]] = {"drawn": set(), "read": set()}

    class Noted(UserDict[str, Any]):
        def keys(self) -> Any:
            threads["read"].add(threading.current_thread())
            return super().keys()

    async def records() -> AsyncIterator[Mapping[str, Any]]:
        for record in USERS:
            threads["drawn"].add(threading.current_thread())
            yield Noted(record)

    asyncio.run(load(TABLES, {"users": records()}, place.databases))
    assert threads["drawn"] == {threading.current_thread()}
    assert threading.current_thread() not in threads["read"]
    assert threads["read"]


def test_a_cancelled_load_closes_its_records_and_keeps_nothing(place: Place) -> None:
    ended: list[bool] = []

    async def main() -> None:
        begun = asyncio.Event()

        async def records() -> AsyncIterator[dict[str, Any]]:
            try:
                yield USERS[0]
                begun.set()
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        task = asyncio.create_task(load(TABLES, {"users": records()}, place.databases, Options(batch_size=1)))
        await asyncio.wait_for(begun.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)

    asyncio.run(main())
    assert ended == [True]
    assert place.rows("users") == []


@pytest.mark.parametrize(("mode", "is_async"), [("async", False), ("async", True), ("sequential", False)])
def test_ctrl_c_ends_a_load_of_endless_records(place: Place, mode: str, *, is_async: bool) -> None:
    """A signal that another thread raises wakes no main thread that waits for a lock, as that of mode threads does."""
    ended: list[bool] = []

    def endless() -> Generator[dict[str, Any], None, None]:
        try:
            for number in itertools.count(1):
                if number == 7:
                    signal.raise_signal(signal.SIGINT)
                yield {"id": number, "name": "x", "email": "@"}
        finally:
            ended.append(True)

    async def endlessly() -> AsyncIterator[dict[str, Any]]:
        with closing(endless()) as records:
            for record in records:
                await asyncio.sleep(0)
                yield record

    with pytest.raises(KeyboardInterrupt):
        place.load(mode, {"users": endlessly() if is_async else endless()}, batch_size=5)
    assert ended == [True]
    assert place.rows("users") == []


def test_what_cannot_be_read_again_is_loaded_from_its_beginning(place: Place, mode: str) -> None:
    def pages(last: int) -> Iterator[dict[str, Any]]:
        for number in range(1, last):
            yield {"id": number, "name": "x" if number % 3 else "", "email": "@"}
        if last < 9:
            raise PageError

    lines: list[str] = []
    options = Options(commit_every=2, batch_size=2)
    with pytest.raises(PageError):
        Run(TABLES, {"users": pages(6)}, place.databases, options, mode=mode).perform()
    run = Run(
        TABLES, {"users": pages(10)}, place.databases, options, mode=mode, show=lambda each: lines.append(str(each))
    )
    report = run.perform()
    assert any("not resuming" in line and "cannot be read again; starting over" in line for line in lines)
    counts = report.tables["users"]
    assert (counts.given, counts.inserted, counts.unchanged, counts.rejected) == (9, 3, 3, 3)
    assert [row[0] for row in place.rows("users")] == [1, 2, 4, 5, 7, 8]


@pytest.mark.parametrize("kind", ["records", "frame", "chunks"])
def test_rejects_of_the_same_records_do_not_pile_up(place: Place, mode: str, kind: str) -> None:
    users = [{"id": 1, "name": "", "email": "@"}, {"id": 2, "name": "x", "email": "@"}]
    frame = pl.DataFrame(users)
    again = {"records": users, "frame": frame, "chunks": pl.concat([frame[:1], frame[1:]], rechunk=False)}[kind]
    place.load(mode, {"users": iter(users) if kind == "records" else frame})
    report = place.load(mode, {"users": again})
    assert len(place.stored_rejects("users")) == 1
    other = [*users, {"id": 3, "name": "x", "email": "@"}]
    place.load(mode, {"users": other if kind == "records" else pl.DataFrame(other)})
    assert len(place.stored_rejects("users")) == 2
    assert report.tables["users"].unchanged == 1


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rejects_are_exported_mended_and_tried_again(place: Place, mode: str, kind: str) -> None:
    orders = [
        {"id": 1, "user_id": 1, "product_id": 1, "quantity": 2},
        {"id": 2, "user_id": 1, "product_id": 1, "quantity": 0},
    ]
    given: Any = orders if kind == "jsonl" else pl.DataFrame(orders)
    place.load(mode, {"orders": given})
    exported = StoredRejects(TABLES, place.databases).export(RejectFilter(), place.directory / f"bad.{kind}")
    assert exported is not None
    assert [number for _, number, _ in exported.files] == [2]
    place.load(mode, {"users": USERS[:1], "products": [{"id": 1, "name": "x", "price": 1.5}]})
    report = Retry(TABLES, RejectFilter(), place.databases, mode=mode).perform()
    assert (report.tables["orders"].inserted, report.tables["orders"].rejected) == (1, 1)


def test_several_sources_stand_in_a_list(place: Place, mode: str) -> None:
    path = place.file("u.csv", "id,name,email\n1,a,@\n")
    packed = place.directory / "u.csv.gz"
    packed.write_bytes(gzip.compress(b"id,name,email\n2,b,@\n"))
    given = [
        path,
        packed,
        FRAME[:0],
        iter([{"id": 3, "name": "", "email": "@"}]),
        Source("crm", data=slowly(USERS[3:])),
    ]
    report = place.load(mode, {"users": given})
    assert report.tables["users"].sources == (path, str(packed), "<users 3>", "<users 4>", "crm")
    assert [(reject.source, reject.line) for reject in report.tables["users"].rejects] == [("<users 4>", 1), ("crm", 1)]
    assert [row[0] for row in place.rows("users")] == [1, 2]


def test_a_list_of_iterables_is_several_sources(place: Place, mode: str) -> None:
    report = place.load(mode, {"users": [USERS[:1], USERS[2:3]]})
    assert report.tables["users"].inserted == 2


def test_a_dry_run_writes_nothing(place: Place, mode: str) -> None:
    report = place.load(mode, {"users": slowly(USERS)}, dry_run=True)
    assert (report.tables["users"].inserted, report.tables["users"].rejected) == (2, 2)
    assert place.rows("users") == place.stored_rejects("users") == []


REFUSED: dict[str, tuple[Any, str]] = {
    "mapping": ({"id": 1}, "users: an object of type dict is neither a path, a frame nor several records"),
    "number": (5, "users: an object of type int is neither a path, a frame nor several records"),
    "mixed": ([*USERS[:1], "u.csv"], "<users>, line 2: 'u.csv' is no mapping; several paths are given as a list"),
    "paths of a generator": (dict.fromkeys([Path("u.csv")]).keys(), "'u.csv' is no mapping; several paths are given"),
    "series": (pl.Series("id", [1]), "<users>: cannot be read as a frame: "),
    "objects": (pl.DataFrame({"id": [object()]}), "column 'id' has objects of Python, of which Arrow knows nothing"),
    "types": (FRAME.with_columns(pl.col("id") == 1), "column 'id' is bool, and the table wants integer"),
    "lacking": (FRAME.select("id", "name"), "<users>: the frame lacks 'email'"),
    "query that fails": (FRAME.lazy().select("id", "name", pl.col("email").cast(pl.Int64)), "<users>: "),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_source_is_refused_in_one_line(place: Place, mode: str, kind: str) -> None:
    given, problem = REFUSED[kind]
    with pytest.raises((ConfigurationError, SourceError)) as caught:
        place.load(mode, {"users": given})
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert place.rows("users") == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"format": "csv"}, "csv is the format of a file, and this is what a program gives"),
        ({"delimiter": ";"}, "delimiter is of CSV"),
        ({"format": Format(quote="'")}, "quote is of CSV"),
        ({"format": Format(encoding="cp1252")}, "an encoding is of text, and what a program gives has none"),
        ({"data": "u.csv"}, "an object of type str is neither a frame nor several records"),
        ({"data": {"id": 1}}, "an object of type dict is neither a frame nor several records"),
        ({"path": "-"}, "needs a name for reports, not '-'"),
        ({"path": "https://x/?token=1"}, "the address holds a secret"),
    ],
)
def test_what_does_not_apply_is_refused(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Source(**{"path": "crm", "data": USERS, **said})
    assert problem in str(caught.value)


def test_an_iterator_is_for_one_source(place: Place) -> None:
    once = iter(USERS)
    with pytest.raises(ConfigurationError, match="b: an iterator can be read for one source only"):
        place.load("sequential", {"users": [Source("a", data=once), Source("b", data=once)]})
    report = place.load("sequential", {"users": [Source("a", data=USERS[:1]), Source("b", data=USERS[:1])]})
    assert (report.tables["users"].inserted, report.tables["users"].rejected) == (1, 1)


@pytest.mark.only("postgresql")
def test_workers_refuse_what_this_process_alone_has(place: Place) -> None:
    several: list[Any] = [USERS, FRAME, slowly(USERS)]
    for given in several:
        with pytest.raises(ConfigurationError, match=r"workers cannot read <users>, which this process alone has"):
            Run(TABLES, {"users": given}, place.databases, mode="dask")


def test_a_source_keeps_what_it_gives_when_it_is_changed() -> None:
    assert replace(Source("crm", data=USERS), ignore=("x",)).data is USERS
