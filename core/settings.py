"""Settings, with a database for each table.

A database is the one whose URL the environment has, such as
USERS_DATABASE_URL=postgresql://USER:PASSWORD@HOST:PORT/NAME, or else an SQLite file in the directory that the variable
DATABASE_DIR names (by default `data/`).
"""

import os
from pathlib import Path

from core.databases import database

BASE_DIR = Path(__file__).resolve().parent.parent
DATABASE_DIR = Path(os.environ.get("DATABASE_DIR") or BASE_DIR / "data")

# Signs nothing as long as no views are served. Set DJANGO_SECRET_KEY before serving any.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or "unused"
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS: list[str] = []

INSTALLED_APPS = ["core.apps.CoreConfig", "async_loader.contrib.django"]
# `manage.py benchmark` and `scale`, which measure the loader. The sample needs neither.
if (BASE_DIR / "benchmarks").is_dir():
    INSTALLED_APPS += ["benchmarks"]
ASYNC_LOADER_TABLES = "core.tables.tables"
DATABASES: dict[str, dict[str, object]] = {"default": {}} | {
    alias: database(alias, DATABASE_DIR) for alias in ("users", "products", "orders")
}
DATABASE_ROUTERS = ["core.routers.ModelRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
