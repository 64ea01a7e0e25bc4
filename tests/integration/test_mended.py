"""A file of rejects that is mended and loaded is read as the run read its source that rejected them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import python_calamine
import xlsxwriter

from async_loader import Options, RejectFilter, Report, Run, Source, SourceError, StoredRejects, Tell
from tests.integration.library import MATCH, PEOPLE, TABLES
from tests.sample import Place
from tests.stores import Databases

pytestmark = pytest.mark.turns("mode", "store")

ROWS: list[dict[str, Any]] = [
    {"wer": "", "mail": "a@x", "alter": "-"},
    {"wer": "", "mail": "b@x", "alter": "7"},
    {"wer": "Cy", "mail": "c@x", "alter": "8"},
]
READ: dict[str, Any] = {
    "names": {"name": "wer", "email": "mail", "age": "alter"},
    "means_null": ("-",),
}


@pytest.fixture
def people(tmp_path: Path, store: Databases) -> Place:
    """Return fresh databases in which a row is that new records find."""
    place = Place(tmp_path, TABLES, store)
    place.load("sequential", {"people": place.file("b.csv", "email,name,age\nb@x,Bo,6\n")}, match=MATCH)
    return place


def write(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    """Write records as a source of the path's format."""
    columns = list(rows[0])
    if path.suffix in (".jsonl", ".json", ".parquet"):
        rows = [row | {"alter": None if row["alter"] in ("-", None) else int(row["alter"])} for row in rows]
    match path.suffix:
        case ".csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns, delimiter=delimiter)
                writer.writeheader()
                writer.writerows(rows)
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".json":
            path.write_text(json.dumps(rows))
        case ".parquet":
            pl.DataFrame(rows).write_parquet(path)
        case _:
            with xlsxwriter.Workbook(path) as book:
                sheet = book.add_worksheet()
                for place, row in enumerate([columns, *(list(row.values()) for row in rows)]):
                    sheet.write_row(place, 0, row)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Read the records of a file that `write` could have written, as a person does to mend it."""
    match path.suffix:
        case ".csv":
            delimiter = ";" if ";" in path.read_text().partition("\n")[0] else ","
            return list(csv.DictReader(io.StringIO(path.read_text()), delimiter=delimiter))
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".json":
            rows: list[dict[str, Any]] = json.loads(path.read_text())
            return rows
        case ".parquet":
            return pl.read_parquet(path).to_dicts()
        case _:
            names, *lines = python_calamine.load_workbook(path).get_sheet_by_index(0).to_python()
            return [dict(zip(map(str, names), line, strict=True)) for line in lines]


def mended(place: Place, name: str, **changes: str) -> Path:
    """Export the rejects, and give their records other values."""
    exported = StoredRejects(place.tables, place.databases).export(RejectFilter(), place.directory / f"bad-{name}")
    assert exported is not None
    [(path, _, _)] = exported.files
    return write(path, [row | changes for row in read(path)], ";")


def load(place: Place, mode: str, source: str | Source | Path, **options: Any) -> tuple[Report, list[str]]:
    """Load people, with what is said meanwhile."""
    told: list[str] = []
    run = Run(
        place.tables,
        {"people": source if isinstance(source, Source) else str(source)},
        place.databases,
        Options(**options),
        mode=mode,
        show=lambda event: told.append(event.text) if isinstance(event, Tell) else None,
    )
    return run.perform(), told


def rows_of(place: Place) -> list[tuple[Any, ...]]:
    return place.query("users", "SELECT id, name, email, age FROM people ORDER BY id")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet", ".xlsx"])
def test_a_mended_file_needs_no_option_of_its_run(people: Place, mode: str, suffix: str) -> None:
    source = write(people.directory / f"p{suffix}", ROWS, ";")
    first, _ = load(people, mode, Source(str(source), delimiter=";", **READ), match=MATCH)
    assert (first.tables["people"].inserted, first.tables["people"].rejected) == (1, 2)
    file = mended(people, f"p{suffix}", wer="Ann")
    dry, _ = load(people, mode, file, dry_run=True, on_conflict="update")
    report, told = load(people, mode, file, on_conflict="update")
    for counts in (dry.tables["people"], report.tables["people"]):
        assert (counts.inserted, counts.updated, counts.rejected) == (1, 1, 0)
    assert [row[1:] for row in rows_of(people)] == [("Ann", "b@x", 7), ("Cy", "c@x", 8), ("Ann", "a@x", None)]
    assert people.stored_rejects("people") == []
    assert told[0].startswith(
        f"{file}: read as in run {first.run}, with --map people.age=alter --map people.email=mail"
    )
    again, _ = load(people, mode, file, on_conflict="update")
    assert again.tables["people"].unchanged == 2


def test_a_record_that_fails_again_is_still_read_as_its_run_read_it(people: Place, mode: str) -> None:
    source = write(people.directory / "p.csv", ROWS, ";")
    load(people, mode, Source(str(source), delimiter=";", **READ), match=MATCH)
    file = mended(people, "p.csv")
    assert load(people, mode, file)[0].tables["people"].reasons["name.not_empty"] == 2
    text = file.read_text()
    file.write_text(text.replace(";a@x", "Ann;a@x", 1))
    assert load(people, mode, file)[0].tables["people"].inserted == 1
    assert len(people.stored_rejects("people")) == 1


@pytest.mark.parametrize(
    "columns", [["_reject", "wer", "mail", "alter"], ["mail", "_reject", "wer"], ["wer", "mail", "_reject"]]
)
def test_only_the_name_of_the_reject_must_stay(people: Place, mode: str, columns: list[str]) -> None:
    """Whichever program has saved the file, in whichever order, without the columns that are for people."""
    source = write(people.directory / "p.csv", ROWS)
    load(people, mode, Source(str(source), **READ), match=MATCH)
    file = mended(people, "p.csv", wer="Ann")
    write(file, [{name: row[name] for name in columns} for row in read(file)], "\t")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    report, _ = load(people, mode, file, on_conflict="update")
    assert (report.tables["people"].inserted, report.tables["people"].updated) == (1, 1)
    assert people.stored_rejects("people") == []


def test_options_that_are_given_come_first_and_a_line_says_so(people: Place, mode: str) -> None:
    source = write(people.directory / "p.csv", ROWS)
    first, _ = load(people, mode, Source(str(source), **READ), match=MATCH)
    exported = StoredRejects(people.tables, people.databases).export(RejectFilter(), people.directory / "bad.csv")
    assert exported is not None
    path = exported.files[0][0]
    said = Source(str(path), constants={"name": "Eve"}, means_null=("?",))
    report, told = load(people, mode, said, match={"people": ("name", "email")})
    assert report.tables["people"].reasons == {"age.not_integer": 1}
    assert told[1] == (
        f"{path}: the options given come before those of run {first.run}, which had --map people.name=wer "
        "--null people=- --match people=email"
    )


def test_files_that_a_load_wrote_are_read_as_that_load_read_its_source(people: Place, mode: str) -> None:
    source = write(people.directory / "p.csv", ROWS, ";")
    rejected = people.directory / "rejected"
    first, _ = load(people, mode, Source(str(source), delimiter=";", **READ), match=MATCH, rejects_dir=rejected)
    file = rejected / first.run / "people.csv"
    write(file, [row | {"wer": "Ann"} for row in read(file)], ";")
    report, _ = load(people, mode, file, on_conflict="update")
    assert (report.tables["people"].inserted, report.tables["people"].updated) == (1, 1)


def test_a_mended_file_beside_one_whose_records_find_their_rows_otherwise_is_refused(people: Place, mode: str) -> None:
    source = write(people.directory / "p.csv", ROWS)
    load(people, mode, Source(str(source), **READ), match=MATCH)
    file = mended(people, "p.csv", wer="Ann")
    other = people.file("by_key.csv", "id,email,name\n9,d@x,Di\n")
    with pytest.raises(SourceError, match="find their rows in another way than those of other sources; load it by"):
        Run(people.tables, {"people": [str(file), other]}, people.databases, mode=mode).perform()


def test_what_another_run_says_of_another_table_is_not_asked(people: Place, mode: str) -> None:
    """The names of rejects lead to a run that did not load the table."""
    source = write(people.directory / "p.csv", ROWS)
    load(people, mode, Source(str(source), **READ), match=MATCH)
    file = mended(people, "p.csv", wer="Ann")
    with pytest.raises(SourceError, match="names no column of table shelves"):
        Run((PEOPLE, TABLES[1]), {"shelves": str(file)}, people.databases, mode=mode).perform()
