"""Telling the database how runs ended, whole groups in one statement."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import psycopg

from leadjobs.core.clock import Clock, Deadline
from leadjobs.core.job import JobId
from leadjobs.errors import StoreError
from leadjobs.flight import Fate, Landed
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

    def __init__(self, url: str, clock: Clock, deadline: Deadline, on_settled: Callable[[Landed, Fate], None]) -> None:
        self._url, self._clock, self._deadline, self._on_settled = url, clock, deadline, on_settled
        self._arrivals: asyncio.Queue[Landed | None] = asyncio.Queue()
        self._waiting: dict[JobId, Landed] = {}
        self._failures = 0

    def land(self, landed: Landed) -> None:
        """Hand over a flight that has ended."""
        self._arrivals.put_nowait(landed)

    def close(self) -> None:
        """No more flights will come."""
        self._arrivals.put_nowait(None)

    async def settle_all(self) -> None:
        """Settle what lands until closed and settled, or until it cannot be any more."""
        async with AsyncExitStack() as connections:
            store: JobStore | None = None
            is_open = True
            while is_open or (self._waiting and self._may_try_again()):
                is_open = await self._gather() and is_open
                try:
                    store = store or JobStore(await connections.enter_async_context(connect(self._url)), self._clock)
                    await self._settle(store)
                    self._failures = 0
                except (psycopg.Error, StoreError):
                    store, self._failures = None, self._failures + 1
                    await connections.aclose()
        for landed in self._waiting.values():
            self._on_settled(landed, Fate.UNTOLD)

    def _may_try_again(self) -> bool:
        return self._failures < MAX_FAILURES and self._deadline.seconds_left() > 0

    async def _gather(self) -> bool:
        """Take everything that has landed, waiting for the first where nothing waits already; False once closed."""
        arrived: list[Landed | None] = []
        try:
            patience = PAUSE * 2 ** min(self._failures, MAX_FAILURES) if self._waiting else None
            arrived.append(await asyncio.wait_for(self._arrivals.get(), patience))
        except TimeoutError:
            pass
        while not self._arrivals.empty():
            arrived.append(self._arrivals.get_nowait())
        for landed in arrived:
            if landed is None:
                continue
            if landed.ending is None:
                self._on_settled(landed, Fate.LOST)
            elif landed.flight.committed is not None:
                self._on_settled(landed, Fate.SETTLED)
            else:
                self._keep(landed)
        return None not in arrived

    def _keep(self, landed: Landed) -> None:
        """Keep a flight for the next settle; of two runs of one job, the older has lost its lease."""
        job_id = landed.flight.claimed.id
        runs = [landed, *([self._waiting[job_id]] if job_id in self._waiting else [])]
        *older, self._waiting[job_id] = sorted(runs, key=lambda run: run.flight.claimed.lease_no)
        for lost in older:
            self._on_settled(lost, Fate.LOST)

    async def _settle(self, store: JobStore) -> None:
        """Settle what waits; what is left after it is locked by somebody."""
        if not self._waiting:
            return
        try:
            settled = await store.settle([x.ending for x in self._waiting.values() if x.ending])
        except psycopg.DataError:
            settled = await self._settle_singly(store)
        for job_id in settled:
            self._on_settled(self._waiting.pop(job_id), Fate.SETTLED)
        if self._waiting:
            for lease in await store.find_lost(x.flight.claimed.lease for x in self._waiting.values()):
                self._on_settled(self._waiting.pop(lease.job_id), Fate.LOST)

    async def _settle_singly(self, store: JobStore) -> set[JobId]:
        """One ending holds a value that the database refuses: that is its job's error, and none of the others'."""
        settled: set[JobId] = set()
        for job_id, landed in list(self._waiting.items()):
            assert landed.ending is not None
            try:
                settled |= await store.settle([landed.ending])
            except psycopg.DataError as error:
                self._waiting[job_id] = Landed(landed.flight, landed.flight.broke(error))
        return settled
