"""The project's settings with models that are not finished."""

from settings import *  # noqa: F403 - as projects write it
from settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "broken"]
