"""`python -m tests.costs`: measure the costs of a load, or whole loads, and print them as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import django

from benchmarks import machine
from benchmarks.data import TABLES, made
from benchmarks.scale.costs import Costs
from tests.costs import shares, tasks
from tests.costs.loads import INVALID, runs, starts
from tests.costs.place import Place, place

# Records of all tables together in the loads that `runs` measures, and how often it measures each.
_LOADS, _REPEAT = (1_000_000, 2_000_000, 4_000_000), 3
_HELP = """\
Measure what `manage.py scale` predicts with. Starts a PostgreSQL server of its own, as durable as one is by default.
CPU seconds are measured, because other programs on the machine disturb them least.

  python -m tests.costs > costs.json        the costs, with 1,000,000 records of each table
  python -m tests.costs 200000 > costs.json the costs, with 200,000
  python -m tests.costs runs > runs.jsonl   whole loads, in one process and over workers, a line for each
"""


def costs(records: int) -> Costs:
    """Measure all costs, with that many records of each table."""
    with place() as here:
        frames = made(records, INVALID)
        by_table = {table: shares.table_costs(here, table, frames[table]) for table in TABLES}
        _, sorted_growth = shares.growth(here, 4 * records, is_sorted=True)
        random_server, random_growth = shares.growth(here, 4 * records, is_sorted=False)
        sorted_server, _ = shares.growth(here, records, is_sorted=True)
        return Costs(
            records=records,
            machine=machine.facts() | {"postgresql": _version(here)},
            tables=by_table,
            growth=sorted_growth,
            random=max(0.0, random_server - sorted_server),
            random_growth=random_growth,
            **shares.asking(here, records),
            **shares.sharing(here),
            gather=shares.gathering(records),
            **tasks.tasks(),
            **starts(here),
        )


def _version(here: Place) -> str:
    [(version,)] = here.postgres.query("postgres", "SHOW server_version")
    return str(version)


def _rounded(value: Any) -> Any:
    """Round each number to three digits: no more of them mean anything."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _print_loads() -> None:
    for records in _LOADS:
        for facts in runs(records, _REPEAT):
            sys.stdout.write(json.dumps(_rounded(facts)) + "\n")
            sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.costs", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="1000000", metavar="N | runs", help="records of each table, or runs")
    asked = parser.parse_args(arguments).what
    if asked != "runs" and not (asked.isdecimal() and int(asked) >= 1000):
        parser.error(f"{asked!r} is neither runs nor a number of records from 1000 on")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
    django.setup()
    if asked == "runs":
        _print_loads()
    else:
        sys.stdout.write(json.dumps(_rounded(costs(int(asked)).as_dict()), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
