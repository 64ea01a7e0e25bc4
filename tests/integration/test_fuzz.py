"""Whole files of anything at all: each load is what reading them in plain Python, record by record, makes of them.

Every example is loaded in every mode, each time with another batch size, block size and number of records per commit:
so all of them agree with each other too. The plain reading is in `tests.plain`, and there is no file of which the two
may differ; that module says where the loader is stricter than Python's own readers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from async_loader import LoaderError, Report, Source, Table
from async_loader.sources import csv_blocks, jsonl
from tests.integration.strange_files import TABLES, File, Way, any_files, csv_files, json_files, packed_files
from tests.plain import Outcome, outcomes
from tests.sample import MODES, Place, comparable, names
from tests.stores import Databases

# What is read does not depend on where it goes.
pytestmark = pytest.mark.short("sqlite")

# An example is some files: to make a failing one smaller would take minutes, and it can be read as it is.
PHASES = (Phase.explicit, Phase.generate)
LONG = settings(max_examples=1_000, phases=PHASES)


def lengths(short: int, wide: int) -> pytest.MarkDecorator:
    """Run a test with a few examples, always the same, and where there is time with more of its own choice."""
    return pytest.mark.parametrize(
        "length",
        [
            pytest.param(settings(max_examples=short, derandomize=True, phases=PHASES), id="short"),
            pytest.param(settings(max_examples=wide, phases=PHASES), id="wide", marks=pytest.mark.wide),
            pytest.param(LONG, id="long", marks=pytest.mark.long),
        ],
    )


@dataclass(frozen=True)
class Loads:
    """One example: the sources of each table, and a way for each mode."""

    files: dict[str, list[File]]
    ways: list[Way]


def loads(file: Callable[[Table], st.SearchStrategy[File]]) -> st.SearchStrategy[Loads]:
    """Generate one to three such files for each table."""
    # A byte order mark is looked for in the first block, which is never shorter than that.
    bytes_at_once = st.integers(4, 300) | st.just(2 << 20)
    on_conflict = st.sampled_from(["reject", "update", "stop"])
    ways = st.builds(Way, bytes_at_once, st.integers(1, 50), st.integers(0, 7), on_conflict)
    files = st.fixed_dictionaries({table.name: st.lists(file(table), min_size=1, max_size=3) for table in TABLES})
    return st.builds(Loads, files, st.lists(ways, min_size=len(MODES), max_size=len(MODES)))


@lengths(3, 20)
def test_nearly_valid_csv_is_loaded_as_plain_python_reads_it(length: settings, store: Databases) -> None:
    length(given(loads(csv_files), st.just(store))(all_modes_agree_with_plain_python))()


@lengths(3, 20)
def test_nearly_valid_json_lines_are_loaded_as_plain_python_reads_them(length: settings, store: Databases) -> None:
    length(given(loads(json_files), st.just(store))(all_modes_agree_with_plain_python))()


@lengths(3, 20)
def test_any_bytes_at_all_are_loaded_as_plain_python_reads_them(length: settings, store: Databases) -> None:
    length(given(loads(any_files), st.just(store))(all_modes_agree_with_plain_python))()


@lengths(3, 20)
def test_a_packed_file_with_other_bytes_in_it_is_loaded_or_refused_alike_in_all_modes(
    length: settings, store: Databases
) -> None:
    """What such a file should hold is not known: a changed byte that no checksum covers is read as it stands."""
    length(given(packed_files(), st.just(store))(all_modes_load_or_refuse_alike))()


def all_modes_load_or_refuse_alike(file: File, store: Databases) -> None:
    with tempfile.TemporaryDirectory() as directory:
        sources = _written({"things": [file]}, Path(directory))
        results = [_outcome(mode, sources, _place(Path(directory) / mode, store)) for mode in MODES]
    assert all(result == results[0] for result in results)


def _outcome(mode: str, sources: dict[str, list[Source]], place: Place) -> tuple[str, dict[str, Any], list[Any]]:
    report: Report | None
    try:
        told, report = "", place.load(mode, sources)
    except LoaderError as error:
        told, report = str(error), error.report
    assert len(told.splitlines()) <= 1
    assert report is not None
    counts = report.tables["things"]
    if not told:
        assert counts.given == counts.inserted + counts.rejected
    assert len(place.rows("things")) == counts.inserted
    return told, comparable(report), place.rows("things")


def all_modes_agree_with_plain_python(example: Loads, store: Databases) -> None:
    reads = {table.name: [file.read(table) for file in example.files[table.name]] for table in TABLES}
    readable = {name: [read for read in found if read is not None] for name, found in reads.items()}
    with tempfile.TemporaryDirectory() as directory:
        sources = _written(example.files, Path(directory))
        load = _refusal if readable != reads else _load
        results = [
            load(mode, way, sources, _place(Path(directory) / mode, store), outcomes(TABLES, readable))
            for mode, way in zip(MODES, example.ways, strict=True)
        ]
    assert all(result == results[0] for result in results)


def _written(files: dict[str, list[File]], directory: Path) -> dict[str, list[Source]]:
    return {
        name: [file.source(directory / f"{name}-{number}") for number, file in enumerate(each)]
        for name, each in files.items()
    }


def _performed(mode: str, way: Way, sources: dict[str, list[Source]], place: Place) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "BLOCK", way.block)
        patch.setattr(jsonl, "BLOCK", way.block)
        options = {name: getattr(way, name) for name in ("batch_size", "commit_every", "on_conflict")}
        return place.load(mode, sources, report_rejects=10_000, **options)


def _refusal(
    mode: str, way: Way, sources: dict[str, list[Source]], place: Place, _: dict[str, Outcome]
) -> dict[str, Any]:
    """Check that a source that cannot be read is one line, and that nothing is kept."""
    with pytest.raises(LoaderError) as caught:
        _performed(mode, way, sources, place)
    assert len(str(caught.value).splitlines()) == 1
    assert all(place.rows(table.name) == [] == place.stored_rejects(table.name) for table in TABLES)
    assert caught.value.report is not None
    return comparable(caught.value.report)


def _load(
    mode: str, way: Way, sources: dict[str, list[Source]], place: Place, expected: dict[str, Outcome]
) -> dict[str, Any]:
    """Check that what is stored and reported is as expected, and that loading it again changes nothing."""
    report = _performed(mode, way, sources, place)
    for table in TABLES:
        _check(place, table, report, expected[table.name], [source.path for source in sources[table.name]])
    json.dumps(report.as_dict(), allow_nan=False, ensure_ascii=False).encode()
    told = comparable(report)
    for each in told["tables"].values():
        # They are named in the order in which blocks have them.
        each["ignored_columns"] = sorted(each["ignored_columns"])
    again = _performed(mode, way, sources, place)
    for table in TABLES:
        counts, rows = again.tables[table.name], place.rows(table.name)
        assert rows == sorted(expected[table.name].rows.values())
        assert (counts.inserted, counts.updated, counts.unchanged) == (0, 0, len(rows))
        assert counts.given - counts.rejected == len(rows)
    return told


def _check(place: Place, table: Table, report: Report, expected: Outcome, paths: Sequence[str]) -> None:
    rows = place.rows(table.name)
    assert rows == sorted(expected.rows.values())
    assert [list(map(type, row)) for row in rows] == [list(map(type, row)) for row in sorted(expected.rows.values())]
    found = report.tables[table.name]
    counts = (found.given, found.inserted, found.updated, found.unchanged, found.rejected)
    assert counts == (expected.given, len(rows), 0, 0, len(expected.rejects))
    columns = "given, inserted, updated, unchanged, rejected"
    assert place.query(table.database, f"SELECT {columns} FROM loader_runs") == [counts]
    stored = place.query(
        table.database, "SELECT source, line, line_end, record, reasons FROM loader_rejects ORDER BY id"
    )
    wanted = [(paths[number], read, reasons) for number, read, reasons in expected.rejects]
    assert [(source, line, line_end) for source, line, line_end, _, _ in stored] == [
        (path, read.line, read.line_end) for path, read, _ in wanted
    ]
    for (*_, record, reasons), (_, read, codes) in zip(stored, wanted, strict=True):
        assert names(json.loads(reasons)) == codes
        assert (record if isinstance(read.kept, str) else json.loads(record)) == read.kept
    assert [(reject.source, reject.line) for reject in found.rejects] == [row[:2] for row in stored]


def _place(directory: Path, store: Databases) -> Place:
    directory.mkdir()
    return Place(directory, TABLES, store=store)
