"""Telling the database how runs ended, whole groups in one statement."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import psycopg

from leadjobs.core.clock import Clock, Deadline
from leadjobs.core.job import JobId
from leadjobs.errors import StoreError
from leadjobs.flight import Fate, Flight
from leadjobs.store.connection import connect
from leadjobs.store.jobs import JobStore

PAUSE = 0.1  # seconds between looks at rows that somebody has locked
MAX_FAILURES = 5  # in a row, each followed by a pause twice as long


class Settler:
    """Settles flights as they land, on a connection of its own, and says so; only then is a slot free.

    A row that somebody has locked (a caller's open transaction, say) holds up nobody else: it is stepped over and tried
    again.  While the database is away the endings are kept and tried again, as long as the deadline allows; after that
    the jobs are left to their leases.
    """

    def __init__(self, url: str, clock: Clock, deadline: Deadline, on_settled: Callable[[Flight, Fate], None]) -> None:
        self._url, self._clock, self._deadline, self._on_settled = url, clock, deadline, on_settled
        self._landed: list[Flight] = []
        self._is_open = True
        self._news = asyncio.Event()
        self._waiting: dict[JobId, Flight] = {}
        self._failures = 0

    def land(self, flight: Flight) -> None:
        """Hand over a flight that has ended."""
        self._landed.append(flight)
        self._news.set()

    def close(self) -> None:
        """No more flights will come."""
        self._is_open = False
        self._news.set()

    async def settle_all(self) -> None:
        """Settle what lands until closed and settled, or until it cannot be any more."""
        async with AsyncExitStack() as connections:
            store: JobStore | None = None
            while self._is_open or self._landed or (self._waiting and self._may_try_again()):
                await self._gather()
                try:
                    store = store or JobStore(await connections.enter_async_context(connect(self._url)), self._clock)
                    await self._settle(store)
                    self._failures = 0
                except (psycopg.Error, StoreError):
                    store, self._failures = None, self._failures + 1
                    await connections.aclose()
        for flight in self._waiting.values():
            self._on_settled(flight, Fate.UNTOLD)

    def _may_try_again(self) -> bool:
        return self._failures < MAX_FAILURES and self._deadline.seconds_left() > 0

    async def _gather(self) -> None:
        """Take everything that has landed, waiting for the first where nothing waits already."""
        if self._waiting or self._is_open:
            patience = PAUSE * 2 ** min(self._failures, MAX_FAILURES) if self._waiting else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), patience)
        self._news.clear()
        landed, self._landed = self._landed, []
        for flight in landed:
            if flight.ending is None:
                self._on_settled(flight, Fate.LOST)
            elif flight.is_committed:
                self._on_settled(flight, Fate.SETTLED)
            else:
                self._keep(flight)

    def _keep(self, flight: Flight) -> None:
        """Keep a flight for the next settle; of two runs of one job, the older has lost its lease."""
        other = self._waiting.setdefault(flight.claimed.id, flight)
        if other is not flight:
            older, newer = sorted((other, flight), key=lambda run: run.claimed.lease)
            self._waiting[flight.claimed.id] = newer
            self._on_settled(older, Fate.LOST)

    async def _settle(self, store: JobStore) -> None:
        """Settle what waits; what is left after it is locked by somebody."""
        if not self._waiting:
            return
        try:
            settled = await store.settle([flight.ending for flight in self._waiting.values() if flight.ending])
        except psycopg.DataError:
            settled = await self._settle_singly(store)
        for job_id in settled:
            self._on_settled(self._waiting.pop(job_id), Fate.SETTLED)
        if self._waiting:
            for lease in await store.find_lost(flight.claimed.lease for flight in self._waiting.values()):
                self._on_settled(self._waiting.pop(lease.job_id), Fate.LOST)

    async def _settle_singly(self, store: JobStore) -> set[JobId]:
        """One ending holds a value that the database refuses: that is its job's error, and none of the others'."""
        settled: set[JobId] = set()
        for flight in self._waiting.values():
            assert flight.ending is not None
            try:
                settled |= await store.settle([flight.ending])
            except psycopg.DataError as error:
                flight.ending = flight.broke(error)
        return settled
