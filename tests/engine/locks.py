"""Who waits for a lock that another transaction holds: the fact that tests of races wait for."""

import asyncio
from typing import Any

from psycopg import AsyncConnection

PATIENCE = 20.0  # seconds until a wait that does not begin fails its test


async def waiting(db: AsyncConnection[Any]) -> int:
    """How many connections to this database wait now."""
    cursor = await db.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return cursor.rowcount


async def until_somebody_waits(db: AsyncConnection[Any]) -> None:
    """Give the others their turn until one of them waits."""
    async with asyncio.timeout(PATIENCE):
        while not await waiting(db):
            pass
