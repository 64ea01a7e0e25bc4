"""The mechanical part of plain English holds everywhere."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests import english
from tests.english import ROOT

# Rooms and documents that are still to be rewritten. This list only shrinks.
PENDING: tuple[str, ...] = ()


def findings_in(directory: Path, text: str, name: str = "module.py") -> list[str]:
    path = directory / name
    path.write_text(textwrap.dedent(text))
    return [f"{finding.line}: {finding.message}" for finding in english.findings(path)]


def test_what_is_written_here_keeps_the_rules() -> None:
    pending = [ROOT / each for each in PENDING]
    paths = [*english.modules(), *english.documents()]
    assert not [
        str(finding)
        for path in paths
        if not any(path.is_relative_to(each) for each in pending)
        for finding in english.findings(path)
    ]


def test_every_pending_place_exists() -> None:
    assert [each for each in PENDING if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("opening", ["Return the", "Wait, until", "Re-raise the", "See `other`: return the"])
def test_a_docstring_may_open_with_any_verb(opening: str, tmp_path: Path) -> None:
    assert findings_in(tmp_path, f'def f():\n    """{opening} rows of a table."""\n') == []


@pytest.mark.parametrize("opening", ["What", "Those", "Whether", "Returns", "The", "Rows:", "`users`, the"])
def test_a_docstring_that_opens_with_no_verb_is_found(opening: str, tmp_path: Path) -> None:
    [message] = findings_in(tmp_path, f'def f():\n    """{opening} rows of a table."""\n')
    assert message.startswith("2: ")


def test_classes_properties_and_tests_may_open_with_anything(tmp_path: Path) -> None:
    text = '''
        class A:
            """A thing with rows."""

            @cached_property
            def rows(self):
                """The rows of a thing."""


        def test_it():
            """Rows are kept as they are."""
    '''
    assert findings_in(tmp_path, text) == []


def test_fragments_and_banned_words_are_found_in_docstrings_comments_and_messages(tmp_path: Path) -> None:
    text = '''
        """Likewise."""
        # Nobody knows.
        raise ValueError(f"{a} is told to B")
        kept = "told"
    '''
    assert [line.split(":")[0] for line in findings_in(tmp_path, text)] == ["2", "2", "3", "4"]


def test_code_in_documents_may_hold_any_word(tmp_path: Path) -> None:
    text = "`told`\n\n```console\n$ echo told\n```\n\nNone stands behind it.\n"
    assert findings_in(tmp_path, text, "page.md") == ["7: 'behind': after"]


def test_a_sentence_that_is_too_long_is_found_in_paragraphs_lists_and_tables(tmp_path: Path) -> None:
    short, long = "word " * 39 + "end.", "word " * 40 + "end."
    assert findings_in(tmp_path, f"{short} {short}\n\n- {short}\n- {short}\n\n| {short} | {short} |\n", "a.md") == []
    for text in (f"{short}\n{long}\n", f"- {short}\n- {long}\n", f"| {short} | {long} |\n"):
        [message] = findings_in(tmp_path, text, "a.md")
        assert message.endswith("a sentence of 41 words: divide it")


@pytest.mark.parametrize("name", ["found", "_let_go_of_it", "told_rows", "_nobodys"])
def test_names_that_mean_nothing_out_of_context_are_found(name: str, tmp_path: Path) -> None:
    assert len(findings_in(tmp_path, f"def {name}():\n    pass\n")) == 1
    assert len(findings_in(tmp_path, f"def f(*, {name}):\n    pass\n")) == 1
    assert len(findings_in(tmp_path, f"class A:\n    {name}: int = 1\n")) == 1
