"""A module for each command of the console."""
