"""SQLite: files, over sqlite3 and aiosqlite. Batches cross into it as images of databases."""

from __future__ import annotations

from async_loader.stores.sqlite.database import Database

__all__ = ["Database"]
