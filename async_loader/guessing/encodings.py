"""The encoding of some text: a byte order mark, UTF-8 if all bytes are that, or else the one whose letters make words.

Pure. Encodings of single bytes hold no sign of which they are. So each candidate is judged by the letters that it makes
of the bytes over 127: letters of its languages count for it, signs that stand in no word and codes that it does not
have count against it.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from async_loader.guessing.counting import count_of

# Bytes that are looked at for single letters.
_ENOUGH = 1 << 20
_WESTERN = "äöüßÄÖÜéèêëàâçñóíáúìòùôîïåæøœãõÉÈÀÇÑÅØÆÁÍÓÚÊÃÕ"
_SIGNS = "€–—„“”‚‘’…°§²³µ½«»·®©™£¿¡ºª\u00a0"  # noqa: RUF001 - they are meant
_EASTERN = "ąćęłńśźżĄĆĘŁŃŚŹŻčďěňřšťůžýČĎĚŇŘŠŤŮŽÝőűŐŰăîşţșțđĐ" + _WESTERN
_CYRILLIC = "".join(map(chr, range(0x0410, 0x0450))) + "ёЁіїєґІЇЄҐ№"
_GREEK = "".join(map(chr, range(0x0386, 0x03CF)))
_TURKISH = "şŞğĞıİ" + _WESTERN
# By candidate, the letters that it would make; the likeliest first.
_CANDIDATES = {
    "cp1252": _WESTERN,
    "iso8859-15": _WESTERN,
    "cp1250": _EASTERN,
    "cp1251": _CYRILLIC,
    "cp1253": _GREEK,
    "cp1254": _TURKISH,
    "iso8859-2": _EASTERN,
    "koi8-r": _CYRILLIC,
    "cp850": _WESTERN,
    "cp866": _CYRILLIC,
    "mac_roman": _WESTERN,
}
# Encodings of several bytes, which decode little by accident, with the characters that are common in each.
_WIDE = {
    "shift_jis": re.compile("[\u3041-\u30fe\u4e00-\u9fff]"),
    "euc_kr": re.compile("[\uac00-\ud7a3]"),
    "gb18030": re.compile("[\u4e00-\u9fff]"),
    "big5": re.compile("[\u4e00-\u9fff]"),
}
# The first byte that is no ASCII, and the first that begins a character of UTF-8.
_HIGH, _LEAD = 0x80, 0xC0
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_BESIDE_ASCII = re.compile(rb"[A-Za-z][\x80-\xff]+|[\x80-\xff]+[A-Za-z]")
# Letters and bytes that are no ASCII, and how many of them stand beside one that is within a word.
_IN_WORDS = re.compile(rb"[A-Za-z\x80-\xff]")
_WITHIN = 2
_APOSTROPHE = "\u2019"
# Letters that evidence names.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding as Python names it; empty for UTF-8 and for what a byte order mark says. codec: what decodes it."""

    name: str
    codec: str
    evidence: str
    others: tuple[str, ...] = ()


def encoding_of(front: bytes, back: bytes = b"") -> Encoding:
    """Return the encoding of a file with this front and end, each of which may begin and end within a character."""
    for mark, codec, said in (
        (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
        (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
    ):
        if front.startswith(mark):
            return Encoding("", codec, f"encoding: {said}, by the byte order mark at the front")
    if (wide := _without_mark(front)) is not None:
        return wide
    if front.isascii() and back.isascii():
        return Encoding("", "utf-8", "encoding: every byte looked at is ASCII, which all encodings read alike")
    if _is_utf_8(front) and _is_utf_8(back):
        letters = sum(1 for byte in front + back if byte >= _LEAD)
        return Encoding(
            "", "utf-8", f"encoding: utf-8; {count_of(letters, 'character')} beyond ASCII, and all of them are valid"
        )
    return _by_letters(front[:_ENOUGH] + b"\n" + back[:_ENOUGH])


def _without_mark(front: bytes) -> Encoding | None:
    """Return UTF-16 without a byte order mark: every second byte of nearly all text is NUL."""
    even, odd = front[0:2000:2].count(0), front[1:2000:2].count(0)
    half = min(len(front), 2000) / 2
    for name, share, other in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if half and share > half / 2 > other:
            return Encoding(name, name, f"encoding: {name}; {share:,} of {half:,.0f} pairs of bytes have a NUL")
    return None


def _is_utf_8(text: bytes) -> bool:
    """Return whether bytes are UTF-8, but for a character that is cut off at either end."""
    start = next((place for place in range(min(4, len(text))) if text[place] & _LEAD != _HIGH), 0)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text[start:], final=False)
    except UnicodeDecodeError:
        return False
    return True


def _by_letters(text: bytes) -> Encoding:
    if (wide := _wide(text)) is not None:
        return wide
    high = Counter(byte for byte in text if byte >= _HIGH)
    places = _places(text)
    scores = {name: _score(places, name) for name in _candidates(text)}
    if b"\r" in text and text.count(b"\n") <= 1:
        # Lines that end as they did on a Macintosh.
        scores["mac_roman"] = scores.get("mac_roman", 0.0) + 1
    best = max(scores, key=lambda name: scores[name])
    jumps = {name: _case_jumps(text, name) for name in scores if scores[name] == scores[best]}
    best = min(jumps, key=lambda name: jumps[name])
    scores = {name: score for name, score in scores.items() if jumps.get(name, jumps[best]) == jumps[best]}
    close = tuple(
        name for name in scores if name != best and scores[name] >= scores[best] and _differ(high, best, name)
    )
    letters = Counter({_letter(byte, best): count for byte, count in high.items()})
    shown = " ".join(letter for letter, _ in letters.most_common(_NAMED) if letter.isprintable())
    foreign = count_of(high.total(), "byte")
    evidence = f"encoding: {best}, because of {foreign} that UTF-8 does not have; it has {shown} for them"
    return Encoding(best, best, evidence, close)


def _candidates(text: bytes) -> list[str]:
    """Return the encodings whose letters stand as the text's do: among ASCII letters, or in words of their own."""
    runs = _HIGH_RUN.findall(text)
    is_latin = 2 * len(_BESIDE_ASCII.findall(text)) > len(runs) or 2 * sum(len(run) > 1 for run in runs) <= len(runs)
    return [name for name, letters in _CANDIDATES.items() if is_latin == (letters not in (_CYRILLIC, _GREEK))]


def _places(text: bytes) -> Counter[tuple[int, int]]:
    """Return how often each byte over 127 stands beside none, one and two letters."""
    return Counter(
        (run[0], sum(_IN_WORDS.match(text, place) is not None for place in (start - 1, start + 1) if place >= 0))
        for match in _HIGH_RUN.finditer(text)
        for start, run in ((place, text[place : place + 1]) for place in range(*match.span()))
    )


def _score(places: Counter[tuple[int, int]], name: str) -> float:
    """Return what counts for an encoding: letters within words, and signs outside of them."""
    letters = _CANDIDATES[name]
    total = 0.0
    for (byte, beside), count in places.items():
        letter = _letter(byte, name)
        if letter and letter in letters:
            total += count if beside else count / 4
        elif letter and (letter == _APOSTROPHE or (letter in _SIGNS and beside != _WITHIN)):
            total += count
        else:
            total -= count * (1 if letter and letter.isprintable() else 3)
    return total


def _case_jumps(text: bytes, name: str) -> int:
    """Return how often a small letter comes right before a capital one: words are not written so."""
    decoded = text.decode(name, errors="ignore")
    return sum(one.islower() and other.isupper() for one, other in pairwise(decoded))


def _letter(byte: int, name: str) -> str:
    return bytes([byte]).decode(name, errors="ignore")


def _differ(high: Counter[int], one: str, other: str) -> bool:
    return any(_letter(byte, one) != _letter(byte, other) for byte in high)


def _wide(text: bytes) -> Encoding | None:
    """Return an encoding of several bytes in which nearly all that is no ASCII is a common character."""
    runs = _HIGH_RUN.findall(text)
    if sum(map(len, runs)) < 3 * len(runs):
        return None
    for name, common in _WIDE.items():
        decoded = text.decode(name, errors="replace")
        beyond = [letter for letter in decoded if not letter.isascii()]
        many = len(common.findall(decoded))
        if decoded.count("\ufffd") <= 1 and many > 0.8 * len(beyond):
            return Encoding(name, name, f"encoding: {name}, in which {many:,} characters are common ones")
    return None
