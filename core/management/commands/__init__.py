"""The commands: options in, one call of the engine, text out."""

import gc
import os

# Before any command imports numpy: its linear algebra, which nothing here uses, starts threads that spin for a while.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What a command imports stays: looking through it for garbage every 700 objects is in vain.
gc.set_threshold(50_000)
