"""The costs of a load on this machine, for `manage.py scale --costs`: each part of the work, run alone and timed.

`place.py` is where they are measured, with a clock for CPU seconds; `shares.py` measures the parts of a share,
`tasks.py` what Dask takes, `loads.py` whole loads. `python -m tests.costs --help` has the command line.
"""
