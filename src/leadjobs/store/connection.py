"""Connections: our own to the database, and running a statement on whatever connection a caller brings."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from leadjobs.errors import EnqueueError, SchemaBehindError, SettingsError, StoreError
from leadjobs.store.statements import Statement

Params = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
OwnConnection = psycopg.AsyncConnection[DictRow]

# Works through a pooler in transaction mode: nothing is prepared on a server connection that the next client may get.
CONNECT: dict[str, Any] = {"prepare_threshold": None, "connect_timeout": 10, "application_name": "leadjobs"}


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[OwnConnection]:
    """A connection of our own, where each statement is its own transaction; closed at the end.

    Raises:
        SettingsError: the URL cannot be read.
        StoreError: the database does not answer.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row, **CONNECT)
    except psycopg.ProgrammingError:
        raise SettingsError(
            "DATABASE_URL cannot be read: it looks like postgresql://user:password@host:5432/name"
        ) from None
    except psycopg.OperationalError as error:
        raise StoreError(f"the database does not answer: {str(error).strip()}") from error
    try:
        yield connection
    finally:
        await connection.close()


async def fetch(connection: OwnConnection, statement: Statement, params: Params) -> list[DictRow]:
    """Run a statement on a connection of our own.

    Raises:
        SchemaBehindError: a table or column is missing.
    """
    try:
        cursor = await connection.execute(statement.for_psycopg, params)
        return await cursor.fetchall() if cursor.description else []
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise SchemaBehindError(f"{_cause(error)}: run `leadjobs migrate`") from error


async def fetch_async(connection: Any, statement: Statement, params: Params) -> Rows:
    """Run a statement in the open transaction of a caller's async connection or session."""
    if isinstance(connection, psycopg.AsyncConnection):
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement.for_psycopg, params)
            return await cursor.fetchall()
    if _is_from("sqlalchemy.ext.asyncio", connection, "AsyncSession", "AsyncConnection", "async_scoped_session"):
        result = await connection.execute(statement.for_sqlalchemy, params)
        return list(result.mappings())
    raise EnqueueError(_misfit(connection, "enqueue", "enqueue_sync"))


def fetch_sync(connection: Any, statement: Statement, params: Params) -> Rows:
    """Run a statement in the open transaction of a caller's sync connection or session."""
    if isinstance(connection, psycopg.Connection):
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement.for_psycopg, params)
            return cursor.fetchall()
    if _is_from("sqlalchemy.orm", connection, "Session", "scoped_session") or _is_from(
        "sqlalchemy", connection, "Connection"
    ):
        return list(connection.execute(statement.for_sqlalchemy, params).mappings())
    raise EnqueueError(_misfit(connection, "enqueue_sync", "enqueue"))


def _is_from(module: str, connection: object, *names: str) -> bool:
    """Is it an instance of one of these classes?  Looks only where the module is loaded already: its owner loaded it."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(connection, tuple(getattr(loaded, name) for name in names))


def _misfit(connection: object, asked: str, other: str) -> str:
    return (
        f"{asked}() cannot use a {type(connection).__module__}.{type(connection).__name__}: give it a psycopg connection or "
        f"a SQLAlchemy session or connection ({asked}() and {other}() differ in async and sync)"
    )


def _cause(error: psycopg.Error) -> str:
    return error.diag.message_primary or type(error).__name__
