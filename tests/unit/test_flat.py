"""Lines that can be decoded at once are distinguished from lines that only look so."""

from __future__ import annotations

import pytest

from async_loader.sources.flat_json import flat_lines, shape

FIRST = b'{"id": 1, "text": "a"}\n'


def values(block: bytes) -> dict[str, list[object]] | None:
    """Return by key the values that are decoded at once; None if the block must be read line by line."""
    lines, alike = flat_lines(block), shape(("id", "text"), None)
    assert alike is not None
    return None if lines is None else alike.values(lines)


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": 2, "text": "b"}',
        b'{"text":"b","id":2}\n',
        b'{"id": 2, "text": "b"}\r\n',
    ],
)
def test_plain_lines_are_decoded_at_once(line: bytes) -> None:
    assert values(FIRST + line) == {"id": [1, 2], "text": ["a", "b"]}


@pytest.mark.parametrize("text", ["", "a: b", "2026-11-29T12:00:00", "}", "ü", '\\"', "null"])
def test_text_may_hold_nearly_anything(text: str) -> None:
    found = values(FIRST + f'{{"id": 2, "text": "{text}"}}\n'.encode())
    assert found == {"id": [1, 2], "text": ["a", text.replace("\\", "")]}


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b'{"id": 2, "text": "b", "id" : 3}', id="a key twice, behind a space"),
        pytest.param(b'{"id": 2, "text": "b", "id": 3}', id="a key twice"),
        pytest.param(b'{"id": 2}\n{"id": 3, "text": "c", "text": "d"}', id="one key too few, one too many"),
        pytest.param(b'{"id": 2, "text": "b", "more": 3}', id="another key"),
        pytest.param(b'{"id": 2,\n"text": "b"}{"id": 3, "text": "c"}', id="objects across lines"),
        pytest.param(b'{"id": 2, "text": "b"}}', id="a brace too many"),
        pytest.param(b'{"id": 2, "text": "b"},', id="a comma behind"),
        pytest.param(b'{"id": 2, "text": {"b": 1}}', id="an object within"),
        pytest.param(b'{"id": 2, "text": ["b"]}', id="an array within"),
        pytest.param(b'{"id": 2, "text": "b\x01"}', id="a control character"),
        pytest.param(b'{"id": 2, "text": "\xff"}', id="no UTF-8"),
        pytest.param(b'{"id": 2, "text": NaN}', id="no JSON value"),
        pytest.param(b' {"id": 2, "text": "b"}', id="a space before"),
        pytest.param(b'\n{"id": 2, "text": "b"}', id="a blank line"),
        pytest.param(b'{"id": 2, "text": "b"}\n ', id="a line of spaces"),
        pytest.param(b"}", id="half a line"),
        pytest.param(b"{", id="the other half"),
    ],
)
def test_whatever_else_stands_on_a_line_is_not(rest: bytes) -> None:
    assert values(FIRST + rest) is None
    assert values(FIRST + rest + b"\n") is None


def test_nothing_is_no_line() -> None:
    assert not flat_lines(b"")


def test_each_line_is_handed_out_with_its_end() -> None:
    lines = flat_lines(FIRST + b'{"id": 2, "text": "b"}')
    assert lines is not None
    assert [lines[0], lines[1]] == lines.as_arrow().to_pylist() == [FIRST, b'{"id": 2, "text": "b"}']


@pytest.mark.parametrize("key", ["\0", "a\nb", 'a"b', "a\\b"])
def test_keys_that_json_escapes_are_read_line_by_line(key: str) -> None:
    assert shape(("id", key), None) is None


@pytest.mark.parametrize("key", ["", "ü", "$", "a.b", "class", "value_0", "__init__"])
def test_keys_may_be_nearly_anything(key: str) -> None:
    lines, alike = flat_lines(f'{{"id": 1, "{key}": 2}}'.encode()), shape(("id", key), None)
    assert lines is not None
    assert alike is not None
    assert alike.values(lines) == {"id": [1], key: [2]}
