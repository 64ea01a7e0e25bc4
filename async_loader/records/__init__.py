"""A batch of records in columns: values, faults, reasons of rejects, sets of keys. Pure: no I/O, no clock."""
