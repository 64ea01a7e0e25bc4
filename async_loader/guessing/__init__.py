"""Guesses of how a file is written: its format, its columns and their types, from a sample of both its ends.

Here lives what `async_loader.inspect` needs: reading the ends of a file (`ends`), its base format (`kinds`), encoding
(`encodings`), punctuation and header (`shapes`), and what its columns hold (`numbers`, `moments`, `columns`). Records
of the sample are read by the readers of `sources`, never by a second parser. A load guesses nothing, and imports
nothing from here.
"""
