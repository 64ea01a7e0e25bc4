"""PostgreSQL, from version 15 on, over psycopg. Batches cross into it by COPY."""

from __future__ import annotations

from async_loader.stores.postgres.database import Database, from_url

__all__ = ["Database", "from_url"]
