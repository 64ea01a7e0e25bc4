"""Two databases: SQLite files in the directory that PROJECT_DATA names, or where PROJECT_DEFAULT_URL and
PROJECT_ARCHIVE_URL say. PROJECT_USE_TZ=0 is for times without zones.
"""

import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(os.environ["PROJECT_DATA"])
SECRET_KEY = "unused"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "shop",
    "core",
    "odd",
    "press",
    "estate",
    "async_loader.contrib.django",
]
if "PROJECT_DEFAULT_URL" in os.environ:
    INSTALLED_APPS += ["django.contrib.postgres", "arrays"]
DATABASES = {
    alias: dj_database_url.parse(os.environ.get(f"PROJECT_{alias.upper()}_URL") or f"sqlite:///{BASE_DIR}/{alias}.db")
    for alias in ("default", "archive")
} | {
    "memory": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "elsewhere": {"ENGINE": "oracular", "NAME": "elsewhere"},
}
DATABASE_ROUTERS = ["routers.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Berlin"
USE_TZ = os.environ.get("PROJECT_USE_TZ") != "0"
if "PROJECT_TABLES" in os.environ:
    ASYNC_LOADER_TABLES = os.environ["PROJECT_TABLES"]
ASYNC_LOADER_FORMATS = "formats.formats"
