"""The scale model: how long a load over many workers would take, what would limit it, and what would not fit.

`forecast.py` is the entry. It divides a load into work for each table (`work.py`), adds up what its phases need
(`phases.py`) and what memory it takes (`memory.py`). The inputs are measured costs (`costs.py`, and `costs.json` with
those of docs/scale.md) and the sources and machines in question (`inputs.py`). `tables.py` and `chart.py` show
forecasts; `tables.py` also compares them with the measured loads of `runs.jsonl`. All but `chart.py` is pure.
"""
