"""A whole run: what it is to do, its execution in one process or spread over workers. Generators of effects."""
