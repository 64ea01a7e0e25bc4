"""Where records begin and end agrees with the standard library, on whatever is well-formed."""

from __future__ import annotations

import csv
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from async_loader.formats import Dialect
from async_loader.sources.csv_records import (
    fields_of_record,
    give_up_first_line,
    long_record,
    record_spans,
    split,
)

NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
FIELDS = st.text(st.sampled_from('a,"\n\ré'), max_size=6)
RECORDS = st.lists(st.tuples(st.lists(FIELDS, min_size=2, max_size=3), NEWLINES), max_size=8)


def written(record: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(record)
    return text.getvalue().removesuffix("\r\n")


def line_count(text: str) -> int:
    return len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


@given(RECORDS)
def test_well_formed_text_is_taken_whole_with_the_lines_of_each_record(records: list[tuple[list[str], str]]) -> None:
    texts = [written(record) for record, _ in records]
    block = "".join(text + end for text, (_, end) in zip(texts, records, strict=True)).encode()
    taken = split(block, Dialect(), final=True)
    lines, line = [], 0
    for text in texts:
        lines.append((line, line + line_count(text) - 1))
        line += line_count(text)
    assert (taken.good, taken.broken, taken.consumed, taken.lines) == (block, (), len(block), line)
    assert list(zip(taken.starts.tolist(), taken.ends.tolist(), strict=True)) == lines
    spans = zip(*record_spans(taken.good, Dialect()), strict=True)
    assert [taken.good[begin:end].decode().removesuffix("\r") for begin, end in spans] == texts


@given(RECORDS, st.integers(0, 60))
def test_a_block_cut_anywhere_gives_the_same_records(records: list[tuple[list[str], str]], cut: int) -> None:
    block = "".join(written(record) + end for record, end in records).encode()
    first = split(block[:cut], Dialect(), final=False)
    rest = block[first.consumed :]
    second = split(rest, Dialect(), final=True)
    whole = split(block, Dialect(), final=True)
    assert first.good + second.good == whole.good
    assert first.broken == second.broken == ()
    assert np.concatenate([first.starts, second.starts + first.lines]).tolist() == whole.starts.tolist()
    assert first.lines + second.lines == whole.lines


@given(st.binary(max_size=40), st.integers(0, 40))
def test_any_bytes_are_accounted_for_line_by_line(block: bytes, cut: int) -> None:
    """Each line belongs to one good record, to one broken one, or is empty."""
    for size in (len(block), cut):
        taken = split(block[:size], Dialect(), final=size == len(block))
        covered = [line for start, end in zip(taken.starts, taken.ends, strict=True) for line in range(start, end + 1)]
        covered += [line for line, _ in taken.broken]
        assert len(set(covered)) == len(covered)
        assert all(0 <= line < taken.lines for line in covered)
        if size == len(block):
            assert taken.consumed == len(block)
            lines = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            missed = [line for number, line in enumerate(lines) if number not in covered]
            assert set(missed) <= {b""}


@given(st.lists(st.sampled_from([b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r"]), max_size=40).map(b"".join))
def test_records_taken_one_by_one_are_those_of_the_whole(block: bytes) -> None:
    """Sound ones and broken ones, as far as each says without what follows it."""
    lines: list[tuple[int, int]] = []
    broken: list[tuple[int, bytes]] = []
    at = line = 0
    while at < len(block):
        part = long_record(block[at:], Dialect(), final=True)
        assert part.consumed
        lines += [(start + line, end + line) for start, end in zip(part.starts, part.ends, strict=True)]
        broken += [(number + line, text) for number, text in part.broken]
        at, line = at + part.consumed, line + part.lines
        assert long_record(block[at:], Dialect(), final=False).consumed in {
            0,
            long_record(block[at:], Dialect(), final=True).consumed,
        }
    whole = split(block, Dialect(), final=True)
    assert lines == list(zip(whole.starts.tolist(), whole.ends.tolist(), strict=True))
    assert (tuple(broken), line) == (whole.broken, whole.lines)


@given(st.lists(FIELDS, min_size=1, max_size=5))
def test_fields_are_what_the_standard_library_reads(record: list[str]) -> None:
    text = written(record)
    assert fields_of_record(text, Dialect()) == (next(csv.reader(io.StringIO(text, newline=""))) if text else [""])


def test_giving_up_a_line_needs_its_end() -> None:
    assert give_up_first_line(b'1,"a').consumed == 0
    given_up = give_up_first_line(b'1,"a\r\n2,b\n')
    assert (given_up.broken, given_up.consumed, given_up.lines) == (((0, b'1,"a'),), 6, 1)


def test_between_thick_broken_records_all_good_ones_are_found() -> None:
    block = b'1,a"b\n2,"c"\n' * 20_000
    taken = split(block, Dialect(), final=True)
    assert len(taken.broken) == len(taken.starts) == 20_000
    assert taken.starts.tolist() == list(range(1, 40_000, 2))
