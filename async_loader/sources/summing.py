"""Bytes summed up as they are read, so that their content is known afterwards.

That costs 0.25 ns a byte while they are in the processor's cache. To read 94 MB once more for it took twice as long, at
the end of the load.
"""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO


class SummingFile:
    """A file that counts and sums up what is read from it; all else is the file's own."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0
        self.checksum = 0
        self.is_at_end = False

    def read(self, size: int = -1) -> bytes:
        """Read as the file does."""
        data = self.file.read(size)
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self.is_at_end = not data and size != 0
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)
