"""Sources: what is read, from bytes to batches.

Here lives what opens a source (`opening`, `remote`), unpacks it (`streams`), finds its records and makes columns of
them (a module for each format: `csv`, `jsonl`, `json_document`, `parquet`, and others whose names begin alike), and
divides it into parts that several workers read side by side (`parts`). `source` is a source as a value, `reader` its
batches once it is open, `fields` and `headers` match its names with columns. Nothing here knows a database or a run. A
source that cannot be read on is a SourceError; a single bad record never is, it becomes a reject.

To add a format: a module with a class that keeps the protocol `OpenSource` of `reader`, and a line in `_OPEN` there.
"""

from async_loader.sources.reader import Reader
from async_loader.sources.source import Source

__all__ = ["Reader", "Source"]
