"""Bytes summed up as they are read, of what can be read only once: so that its content is known afterwards."""

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
