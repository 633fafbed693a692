"""Runs scripts of a few steps on connections of their own, in every order in which the steps may follow each other.

A script is an async generator: each ``yield`` ends a step.  A step that waits for a lock is noticed by what the
database says of the backend that its connection has now, which it knows by the connection's name: behind a pooler it
has another one for each transaction.  The others go on, and it does too once it is let.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow, dict_row
from tests.engine.history import History
from tests.engine.pooled import PSYCOPG

from leadjobs import JobId, Verdict
from leadjobs.core.job import Lease
from leadjobs.store.connection import fetch_async
from leadjobs.store.jobs import JobStore
from leadjobs.store.statements import statement
from leadjobs.testing.clock import FakeClock

PATIENCE = 20.0  # seconds until a step that neither ends nor waits for a lock fails its test
NOON = datetime(2035, 11, 23, 12, tzinfo=UTC)  # after all that the database's own clock says
Db = psycopg.AsyncConnection[DictRow]

PREPARED: dict[str, Any] = {"prepare_threshold": 1} | PSYCOPG  # the same few statements, thousands of times
WAITS = """
SELECT coalesce(bool_or(pg_blocking_pids(pid) <> '{}'), false) AS waits
  FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s
"""

OWN = "CREATE TABLE own (job_id bigint, lease_no integer)"
FORGET = """
DELETE FROM background_job; DELETE FROM job_hold; DELETE FROM job_spend; DELETE FROM job_budget_day;
DELETE FROM history; DELETE FROM lease_write; DELETE FROM own
"""


@dataclass
class World:
    """What all parts of one interleaving know: where it began, and what was committed in which order."""

    db: Db
    clock: FakeClock
    leases: list[Lease] = field(default_factory=list)
    committed: list["Part"] = field(default_factory=list)

    @property
    def lease(self) -> Lease:
        """The only one that there was in the beginning."""
        (lease,) = self.leases
        return lease


@dataclass
class Part:
    """One script's connection, and what it was told; its place is that of its connection."""

    name: str
    connection: Db
    world: World
    place: int
    settled: set[JobId] = field(default_factory=set)
    claimed: list[Lease] = field(default_factory=list)
    verdict: Verdict | None = None
    was_refused: bool = False

    @property
    def payload(self) -> int:
        """What its requests say; those of a scene say 0."""
        return self.place + 1

    @property
    def store(self) -> JobStore:
        return JobStore(self.connection, self.world.clock)

    async def rows(self, name: str, /, **binds: Any) -> Sequence[Any]:
        """Run one of the engine's statements."""
        return await fetch_async(self.connection, statement(name), binds)

    async def commit(self) -> None:
        await self.connection.commit()
        self.world.committed.append(self)

    @property
    def is_committed(self) -> bool:
        return self in self.world.committed


Steps = AsyncIterator[None]


@dataclass(frozen=True)
class Script:
    """So many steps of one part."""

    steps: int
    run: Callable[[Part], Steps]

    @property
    def name(self) -> str:
        return self.run.__name__


def script(steps: int) -> Callable[[Callable[[Part], Steps]], Script]:
    """Make a script of an async generator with so many steps: one more than it yields."""
    return lambda run: Script(steps, run)


def orders(counts: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every order of so many steps of each part, as the places of the parts.

    >>> list(orders([1, 2]))
    [(0, 1, 1), (1, 0, 1), (1, 1, 0)]
    """
    if not any(counts):
        yield ()
    for place, count in enumerate(counts):
        if count:
            left = [each - (other == place) for other, each in enumerate(counts)]
            yield from ((place, *rest) for rest in orders(left))


class Theatre:
    """Plays interleavings in one database, on the same few connections."""

    def __init__(self, url: str, db: Db) -> None:
        self.url, self.db = url, db
        self.history = History(db)
        self._stack, self._connections = AsyncExitStack(), list[Db]()

    async def __aenter__(self) -> Self:
        await self.history.install()
        await self.db.execute(OWN)
        self.db.prepare_threshold = PREPARED["prepare_threshold"]
        for place in range(3):
            opened = await psycopg.AsyncConnection.connect(
                self.url, row_factory=dict_row, application_name=f"part {place}", **PREPARED
            )
            self._connections.append(await self._stack.enter_async_context(opened))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def empty(self) -> World:
        """A world in which nothing has happened yet."""
        await self.db.execute(FORGET)
        return World(self.db, FakeClock(NOON))

    async def play(self, world: World, scripts: Sequence[Script], order: Sequence[int]) -> list[Part]:
        """Take the steps in this order; a part that waits for another takes its own when it may."""
        parts = [
            Part(each.name, connection, world, place)
            for place, (each, connection) in enumerate(zip(scripts, self._connections, strict=False))
        ]
        walks = [_Walk(part, each.run(part), self.db) for part, each in zip(parts, scripts, strict=True)]
        for place in order:
            walks[place].turns += 1
            await self._let(walks)
        async with asyncio.timeout(PATIENCE):
            while any(not walk.is_over for walk in walks):
                await self._let(walks)
        for part in parts:
            await part.connection.rollback()
        return parts

    async def _let(self, walks: Sequence["_Walk"]) -> None:
        """Everybody who may takes the steps whose turn has come; again, while that lets others go on."""
        async with asyncio.timeout(PATIENCE):
            while any([await walk.go() for walk in walks]):
                pass


@dataclass
class _Walk:
    """A part on its way: ``turns`` steps of it are due, and the one that it is in may be waiting."""

    part: Part
    steps: Steps
    db: Db
    turns: int = 0
    is_over: bool = False
    _step: asyncio.Task[bool] | None = None

    async def go(self) -> bool:
        """Go on until nothing is due, or the step waits for a lock: was a step ended?"""
        if self._step is None and self.turns and not self.is_over:
            self.turns -= 1
            self._step = asyncio.create_task(self._take())
        if self._step is None:
            return False
        while not self._step.done():
            await asyncio.wait({self._step}, timeout=0.001)
            if not self._step.done() and await self._is_waiting():
                return False
        step, self._step = self._step, None
        self.is_over = not step.result()
        return True

    async def _take(self) -> bool:
        """The next step: is there another one after it?"""
        try:
            await anext(self.steps)
        except StopAsyncIteration:
            return False
        return True

    async def _is_waiting(self) -> bool:
        (row,) = await (await self.db.execute(WAITS, [f"part {self.part.place}"])).fetchall()
        return bool(row["waits"])
