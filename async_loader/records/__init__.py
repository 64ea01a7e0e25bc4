"""A batch of records in columns, and what becomes of it: values, faults, reasons of rejects, sets of keys.

Here lives what can be computed from values alone. Nothing here does I/O, reads a clock or waits; sources make batches,
stores keep what was accepted, and this room knows neither.

`batches` is what sources hand over. `parsing`, `spellings`, `zones` and `json_text` make values of text, `arrays` makes
series of arrays. `validation` judges a batch, by `judging_rules` too, and `reasons` has the words; `completion` fills
in what a record lacks. `world` is what a batch is judged against, and `exchanges` judges records that wait for each
other. `keys` is which keys are taken or known to exist, in `key_sets` and `text_keys`, and `row_index` finds keys by
other columns.
"""
