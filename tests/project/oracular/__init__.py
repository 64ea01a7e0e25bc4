"""A database that the loader cannot load into."""
