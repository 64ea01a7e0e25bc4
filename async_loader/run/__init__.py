"""A whole run: its plan, and its execution in this process or spread over workers. Generators of effects.

`run` opens, prepares, loads, commits and reports; `executions` looks up how, as `local` and `spreading` say. `state` is
how far a run is, `reading` opens its sources, `resuming` finds what an earlier run has committed, `progress` keeps how
far it has come. `spread` leads the load of one table, `shares` loads a share of it on a worker, and `shared_keys` finds
keys that several shares have. `inspection` is for databases that are looked at only.
"""
