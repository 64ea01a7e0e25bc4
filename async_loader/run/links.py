"""Which links the sources of a run have, and so which tables of other rows it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from async_loader.errors import ConfigurationError
from async_loader.run.plan import Plan
from async_loader.table_order import in_reference_order


def with_used_links(plan: Plan, readers: Mapping[str, Sequence[Any]]) -> Plan:
    """Return the plan in which those links are used that a source of the run has, or may have in records to come.

    Tables come after those that they are linked to. ConfigurationError where a source has links by which tables would
    reference each other in a circle; links that a source only may have are not used then.
    """
    given = {name: {link for reader in several for link in reader.links} for name, several in readers.items()}
    for name, several in given.items():
        for link in sorted(several):
            used = _using(plan, name, link)
            try:
                in_reference_order(used.tables)
            except ConfigurationError:
                if any(link in reader.given_links for reader in readers[name]):
                    raise
            else:
                plan = used
    return plan


def _using(plan: Plan, name: str, link: str) -> Plan:
    tables = tuple(
        replace(
            table,
            links=tuple(replace(links, is_used=links.is_used or links.name == link) for links in table.links),
        )
        if table.name == name
        else table
        for table in plan.tables
    )
    return replace(plan, tables=tables)
