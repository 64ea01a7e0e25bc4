"""Checks of what is stored, generators of effects that only read.

`references` finds rows that reference rows which do not exist; `verification` compares ledgers with databases. Checks
of records before they are stored are no matter of this room: `records.validation` makes them.
"""
