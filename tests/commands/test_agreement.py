"""What the loader accepts is what `Model.full_clean()` accepts, and it stores what `Model.save()` stores."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils.duration import duration_iso_string
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.commands.conftest import EVERY_STORE
from tests.commands.hostile_kinds import ADDRESSES, AMOUNTS, BYTES, CLOCKS, LASTING, PATHS, PIECES, SHADES
from tests.commands.hostile_values import (
    BERLIN,
    BOOLEANS,
    DATA,
    DAYS,
    DECIMALS,
    DURATIONS,
    FIELDS,
    JSON,
    MARKS,
    MOMENTS,
    NEEDED,
    NOT_NULL,
    NUMBERS,
    OF_SERVERS,
    TIMES,
    WORDS,
)
from tests.commands.project import Oracle, ServedShop, Shop
from tests.tiers import amounts

# A field's value as CSV has it; None is a field with nothing in it.
Value = str | None


def _strict(text: str) -> bool:
    return bool(re.search(r"[\s_]|[^\x00-\x7f]", text))


def _left_out(text: str) -> bool:
    """Return whether a time is in a DST gap of Berlin."""
    try:
        time = datetime.fromisoformat(re.sub(r"\b(\d)\b", r"0\1", text))
    except ValueError:
        return False
    there_and_back = time.replace(tzinfo=BERLIN).astimezone(UTC).astimezone(BERLIN)
    return time.tzinfo is None and there_and_back.replace(tzinfo=None) != time


def _loose(text: str) -> bool:
    """Return whether JSON says something twice, or has what is no number."""
    found: list[object] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(pairs if len(dict(pairs)) < len(pairs) else [])
        return dict(pairs)

    return "inf" in repr(json.loads(text, object_pairs_hook=keep, parse_constant=found.append)) or bool(found)


# Where the loader means to judge otherwise than Django: the reason, and what shows it of a field and a text.
Difference = Callable[[str, str, str], bool]
STRICTER: dict[str, Difference] = {
    "what is no text has no spaces, underscores or digits of other scripts": lambda model, field, text: (
        model != "shop.Text" and field not in JSON and _strict(text)
    ),
    "int() takes signs and 0x for digits of a UUID": lambda _, field, text: (
        field.endswith("mark") and bool(re.search("[+]|0[xX]", text))
    ),
    "an integer that no real is, or a number too near to zero, is no real": lambda _, field, text: (
        field.startswith("real") and (text.strip("+-").isdigit() or bool(re.search("[1-9].*[eE]-", text)))
    ),
    "a real is finite": lambda _, field, text: (
        field.startswith("real") and bool(re.fullmatch("[+-]?(nan|inf|infinity)|.*[eE][+]?[0-9]{3,}", text.lower()))
    ),
    "two quotes with nothing between them are empty text, never null": lambda _, field, text: (
        field.endswith("flag") and not text
    ),
    "what is finer than a microsecond is not cut off": lambda _, field, text: (
        (field in MOMENTS or field in DURATIONS) and bool(re.search(r"[.,]\d{6}\d*[1-9]", text))
    ),
    "a time of day has no zone": lambda _, field, text: (
        field in MOMENTS and bool(re.search(r"(Z| ?[+-]\d\d[\d:.,]*)$", text))
    ),
    "nothing is no duration": lambda _, field, text: field in DURATIONS and not text,
    "bytes are written in the one way in which base64 has them": lambda _, field, text: (
        field.endswith("content") and b64encode(b64decode(text)).decode() != text
    ),
    "an hour that clocks leave out is no time": lambda _, field, text: field == "at" and _left_out(text),
    "no text has a NUL": lambda _model, _field, text: "\0" in text,
    "a key of a JSON object comes once, and numbers are finite": lambda _, field, text: field in JSON and _loose(text),
}
OF_FILES: dict[str, Difference] = {
    "SQLite keeps 15 digits of a decimal": lambda _, field, text: (
        field in DECIMALS and len(re.sub("[eE].*|[^0-9]", "", text).strip("0")) > 15
    ),
}
# PostgreSQL keeps such a time, but in UTC.
WITHOUT_ZONES: dict[str, Difference] = {
    "a time without a zone names none": lambda _, field, text: (
        field == "at" and bool(re.search(r"(Z| ?[+-]\d\d[\d:.,]*)$", text))
    ),
}
LAXER: dict[str, Difference] = {
    "booleans may be written in capitals or not": lambda _, field, text: (
        field.endswith("flag") and text.lower() in {"true", "false", "t", "f"}
    ),
    "a server takes no zone that is 16 hours away, but is given UTC": lambda _, field, text: (
        field == "at" and bool(re.search(r"[+-](1[6-9]|2[0-3]):?\d\d$", text))
    ),
}


def sources(label: str, tried: Sequence[tuple[str, Value]]) -> list[dict[str, Value]]:
    """Return a record for each value tried in a field, numbered, with good values in the others."""
    return [{"id": str(n), **NEEDED[label], field: value} for n, (field, value) in enumerate(tried, 1)]


def write_csv(path: Path, columns: Sequence[str], records: Sequence[dict[str, Value]]) -> None:
    """Write CSV with quotes around all values but null."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(columns) + "\n")
        for record in records:
            cells = [record.get(name) for name in columns]
            file.write(",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\n")


def compare(
    oracle: Oracle,
    label: str,
    tried: Sequence[tuple[str, Value]],
    directory: Path,
    stricter: Mapping[str, Difference] = STRICTER,
) -> dict[str, int]:
    """Load what was tried, and hold it against Django's answers; how often each known difference came."""
    stricter = stricter if isinstance(oracle.shop, ServedShop) else {**stricter, **OF_FILES}
    records = sources(label, tried)
    expected = oracle.ask("judge", label, _as_django_reads(label, records))
    path = directory / "tried.csv"
    write_csv(path, ["id", *FIELDS[label]], records)
    report = oracle.manage("insert_data", f"{label}={path}", f"--report-rejects={len(records)}")
    [table] = report["tables"].values()
    rejected = {int(reject["record"]["id"]): reject["reasons"] for reject in table["rejects"]}
    loaded = oracle.ask("rows", label)
    oracle.ask("empty", label)

    seen: dict[str, int] = {}
    unexplained = []
    for number, ((field, text), problem) in enumerate(zip(tried, expected["problems"], strict=True), 1):
        if (number in rejected) == (problem is not None):
            continue
        differences = stricter if problem is None else LAXER
        reason = next((why for why, holds in differences.items() if holds(label, field, text or "")), None)
        if reason is None:
            unexplained.append((field, text, problem, rejected.get(number)))
        else:
            seen[reason] = seen.get(reason, 0) + 1
    assert not unexplained, "\n".join(map(str, unexplained))
    for kind in ("stored", "read"):
        by_key = {row[0]: row for row in expected[kind]}
        ours = {row[0]: row for row in loaded[kind]}
        both = by_key.keys() & ours.keys()
        assert len(both) == len(records) - len(rejected) - sum(map(seen.get, LAXER, [0] * len(LAXER)))
        pairs = [(key, *map(_unsigned, pair)) for key in both for pair in zip(ours[key], by_key[key], strict=True)]
        assert not [pair for pair in pairs if pair[1] != pair[2]]
    return seen


def _unsigned(value: str) -> str:
    """Return a server's zero without its sign, which psycopg loses when Django saves it."""
    return {"double precision '-0'": "double precision '0'", "-0.0": "0.0"}.get(value, value)


def _as_django_reads(label: str, records: Sequence[dict[str, Value]]) -> list[dict[str, Value]]:
    """Return records in which columns that one lacks are null or, in CSV, empty text, not the model's default."""
    nothing: dict[str, Value] = dict.fromkeys(FIELDS[label])
    whole = [{**nothing, **record} for record in records]
    return [{name: "" if text is None and name in NOT_NULL else text for name, text in each.items()} for each in whole]


@pytest.fixture(scope="module", params=["files", pytest.param("server", marks=pytest.mark.wide)])
def without_zones(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Give an oracle whose settings have USE_TZ = False."""
    directory = tmp_path_factory.mktemp("shop")
    if request.param == "files":
        shop = Shop(directory, PROJECT_USE_TZ="0")
    else:
        shop = ServedShop(directory, request.getfixturevalue("server"), PROJECT_USE_TZ="0")
    shop.create()
    with Oracle(shop) as oracle:
        yield oracle


@EVERY_STORE
@pytest.mark.parametrize("label", [label for label in FIELDS if label != OF_SERVERS])
def test_hostile_values_of_every_field_are_judged_and_stored_as_django_does(
    oracle: Oracle, label: str, tmp_path: Path
) -> None:
    tried: list[tuple[str, Value]] = [
        (field, value) for field, values in FIELDS[label].items() for value in [None, *values]
    ]
    compare(oracle, label, tried, tmp_path)


@pytest.mark.parametrize("oracle", ["new_served_shop"], indirect=True, scope="module")
def test_hostile_values_of_arrays_and_ranges_are_judged_and_stored_as_django_does(
    oracle: Oracle, tmp_path: Path
) -> None:
    tried: list[tuple[str, Value]] = [
        (field, value) for field, values in FIELDS[OF_SERVERS].items() for value in [None, *values]
    ]
    compare(oracle, OF_SERVERS, tried, tmp_path)


LIMITS = ["2000-06-01 12:00", "2000-06-01 11:59:59.999999", "2030-06-01T12:00:00", "2030-06-01 12:00:00.000001", "x"]


def test_times_without_zones_are_judged_and_stored_as_django_does(without_zones: Oracle, tmp_path: Path) -> None:
    stricter = STRICTER | WITHOUT_ZONES
    seen = compare(without_zones, "shop.Moment", [("at", each) for each in [None, *TIMES]], tmp_path, stricter)
    # Files have times as they are, whatever clocks show.
    assert ("an hour that clocks leave out is no time" in seen) == isinstance(without_zones.shop, ServedShop)
    compare(without_zones, "shop.Bounded", [("at", each) for each in [None, *LIMITS]], tmp_path, stricter)


@EVERY_STORE
def test_times_with_zones_are_held_to_limits_as_django_does(oracle: Oracle, tmp_path: Path) -> None:
    zones = [f"{time}{zone}" for time in LIMITS for zone in ("+02:00", "Z", "+01:00", "-11:30")]
    compare(oracle, "shop.Bounded", [("at", each) for each in [None, *zones]], tmp_path)


def mutations(values: Sequence[str]) -> st.SearchStrategy[str]:
    """Generate the hostile values, with some characters changed."""
    pieces = st.sampled_from([*"0159-+.,:eE TZ_{}[]\"'@/\n", "", "é", "00", "٣", "1e", "null"])
    changes = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), pieces), min_size=1, max_size=3)
    return st.builds(_changed, st.sampled_from(values), changes)


def _changed(text: str, changes: Sequence[tuple[int, int, str]]) -> str:
    for place, length, piece in changes:
        text = text[:place] + piece + text[place + length :]
    return text


def _spelled(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.one_of(*(kind.map(str) for kind in kinds))


zones = st.sampled_from(["", "", "Z", "+01:00", "-03:30", "+14:00"])
decimals = st.decimals(-2000, 2000, places=2)
addresses = st.from_regex(r"https?://[a-z.:/?#-]{1,20}", fullmatch=True)
days = st.from_regex(r"[0-9]{4}-?[W0-9]{2}-?[0-9]{1,2}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(max_size=3)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)
SPELLED: list[tuple[list[str], st.SearchStrategy[str]]] = [
    (NUMBERS, _spelled(st.integers(), st.integers(-9, 9), st.floats(), st.decimals(), decimals)),
    (BOOLEANS, st.text(max_size=5)),
    (WORDS, st.one_of(st.text(max_size=8), st.emails(), addresses)),
    (DAYS, _spelled(st.dates(), days)),
    (TIMES, st.builds(lambda time, zone: str(time) + zone, st.datetimes(), zones)),
    (MARKS, _spelled(st.uuids())),
    (CLOCKS, _spelled(st.times())),
    (LASTING, st.timedeltas(max_value=timedelta(days=10**8)).map(duration_iso_string) | _spelled(st.timedeltas())),
    (ADDRESSES, _spelled(st.ip_addresses())),
    (PATHS, st.text(max_size=20)),
    (BYTES, st.binary(max_size=5).map(lambda value: b64encode(value).decode())),
    (AMOUNTS, _spelled(decimals)),
    (PIECES, st.text(max_size=5)),
    (SHADES, st.text(max_size=1)),
    (DATA, documents.map(json.dumps)),
]


def values_of(hostile: list[str]) -> st.SearchStrategy[Value]:
    spelled = next(strategy for values, strategy in SPELLED if values is hostile)
    texts = st.one_of(spelled, mutations(hostile), st.sampled_from(hostile))
    # CSV is UTF-8, which has no half surrogates.
    return st.none() | texts.filter(lambda text: not re.search("[\ud800-\udfff]", text))


def attempts(label: str) -> st.SearchStrategy[list[tuple[str, Value]]]:
    one = [st.tuples(st.just(field), values_of(hostile)) for field, hostile in FIELDS[label].items()]
    return st.lists(st.one_of(one), min_size=30, max_size=60)


# An example is dozens of values: to make a failing one smaller would take minutes, and the message names the value.
PHASES = (Phase.explicit, Phase.generate)
GENERATED = [label for label in FIELDS if label not in {"shop.Bounded", OF_SERVERS}]


def _generated(oracle: Oracle, label: str, directory: Path, examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None, phases=PHASES)
    @given(tried=attempts(label))
    def agree(tried: list[tuple[str, Value]]) -> None:
        compare(oracle, label, tried, directory)

    agree()


@amounts(2, 8)
@pytest.mark.parametrize("label", GENERATED)
def test_generated_values_are_judged_and_stored_as_django_does(
    oracle: Oracle, label: str, tmp_path: Path, amount: int
) -> None:
    _generated(oracle, label, tmp_path, amount)


@pytest.mark.long
@EVERY_STORE
@pytest.mark.parametrize("label", GENERATED)
def test_many_generated_values_are_judged_and_stored_as_django_does(oracle: Oracle, label: str, tmp_path: Path) -> None:
    # A server takes ten times as long for records that are saved one by one.
    _generated(oracle, label, tmp_path, 60 if isinstance(oracle.shop, ServedShop) else 400)
