"""Tests of the console as Django runs them: `python -m tests.admin.run` does, under `core.admin_settings`."""
