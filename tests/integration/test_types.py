"""Types that only some formats have: what is past all bounds is a reject or one line, in every format."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from async_loader import Column, ConfigurationError, Rule, Source, SourceError, StoreError, Table, Type
from tests.sample import Place, reject_names
from tests.stores import Databases

# Both stores, whatever the tier.
pytestmark = pytest.mark.turns("mode")

DAY = 86_400_000_000
# The microseconds at both ends of the years that Python has.
FIRST, LAST = -719_162 * DAY, 2_932_897 * DAY - 1
# In a DST gap of Berlin, in an hour that comes twice, after the last summer time of Polars, in the year 0 in UTC.
CLOCKS = [datetime(2024, 3, 31, 2, 30), datetime(2024, 10, 27, 2, 30), datetime(2150, 7, 1), datetime(1, 1, 1)]  # noqa: DTZ001


def table_with(*columns: Column) -> Table:
    return Table("things", "things", (Column("id", Type.INTEGER), *columns))


def parquet(place: Place, values: pa.Array) -> str:
    path = place.directory / "things.parquet"
    pa.parquet.write_table(pa.table({"id": range(1, len(values) + 1), "x": values}), path)
    return str(path)


def counted(numbers: list[int | None], kind: pa.DataType) -> pa.Array:
    return pa.array(numbers, pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)


PRICE = Column("x", Type.DECIMAL, digits=4, places=2)
DATE, NAIVE = Column("x", Type.DATE), Column("x", Type.DATETIME)
BERLIN = Column("x", Type.DATETIME, zone="Europe/Berlin")
NULLABLE = [Column("x", kind, nullable=True) for kind in (Type.DATE, Type.DATETIME, Type.BOOLEAN, Type.UUID, Type.JSON)]

# A column, what a file has for it, what is stored of that by key, and why the others are not.
PARQUET: dict[str, tuple[Column, pa.Array, dict[int, Any], list[str]]] = {
    "dates": (
        DATE,
        counted([0, -719_162, -719_163, 2_932_896, 2_932_897, 2**31 - 1, -(2**31)], pa.date32()),
        {1: "1970-01-01", 2: "0001-01-01", 4: "9999-12-31"},
        ["x.out_of_range"] * 4,
    ),
    "reals for decimals": (
        PRICE,
        pa.array([0.1, 3.0, -19.99, None, 7.999, 1e16, float("nan"), float("inf"), 0.0]),
        {1: 0.1, 2: 3, 3: -19.99, 9: 0},
        ["x.missing", "x.too_many_digits", "x.too_many_digits", "x.not_finite", "x.not_finite"],
    ),
    "short reals for decimals": (PRICE, pa.array([0.1, 7.25], pa.float32()), {1: 0.1, 2: 7.25}, []),
    "reals for integers": (
        Column("x", Type.INTEGER),
        pa.array([3.0, -0.0, 2.0**53, 2.0**53 + 2, 1.5, float("nan"), float("-inf"), -(2.0**53), 1e300]),
        {1: 3, 2: 0, 3: 2**53, 8: -(2**53)},
        ["x.out_of_range", "x.not_integer", "x.not_finite", "x.not_finite", "x.out_of_range"],
    ),
    "short reals for integers": (
        Column("x", Type.INTEGER),
        pa.array([3.0, 2.0**24, 2.0**24 + 2], pa.float32()),
        {1: 3, 2: 2**24},
        ["x.out_of_range"],
    ),
    "dates in milliseconds": (DATE, pa.array([date(2024, 2, 29)], pa.date64()), {1: "2024-02-29"}, []),
    "times": (
        NAIVE,
        counted([0, FIRST, FIRST - 1, LAST, LAST + 1, 2**63 - 1], pa.timestamp("us")),
        {1: "1970-01-01 00:00:00", 2: "0001-01-01 00:00:00", 4: "9999-12-31 23:59:59.999999"},
        ["x.out_of_range"] * 3,
    ),
    "milliseconds": (
        NAIVE,
        counted([1, 2**62, -(2**62)], pa.timestamp("ms")),
        {1: "1970-01-01 00:00:00.001000"},
        ["x.out_of_range"] * 2,
    ),
    "nanoseconds": (
        BERLIN,
        counted([1000, 1001], pa.timestamp("ns", "UTC")),
        {1: "1970-01-01 00:00:00.000001"},
        ["x.out_of_range"],
    ),
    "a zone that is an offset": (BERLIN, counted([0], pa.timestamp("us", "+05:30")), {1: "1970-01-01 00:00:00"}, []),
    "clocks": (
        BERLIN,
        pa.array(CLOCKS),
        {2: "2024-10-27 00:30:00", 3: "2150-06-30 22:00:00"},
        ["x.not_datetime", "x.out_of_range"],
    ),
    "decimals": (
        PRICE,
        pa.array([Decimal("99.990"), Decimal("99.995"), Decimal("100.000"), None], pa.decimal128(9, 3)),
        {1: 99.99},
        ["x.too_many_digits", "x.too_many_digits", "x.missing"],
    ),
    "long decimals": (
        Column("x", Type.DECIMAL, digits=20, places=10, significant=15),
        pa.array([Decimal("1234567890.12345"), Decimal("1234567890.123456")], pa.decimal128(30, 10)),
        {1: 1234567890.12345},
        ["x.too_many_digits"],
    ),
    "integers": (PRICE, pa.array([99, 100, -(2**63)]), {1: 99}, ["x.too_many_digits"] * 2),
    "JSON": (Column("x", Type.JSON), pa.array(["[]", "null", "x"]), {1: "[]"}, ["x.missing", "x.not_json"]),
    **{f"nothing for {each.type.value}": (each, pa.nulls(2), {1: None, 2: None}, []) for each in NULLABLE},
}


def as_files_have_it(value: Any) -> Any:
    """Return the value as SQLite stores it, if PostgreSQL has a type for it."""
    match value:
        case datetime():
            return str(value).removesuffix("+00:00")
        case date():
            return str(value)
        case Decimal():
            return float(value)
        case list():
            return json.dumps(value)
    return value


FAR = [datetime(1, 1, 1), datetime(1500, 2, 28, 1, 2, 3, 456_789), None, datetime(3000, 1, 1), datetime(2020, 1, 1)]  # noqa: DTZ001


def test_times_of_int96_are_read_right_in_all_years(tmp_path: Path, mode: str, store: Databases) -> None:
    """Spark writes them: further than nanoseconds reach, or finer than microseconds."""
    place = Place(tmp_path, (table_with(NAIVE),), store=store)
    far, fine = tmp_path / "far.parquet", tmp_path / "fine.parquet"
    options: dict[str, Any] = {"use_deprecated_int96_timestamps": True, "row_group_size": 2}
    pa.parquet.write_table(pa.table({"id": range(1, 6), "x": pa.array(FAR, pa.timestamp("us"))}), far, **options)
    nanoseconds = pa.array([1_000, 1_001, -1], pa.int64()).cast(pa.timestamp("ns"))
    pa.parquet.write_table(pa.table({"id": range(6, 9), "x": nanoseconds}), fine, **options)
    report = place.load(mode, {"things": [str(far), str(fine)]}, batch_size=2, rejects_dir=tmp_path / "rejects")
    wanted = {number: str(time) for number, time in enumerate(FAR, 1) if time} | {6: "1970-01-01 00:00:00.000001"}
    assert {key: as_files_have_it(value) for key, value in place.rows("things")} == wanted
    rejects = report.tables["things"].rejects
    assert [(each.line, each.record["x"], each.reasons[0].message) for each in rejects] == [
        (3, None, "x is missing"),
        (
            2,
            "1970-01-01 00:00:00.000001001",
            "x is out of range: 1970-01-01 00:00:00.000001001 (finer than a microsecond)",
        ),
        (
            3,
            "1969-12-31 23:59:59.999999999",
            "x is out of range: 1969-12-31 23:59:59.999999999 (finer than a microsecond)",
        ),
    ]
    [unmended] = (tmp_path / "rejects").rglob("*.parquet")
    again = place.load(mode, {"things": str(unmended)})
    assert [each.reasons[0].code for each in again.tables["things"].rejects] == [
        each.reasons[0].code for each in rejects
    ]


def test_extensions_of_arrow_are_read_as_what_they_are(tmp_path: Path, mode: str, store: Databases) -> None:
    columns = (Column("uid", Type.UUID, nullable=True), Column("note", Type.JSON, nullable=True))
    place = Place(tmp_path, (table_with(*columns),), store=store)
    digits = ["00" * 15 + "0a", "ff" * 15 + "00", None, "ab" * 16]
    storage = pa.array([None if each is None else bytes.fromhex(each) for each in digits], pa.binary(16))
    uids = {"uid": pa.ExtensionArray.from_storage(pa.uuid(), storage), "bare": storage}
    notes = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[]", '{"a": 1}', None, "{"]))
    for name, kept in uids.items():
        path = tmp_path / f"{name}.parquet"
        pa.parquet.write_table(pa.table({"id": range(1, 5), "uid": kept, "note": notes}), path)
        report = place.load(mode, {"things": str(path)}, rejects_dir=tmp_path / name)
        assert report.tables["things"].reasons == {"note.not_json": 1}
        assert report.tables["things"].rejects[0].record["uid"] == digits[3]
        stored = [str(uid).replace("-", "") if uid else None for _, uid, _ in place.rows("things")]
        assert stored == digits[:3]
        [unmended] = (tmp_path / name).rglob("*.parquet")
        assert place.load(mode, {"things": str(unmended)}).tables["things"].reasons == {"note.not_json": 1}


@pytest.mark.parametrize("name", PARQUET)
def test_what_parquet_can_hold_is_stored_exactly_or_rejected_and_can_be_loaded_again(
    name: str, tmp_path: Path, store: Databases
) -> None:
    column, values, wanted, reasons = PARQUET[name]
    place = Place(tmp_path, (table_with(column),), store=store)
    report = place.load("sequential", {"things": parquet(place, values)}, rejects_dir=tmp_path / "rejects")
    assert {key: as_files_have_it(value) for key, value in place.rows("things")} == wanted
    assert [each for _, _, names in reject_names(report, "things") for each in names] == reasons
    for path in (tmp_path / "rejects").rglob("*.parquet"):
        again = place.load("sequential", {"things": str(path)})
        assert [each for _, _, names in reject_names(again, "things") for each in names] == reasons
        read, reread = ([reject.record for reject in each.tables["things"].rejects] for each in (report, again))
        assert reread == read


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (PRICE, pa.array([Decimal(1)], pa.decimal256(50, 2))),
        (NAIVE, pa.array([datetime(2024, 1, 1, tzinfo=UTC)])),
        (Column("x", Type.UUID), pa.array([b"0" * 15], pa.binary(15))),
        (Column("x", Type.TEXT), pa.array([b"0" * 16], pa.uuid())),
    ],
)
def test_a_parquet_column_of_a_type_that_does_not_fit_is_one_line(
    column: Column, values: pa.Array, place: Place, store: Databases
) -> None:
    other = Place(place.directory, (table_with(column),), store=store)
    with pytest.raises(SourceError, match=r"column 'x' is .*, and the table wants .*; convert it"):
        other.load("sequential", {"things": parquet(other, values)})


@pytest.mark.parametrize("exact", [True, False], ids=["beside decimals", "without decimals"])
def test_no_exponent_is_too_much_for_json_lines(exact: bool, tmp_path: Path, store: Databases) -> None:  # noqa: FBT001
    columns = [Column("real", Type.REAL), *([Column("x", Type.DECIMAL, digits=4, nullable=True)] if exact else [])]
    place = Place(tmp_path, (table_with(*columns),), store=store)
    numbers = ["1.5", "1e99999999999999999999", "-1e99999999999999999999", "1e-99999999999999999999", "1e999999999"]
    lines = [f'{{"id": {n}, "real": {number}, "more": {number}}}\n' for n, number in enumerate(numbers)]
    lines += [f'{{"id": {n}, "real": 1, "x": {number}}}\n' for n, number in enumerate(numbers, 10)] if exact else []
    report = place.load("sequential", {"things": place.file("things.jsonl", "".join(lines))})
    reasons = report.tables["things"].reasons
    assert reasons["real.out_of_range"] == 4
    assert not exact or reasons == {"real.out_of_range": 4, "x.too_many_digits": 5}
    assert place.rows("things")[0][:2] == (0, 1.5)


GAPS = [
    ("Europe/Berlin", "2024-03-31 02:30:00"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("Pacific/Apia", "2011-12-30T12:00"),
]


@pytest.mark.parametrize(("zone", "written"), GAPS)
def test_a_time_in_a_dst_gap_is_said_to_be_none_however_it_is_read(
    zone: str, written: str, tmp_path: Path, store: Databases
) -> None:
    place = Place(tmp_path, (table_with(Column("x", Type.DATETIME, zone=zone)),), store=store)
    time = datetime.fromisoformat(written)
    sources: list[Source | str] = [
        place.file("t.csv", f"id,x\n1,{written}\n2,soon\n"),
        place.file("t.jsonl", f'{{"id": 3, "x": "{written}"}}\n'),
        parquet(place, pa.array([time])),
    ]
    report = place.load("sequential", {"things": sources})
    told = {each.line: each.reasons[0].message for each in report.tables["things"].rejects if each.source == sources[0]}
    why = f"which does not exist in time zone {zone} (a DST gap)"
    assert told == {2: f"x must be a date and time, not '{written}', {why}", 3: "x must be a date and time, not 'soon'"}
    others = [each.reasons[0].message for each in report.tables["things"].rejects if each.source != sources[0]]
    assert [message.endswith(why) for message in others] == [True, True]
    assert report.tables["things"].reasons == {"x.not_datetime": 4}


HISTORY = [
    # Local mean time, clocks of two tables, either side of a change, and after the last year that tables list.
    ("Europe/Amsterdam", "1909-05-01 00:00:00"),
    ("Europe/Amsterdam", "1930-07-01T12:00:00"),
    ("America/Anchorage", "1967-03-31 23:30:00"),
    ("Africa/Monrovia", "1950-01-01 00:00:00.5"),
    ("Asia/Kolkata", "1945-10-14 23:59:59"),
    ("Pacific/Apia", "2011-12-29 23:59:59"),
    ("Europe/Berlin", "1945-05-24 03:00:00"),
    ("America/Sao_Paulo", "1963-10-23 01:30:00"),
    ("Australia/Lord_Howe", "2150-01-01 00:00:00"),
]


@pytest.mark.parametrize(("zone", "written"), HISTORY)
def test_a_time_without_a_zone_is_the_instant_that_zoneinfo_says_however_it_is_read(
    zone: str, written: str, tmp_path: Path, store: Databases
) -> None:
    """In all spellings of all formats: what Django would have made of it."""
    time = datetime.fromisoformat(written)
    instant = time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    place = Place(tmp_path, (table_with(Column("x", Type.DATETIME, zone=zone)),), store=store)
    plain, odd = time.isoformat(" "), f"{time.year}-{time.month}-{time.day} {time.time().isoformat()}"
    sources = [
        place.file("plain.csv", f"id,x\n1,{plain}\n2,{plain.replace(' ', 'T')}\n3,{instant.isoformat()}\n"),
        place.file("odd.csv", f"id,x\n4,{odd}\n"),
        place.file("things.jsonl", json.dumps({"id": 5, "x": plain}) + "\n" + json.dumps({"id": 6, "x": odd})),
    ]
    pyarrow.parquet.write_table(pa.table({"id": [7], "x": pa.array([time])}), tmp_path / "things.parquet")
    place.load("sequential", {"things": [*sources, str(tmp_path / "things.parquet")]})
    stored = {as_files_have_it(value) for _, value in place.rows("things")}
    assert [key for key, _ in place.rows("things")] == list(range(1, 8))
    assert stored == {as_files_have_it(instant)}


DECIMALS = {
    "0e39": 0.0,
    "-0e0099": 0.0,
    "0e99999999999": 0.0,
    "12e0": 12.0,
    "1E+00001": 10.0,
    "990e-1": 99.0,
    f"0.{'0' * 500}1e502": 10.0,
    "1e2": None,
    "0e-39": None,
    "1e99999999999": None,
    "1e-99999999999": None,
    f"{'9' * 20_000}x": None,
}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "text in jsonl"])
def test_a_decimal_with_any_exponent_is_its_value_or_a_reject(kind: str, tmp_path: Path, store: Databases) -> None:
    place = Place(tmp_path, (table_with(PRICE),), store=store)
    written = [number for number in DECIMALS if kind != "jsonl" or not number.endswith("x")]
    lines = {
        "csv": ["id,x", *(f"{key},{number}" for key, number in enumerate(written))],
        "jsonl": [f'{{"id": {key}, "x": {number}}}' for key, number in enumerate(written)],
        "text in jsonl": [json.dumps({"id": key, "x": number}) for key, number in enumerate(written)],
    }
    source = place.file(f"things.{kind.rpartition(' ')[2]}", "\n".join(lines[kind]))
    report = place.load("sequential", {"things": source}).tables["things"]
    wanted = {key: DECIMALS[number] for key, number in enumerate(written) if DECIMALS[number] is not None}
    assert {key: as_files_have_it(value) for key, value in place.rows("things")} == wanted
    assert report.given == len(written)
    assert set(report.reasons) <= {"x.too_many_digits", "x.not_number"}


def test_a_default_that_cannot_be_had_is_one_line(tmp_path: Path, store: Databases) -> None:
    def fail() -> None:
        raise RuntimeError("no\nluck")

    place = Place(tmp_path, (table_with(Column("x", Type.INTEGER, default=fail)),), store=store)
    with pytest.raises(ConfigurationError, match=r"^column x: its default cannot be computed: no luck$"):
        place.load("sequential", {"things": place.file("things.csv", "id\n1\n")})


def test_a_column_says_what_it_cannot_have() -> None:
    with pytest.raises(ConfigurationError, match="column x: 'No/Where' is no known time zone"):
        Column("x", Type.DATETIME, zone="No/Where")


@pytest.mark.only("sqlite")
def test_a_decimal_of_more_digits_than_sqlite_keeps_is_refused(tmp_path: Path, store: Databases) -> None:
    with pytest.raises(StoreError, match="SQLite keeps 15 significant digits"):
        Place(tmp_path, (table_with(Column("x", Type.DECIMAL)),), store=store)


# Of each type a column, and two values that a file may have for it, with what messages show of them.
OF_EACH_TYPE: dict[Type, tuple[Column, list[str], list[str]]] = {
    Type.INTEGER: (Column("x", Type.INTEGER), ["1", "-2"], ["1", "-2"]),
    Type.REAL: (Column("x", Type.REAL), ["0.5", "-2"], ["0.5", "-2.0"]),
    Type.TEXT: (Column("x", Type.TEXT), ["a", "é"], ["'a'", "'é'"]),
    Type.DECIMAL: (PRICE, ["1.5", "-0.05"], ["1.50", "-0.05"]),
    Type.BOOLEAN: (Column("x", Type.BOOLEAN), ["true", "false"], ["true", "false"]),
    Type.DATE: (DATE, ["2024-02-29", "0001-01-01"], ["2024-02-29", "0001-01-01"]),
    Type.DATETIME: (NAIVE, ["2024-02-29 10:00", "0001-01-01 00:00"], ["2024-02-29 10:00:00", "0001-01-01 00:00:00"]),
    Type.UUID: (Column("x", Type.UUID), ["0" * 32, "f" * 32], [f"'{'0' * 32}'", f"'{'f' * 32}'"]),
    Type.JSON: (Column("x", Type.JSON), ["[1]", "{}"], ["'[1]'", "'{}'"]),
    Type.TIME: (Column("x", Type.TIME), ["10:00:00", "23:59:59.5"], ["10:00:00", "23:59:59.500"]),
    Type.DURATION: (Column("x", Type.DURATION), ["1 02:03:04", "-1 00:00:00.5"], ["1 02:03:04", "-1 00:00:00.500000"]),
    Type.BINARY: (Column("x", Type.BINARY), ["/wA=", "AAAA"], ["'/wA='", "'AAAA'"]),
}


# Of types whose values are compared as texts, two that are next to each other.
NEIGHBOURS = [
    (Column("x", Type.TIME), ["10:00:00", "10:00:00.000001"]),
    (Column("x", Type.DURATION), ["00:00:01", "00:00:01.000001"]),
    (NAIVE, ["2024-02-29 10:00:00", "2024-02-29 10:00:00.000001"]),
    (Column("x", Type.REAL), ["0.1", "0.10000000000000002"]),
    (PRICE, ["0.01", "0.10"]),
    (Column("x", Type.BINARY), ["AAAA", "AAAB"]),
]


@pytest.mark.parametrize(("column", "values"), NEIGHBOURS, ids=lambda each: getattr(each, "type", None))
def test_values_of_several_columns_are_the_same_just_where_they_are_stored_as_the_same(
    column: Column, values: list[str], tmp_path: Path, mode: str, store: Databases
) -> None:
    columns = (Column("id", Type.INTEGER, generated=True), Column("number", Type.INTEGER), column)
    place = Place(tmp_path, (Table("things", "things", columns),), store=store)
    path = place.file("things.csv", "".join(["number,x\n", *(f"1,{value}\n" for value in values)]))
    match = {"things": ("number", "x")}
    first, second = (place.load(mode, {"things": path}, match=match).tables["things"] for _ in range(2))
    assert (first.inserted, first.rejected) == (2, 0)
    assert (second.unchanged, second.rejected) == (2, 0)


def test_the_zeros_of_both_signs_are_one_value_of_several(tmp_path: Path, mode: str, store: Databases) -> None:
    columns = (Column("id", Type.INTEGER), Column("number", Type.INTEGER), Column("x", Type.REAL))
    things = Table("things", "things", columns, unique_together=(("number", "x"),))
    place = Place(tmp_path, (things,), store=store)
    first = place.file("things.csv", "id,number,x\n1,1,-0.0\n2,1,0.0\n")
    assert reject_names(place.load(mode, {"things": first}), "things") == [(3, 3, ["unique"])]
    second = place.file("more.csv", "id,number,x\n3,1,0\n4,1,-0.0\n")
    assert reject_names(place.load(mode, {"things": second}), "things") == [(2, 2, ["unique"]), (3, 3, ["unique"])]


@pytest.mark.parametrize(("kind", "shown"), [("us", "10:00:00.500"), ("ns", "10:00:00.000000001"), ("s", "10:00:00")])
def test_a_reject_of_parquet_keeps_all_of_a_time_of_day(
    kind: str, shown: str, tmp_path: Path, mode: str, store: Databases
) -> None:
    place = Place(tmp_path, (table_with(Column("x", Type.TIME)),), store=store)
    second = {"s": 1, "us": 10**6, "ns": 10**9}[kind]
    time = 36_000 * second + {"s": 0, "us": 500_000, "ns": 1}[kind]
    values = pa.array([time, time], pa.time32("s") if kind == "s" else pa.time64(kind))
    path = place.directory / "things.parquet"
    pa.parquet.write_table(pa.table({"id": pa.array([None, None], pa.int64()), "x": values}), path)
    rejects = place.load(mode, {"things": str(path)}).tables["things"].rejects
    assert [reject.record["x"] for reject in rejects] == [shown, shown]


@pytest.mark.parametrize("kind", [kind for kind in Type if kind is not Type.OTHER], ids=lambda kind: kind.value)
def test_messages_show_values_of_every_type(kind: Type, tmp_path: Path, mode: str, store: Databases) -> None:
    column, values, shown = OF_EACH_TYPE[kind]

    def fail(_: Any) -> bool:
        raise ZeroDivisionError

    odd = Rule("odd", ("x",), "x is odd", pl.col("x").map_elements(fail, return_dtype=pl.Boolean))
    strict = Table("strict", "things", table_with(column).columns, rules=(odd,))
    place = Place(tmp_path, (table_with(column), strict), store=store)

    def messages(table: str, lines: list[str]) -> list[str]:
        path = place.file(f"{table}.csv", "\n".join(["id,x", *lines]))
        rejects = place.load(mode, {table: path}).tables[table].rejects
        return [reason.message for reject in rejects for reason in reject.reasons]

    assert messages("things", [f"1,{values[0]}", f"2,{values[1]}"]) == []
    differing = messages("things", [f"1,{values[1]}", f"2,{values[0]}"])
    assert [message.partition("other values: ")[2].partition(" (")[0] for message in differing] == [
        f"x {shown[0]}, not {shown[1]}",
        f"x {shown[1]}, not {shown[0]}",
    ]
    [failed] = messages("strict", [f"1,{values[0]}"])
    assert failed.startswith(f"rule odd failed for {shown[0]}")


FINE = " (finer than a microsecond)"


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        (PRICE, "7.999", "x has too many digits: {} (at most 2 decimal places)"),
        (PRICE, "100.999", "x has too many digits: {}"),
        (PRICE, "100", "x has too many digits: {}"),
        (Column("x", Type.DECIMAL, digits=4, places=1), "1.25", "x has too many digits: {} (at most 1 decimal place)"),
        (NAIVE, "2024-01-02 03:04:05.1234567", "x is out of range: {}" + FINE),
        (BERLIN, "0001-01-01T00:00:00Z", None),
        (BERLIN, "0001-01-01T00:00:00", "x is out of range: {}"),
        (Column("x", Type.TIME), "03:04:05.1234567", "x is out of range: {}" + FINE),
        (Column("x", Type.DURATION), "0.0000001", "x is out of range: {}" + FINE),
    ],
)
def test_messages_say_what_of_a_value_is_too_fine(place: Place, column: Column, text: str, message: str | None) -> None:
    place = Place(place.directory, (table_with(column),))
    files = {
        "things.csv": (f"id,x\n1,{text}\n", f"'{text}'"),
        "things.jsonl": (json.dumps({"id": 2, "x": text}) + "\n", f'"{text}"'),
    }
    for name, (content, shown) in files.items():
        report = place.load("sequential", {"things": place.file(name, content)})
        said = [each.reasons[0].message for each in report.tables["things"].rejects]
        assert said == ([] if message is None else [message.format(shown)])
