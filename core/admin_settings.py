"""The settings of the sample with an admin: those of `core.settings`, Django's admin, and the console to load files in.

They are apart from `core.settings`, because commands start a tenth later with all that the admin imports. For a server
on this machine; anything else needs DJANGO_SECRET_KEY, DJANGO_DEBUG=0 and ALLOWED_HOSTS.
"""

import os

from core.settings import *  # noqa: F403
from core.settings import DATABASE_DIR, DATABASES, INSTALLED_APPS

# Anyone can read this key: it is good for this machine only, where DEBUG answers to no other host.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or "django-insecure-sample-on-this-machine"
DEBUG = os.environ.get("DJANGO_DEBUG") != "0"

INSTALLED_APPS = [
    # Before Django's admin, so that the lists of models have its button.
    "async_loader.contrib.django.admin",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *INSTALLED_APPS,
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "core.urls"
STATIC_URL = "static/"
# Users of the admin, their sessions, and what the console stores. The sample's own tables stay in their databases.
DATABASES = DATABASES | {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE_DIR / "admin.db"}}
ASYNC_LOADER_UPLOADS = DATABASE_DIR / "uploads"
