"""Constraints and triggers that a user may have, and what a load says of what they refuse."""

from __future__ import annotations

from typing import Any

from async_loader import Report
from tests.sample import Place

UNIQUE = "CREATE UNIQUE INDEX one_email ON users (email)"
CHECK = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT CHECK (email <> 'no@'))"


def trigger(action: str, event: str = "INSERT") -> str:
    return f"""CREATE TRIGGER guard AFTER {event} ON users WHEN NEW.email = 'no@'
        BEGIN SELECT RAISE({action}); END"""


def function(action: str, event: str = "BEFORE INSERT", kind: str = "") -> str:
    """Return the SQL of a trigger in PostgreSQL."""
    return f"""CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.email = 'no@' THEN {action}; END IF; RETURN NEW; END $$;
        CREATE {kind} TRIGGER guard {event} ON users {"DEFERRABLE INITIALLY DEFERRED" if kind else ""}
        FOR EACH ROW EXECUTE FUNCTION guard()"""


def made_anew(place: Place, *statements: str) -> None:
    """Create the table of users anew, as its user has declared it."""
    if any(statement.startswith("CREATE TABLE users") for statement in statements):
        place.query("users", "DROP TABLE users")
    for statement in statements:
        place.query("users", statement)


NO = {"sqlite": trigger("ABORT, 'no'"), "postgresql": function("RAISE 'no'", "AFTER INSERT")}


def reasons_of(report: Report, table: str) -> list[tuple[int, list[Any]]]:
    """Return by line what the report says of each reject."""
    return [
        (reject.line, [(reason.code, reason.column, reason.message) for reason in reject.reasons])
        for reject in report.tables[table].rejects
    ]
