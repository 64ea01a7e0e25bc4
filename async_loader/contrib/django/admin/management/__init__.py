"""The commands of the console: see `commands/`."""
