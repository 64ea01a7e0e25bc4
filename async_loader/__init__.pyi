from .api.checks import ReferenceCheck, Verification, check_references, verify
from .api.inspecting import Inspection, inspect
from .api.loading import Run, init, load
from .api.stored_rejects import Retry, StoredRejects
from .checks.references import CheckedTable, Orphan, ReferenceReport
from .checks.verification import VerificationReport
from .columns import BY_DATABASE, MOST_DIGITS, REQUIRED, SQLITE_DIGITS, Column, Type
from .constraints import Constraint, Unique, Where
from .effects import Show, Tell
from .errors import (
    ClusterError,
    ConfigurationError,
    ConflictError,
    DeleteLimitError,
    InvalidValueError,
    LedgerError,
    LoaderError,
    LockedError,
    OutputError,
    OverLimitError,
    RefusedError,
    SourceError,
    StoreError,
    UnreachableError,
)
from .formats import Dialect, Format, Spellings
from .guessing.inspected import Inspected, InspectedColumn, Sampling
from .guessing.inspecting import Sample
from .inheritance import Parent
from .ledger.agreement import Finding, VerifiedRun, VerifiedTable
from .ledger.counts import Counts
from .ledger.layouts import Layout
from .ledger.reject_groups import RejectFilter
from .ledger.report import LISTED, Reason, Reject, Report, TableReport, as_typed
from .locations import Lent, PostgreSQL, SQLite
from .modes import DASK, MODES
from .rejects.export import Exported
from .rejects.listing import RejectingRun, StoredReject, TableRejects
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
    not_blank,
    not_empty,
    one_of,
)
from .run.cluster import Cluster
from .run.deletions import Mark, Referrer
from .run.loaded import Loaded
from .run.mended import Mended
from .run.plan import ON_CONFLICT, ON_MISSING, Options
from .sources import Source
from .stores import StoreLike, store_of
from .tables import Links, Reference, Table

__all__ = [
    "BY_DATABASE",
    "DASK",
    "LISTED",
    "MODES",
    "MOST_DIGITS",
    "ON_CONFLICT",
    "ON_MISSING",
    "REQUIRED",
    "SQLITE_DIGITS",
    "CheckedTable",
    "Cluster",
    "ClusterError",
    "Column",
    "ConfigurationError",
    "ConflictError",
    "Constraint",
    "Counts",
    "DeleteLimitError",
    "Dialect",
    "Exported",
    "Finding",
    "Format",
    "Inspected",
    "InspectedColumn",
    "Inspection",
    "InvalidValueError",
    "Layout",
    "LedgerError",
    "Lent",
    "Links",
    "Loaded",
    "LoaderError",
    "LockedError",
    "Mark",
    "Mended",
    "Options",
    "Orphan",
    "OutputError",
    "OverLimitError",
    "Parent",
    "PostgreSQL",
    "Reason",
    "Reference",
    "ReferenceCheck",
    "ReferenceReport",
    "Referrer",
    "RefusedError",
    "Reject",
    "RejectFilter",
    "RejectingRun",
    "Report",
    "Retry",
    "Rule",
    "Run",
    "SQLite",
    "Sample",
    "Sampling",
    "Show",
    "Source",
    "SourceError",
    "Spellings",
    "StoreError",
    "StoreLike",
    "StoredReject",
    "StoredRejects",
    "Table",
    "TableRejects",
    "TableReport",
    "Tell",
    "Type",
    "Unique",
    "UnreachableError",
    "Verification",
    "VerificationReport",
    "VerifiedRun",
    "VerifiedTable",
    "Where",
    "as_typed",
    "at_least",
    "at_most",
    "check_references",
    "contains",
    "each_value",
    "greater_than",
    "init",
    "inspect",
    "less_than",
    "load",
    "matches",
    "max_length",
    "min_length",
    "not_blank",
    "not_empty",
    "one_of",
    "store_of",
    "verify",
]
