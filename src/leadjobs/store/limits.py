"""Limits in the database: a runner locks them, counts what runs, claims no more than may, and commits.

Whoever claims under a limit holds its row's lock meanwhile, so no two runners count at once; and what runs is counted
from the jobs themselves, so no slot can leak: whatever ends a lease frees one.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from leadjobs.core.clock import Clock
from leadjobs.core.limit import NamedLimit, Room, Rooms
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.statements import statement


class LimitStore:
    """Declares and locks limits on one connection of our own."""

    def __init__(self, connection: OwnConnection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._declared: set[str] = set()

    async def _rows(self, name: str, **params: Any) -> Sequence[Mapping[str, Any]]:
        return await fetch_async(self._connection, statement(name), params)

    @asynccontextmanager
    async def locked(self, limits: Iterable[NamedLimit]) -> AsyncIterator[Rooms]:
        """A transaction in which nobody else claims under these limits; what was started moves the rates' clocks.

        A process that is frozen in it does not hold up the others for long: the server ends the transaction.

        Raises:
            psycopg.errors.LockNotAvailable: somebody has held one of them for seconds.
        """
        wanted = {each.name: each for each in limits}
        await self._declare([each for each in wanted.values() if each.name not in self._declared])
        names, now = sorted(wanted), self._clock.database_now()
        async with self._connection.transaction():
            locked = await self._rows("lock_limits", names=names, now=now)
            counted = [name for name in names if wanted[name].limit.running is not None]
            running = {row["name"]: row["jobs"] for row in await self._rows("count_running", names=counted)}
            rooms = Rooms({})
            for row in locked:
                name, free_in = row["name"], float(row["free_in"])
                rooms.rooms[name] = Room.under(wanted[name].limit, running=running.get(name, 0), free_in=free_in)
            yield rooms
            if used := rooms.seconds_used():
                await self._rows("note_starts", names=list(used), seconds=list(used.values()), now=now)

    async def _declare(self, limits: Sequence[NamedLimit]) -> None:
        if not limits:
            return
        records = [
            {
                "name": each.name,
                "types": each.types,
                "tenant": each.tenant,
                "max_running": each.limit.running,
                "rate": each.limit.rate and each.limit.rate / each.limit.per.total_seconds(),
            }
            for each in limits
        ]
        await self._rows("declare_limits", limits=json.dumps(records))
        self._declared |= {each.name for each in limits}
