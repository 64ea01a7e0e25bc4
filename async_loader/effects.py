"""Effects, the requests of a load to the mode that drives it: values, and the loops that send each result back.

These effects are the whole vocabulary between what a load does and how it waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

Asked = TypeVar("Asked")
Result = TypeVar("Result")
# A generator of effects that returns a Result. What comes back from each effect is sent in, so `yield` gives Any.
Steps: TypeAlias = Generator["Effect", Any, Result]
# Some rows, in a form that a store's statements can read.
Packed: TypeAlias = Any


class Connection(Protocol):
    """An open connection of a database, as a mode that blocks holds it."""

    def interrupt(self) -> None:
        """End the statement that is being performed, if there is one; from any thread."""

    def close(self) -> None:
        """Close it, and roll back what is not committed."""


class AsyncConnection(Protocol):
    """An open connection of a database, as an event loop holds it."""

    async def perform(self, statement: Query | Change | Each) -> Any:
        """Return the statement's result, as its effect says; it is done as a whole, one statement at a time."""

    async def close(self) -> None:
        """Close it, and roll back what is not committed."""


class Database(Protocol):
    """A database, as far as a mode needs it: to connect, and to perform a statement over a connection that blocks."""

    @property
    def name(self) -> str:
        """The name that tables use for it."""

    def connect(self, *, lock_timeout: float, writable: bool, create: bool) -> Connection:
        """Open it. `lock_timeout`: seconds to wait for a lock. `create`: make it where there is none."""

    async def connect_async(self, *, lock_timeout: float, writable: bool, create: bool) -> AsyncConnection:
        """Open it for an event loop."""

    def perform(self, connection: Any, statement: Query | Change | Each) -> Any:
        """Return the statement's result, as its effect says, over what `connect` gave."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection to the database, to be closed by the mode. Result: None.

    `timeout`: seconds to wait for a lock. `writable`: else for reading only. `create`: make it if there is none.
    """

    database: Database
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
    `first`: changes with batches that are done before it, and undone with it.
    """

    database: str
    sql: str
    parameters: Sequence[Any] = ()
    batch: Sequence[Packed] | None = None
    rows: int | None = None
    first: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a database refused a row: what it said, and the constraint by its name or, where it has none, its columns."""

    said: str
    constraint: str = ""
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Each:
    """Run statements, each with its parameters, of which each is to change one row. Result: how many did, and by
    number, from 0, the refusals of those that did not.
    """

    database: str
    statements: Sequence[tuple[str, Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Call:
    """Work that blocks or takes long: reading, checking. Result: what the function returns."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Records that a program gives one after another, at once or asynchronously. Opened twice, they are two values."""

    given: Iterable[Any] | AsyncIterable[Any]


@dataclass(frozen=True, slots=True)
class Draw:
    """Take the next of some records. The mode iterates over them where their own code may block or wait, and closes the
    iterator at the end of the run. Result: a list of `count` of them, or of fewer if they have come to their end.
    """

    records: Records
    count: int


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
    """Show the caller how far the run is with a table. Result: None.

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
    """Show the caller a line about the run. Result: None."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for some seconds. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Read the clock. Result: the time, a datetime with zone UTC."""


Effect: TypeAlias = (
    Connect
    | Query
    | Change
    | Each
    | Call
    | Draw
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


def drive(steps: Generator[Asked, Any, Result], perform: Callable[[Asked], Any]) -> Result:
    """Take steps to their end: perform what they ask for and send in its result, or throw in what performing raised."""
    step, result = steps.send, None
    while True:
        try:
            asked = step(result)
        except StopIteration as done:
            value: Result = done.value
            return value
        try:
            step, result = steps.send, perform(asked)
        except BaseException as error:
            step, result = steps.throw, error


async def drive_async(steps: Generator[Asked, Any, Result], perform: Callable[[Asked], Awaitable[Any]]) -> Result:
    """Take steps to their end as `drive` does, where performing is awaited."""
    step, result = steps.send, None
    while True:
        try:
            asked = step(result)
        except StopIteration as done:
            value: Result = done.value
            return value
        try:
            step, result = steps.send, await perform(asked)
        except BaseException as error:
            step, result = steps.throw, error
