"""What is known of runs, as values: nothing here opens, waits, or asks a database.

`entries` is a line of `loader_runs`, `order` in which order runs wrote, `currency` which lines are current, `resuming`
whether a line is an unfinished run to resume, `agreement` whether ledgers and databases agree. `layouts` is how a
source was read, `contents` what was read from it, `appending` whether that was appended before, `reject_groups` which
table stored rejects are of. `counts` is how many records were given and what became of them, `tally` adds that up while
a table is loaded, `outcomes` is what came of a share. `report` is what a run says at the end, `samples` and `stopwatch`
are its pace and how long it took.
"""
