"""One run of one job: its handler in a task, under a timeout, and how it ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from leadjobs.core.clock import Clock, Deadline
from leadjobs.core.ending import Ending, Run, endings_json
from leadjobs.core.job import Job
from leadjobs.core.outcome import Outcome
from leadjobs.core.registry import Handler
from leadjobs.errors import LeaseLostError, PayloadError, StoreError
from leadjobs.steps import Steps, fence
from leadjobs.store.connection import Transactions, fetch_async
from leadjobs.store.jobs import Claimed
from leadjobs.store.statements import statement


class Flight:
    """A claimed job from the start of its handler to its ending.

    ``cut`` is why the runner cancelled it, if it did.  ``committed`` is the ending that the handler itself committed
    together with its own rows.
    """

    def __init__(
        self, claimed: Claimed, handler: Handler[Any], clock: Clock, cut_at: Deadline, transactions: Transactions
    ) -> None:
        self.claimed = claimed
        self.started = clock.monotonic()
        self.cut: str | None = None
        self.committed: Ending | None = None
        self._task: asyncio.Task[Ending | None] | None = None
        self._handler = handler
        self._clock = clock
        self._steps = Steps(transactions, claimed.lease, claimed.generation)
        self._run = Run(claimed.lease, claimed.attempts, handler.type.retry)
        timeout = Deadline(clock, handler.type.timeout.total_seconds())
        self._time_left = lambda: max(0.0, min(timeout.seconds_left(), cut_at.seconds_left()))

    def start(self, land: "Callable[[Landed], None]") -> None:
        """Run the handler in a task of its own; ``land`` is called when it has ended."""

        def landed(task: asyncio.Task[Ending | None]) -> None:
            # A task that is cancelled before its first step never enters its coroutine.
            land(Landed(self, self._run.handed_back(self.cut or "cancelled") if task.cancelled() else task.result()))

        self._task = asyncio.create_task(self._fly(), name=f"{self.claimed.type} {self.claimed.id}")
        self._task.add_done_callback(landed)

    def cut_short(self, why: str) -> None:
        """Cancel the handler; if it ends of it, the job is handed back."""
        if self.cut is None and self._task is not None:
            self.cut = why
            self._task.cancel()

    async def _fly(self) -> Ending | None:
        """Run the handler to its end; None where the lease was lost on the way."""
        kind = self._handler.type
        limit = asyncio.timeout(kind.timeout.total_seconds())
        try:
            payload = kind.read(self.claimed.payload)
        except PayloadError as error:
            return self._run.misfit(error)
        try:
            async with limit:
                outcome = await self._handler.run(self._job(payload))
            return self.committed or self._run.said(outcome)
        except LeaseLostError:
            return None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise
            return self.committed or self._ended_by(error, is_over_time=limit.expired())

    def _ended_by(self, error: BaseException, *, is_over_time: bool) -> Ending:
        """The ending of a handler that raised, was cancelled, or called ``sys.exit``."""
        if isinstance(error, TimeoutError) and is_over_time:
            return self._run.timed_out(self._handler.type.timeout)
        if isinstance(error, asyncio.CancelledError) and self.cut is not None:
            return self._run.handed_back(self.cut)
        return self.broke(error)

    def broke(self, error: BaseException) -> Ending:
        """The ending of a run that an error ended; where even reading the error raises, that is the error."""
        try:
            return self._run.broke(error)
        except Exception as worse:  # noqa: BLE001  (an ending there must be, or its slot is never free)
            return self._run.broke(worse)

    def _job(self, payload: Any) -> Job[Any]:
        claimed = self.claimed
        return Job(
            id=claimed.id,
            type=claimed.type,
            tenant=claimed.tenant,
            payload=payload,
            attempt=claimed.attempts + 1,
            generation=claimed.generation,
            created_at=claimed.created_at,
            lease=claimed.lease,
            time_left=self._time_left,
            _commit=self._commit,
            _steps=self._steps,
        )

    async def _commit(self, connection: Any, outcome: Outcome) -> None:
        """Lock the job under its lease, end it, and commit, all in the caller's transaction."""
        if self.committed is not None:
            raise StoreError(f"job {self.claimed.id} is committed already: job.commit() is a handler's last act")
        ending = self._run.said(outcome)
        await fence(connection, self.claimed.lease, "job.commit()")
        now = self._clock.database_now()
        await fetch_async(connection, statement("settle"), {"endings": endings_json([ending]), "now": now})
        await connection.commit()
        self.committed = ending


class Fate(StrEnum):
    """What became of a flight's ending."""

    SETTLED = "settled"
    LOST = "lost"  # another owner has the job by now: the result is dropped
    UNTOLD = "untold"  # the database could not be told: the job is left to its lease


@dataclass(frozen=True, slots=True)
class Landed:
    """A flight that has ended; ``ending`` is None where its lease was lost on the way."""

    flight: Flight
    ending: Ending | None
