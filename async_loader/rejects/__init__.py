"""Stored rejects: listed, exported to files, discarded and tried again. Generators of effects, and files."""
