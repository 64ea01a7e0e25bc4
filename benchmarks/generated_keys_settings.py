"""The sample's settings, with the tables of `generated_keys`."""

from core.settings import *  # noqa: F403 - a project is the sum of its settings

ASYNC_LOADER_TABLES = "benchmarks.generated_keys.tables"
