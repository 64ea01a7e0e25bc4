"""The load of one table: generators of effects. No I/O, and no way of waiting.

`load` reads batches, has each completed (`completing`), judged (`judging`) and written (`writing`), and commits as its
`commits` say. `finding` is how records find rows by other values than a primary key, `learning` how keys of other
tables become known, `refused` what the database does not take. `meanwhile` is what becomes of records where others
write to the table between two commits, `versions` whether databases have changed since. `superseding`,
`repeated_content`, `making_good` and `retrying` are what a load does with stored rejects, `listing` what a small load
lists. `unique_sets` is what a database says of unique values; `waiting`, `exchanging` and `parking` are how rows
exchange them. `sides` says what a load needs of a source and of a file of rejects.
"""
