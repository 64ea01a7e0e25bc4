"""What a load may ask of the mode that drives it. Values only; a mode gives each effect's result back by `send`.

This is the whole vocabulary between "what a load does" and "how it waits".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from async_loader.stores.store import Store

Result = TypeVar("Result")
# A generator of effects that returns a Result. What comes back from each effect is sent in, so `yield` gives Any.
Steps: TypeAlias = Generator["Effect", Any, Result]
# Some rows, in a form that a store's statements can read.
Packed: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection to the database, to be closed by the mode. Result: None.

    `timeout`: seconds to wait for a lock. `writable`: else for reading only. `create`: make it if there is none.
    """

    database: Store
    timeout: float
    writable: bool = True
    create: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Run one statement and fetch all it gives. Result: a list of rows.

    `batch`: rows that the statement reads, in parts as the store packs them. The statement is run for each part, and
    parts are drawn where the connection works.
    """

    database: str
    sql: str
    parameters: Sequence[Any] = ()
    batch: Iterable[Packed] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Run one statement, with `batch` as in Query. Result: how many rows changed.

    `rows`: how many must change, where that is known. If others do, nothing of it is done, and it counts as refused.
    """

    database: str
    sql: str
    parameters: Sequence[Any] = ()
    batch: Sequence[Packed] | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """Run statements, each with its parameters, of which each is to change one row. Result: how many did, and by
    number, from 0, what the database said of those that did not.
    """

    database: str
    statements: Sequence[tuple[str, Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Call:
    """Work that blocks or takes long: reading, checking. Result: what the function returns."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Begin other steps and go on without them where the mode can. Result: a token for Finish."""

    steps: Steps[Any]


@dataclass(frozen=True, slots=True)
class Finish:
    """Wait for what Start began. Result: what those steps return."""

    token: Any


@dataclass(frozen=True, slots=True)
class Submit:
    """Have a worker do something, once at least, when all that is `after` is done. Arguments that are tokens stand for
    what came of them, and so do tokens in a list or as values of a dict. Result: a token for Collect.

    work: which of the things that workers do.
    order: of what can be done, what has the least comes first.
    """

    work: str
    arguments: tuple[Any, ...]
    after: Sequence[Any] = ()
    order: int = 0


@dataclass(frozen=True, slots=True)
class Collect:
    """Wait for what Submit began, and hand over what came of each as it comes; what `take` makes of it is shown.
    Result: all that came, in the order of the tokens.
    """

    tokens: Sequence[Any]
    take: Callable[[Any], Show | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Together:
    """Take all of these steps, side by side or one after another; the first failure ends them. Result: None."""

    steps: Sequence[Steps[None]]


@dataclass(frozen=True, slots=True)
class Complete:
    """Take these steps to their end before any interrupt is felt. Result: None."""

    steps: Steps[None]


@dataclass(frozen=True, slots=True)
class Announce:
    """Say that all keys of a table are known. Result: None."""

    table: str


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until all keys of a table are known. Result: None."""

    table: str


@dataclass(frozen=True, slots=True)
class Show:
    """Let whoever watches the run see how far it is with a table. Result: None.

    read_to, size: in bytes, over all of the table's sources; `size` is None where it is unknown, and equals `read_to`
        once all is read. A check of references has places in the table for bytes.
    waits_for: the table whose keys, or whose connection, must come first.
    """

    table: str
    given: int
    rejected: int
    read_to: int
    size: int | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Say a line to whoever watches the run. Result: None."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for some seconds. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Result: the time, a datetime with zone UTC."""


Effect: TypeAlias = (
    Connect
    | Query
    | Change
    | Each
    | Call
    | Start
    | Finish
    | Submit
    | Collect
    | Together
    | Complete
    | Announce
    | Await
    | Show
    | Tell
    | Pause
    | Now
)
