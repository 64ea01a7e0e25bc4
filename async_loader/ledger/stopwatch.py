"""How long something took: the only clock that the engine reads by itself."""

from __future__ import annotations

import time


class Watch:
    """Times a `with` block; `seconds` is 0 until the block ends, however it does."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
