"""Glue between the engine and frameworks, each in a package of its own."""
