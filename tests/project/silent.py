"""The project's settings, with the warning of models that cannot be loaded silenced."""

from settings import *  # noqa: F403 - as projects write it

SILENCED_SYSTEM_CHECKS = ["async_loader.W003"]
