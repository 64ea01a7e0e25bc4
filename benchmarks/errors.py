"""The error that ends a benchmark."""


class BenchmarkError(Exception):
    """One line for the user: what failed, and what to do."""
