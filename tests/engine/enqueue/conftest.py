"""What the tests of enqueue share: the caller's connections, and waiting until one of them really waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row
from tests.engine.locks import waiting
from tests.engine.pooled import PSYCOPG

PATIENCE = 20.0  # seconds until a fact that does not come true fails its test

Open = Callable[[], Awaitable[psycopg.AsyncConnection[DictRow]]]


@pytest.fixture
async def open_connection(url: str) -> AsyncIterator[Open]:
    """Opens connections that begin a transaction with their first statement; all are closed after the test."""
    opened: list[psycopg.AsyncConnection[DictRow]] = []

    async def open_one() -> psycopg.AsyncConnection[DictRow]:
        opened.append(await psycopg.AsyncConnection.connect(url, row_factory=dict_row, **PSYCOPG))
        return opened[-1]

    yield open_one
    for connection in opened:
        await connection.close()


@pytest.fixture
def until_blocked(db: psycopg.AsyncConnection[DictRow]) -> Callable[..., Awaitable[None]]:
    """Waits until these connections wait for a lock, and no others."""

    async def wait(*connections: psycopg.AsyncConnection[DictRow]) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(connections) != await waiting(db):
                pass

    return wait
