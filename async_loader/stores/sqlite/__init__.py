"""SQLite: files, over sqlite3 and aiosqlite. Batches cross into it as images of databases.

What may live here: the store, its SQL, its connections, images, and rows of its tables.
"""

from __future__ import annotations

from async_loader.stores.sqlite.database import Database

__all__ = ["Database"]
