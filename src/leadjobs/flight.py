"""One run of one job: its handler in a task, and how it ended."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from leadjobs.budgets import Budgets
from leadjobs.core.clock import Clock, Deadline
from leadjobs.core.ending import Ending, Run, endings_json, results_json
from leadjobs.core.job import Job, State
from leadjobs.core.limit import names_of
from leadjobs.core.outcome import Hold, Outcome
from leadjobs.core.progress import Progress
from leadjobs.core.registry import Handler
from leadjobs.core.retry import RetryPolicy
from leadjobs.effects import Effects
from leadjobs.errors import LeaseLostError, OutOfTimeError, PayloadError, StoreError
from leadjobs.steps import Steps, fence
from leadjobs.store.connection import Transactions, fetch_async
from leadjobs.store.jobs import Claimed
from leadjobs.store.statements import statement

# Before Python 3.12 the event loop has to come round once for each task, and twice for its end.
_AT_ONCE: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Fate(StrEnum):
    """What became of a flight's ending."""

    SETTLED = "settled"
    LOST = "lost"  # another owner has the job by now: the result is dropped
    UNTOLD = "untold"  # the database could not be told: the job is left to its lease


@dataclass(frozen=True, slots=True)
class Tower:
    """What all flights of one invocation share; ``land`` is told of each that has ended."""

    clock: Clock
    cut_at: Deadline
    transactions: Transactions
    land: "Callable[[Flight], None]"


class Flight:
    """A claimed job from the start of its handler to its ending.

    On the event loop's clock, ``overdue_at`` is when its timeout is over, and ``cancelled_at`` when it was cancelled
    first.  ``cut`` is why it was ended before its work was done: by the runner, or by itself, for the ``unused``
    seconds that it still had were too few.  ``ending`` is there once it has landed, and ``seconds`` how long that took;
    without an ending then, its lease was lost on the way.
    ``is_committed`` says that the handler itself has committed the ending, together with its own rows.  ``news`` is how
    far the run is, as it said last, until that is kept.
    """

    def __init__(self, claimed: Claimed, handler: Handler[Any], tower: Tower) -> None:
        self.claimed = claimed
        self.started = tower.clock.monotonic()
        self.seconds = 0.0
        self.overdue_at = self.cancelled_at = float("inf")
        self.cut: str | None = None
        self.unused = 0.0
        self.ending: Ending | None = None
        self.is_committed = False
        self.news: Progress | None = None
        self._handler, self._tower = handler, tower
        self._run = Run(claimed.lease, claimed.attempts, handler.type.retry)
        self._is_overdue = False
        self._task: asyncio.Task[Ending | None] | None = None

    def start(self) -> None:
        """Run the handler in a task of its own, at once up to where it first waits; the tower is told of its end."""
        loop = asyncio.get_running_loop()
        self.started = self._tower.clock.monotonic()
        self.overdue_at = loop.time() + self._handler.seconds
        self._task = asyncio.Task(self._fly(), loop=loop, **_AT_ONCE)
        if self._task.done():
            self._landed(self._task)
        else:
            self._task.add_done_callback(self._landed)

    def was_cut_off(self) -> bool:
        """Has the runner ended it, for whatever reason?"""
        return self.cut is not None or self._is_overdue

    def cut_short(self, why: str) -> None:
        """Cancel the handler; if it ends of it, the job is handed back."""
        if self.cut is None:
            self.cut = why
            self._cancel()

    def time_out(self) -> None:
        """Cancel the handler for it has run past its timeout; if it ends of it, that is a failed attempt."""
        if not self.was_cut_off() and self._task is not None:
            self._is_overdue = True
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self.cancelled_at = min(self.cancelled_at, asyncio.get_running_loop().time())
            self._task.cancel()

    def broke(self, error: BaseException) -> Ending:
        """The ending of a run that an error ended; where even that raises, of whatever kind the policy is."""
        try:
            return self._run.broke(error)
        except Exception as worse:  # noqa: BLE001  (an ending there must be, or its slot is never free)
            return self._run._replace(retry=RetryPolicy()).broke(worse)

    # What the job asks of its run.

    @cached_property
    def steps(self) -> Steps:
        """The job's steps in this run."""
        return Steps(self._tower.transactions, self.claimed.lease, self.claimed.generation)

    @cached_property
    def effects(self) -> Effects:
        """The job's effects in this run."""
        return Effects(self._tower.transactions, self.claimed, self.time_left)

    @cached_property
    def budgets(self) -> Budgets:
        """The budgets of the job's tenant, in this run."""
        return Budgets(self._tower.transactions, self.claimed, self._tower.clock)

    def time_left(self) -> float:
        """Seconds until the timeout, or until the invocation cuts its runs, where that is sooner."""
        return max(0.0, min(self._timeout_left(), self._tower.cut_at.seconds_left()))

    def progress(self, progress: Progress) -> None:
        """Take note of how far the run is; the runner keeps it about once a second, and the ending tells the last."""
        self.news = progress

    async def commit(self, connection: Any, outcome: Outcome) -> None:
        """Lock the job under its lease, end it, and commit, all in the caller's transaction."""
        if self.is_committed:
            raise StoreError(f"job {self.claimed.id} is committed already: job.commit() is a handler's last act")
        ending = self._with_unknown(self._with_news(self._said(outcome)))
        await fence(connection, self.claimed.lease, "job.commit()")
        now = self._tower.clock.database_now()
        if (told := results_json([ending])) is not None:
            await fetch_async(connection, statement("keep_results"), {"told": told, "now": now})
        await fetch_async(connection, statement("settle"), {"endings": endings_json([ending]), "now": now})
        await connection.commit()
        self.ending, self.is_committed = ending, True

    # The run itself.

    def _landed(self, task: asyncio.Task[Ending | None]) -> None:
        # A task that is cancelled before its first step never enters its coroutine.
        if task.cancelled():
            ending: Ending | None = self._cancelled()
        else:
            ending = self.broke(error) if (error := task.exception()) else task.result()
        self.ending = self.ending or (ending and self._with_unknown(self._with_news(ending)))
        self.seconds = self._tower.clock.monotonic() - self.started
        self._tower.land(self)

    def _with_news(self, ending: Ending) -> Ending:
        return ending if self.news is None else ending._replace(progress=self.news.as_json())

    def _with_unknown(self, ending: Ending) -> Ending:
        """With what a person must know of its effects, where no further run will look what became of them."""
        effects: Effects | None = self.__dict__.get("effects")  # made by the first that asks for one
        if effects is None or ending.state is not State.FAILED:
            return ending
        return ending.saying_first(effects.unknown)

    async def _fly(self) -> Ending | None:
        """Run the handler to its end; None where the lease was lost on the way, or the handler has committed it."""
        kind = self._handler.type
        if self.was_cut_off():  # before it had begun
            return self._cancelled()
        try:
            payload = kind.read(self.claimed.payload)
        except PayloadError as error:
            return self._run.misfit(error)
        try:
            outcome = await self._handler.run(self._job(payload))
            return None if self.is_committed else self._said(outcome)
        except LeaseLostError:
            return None
        except asyncio.CancelledError as error:
            return self._cancelled() if self.was_cut_off() else self.broke(error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise
            return self._out_of_time(error) if isinstance(error, OutOfTimeError) else self.broke(error)

    def _said(self, outcome: Outcome) -> Ending:
        """The ending of what the handler returned.

        Raises:
            ValueError: a hold would not hold this job back: it would run again and again at no attempt.
        """
        if isinstance(outcome, Hold) and outcome.on not in names_of(self._handler.type.subjects, self.claimed.tenant):
            raise ValueError(
                f"a hold on {outcome.on!r} does not hold back this job of {self.claimed.type}, of tenant "
                f"{self.claimed.tenant!r}: hold what its type says it uses, such as uses=[{outcome.name!r}], for all "
                "tenants or for its own"
            )
        return self._run.said(outcome)

    def _cancelled(self) -> Ending:
        """The ending of a handler that was cancelled, by the runner or by whoever else."""
        if self._is_overdue:
            return self._run.timed_out(self._handler.type.timeout)
        return self._run.handed_back(self.cut or "cancelled")

    def _out_of_time(self, error: OutOfTimeError) -> Ending:
        """The ending of a run that has too little time left: its own failure, unless it was started too late."""
        left = self._tower.cut_at.seconds_left()
        if left >= self._timeout_left():
            return self.broke(error)
        self.cut, self.unused = str(error), left
        return self._run.handed_back(self.cut)

    def _timeout_left(self) -> float:
        return self.started + self._handler.seconds - self._tower.clock.monotonic()

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
            _run=self,
        )
