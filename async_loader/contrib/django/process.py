"""How a process that loads uses memory and threads. Each line is a gain that was measured: see docs/performance.md."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os

# glibc's names, from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# The most that every glibc takes for what is asked of the system apart.
_LARGE = 32 << 20
_NEVER = 1 << 30


def tune() -> None:
    """To be called before anything imports numpy or pyarrow; what the environment says already stands."""
    # numpy's linear algebra, which nothing here uses, starts threads that spin for a while.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # One allocator fewer that keeps memory to itself.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # What a command imports stays: to look through it for garbage every 700 objects is in vain.
    gc.set_threshold(50_000)
    # Nor when the process ends, whose memory goes as a whole.
    atexit.register(gc.freeze)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Batches come and go, all alike: memory that went back to the system would be asked for, and cleared, again."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        # Another C library, which does as it likes.
        return
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    mallopt(_M_ARENA_MAX, 2)
