"""Two SQLite databases, in the directory that PROJECT_DATA names; PROJECT_USE_TZ=0 is for times without zones."""

import os
from pathlib import Path

BASE_DIR = Path(os.environ["PROJECT_DATA"])
SECRET_KEY = "unused"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "shop",
    "core",
    "odd",
    "async_loader.contrib.django",
]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "default.db"},
    "archive": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "archive.db"},
    "memory": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "elsewhere": {"ENGINE": "django.db.backends.postgresql", "NAME": "elsewhere"},
}
DATABASE_ROUTERS = ["routers.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Berlin"
USE_TZ = os.environ.get("PROJECT_USE_TZ") != "0"
if "PROJECT_TABLES" in os.environ:
    ASYNC_LOADER_TABLES = os.environ["PROJECT_TABLES"]
