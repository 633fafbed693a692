"""A job: its type, its states, what is asked of it and what a handler holds while it runs."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, NamedTuple, NewType, TypeVar, cast

from leadjobs.core.declaration import check_parts
from leadjobs.core.effect import Errors, NotSent, Unknown
from leadjobs.core.instants import time_misfit
from leadjobs.core.limit import Limit, check_resource
from leadjobs.core.outcome import Done, Outcome
from leadjobs.core.payload import Shape, shape_of
from leadjobs.core.progress import Progress
from leadjobs.core.retry import RetryPolicy
from leadjobs.core.run import RunOfJob
from leadjobs.core.spend import Spend
from leadjobs.core.storable import encode
from leadjobs.errors import EnqueueError

JobId = NewType("JobId", int)
P = TypeVar("P")
T = TypeVar("T")

TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,99}\Z")
MAX_KEY = 500  # bytes: type, tenant and key fit one index entry
DONE = Done()


class State(StrEnum):
    """Where a job stands.  Scheduled, retrying and held back are PENDING with a later ``run_at`` and a reason."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Lane(StrEnum):
    """How urgent a job is.  Live work gets most of the slots; the others always get some.

    RETRY is where a live job waits for its next attempt, so that a burst of failures does not hold up what is new.
    ALONE is the engine's own: a job that was lost once waits there and runs with no neighbours, so that a job that
    kills its process harms nobody else.
    """

    LIVE = "live"
    RETRY = "retry"
    BACKFILL = "backfill"
    ALONE = "alone"


CHOOSABLE = (Lane.LIVE, Lane.BACKFILL)


class DedupeScope(StrEnum):
    """How long a dedupe key is held: while the row is kept, or only while the job is unfinished."""

    RETAINED = "retained"
    LIVE = "live"


class OnConflict(StrEnum):
    """What an enqueue does when its dedupe key is held.

    IGNORE leaves the holder as it is.  REPLACE gives a waiting holder the new payload and time (debounce), and makes a
    running one run once more afterwards with the newest payload; a finished holder stays finished.
    """

    IGNORE = "ignore"
    REPLACE = "replace"


class Verdict(StrEnum):
    """What an enqueue did."""

    INSERTED = "inserted"
    MERGED = "merged"
    REPLACED = "replaced"
    IGNORED = "ignored"


class Enqueued(NamedTuple):
    """The answer to an enqueue: the job that stands for the request, and how it came to.

    ``inserted``: a new job.  ``replaced``: a waiting job took the new payload and time.  ``merged``: a running job will
    run once more with the new payload.  ``ignored``: the holder of the key stands, in whatever state.
    """

    job_id: JobId
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to enqueue.

    ``payload`` is a JSON object.  ``tenant`` is whose job it is (fairness and dedupe are per tenant).  ``run_at``
    (aware) or ``delay`` put it off.  Use :meth:`JobType.job` to have the payload checked against its type.

    Raises:
        EnqueueError: a field cannot work; the message names it.

    >>> NewJob(type="SEND_WELCOME", payload={"user_id": 7}, dedupe_key="welcome:7").tenant
    ''
    """

    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = ""
    dedupe_key: str | None = None
    scope: DedupeScope = DedupeScope.RETAINED
    on_conflict: OnConflict = OnConflict.IGNORE
    run_at: datetime | None = None
    delay: timedelta | None = None
    lane: Lane = Lane.LIVE

    def __post_init__(self) -> None:
        """Check what the database would otherwise refuse less clearly."""
        if not (_is_key(self.type) and TYPE_NAME.match(self.type)):
            raise EnqueueError(f"type {self.type!r}: use 1 to 100 letters, digits or _.:- and begin with a letter")
        if not (type(self.lane) is Lane and type(self.scope) is DedupeScope and type(self.on_conflict) is OnConflict):
            self._choose()
        if not _is_object(self.payload):
            raise EnqueueError(f"payload of {self.type} is not an object: use a dict, or a JobType and its .job()")
        if not _is_key(self.tenant):
            raise EnqueueError(f"tenant of {self.type}: at most {MAX_KEY} bytes of text without NUL")
        if self.dedupe_key is not None and not _is_key(self.dedupe_key):
            raise EnqueueError(f"dedupe_key of {self.type}: at most {MAX_KEY} bytes of text without NUL")
        if self.dedupe_key == "":
            raise EnqueueError(f"dedupe_key of {self.type} is empty: leave it out, or give the job a name")
        if self.on_conflict is OnConflict.REPLACE and self.dedupe_key is None:
            raise EnqueueError(f"on_conflict='replace' of {self.type} needs a dedupe_key")
        if self.run_at is not None and self.delay is not None:
            raise EnqueueError(f"{self.type} has both run_at and delay: give one")
        for name, time, kind in (("run_at", self.run_at, datetime), ("delay", self.delay, timedelta)):
            if time is not None and (why := time_misfit(time, kind)):
                raise EnqueueError(f"{name} of {self.type} {why}")
        if self.lane not in CHOOSABLE:
            raise EnqueueError(f"lane of {self.type}: '{self.lane}' is for the engine; use 'live' or 'backfill'")

    def _choose(self) -> None:
        """Make choices of what was given as text."""
        for name, choices in (("lane", Lane), ("scope", DedupeScope), ("on_conflict", OnConflict)):
            try:
                object.__setattr__(self, name, choices(getattr(self, name)))
            except ValueError as error:
                raise EnqueueError(f"{name} of {self.type}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class JobType(Generic[P]):
    """A declared type of job: its name, the shape of its payload, and how it is run.

    ``payload`` is anything pydantic can check: a BaseModel, a frozen dataclass, a TypedDict (of typing_extensions,
    before Python 3.12).  ``timeout`` ends one run; it is also how long a run is expected to take, until enough of them
    have shown better, and a job is started only where that fits the time left.  ``limits`` bound what runs at once or
    starts within a span, over all runners.  ``uses`` names resources that the type depends on: a hold on one of them
    (see :class:`Hold`) holds the type back.
    """

    name: str
    payload: type[P]
    timeout: timedelta = timedelta(seconds=60)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    lane: Lane = Lane.LIVE
    scope: DedupeScope = DedupeScope.RETAINED
    limits: tuple[Limit, ...] = ()
    uses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a declaration that cannot work."""
        check_parts(self)
        if not TYPE_NAME.match(self.name):
            raise EnqueueError(f"type {self.name!r}: use 1 to 100 letters, digits or _.:- and begin with a letter")
        if self.lane not in CHOOSABLE:
            raise EnqueueError(f"lane of {self.name}: '{self.lane}' is for the engine; use 'live' or 'backfill'")
        if self.timeout <= timedelta():
            raise EnqueueError(f"timeout of {self.name} is {self.timeout}: it must be longer than nothing")
        for resource in self.uses:
            check_resource(resource)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """What a hold may be on that holds this type back: its own name, and the resources that it uses."""
        return tuple(dict.fromkeys((self.name, *self.uses, *(limit.of for limit in self.limits if limit.of))))

    @cached_property
    def _shape(self) -> Shape[P]:
        return shape_of(self.name, self.payload)

    def job(
        self,
        payload: P,
        *,
        tenant: str = "",
        dedupe_key: str | None = None,
        on_conflict: OnConflict = OnConflict.IGNORE,
        run_at: datetime | None = None,
        delay: timedelta | None = None,
        lane: Lane | None = None,
    ) -> NewJob:
        """A job of this type, its payload checked: what is stored can be read again.

        Raises:
            PayloadError: the payload does not fit the type; the message names the field.
        """
        return NewJob(
            type=self.name,
            payload=self._shape.written(payload),
            tenant=tenant,
            dedupe_key=dedupe_key,
            scope=self.scope,
            on_conflict=on_conflict,
            run_at=run_at,
            delay=delay,
            lane=lane or self.lane,
        )

    def read(self, stored: str | Mapping[str, Any]) -> P:
        """The payload of a stored job, as its type; ``stored`` is its JSON, as text or as an object.

        Raises:
            PayloadError: the stored payload does not fit the type (any more).
        """
        return self._shape.read(stored if isinstance(stored, str) else encode(stored))


def _is_object(payload: object) -> bool:
    return isinstance(payload, (dict, Mapping))  # a dict is found faster by its own name


def _is_key(value: object) -> bool:
    """Can PostgreSQL keep and index it?  It has no place for NUL, nor for half a surrogate pair."""
    try:
        return isinstance(value, str) and "\0" not in value and len(value.encode()) <= MAX_KEY
    except UnicodeEncodeError:
        return False


class Lease(NamedTuple):
    """The right to write about one job: it ends when the job's ``lease_no`` has moved on."""

    job_id: JobId
    lease_no: int


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for each run, and a frozen one takes thrice as long
class Job(Generic[P]):
    """A job while its handler runs.

    ``attempt`` is 1 in the first run and grows with each run that ended in an error.  ``generation`` grows when the
    job is given a new payload or is retried by hand.
    """

    id: JobId
    type: str
    tenant: str
    payload: P
    attempt: int
    generation: int
    created_at: datetime
    lease: Lease
    _run: RunOfJob = field(repr=False)

    def time_left(self) -> float:
        """How many seconds this run still has: the rest of its timeout, or of the invocation where that ends first.

        Give outside calls no more than that.
        """
        return self._run.time_left()

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Say how far this run is: so much is done, of a total where one is known.

        It costs nothing here, also in a loop or from a thread: the runner keeps the newest about once a second, and the
        last one at the end of the run, as long as the job is this run's own.

        Raises:
            StoreError: an amount is no number from 0 up.

        Example:
            >>> async def run(job):
            ...     for n, page in enumerate(job.payload.pages):
            ...         job.progress(n, len(job.payload.pages), page.title)
            ...         await read(page)
            ...     return Done(result={"pages": len(job.payload.pages)})
        """
        self._run.progress(Progress(done, total, note))

    async def step(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do a part of the work once: its result (any JSON) is kept, and a later run of the job gets it from there.

        A crash, a hand-back or a retry goes on after the last finished step; a new payload and a retry by hand
        (another ``generation``) begin anew.  A crash between the work and its keeping does the work again.

        Raises:
            LeaseLostError: somebody else owns the job by now; nothing was kept.
            StoreError: the result is no JSON.

        Example:
            >>> async def run(job):
            ...     text = await job.step("transcribe", lambda: transcribe(job.payload))   # never paid for twice
            ...     return Done(await job.step("summarize", lambda: summarize(text)))
        """
        return cast("T", await self._run.steps.run(name, work))

    async def keep(self, connection: Any, name: str, result: Any = None) -> None:
        """Finish a step whose work is the rows in ``connection``'s open transaction: both commit, or neither.

        ``connection`` is what :meth:`commit` takes.  Look into :meth:`finished` first, and do the work only where the
        step is not there.

        Raises:
            LeaseLostError: somebody else owns the job by now; the transaction was rolled back.
        """
        await self._run.steps.keep(connection, name, result)

    async def finished(self) -> Mapping[str, Any]:
        """The results of the steps that this run or an earlier one has finished, by name."""
        return await self._run.steps.finished()

    async def effect(
        self,
        name: str,
        send: Callable[[str], Awaitable[T]],
        look_up: Callable[[str], Awaitable[T | NotSent | Unknown]] | None = None,
        *,
        not_sent: Errors = (),
    ) -> T:
        """Change something outside once in this ``generation``, and return the receipt (any JSON) that is kept of it.

        An intent is committed before ``send(tag)`` is called, and its receipt after it; no connection is held
        meanwhile.  Give the ``tag`` (ASCII, at most 64 characters, the same in every run) to the provider as its
        idempotency key or reference.  A later run gets the receipt and sends nothing.  Where it finds an intent without
        an answer, it asks ``look_up(tag)``: a receipt is kept, ``NotSent`` sends again, ``Unknown`` raises.  A receipt
        that a person gave by hand may be None.

        Only a ``NotSentError``, or an exception of the classes ``not_sent``, says that nothing was sent: then a retry
        sends again.  Whatever else ends ``send`` (a time-out, a cancellation, a crash) leaves the intent unanswered.

        Raises:
            EffectUnknownError: nobody knows whether it was made; let it pass, and the job is shown to a person.
            LeaseLostError: somebody else owns the job by now.  If it was sent, that is on record.
            StoreError: the name is not 1 to 20 letters, digits, ``_`` or ``-``; or the receipt is no JSON.

        Example:
            >>> async def run(job):
            ...     receipt = await job.effect("sms", lambda tag: send_sms(job.payload, reference=tag))
            ...     return Done(receipt["sid"])
        """
        return cast("T", await self._run.effects.run(name, send, look_up, not_sent))

    def spend(self, *, what: str, **amounts: int) -> AbstractAsyncContextManager[Spend]:
        """Reserve amounts of the tenant's day (UTC, by the database's clock) around a call that costs them.

        Units are free words, such as ``tokens``.  They are reserved together before the block, or none is.  What
        ``spend.settle(…)`` says in the block replaces them when it ends, however it ends; without it they stay
        reserved, for the call may have been billed.  A unit without a cap is only recorded.

        Raises:
            OverBudgetError: a unit would pass its cap; let it pass, and the job waits, at no cost in attempts.
            LeaseLostError: somebody else owns the job by now; no budget was changed.
            StoreError: an amount is no whole number from 0 up, or there is none.

        Example:
            >>> async def run(job):
            ...     async with job.spend(tokens=6000, usd_micros=2500, what="score") as spend:
            ...         answer = await ask(job.payload)
            ...         spend.settle(tokens=answer.tokens, usd_micros=answer.usd_micros)
            ...     return Done()
        """
        return self._run.budgets.spend(amounts, what)

    async def commit(self, connection: Any, outcome: Outcome = DONE) -> Outcome:
        """Commit the handler's own rows and the end of the job in one transaction, or neither.

        ``connection`` is an ``AsyncSession``, an ``AsyncConnection`` of SQLAlchemy or psycopg, with the handler's
        writes in its open transaction.  It must be the handler's last act: ``return await job.commit(session,
        Done())``. The job row is locked and its lease checked inside that transaction, so a run that lost its lease
        writes nothing.

        Raises:
            LeaseLostError: somebody else owns the job by now; the transaction was rolled back.
        """
        await self._run.commit(connection, outcome)
        return outcome
