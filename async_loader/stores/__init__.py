"""Stores: databases that take records. SQL is built here and nowhere else."""
