"""The load of one table: generators of effects. No I/O, and no way of waiting.

`load` reads batches, has each completed (`completing`), judged (`judging`) and written (`writing`), and commits as its
`commits` say. `finding` is how records find rows by other values than a primary key, `learning` how keys of other
tables become known, `refused` what the database does not take. `superseding`, `repeated_content` and `retrying` are
what a load does with stored rejects. `sides` says what a load needs of a source and of a file of rejects.
"""
