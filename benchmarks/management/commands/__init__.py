"""The command that is this project's own."""
