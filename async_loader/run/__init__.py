"""A whole run: its plan, and its execution in this process or spread over workers. Generators of effects.

`plan` is what a run is to do. `run` opens, prepares, loads, commits and reports; `executions` looks up how, and `local`
and `spreading` are the executions. `state` is how far a run is, `reading` opens its sources, `discovery` asks open
databases which of them are one and which foreign keys they have, `resuming` finds what an earlier run has committed,
`rechecking` looks once more at what a run relied on, `progress` keeps how far it has come. `spread` leads the load of
one table, `shares` loads a share of it on a worker, `shared_keys` finds keys that several shares have, `cluster` says
which workers there are, and `guards` keeps other runs waiting meanwhile. `inspection` is for databases that are looked
at only.
"""
