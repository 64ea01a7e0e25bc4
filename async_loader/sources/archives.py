"""ZIP archives: which of their members is read. Nothing is unpacked to disk, but for formats that are not read from
their front.

A path may name the member after `#`, as in `export.zip#orders.csv`; an archive with one file alone needs no name. Of
what programs add for themselves nothing is a file.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import BinaryIO

from async_loader.errors import SourceError, one_line
from async_loader.sources.addresses import shown
from async_loader.sources.headers import listed, nearest_name
from async_loader.sources.opening import opened
from async_loader.sources.streams import failures
from async_loader.sources.unpacking import BROKEN_ARCHIVE, Member

_OF_PROGRAMS = re.compile(r"__MACOSX/|(?:.*/)?(?:\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*)$", re.DOTALL)
# The bit by which a member says that a password is needed.
_ENCRYPTED = 0x1
# Others are rare, and the standard library unpacks bzip2 and LZMA without a bound: of one kilobyte come gigabytes.
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Names that a line lists: a feed of timetables has some ten.
_LISTED = 20


def only_member(path: str) -> str:
    """Return the name of the one file in an archive. SourceError where it has another number of them."""
    name = shown(path)
    with failures(name):
        source = opened(path)
        with closing(source), _archive(name, source.file) as archive:
            return _chosen(name, archive, "").filename


def open_member(name: str, content: BinaryIO, wanted: str) -> tuple[Member, zipfile.ZipInfo]:
    """Return a member of an archive, opened at its first byte, and what the archive says of it."""
    archive = _archive(name, content)
    info = _chosen(name, archive, wanted)
    if info.flag_bits & _ENCRYPTED:
        raise SourceError(name, "is protected by a password: unpack it, and load what comes out")
    if info.compress_type not in _READABLE:
        raise SourceError(name, "is packed in a way that is not read here: unpack it, and load what comes out")
    try:
        return Member(archive, info), info
    except BROKEN_ARCHIVE as error:
        raise SourceError(name, f"cannot be unpacked: {one_line(error)}; unpack it with another program") from error


def _archive(name: str, content: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(content)
    except (*BROKEN_ARCHIVE, struct.error) as error:
        raise SourceError(name, f"is no ZIP archive that can be read: {one_line(error).lower()}") from error


def _chosen(name: str, archive: zipfile.ZipFile, wanted: str) -> zipfile.ZipInfo:
    """Return the member of this name; without a name the only one."""
    members = [each for each in archive.infolist() if not (each.is_dir() or _OF_PROGRAMS.match(each.filename))]
    named = [each for each in members if each.filename == wanted] if wanted else members
    if len(named) == 1:
        return named[0]
    raise SourceError(name, _problem(name, [each.filename for each in members], wanted))


def _problem(name: str, members: Sequence[str], wanted: str) -> str:
    """Return why no member, or none alone, has the wanted name."""
    if not members:
        return "holds no file"
    if wanted and Counter(members)[wanted]:
        return f"the archive holds several files called {wanted!r}: unpack the one that is meant"
    archive = name.partition("#")[0]
    if not wanted:
        return f"holds the files {listed(members, _LISTED)}; name one after #, as in {archive}#{members[0]}"
    deeper = (each for each in members if each.endswith(f"/{wanted}"))
    near = next(deeper, None) or nearest_name(wanted, members)
    hint = f"did you mean {near!r}?" if near else f"it holds {listed(members, _LISTED)}"
    return f"the archive holds no file {wanted!r}; {hint}"
