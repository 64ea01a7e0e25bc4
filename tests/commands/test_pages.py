"""Reports as a page: well-formed, escaped, whole, and in need of nothing else. Read with a parser, not a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import sqlite3
import tomllib
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import cast

import django
import pytest
from django.test import override_settings

from async_loader import (
    CheckedTable,
    Counts,
    Finding,
    Orphan,
    Reason,
    ReferenceReport,
    Reject,
    Report,
    TableReport,
    VerificationReport,
    VerifiedRun,
    VerifiedTable,
)
from async_loader.contrib.django.pages import pages
from async_loader.contrib.django.pages.pages import page
from async_loader.contrib.django.terminal.wording import printable
from tests.commands.conftest import ROOT, Project

VOID = {"meta", "rect", "path"}
INLINE = {"bdi", "b", "i", "a", "strong"}
TEMPLATES = ROOT / "async_loader" / "contrib" / "django" / "pages" / "templates" / "async_loader"
# What may leave the page, or bring something in.
REACHING = {"src", "srcset", "data", "action", "formaction", "poster", "background", "style", "srcdoc", "ping"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</style></title></table><img src=//x onerror=alert(1)>",
    "\" onfocus='alert(1)' autofocus=\"",
    "{{ 7|add:7 }}{% debug %}{# no #}",
    "&lt;&amp;&#60;",
    "items",
    "\u202egnp.exe\u2066",
    "nul\x00 bell\x07 escape\x1b[31m \x85 \ud800",
    "שלום مرحبا",
    "",
]


class Page(HTMLParser):
    """A page that is well-formed, or an AssertionError. `texts` are all its texts, by the element that they are in."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.names: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in INLINE:
            self.texts.append(("", " "))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        assert len({name for name, _ in attrs}) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        """All that a reader sees, with single spaces."""
        return " ".join("".join(text for tag, text in self.texts if tag != "style").split())

    def values(self, name: str) -> list[str]:
        """Return an attribute's values, in order."""
        return [value for _, each, value in self.attributes if each == name]


def read(content: str) -> Page:
    """Read a page, after checking all that holds for every page."""
    found = Page(content)
    assert content.startswith("<!DOCTYPE html>\n")
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(found.names)
    assert not {name for _, name, _ in found.attributes if name in REACHING or name.startswith("on")}
    assert all(value.startswith("#") for value in found.values("href"))
    identities = found.values("id")
    assert len(set(identities)) == len(identities)
    named = " ".join(found.values("aria-labelledby")).split() + [value[1:] for value in found.values("href")]
    assert set(named) <= set(identities)
    assert not set(re.findall(r"[^\n -~\xa1-\U0010ffff]|[\u202a-\u202e\u2066-\u2069\ud800-\udfff]", content))
    assert found.names.count("caption") == found.names.count("table")
    assert len([value for tag, name, value in found.attributes if (tag, name) == ("th", "scope")]) == len(
        [tag for tag in found.names if tag == "th"]
    )
    assert found.names.count("h1") == 1
    assert "INVALID" not in content
    [policy] = [value for value in found.values("content") if "default-src" in value]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'", policy
    )
    return found


MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def load(**tables: TableReport) -> Report:
    return Report("5f0e", "async", "complete", dry_run=False, seconds=1.25, error=None, tables=tables, began=MOMENT)


def table(*rejects: Reject, given: int = 0, rejected: int | None = None) -> TableReport:
    return TableReport(
        database="db",
        sources=("u.csv",),
        counts=Counts(given=given, rejected=len(rejects) if rejected is None else rejected),
        ignored_columns=(),
        seconds=0.5,
        reasons={reason.name: 1 for reject in rejects for reason in reject.reasons},
        rejects=rejects,
    )


def reject(**record: object) -> Reject:
    return Reject("u.csv", 7, 9, record, (Reason("not_empty", "name", "name must not be empty"),))


def test_a_load_writes_a_page_with_all_its_counts(project: Project) -> None:
    path = project.directory / "run.HTML"
    done = project.manage("insert_data", "--report", str(path), "--format=json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    text = read(path.read_text()).text
    assert report["run"] in text
    assert "Status complete Run" in text
    assert "Mode async" in text
    assert re.search(r"Began \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
    assert "Given 30 Inserted 25 Updated 0 Unchanged 0 Rejected 5" in text
    for name, numbers in {"users": "10 9 0 0 1", "products": "10 9 0 0 1", "orders": "10 7 0 0 3"}.items():
        assert f"{name} {numbers} " in text
        assert f"data/{name}.csv" in text
    assert "quantity.greater_than 2 66.7 %" in text
    assert "user_id 10 does not exist in users" in text
    assert "line 11 data/orders.csv" in text


def test_other_names_keep_the_report_in_json(project: Project) -> None:
    for name in ("run", "run.html.txt", ".html"):
        path = project.directory / name
        done = project.manage("insert_data", "--report", str(path), "--format=json")
        assert path.read_text() == done.stdout
        assert list(json.loads(done.stdout)) == [
            *("version", "run", "mode", "status", "dry_run", "seconds", "error", "tables")
        ]
        assert list(json.loads(done.stdout)["tables"]["users"]) == [
            *("database", "sources", "given", "inserted", "updated", "unchanged", "rejected", "deleted"),
            *("ignored_columns", "seconds", "reasons", "rejects", "unasked_constraints", "blank_lines"),
            *("referenced", "referenced_rows", "not_deleted", "warnings"),
        ]


def test_a_page_replaces_a_longer_one(project: Project) -> None:
    path = project.directory / "run.htm"
    path.write_text("x" * 1_000_000)
    project.manage("insert_data", "--report", str(path))
    assert path.read_text().endswith("</html>\n")
    read(path.read_text())


def test_a_failed_run_has_a_page(project: Project) -> None:
    path = project.directory / "run.html"
    done = project.manage("insert_data", "users=<none>.csv", "--report", str(path))
    assert done.returncode == 1
    text = read(path.read_text()).text
    assert "Error: <none>.csv: cannot be read: no such file or directory" in text
    assert "Status failed" in text
    assert "The run did not complete." in text
    assert "No record was rejected." in text


def test_a_run_over_its_limit_and_a_dry_run_have_pages(project: Project) -> None:
    path = project.directory / "run.html"
    done = project.manage("insert_data", "--max-rejects=0", "--report", str(path))
    assert done.returncode == 4
    assert "Status over-limit" in read(path.read_text()).text
    assert project.manage("insert_data", "--dry-run", "--report", str(path)).returncode == 0
    text = read(path.read_text()).text
    assert "Dry run: nothing was written." in text
    assert "Dry run yes" in text
    assert "loader_rejects" not in text


def test_an_interrupted_run_has_a_page(project: Project) -> None:
    path = project.directory / "run.html"
    with project.start("insert_data", "users:csv=-", "--report", str(path), stdin=-1) as process:
        assert process.stdin is not None
        # More than a pipe holds: it is taken once the run is reading.
        process.stdin.write("id,name,email\n" + "x" * 2_000_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    text = read(path.read_text()).text
    assert "Status interrupted" in text
    assert "Error: interrupted: nothing was kept" in text


def test_a_load_of_nothing_has_a_page(project: Project) -> None:
    path = project.directory / "run.html"
    source = project.file("u.csv", "id,name,email\n")
    assert project.manage("insert_data", f"users={source}", "--report", str(path)).returncode == 0
    found = read(path.read_text())
    assert "Given 0 Inserted 0" in found.text
    assert "svg" not in found.names


@pytest.mark.parametrize("mode", ["async", "threads", "sequential"])
def test_a_load_of_many_batches_draws_its_throughput(project: Project, mode: str) -> None:
    path = project.directory / "run.html"
    source = project.file("u.csv", "id,name,email\n" + "".join(f"{key},n,@\n" for key in range(30_000)))
    arguments = ("insert_data", f"users={source}", "--batch-size=500", f"--mode={mode}", "--report", str(path))
    assert project.manage(*arguments).returncode == 0
    found = read(path.read_text())
    assert re.search(
        r"users 30,000 records from second [\d.]+ to [\d.]+: [\d,]+ per second, at most [\d,]+", found.text
    )
    outlines = [value for _, name, value in found.attributes if name == "d"]
    assert all(re.fullmatch(r"[MHVZ\d. -]+", outline) for outline in outlines)
    assert len(outlines) == 2


def test_a_run_that_goes_on_says_so() -> None:
    report = replace(load(users=replace(table(given=900), samples=((0.1, 400), (0.2, 900)))), resumed=True)
    text = read(page(report)).text
    assert "Resumed yes" in text
    assert "An earlier process had begun this run." in text
    assert " 0.500 1,000 " in text


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_name_or_value_is_it_stays_text(text: str) -> None:
    found = Reject(text, 1, 1, {text: text, "items": {text: [text]}, "n": None}, (Reason(text, text, text),))
    plain = page(replace(load(users=table(reject(name="plain"))), error="plain", dry_run=True))
    counts = replace(table(found), sources=(text,), ignored_columns=(text,), unasked_constraints=(text,), database=text)
    counts = replace(counts, warnings=(text,))
    content = page(replace(load(**{text: counts}), run=text, error=text, dry_run=True))
    hostile = read(content)
    if text and text.isprintable():
        assert hostile.text.count(" ".join(text.split())) >= 10
    assert [each for tag, each in hostile.texts if tag == "title"] == [f"Load {printable(text)}: complete"]
    # No value has made an element that a page without it has not.
    assert set(hostile.names) - {"strong", "b", "i"} <= set(read(plain).names)
    rows = ReferenceReport(
        "complete",
        0.1,
        text,
        {text: CheckedTable(text, 1, 1, 0.1, {text: 1}, (Orphan(text, {text: text}, found.reasons),))},
    )
    read(page(rows))
    line = VerifiedTable(text, text, Counts(cast("int", text), 1, 1, 1, 1), 1)
    run = VerifiedRun(text, text, text, {text: line}, (Finding(text, text, None, text, text),))
    read(page(VerificationReport("complete", 0.1, text, (run,))))


def test_what_cannot_be_seen_is_shown_by_its_code() -> None:
    found = read(page(load(users=table(reject(name="a\x00b\u202ec\ud800\\n\nd")))))
    assert [text for tag, text in found.texts if tag == "b"] == ["\\x00", "\\u202e", "\\ud800", "\\n"]
    kinds = read(page(load(users=table(reject(empty="", null=None, true=True, number=1.5, space=" ")))))
    assert [text for tag, text in kinds.texts if tag == "i"] == ["empty", "null"]
    assert {"true", "1.5", " "} <= {text for tag, text in kinds.texts if tag == "bdi"}


def test_long_values_are_clipped_with_their_length_and_can_be_unfolded() -> None:
    value = "<line>\n" * 1000
    found = read(page(load(users=table(reject(name=value, other="x" * 150_000)))))
    assert "(7,000 characters)" in found.text
    unfolded = "".join(text for tag, text in found.texts if tag == "pre")
    assert unfolded.count("<line>") == 1000
    assert "(150,000 characters)" in found.text
    assert "These are the first 100,000 characters." in found.text
    assert unfolded.count("x") == 100_000


def test_wide_records_show_their_first_fields_and_the_rest_as_one() -> None:
    found = read(page(load(users=table(reject(**{f"column {number}": number for number in range(60)})))))
    assert "column 49" in found.text
    assert "10 more fields" in found.text
    assert '"column 59": 59' in found.text


def test_thousands_of_rejects_are_all_there_and_others_counted() -> None:
    rejects = [replace(reject(name="<b>"), line=line, line_end=line) for line in range(1, 3001)]
    found = read(page(load(users=table(*rejects, rejected=10_000))))
    assert found.text.count("name must not be empty") == 3000
    assert "The first 3,000" in found.text
    assert "7,000 more; all are in table loader_rejects of database db." in found.text
    failed = read(page(replace(load(users=table(*rejects[:5], rejected=10_000)), status="failed")))
    assert "9,995 more." in failed.text
    assert read(page(load(users=table(reject())))).text.count("lines 7 to 9 u.csv") == 1


def test_shares_are_those_of_the_rejects() -> None:
    counts = replace(table(rejected=3000), reasons={"a": 3000, "b": 1500, "c": 1})
    text = read(page(load(users=counts))).text
    assert "a 3,000 100.0 % b 1,500 50.0 % c 1 under 0.1 %" in text


def test_the_page_is_the_same_whatever_the_project_sets() -> None:
    found = Reject("u.csv", 1234, 1234, {"n": 1234.5}, (Reason("not_text", "n", "n"),))
    report = load(users=replace(table(found, given=1234567), samples=((0.0, 0), (0.5, 1000), (1.5, 9000))))
    expected = page(report)
    django.setup()
    with override_settings(TEMPLATES=[], LANGUAGE_CODE="de", USE_I18N=True, USE_THOUSAND_SEPARATOR=True, USE_TZ=False):
        assert page(report) == expected
    assert "1,234,567" in read(expected).text


def test_templates_use_only_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that a template misses would be shown as nothing."""
    monkeypatch.setattr(pages._engine(), "string_if_invalid", "INVALID %s")
    found = Reject("u.csv", 1, 2, {"n": "x" * 300}, (Reason("not_text", "n", "n"),))
    counts = replace(table(found, rejected=5), samples=((0.0, 0), (0.5, 1000), (1.5, 9000)), ignored_columns=("a",))
    read(page(load(users=counts)))
    read(page(replace(load(users=table()), error="e", began=None, status="failed", dry_run=True, resumed=True)))
    rows = CheckedTable("db", 2, 1, 0.1, {"a": 1}, (Orphan(3, {"a": 1}, found.reasons),))
    read(page(ReferenceReport("complete", 0.1, None, {"orders": rows})))
    read(page(ReferenceReport("failed", 0.1, "e", {})))
    line = VerifiedTable("db", "complete", Counts(cast("int", "many"), 1, 1, 1, 1), 1)
    run = VerifiedRun("r", "then", "complete", {"users": line}, (Finding("rows", None, None, "p", "a"),))
    read(page(VerificationReport("complete", 0.1, None, (run,))))
    read(page(VerificationReport("failed", 0.1, "e", ())))


def test_the_other_commands_write_pages_too(project: Project) -> None:
    path = project.directory / "page.html"
    project.manage("insert_data")
    assert project.manage("verify", "--report", str(path)).returncode == 0
    assert "Every count agrees." in read(path.read_text()).text
    assert project.manage("check_references", "--report", str(path)).returncode == 0
    assert "orders orders 7 0 " in read(path.read_text()).text
    with closing(sqlite3.connect(project.directory / "users.db")) as connection, connection:
        connection.execute("DELETE FROM users WHERE id = 3")
    assert project.manage("verify", "--report", str(path)).returncode == 3
    assert "8 rows where the run left 9 or more" in read(path.read_text()).text
    assert project.manage("check_references", "--report", str(path)).returncode == 3
    assert "user_id 3 does not exist in users" in read(path.read_text()).text


def test_the_digest_in_the_policy_is_that_of_the_style() -> None:
    content = page(load())
    [style] = re.findall(r"<style>(.*?)</style>", content, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in content


def test_every_template_is_installed_with_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    package = TEMPLATES.parents[1]
    installed = {path for pattern in patterns["async_loader.contrib.django.pages"] for path in package.glob(pattern)}
    assert set(TEMPLATES.rglob("*.*")) == installed


def luminance(colour: str) -> float:
    """Return the luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_all_text_can_be_read_in_every_theme(theme: int) -> None:
    """Contrast AA: 4.5 to 1 for text, 3 to 1 between the colours of bars."""
    block = re.findall(r":root \{(.*?)\}", (TEMPLATES / "page.css").read_text(), re.DOTALL)[theme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
    for ground in ("page", "raised"):
        for name in ("text", "quiet", "mark", "good", "warn", "bad"):
            dark, light = sorted((luminance(colours[ground]), luminance(colours[name])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, name)
