from .agreement import Finding, VerifiedRun, VerifiedTable
from .api import ReferenceCheck, Retry, Run, StoredRejects, Verification, check_references, init, load, verify
from .effects import Show, Tell
from .errors import (
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
from .modes import MODES
from .origins import Layout, RejectFilter
from .plan import ON_CONFLICT, Options
from .references import CheckedTable, Orphan, ReferenceReport
from .report import LISTED, Reason, Reject, Report, TableReport, as_typed
from .rules import (
    Rule,
    at_least,
    at_most,
    contains,
    each_value,
    greater_than,
    less_than,
    matches,
    max_length,
    min_length,
    not_empty,
    one_of,
)
from .sources import Source
from .stored import Exported, RejectingRun, StoredReject, TableRejects
from .stores.sqlite import SQLITE_DIGITS
from .tables import MOST_DIGITS, REQUIRED, Column, Reference, Table, Type
from .verify import VerificationReport

__all__ = [
    "LISTED",
    "MODES",
    "MOST_DIGITS",
    "ON_CONFLICT",
    "REQUIRED",
    "SQLITE_DIGITS",
    "CheckedTable",
    "Column",
    "ConfigurationError",
    "ConflictError",
    "Exported",
    "Finding",
    "Layout",
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
    "RejectFilter",
    "RejectingRun",
    "Report",
    "Retry",
    "Rule",
    "Run",
    "Show",
    "Source",
    "SourceError",
    "StoreError",
    "StoredReject",
    "StoredRejects",
    "Table",
    "TableRejects",
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
    "min_length",
    "not_empty",
    "one_of",
    "verify",
]
