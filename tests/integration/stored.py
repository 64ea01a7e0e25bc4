"""Stored rejects of a place, as a program lists, exports, tries and changes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from async_loader import (
    Options,
    RejectFilter,
    Report,
    Retry,
    StoredReject,
    StoredRejects,
    Verification,
)
from tests.sample import Place

ALL = RejectFilter()
USERS_CSV = "id,name,email\n1,Ann,a@\n2,,b@\n3,Cy,c\n4,,d\n5,Eve,e@\n"


def stored(place: Place) -> StoredRejects:
    return StoredRejects(place.tables, place.databases)


def exported(place: Place, name: str, wanted: RejectFilter = ALL) -> Path:
    """Export stored rejects into a file, and return it."""
    found = stored(place).export(wanted, place.directory / name)
    assert found is not None
    return found.files[0][0]


def shown(place: Place, wanted: RejectFilter = ALL) -> list[StoredReject]:
    found: list[StoredReject] = []

    def take(several: Iterable[StoredReject]) -> bool:
        found.extend(several)
        return True

    stored(place).each(wanted, take)
    return found


def retry(place: Place, mode: str, wanted: RejectFilter = ALL, **options: Any) -> Report:
    return Retry(place.tables, wanted, place.databases, Options(**options), mode=mode).perform()


def discarded(place: Place, wanted: RejectFilter = ALL) -> int | None:
    return stored(place).discard(wanted, lambda _: True)


def places(place: Place) -> list[tuple[str, int, list[str]]]:
    """Return file, line and reasons of each stored reject."""
    return [
        (Path(each.reject.source).name, each.reject.line, [reason.name for reason in each.reject.reasons])
        for each in shown(place)
    ]


def findings(place: Place) -> list[str]:
    report = Verification(place.tables, place.databases).perform()
    return [finding.problem for run in report.runs for finding in run.findings]


def facts(place: Place, database: str) -> list[dict[str, Any]]:
    """Return what the ledger's lines say of earlier rejects."""
    lines = place.query(database, "SELECT sources FROM loader_runs ORDER BY started_at")
    return [
        {name: value for name, value in json.loads(text).items() if name in ("superseded", "discarded")}
        for (text,) in lines
    ]


def edit(place: Place, database: str, **values: Any) -> None:
    """Change stored rejects without the loader; a function gets the value that is there."""
    for number, text in place.query(database, "SELECT id, record FROM loader_rejects"):
        record = json.loads(text)
        record |= {name: value(record[name]) if callable(value) else value for name, value in values.items()}
        place.query(database, "UPDATE loader_rejects SET record = ? WHERE id = ?", (json.dumps(record), number))


def names_of(reject: StoredReject) -> str:
    return " ".join(reason.name for reason in reject.reject.reasons)


def lines_left(place: Place) -> list[str]:
    """Return the keys of the stored rejects, as they were read."""
    return sorted(str(each.reject.record.get("id")) for each in shown(place))
