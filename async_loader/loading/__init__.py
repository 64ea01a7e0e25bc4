"""The load of one table: a generator of effects. No I/O, and no way of waiting."""
