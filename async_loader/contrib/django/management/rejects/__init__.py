"""The subcommands of `manage.py rejects`, a module for each, and what they share."""
