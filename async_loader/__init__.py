"""A loader for tables that live in several databases: fast, checked, and with nothing lost.

These are all its public names. It knows nothing of Django.
"""

from async_loader.agreement import Finding, VerifiedRun, VerifiedTable
from async_loader.api import ReferenceCheck, Run, Verification, check_references, init, load, verify
from async_loader.effects import Show, Tell
from async_loader.errors import (
    ConfigurationError,
    ConflictError,
    LedgerError,
    LoaderError,
    OutputError,
    OverLimitError,
    RefusedError,
    SourceError,
    StoreError,
)
from async_loader.modes import MODES
from async_loader.plan import ON_CONFLICT, Options
from async_loader.references import CheckedTable, Orphan, ReferenceReport
from async_loader.report import LISTED, Reason, Reject, Report, TableReport, as_typed
from async_loader.rules import (
    Rule,
    at_least,
    at_most,
    contains,
    each_value,
    greater_than,
    less_than,
    matches,
    max_length,
    not_empty,
    one_of,
)
from async_loader.sources import Source
from async_loader.tables import Column, Reference, Table, Type
from async_loader.verify import VerificationReport

__all__ = [
    "LISTED",
    "MODES",
    "ON_CONFLICT",
    "CheckedTable",
    "Column",
    "ConfigurationError",
    "ConflictError",
    "Finding",
    "LedgerError",
    "LoaderError",
    "Options",
    "Orphan",
    "OutputError",
    "OverLimitError",
    "Reason",
    "Reference",
    "ReferenceCheck",
    "ReferenceReport",
    "RefusedError",
    "Reject",
    "Report",
    "Rule",
    "Run",
    "Show",
    "Source",
    "SourceError",
    "StoreError",
    "Table",
    "TableReport",
    "Tell",
    "Type",
    "Verification",
    "VerificationReport",
    "VerifiedRun",
    "VerifiedTable",
    "as_typed",
    "at_least",
    "at_most",
    "check_references",
    "contains",
    "each_value",
    "greater_than",
    "init",
    "less_than",
    "load",
    "matches",
    "max_length",
    "not_empty",
    "one_of",
    "verify",
]
