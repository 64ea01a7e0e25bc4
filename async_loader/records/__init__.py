"""A batch of records in columns, and what becomes of it: values, faults, reasons of rejects, sets of keys.

Here lives what can be computed from values alone. Nothing here does I/O, reads a clock or waits; sources make batches,
stores keep what was accepted, and this room knows neither.
"""
