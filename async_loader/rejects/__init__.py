"""Rejects after a load: stored ones are listed, exported, discarded and tried again, and files hold them for a person.

`selection` finds the stored rejects that are meant; `listing`, `export`, `discard` and `retry` each do one thing with
them, as generators of effects. `files` decides into which file a reject goes, of those that a load writes and those
that are exported; `formats`, `parquet_format` and `spreadsheet_format` write it there, as its source had it. How
rejects are read again is no matter of this room: the batches of a retry are made in `sources` and `loading`, and a file
of rejects is a source like any other.
"""
