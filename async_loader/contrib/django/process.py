"""How a process that loads uses memory and threads. Each line is a measured gain: see docs/performance.md."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os

# glibc's names, from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# The largest value that every glibc takes for M_MMAP_THRESHOLD.
_LARGE = 32 << 20
_NEVER = 1 << 30


def tune() -> None:
    """Tune this process; to be called before numpy or pyarrow is imported. Variables that are set already stay."""
    # numpy's linear algebra, which nothing here uses, starts threads that spin for a while.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator would keep memory that others need.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Modules stay for as long as the process: looking through them for garbage every 700 objects is in vain. All that a
    # load imports is less than this; to look through half of it took 11 ms.
    gc.set_threshold(100_000)
    # At its end the process gives back its memory as a whole, so there is no garbage to look for either.
    atexit.register(gc.freeze)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Make the C library keep freed memory: batches are alike, and memory from the system must be cleared each time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        # Another C library than glibc.
        return
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    mallopt(_M_ARENA_MAX, 2)
