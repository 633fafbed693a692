"""Connections: our own to the database, and running a statement on whatever connection a caller brings."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg.rows import DictRow, dict_row

from leadjobs.errors import EnqueueError, SchemaBehindError, SettingsError, StoreError
from leadjobs.store.statements import Statement

Params = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
OwnConnection = psycopg.AsyncConnection[DictRow]

# Works through a pooler in transaction mode: nothing is prepared on a server connection that the next client may get.
# A network that drops packets is noticed within a minute or so, and not after the system's two hours.
CONNECT: dict[str, Any] = {
    "prepare_threshold": None,
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "tcp_user_timeout": 60_000,  # milliseconds
    "application_name": "leadjobs",
}

FINISH_SECONDS = 2.0  # how long a write that must not be lost is waited for, once its job is cancelled
T = TypeVar("T")

_MISSING = {"42P01", "42703"}  # PostgreSQL's codes for an undefined table and an undefined column


@asynccontextmanager
async def connect(url: str, *, within: float = float("inf")) -> AsyncIterator[OwnConnection]:
    """A connection of our own, where each statement is its own transaction; closed at the end.

    ``within`` is how many seconds the database has to answer, if they are fewer than ten.

    Raises:
        SettingsError: the URL cannot be read.
        StoreError: the database does not answer.
    """
    connection = await _open(url, within)
    try:
        yield connection
    finally:
        await connection.close()


async def _open(url: str, within: float = float("inf")) -> OwnConnection:
    try:
        async with asyncio.timeout(None if within == float("inf") else within):
            return await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row, **CONNECT)
    except TimeoutError:
        raise StoreError(f"the database does not answer: no connection in {within:.3g} s") from None
    except psycopg.ProgrammingError:
        raise SettingsError(
            "DATABASE_URL cannot be read: it looks like postgresql://user:password@host:5432/name"
        ) from None
    except psycopg.OperationalError as error:
        raise StoreError(f"the database does not answer: {str(error).strip()}") from error


class TimeLimit:
    """``async with`` it around statements: they end after so many seconds, with TimeoutError; a grace later at most.

    A cancelled statement waits for up to ten seconds to hear that it was, and so does the rollback behind it: on a
    silent network nobody says.  So from half the grace on they are cancelled again and again, until the connection is
    closed.  How often it takes nobody knows before: all that comes due while the event loop stands still counts once.
    """

    def __init__(self, seconds: float, *, grace: float) -> None:
        self._seconds, self._grace = seconds, grace
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cancellations = self._cancelled_before = 0
        self.over_since: float | None = None  # on the event loop's clock

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task else 0
        if self._seconds < float("inf"):
            self.end(after=self._seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._timer is not None:
            self._timer.cancel()
        if task is None or not self._cancellations:
            return
        by_others = [task.uncancel() for _ in range(self._cancellations)][-1]
        if isinstance(error, asyncio.CancelledError) and by_others <= self._cancelled_before:
            raise TimeoutError from error

    def end(self, *, after: float) -> None:
        """Let it be over in so many seconds; nothing happens where nobody is in it, or it is over."""
        if self._task is None or self.over_since is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after, self._cancel, self._task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        pause = self._grace / 4
        if self.over_since is None and self._timer is not None:
            self.over_since, pause = self._timer.when(), self._grace / 2
        task.cancel()
        self._cancellations += 1
        self._timer = asyncio.get_running_loop().call_later(pause, self._cancel, task)


class Transactions:
    """Opens connections for transactions, at most so many at once, and keeps none open that nobody waits for.

    A serverless instance is frozen between requests, timers and all: an idle pool would leave its connections open on
    the server.  In a burst a connection goes straight to whoever waits, for a new one costs the server some 4 ms.
    """

    def __init__(self, url: str, *, at_once: int) -> None:
        self._url, self._slots = url, asyncio.Semaphore(at_once)
        self._handed_on: list[OwnConnection] = []
        self._waiting = self._used = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[OwnConnection]:
        """A transaction of its own: it commits at the end of the block, and rolls back on an exception."""
        await self._wait_for_a_slot()
        self._used += 1
        connection: OwnConnection | None = None
        try:
            connection = self._handed_on.pop() if self._handed_on else await _open(self._url)
            async with connection.transaction():
                yield connection
        finally:
            self._used -= 1
            self._slots.release()
            await self._hand_on(connection)

    async def _wait_for_a_slot(self) -> None:
        self._waiting += 1
        try:
            await self._slots.acquire()
        except BaseException:
            self._waiting -= 1
            await self._hand_on(None)
            raise
        self._waiting -= 1

    async def _hand_on(self, connection: OwnConnection | None) -> None:
        """Leave the connection to one who waits, or close it; the last one out closes what nobody came for."""
        unwanted = self._handed_on if self._used == 0 and self._waiting == 0 else []
        if unwanted:
            self._handed_on = []
        if connection is not None and not connection.broken and self._waiting > len(self._handed_on):
            self._handed_on.append(connection)
        elif connection is not None:
            unwanted = [*unwanted, connection]
        for each in unwanted:
            await each.close()


async def finished(writing: Coroutine[Any, Any, T]) -> T:
    """What a write returns that must not be lost: it goes on for up to two seconds after a cancellation."""
    task = asyncio.ensure_future(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # The shield keeps the write alive, but nobody would wait for it: the loop may end first.
        await asyncio.wait({task}, timeout=FINISH_SECONDS)
        task.cancel()
        raise


async def fetch_async(connection: Any, statement: Statement, params: Params) -> Rows:
    """Run a statement on our own connection, or in the open transaction of a caller's async connection or session.

    Raises:
        EnqueueError: the connection is of no known kind, or a sync one.
        SchemaBehindError: a table or column is missing.
    """
    if isinstance(connection, psycopg.AsyncConnection):
        is_raw = issubclass(connection.cursor_factory, psycopg.AsyncRawCursor)  # which knows no names for binds
        make = partial(psycopg.AsyncCursor, connection) if is_raw else connection.cursor
        async with make(row_factory=dict_row) as cursor:
            with schema_wanted():
                await cursor.execute(statement.for_psycopg, params)
            return await cursor.fetchall() if cursor.rownumber is not None else []
    if _is_from("sqlalchemy.ext.asyncio", connection, "AsyncSession", "AsyncConnection", "async_scoped_session"):
        with schema_wanted():
            result = await connection.execute(statement.for_sqlalchemy, params)
        return list(result.mappings()) if result.returns_rows else []
    raise EnqueueError(_misfit(connection, "enqueue", "enqueue_sync"))


def fetch_sync(connection: Any, statement: Statement, params: Params) -> Rows:
    """:func:`fetch_async` for sync connections and sessions."""
    if isinstance(connection, psycopg.Connection):
        is_raw = issubclass(connection.cursor_factory, psycopg.RawCursor)
        make = partial(psycopg.Cursor, connection) if is_raw else connection.cursor
        with make(row_factory=dict_row) as cursor, schema_wanted():
            cursor.execute(statement.for_psycopg, params)
            return cursor.fetchall() if cursor.rownumber is not None else []
    if _is_from("sqlalchemy.orm", connection, "Session", "scoped_session") or _is_from(
        "sqlalchemy", connection, "Connection"
    ):
        with schema_wanted():
            result = connection.execute(statement.for_sqlalchemy, params)
            return list(result.mappings()) if result.returns_rows else []
    raise EnqueueError(_misfit(connection, "enqueue_sync", "enqueue"))


def _is_from(module: str, connection: object, *names: str) -> bool:
    """Is it an instance of one of these classes?  Only a module that is loaded already can have made it."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(connection, tuple(getattr(loaded, name) for name in names))


def _misfit(connection: object, asked: str, other: str) -> str:
    return (
        f"{asked}() cannot use a {type(connection).__module__}.{type(connection).__name__}: give it a psycopg "
        f"connection or a SQLAlchemy session or connection ({asked}() and {other}() differ in async and sync)"
    )


@contextmanager
def schema_wanted() -> Iterator[None]:
    """Where a driver says that a table or column is missing, say how to get it."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps the driver's error
        if (getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)) not in _MISSING:
            raise
        raise SchemaBehindError(f"{str(cause).splitlines()[0]}: run `leadjobs migrate`") from error
