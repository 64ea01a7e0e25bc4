"""Rejects of a source in a format of its own are written, mended and tried again as the source was read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from async_loader import Format, RejectFilter, Retry, Run, Source, SourceError, StoredRejects, Table, less_than
from tests.integration.sales import SALES, as_date, stored
from tests.sample import Place, reject_names

BANK = Format(
    "bank",
    "csv",
    encoding="cp1252",
    delimiter=";",
    quote="'",
    skip_lines=2,
    decimal=",",
    thousands=".",
    date_format=["%d.%m.%Y"],
    true=["Ja"],
    false=["Nein"],
    null=["k.A."],
    names={"amount": "Betrag"},
)
BANK_WITHOUT_HEAD = replace(BANK, skip_lines=0, names={})
STATEMENT = """Bänk
Konto;1
id;name;Betrag;paid;day
1;Bäcker;1.488,69;Ja;31.12.2024
2;'d''Or';-x;Nein;01.01.2024
3;'a;b';1,00;vielleicht;k.A.
"""


@pytest.mark.parametrize("is_named", [True, False], ids=["by its format", "by its run"])
def test_rejects_are_written_and_read_as_their_source_is(sales: Place, mode: str, *, is_named: bool) -> None:
    path = sales.file("statement.csv", STATEMENT.encode("cp1252"))
    sales.load(mode, {"sales": Source(path, BANK)})
    assert stored(sales, "id", "name") == [(1, "Bäcker")]
    exported = StoredRejects((SALES,), sales.databases).export(RejectFilter(), sales.directory / "rejects.csv")
    assert exported is not None
    [(file, count, _)] = exported.files
    text = Path(file).read_bytes().decode("cp1252")
    assert (count, text.splitlines()[0]) == (2, "id;name;Betrag;paid;day;_line;_reasons;_reject")
    assert ";'d''Or';" in text
    mended = text.replace("-x", "-1.000,50").replace("vielleicht", "Ja")
    Path(file).write_bytes(mended.encode("cp1252"))
    report = sales.load(mode, {"sales": Source(str(file), BANK) if is_named else str(file)})
    assert reject_names(report, "sales") == []
    assert [(name, Decimal(str(amount))) for name, amount in stored(sales, "name", "amount")] == [
        ("Bäcker", Decimal("1488.69")),
        ("d'Or", Decimal("-1000.50")),
        ("a;b", Decimal(1)),
    ]


def test_rejects_are_tried_again_as_they_were_read(sales: Place, mode: str) -> None:
    strict = Table("sales", "sales", SALES.columns, rules=(less_than("weight", 10),))
    path = sales.file("s.csv", b"id;weight;day\n1;1.000,5;31.12.2024\n")
    first = Run((strict,), {"sales": Source(path, BANK_WITHOUT_HEAD)}, sales.databases, mode=mode).perform()
    assert first.tables["sales"].rejected == 1
    Retry((SALES,), RejectFilter(), sales.databases, mode=mode).perform()
    [(weight, day)] = stored(sales, "weight", "day")
    assert (weight, as_date(day)) == (1000.5, date(2024, 12, 31))


@pytest.mark.parametrize("kind", ["jsonl", "json"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_rejects_of_json_are_written_in_the_encoding_of_their_source(
    sales: Place, mode: str, kind: str, encoding: str
) -> None:
    records = ['{"id": 1, "name": "Bäcker"}', '{"id": 2, "name": "Müller €", "weight": "\\u263a"}']
    text = "\n".join(records) if kind == "jsonl" else f"[{','.join(records)}]"
    path = sales.file(f"s.{kind}", text.encode(encoding))
    sales.load(mode, {"sales": Source(path, Format(encoding=encoding))})
    exported = StoredRejects((SALES,), sales.databases).export(RejectFilter(), sales.directory / f"rejects.{kind}")
    assert exported is not None
    file = Path(exported.files[0][0])
    written = file.read_bytes().decode(encoding)
    assert "Müller €" in written
    file.write_bytes(written.replace('"\\u263a"', "1.5", 1).encode(encoding))
    sales.load(mode, {"sales": str(file)})
    assert stored(sales, "id", "name", "weight") == [(1, "Bäcker", None), (2, "Müller €", 1.5)]


@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_a_byte_of_json_that_is_no_text_is_a_reject_that_names_it(sales: Place, mode: str, kind: str) -> None:
    records = [b'{"id": 1, "name": "B\xe4cker"}', b'{"id": 2, "name": "M\xfc\x81ller"}', b'{"id": 3, "\x81": 1}']
    content = b"\n".join(records) if kind == "jsonl" else b"[" + b",".join(records) + b"]"
    report = sales.load(mode, {"sales": Source(sales.file(f"s.{kind}", content), Format(encoding="cp1252"))})
    assert stored(sales, "id", "name") == [(1, "Bäcker")]
    first, second = report.tables["sales"].rejects
    assert first.record == {"_raw": r'{"id": 2, "name": "Mü\x81ller"}'}
    assert [(each.code, each.message) for each in (*first.reasons, *second.reasons)] == [
        ("invalid_encoding", "the record is not text in its encoding: byte 0x81 at character 22"),
        ("invalid_encoding", "the record is not text in its encoding: byte 0x81 at character 12"),
    ]
    Retry((SALES,), RejectFilter(), sales.databases, mode=mode).perform()
    assert sales.query("sales", "SELECT count(*) FROM loader_rejects") == [(2,)]


def test_json_that_is_none_says_where_in_plain_words(sales: Place, mode: str) -> None:
    path = sales.file("s.jsonl", '{"id": 1, "name": "a\x01"}\n')
    [reject] = sales.load(mode, {"sales": path}).tables["sales"].rejects
    assert [reason.message for reason in reject.reasons] == ["invalid control character at character 21"]


def test_a_byte_of_json_that_is_no_utf_8_is_named_as_well(sales: Place, mode: str) -> None:
    path = sales.file("s.jsonl", '{"id": 1, "name": "ü'.encode() + b'\xff"}\n')
    [reject] = sales.load(mode, {"sales": path}).tables["sales"].rejects
    assert [(reason.code, reason.message) for reason in reject.reasons] == [
        ("invalid_utf8", "the record is not valid UTF-8: byte 0xff at character 21")
    ]


def exported_as(sales: Place, mode: str, encoding: str, name: str = "Köln") -> tuple[Path, str]:
    """Return the file to which the reject of a load in an encoding was exported, and its text, mended."""
    path = sales.file("s.csv", f"id,Bezeichnung,weight\n1,{name},x\n".encode(encoding))
    sales.load(mode, {"sales": Source(path, Format(encoding=encoding), names={"name": "Bezeichnung"})})
    exported = StoredRejects((SALES,), sales.databases).export(RejectFilter(), sales.directory / "rejects.csv")
    assert exported is not None
    file = Path(exported.files[0][0])
    return file, file.read_bytes().decode(encoding).replace(",x,", ",1.5,")


@pytest.mark.parametrize("saved", ["utf-8", "utf-8-sig", "utf-16", "as before"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "shift_jis"])
def test_a_file_of_rejects_may_be_saved_in_another_encoding(sales: Place, mode: str, encoding: str, saved: str) -> None:
    name = "日本語" if encoding == "shift_jis" else "Köln"
    file, text = exported_as(sales, mode, encoding, name)
    file.write_bytes(text.encode(encoding if saved == "as before" else saved))
    lines: list[str] = []
    run = Run((SALES,), {"sales": str(file)}, sales.databases, mode=mode, show=lambda each: lines.append(str(each)))
    assert run.perform().tables["sales"].inserted == 1
    assert stored(sales, "id", "name", "weight") == [(1, name, 1.5)]
    assert any(f"say --encoding {encoding}" in line for line in lines) is (saved not in ("as before", encoding))


def test_an_encoding_that_is_named_is_that_of_a_file_of_rejects(sales: Place, mode: str) -> None:
    file, text = exported_as(sales, mode, "cp1252", "KÃ¶ln")
    file.write_bytes(text.encode("cp1252"))
    sales.load(mode, {"sales": Source(str(file), Format(encoding="cp1252"))})
    assert stored(sales, "name") == [("KÃ¶ln",)]


def test_a_file_of_rejects_that_has_lost_letters_is_refused(sales: Place, mode: str) -> None:
    file, text = exported_as(sales, mode, "cp1252")
    file.write_bytes(text.encode("cp1252").decode("utf-8", "replace").encode())
    with pytest.raises(SourceError, match=r"line 2 has U\+FFFD in place of what .* open the file as cp1252"):
        sales.load(mode, {"sales": str(file)})


def test_a_file_of_rejects_that_may_be_two_encodings_is_refused(sales: Place, mode: str) -> None:
    file, text = exported_as(sales, mode, "gb18030", "模模")
    file.write_bytes(text.encode("gb18030"))
    with pytest.raises(SourceError, match="say which: --encoding utf-8, or --encoding gb18030"):
        sales.load(mode, {"sales": str(file)})


def test_the_way_of_a_run_is_known_and_may_be_left_aside(sales: Place, mode: str) -> None:
    file, text = exported_as(sales, mode, "cp1252")
    file.write_bytes(text.encode("cp1252"))
    rejects = StoredRejects((SALES,), sales.databases)
    mended = rejects.mended("sales", Source(str(file)))
    assert mended is not None
    assert (mended.source.encoding, mended.source.names) == ("cp1252", {"name": "Bezeichnung"})
    assert (mended.match, mended.append, mended.on_missing) == ((), False, "insert")
    assert rejects.mended("sales", Source(sales.file("plain.csv", b"id,name\n1,x\n"))) is None
    with pytest.raises(SourceError, match="name"):
        sales.load(mode, {"sales": Source(str(file), Format(encoding="latin-1"))}, rejects_as_given=True)
    sales.load(mode, {"sales": mended.source}, rejects_as_given=True)
    assert stored(sales, "name") == [("Köln",)]
