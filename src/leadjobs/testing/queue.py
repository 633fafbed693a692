"""The queue in a test's database: what is in it, what should be, and running it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg

from leadjobs.core.job import Enqueued, JobId, NewJob, State
from leadjobs.core.outcome import Outcome
from leadjobs.core.registry import Handler
from leadjobs.core.report import Report
from leadjobs.enqueue import enqueue_sync
from leadjobs.errors import JobNotFoundError
from leadjobs.store.connection import CONNECT, Rows, fetch_sync
from leadjobs.store.desk import AttemptLine, JobSheet, parts_of
from leadjobs.store.statements import statement
from leadjobs.testing.clock import LeapClock
from leadjobs.testing.drain import Patience, Runnable, Witness, drain, runner_of
from leadjobs.testing.expected import AnyType, Expected, line_of, name_of, near_misses, payload_of, traces_of

P = TypeVar("P")
T = TypeVar("T")

MOST_DESCRIBED = 20
A_MOMENT = timedelta(seconds=10)
FAR_HOURS = 8_760_000  # a thousand years: where run_one() puts the other jobs meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of a handler: what it returned, or raised, and its job afterwards.

    ``outcome`` is None where it returned nothing: it raised (``error``), or its payload could not be read.
    """

    outcome: Outcome | None
    error: BaseException | None
    job: JobSheet


class Queue:
    """The jobs of one database, for a test to look at, add to and run.

    It sees what is committed, as a runner does.  Looking and adding are sync, and at home in async tests too; what runs
    handlers has a twin for either: ``await queue.drain(…)`` and ``queue.drain_sync(…)``.

    Example:
        >>> def test_a_sign_up_welcomes_once(leadjobs_queue, app):
        ...     app.post("/users/7")
        ...     leadjobs_queue.assert_enqueued(send_welcome, {"user_id": 7}, tenant="acme")
        ...     assert leadjobs_queue.drain_sync(send_welcome).succeeded == 1
    """

    def __init__(self, url: str, clock: LeapClock | None = None) -> None:
        self.url = url
        self.clock = clock or LeapClock(url)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url, autocommit=True, **CONNECT) as connection:
            yield connection

    def _rows(self, name: str, **params: Any) -> Rows:
        with self._connection() as connection:
            return fetch_sync(connection, statement(name, "leadjobs.testing"), params)

    def add(self, job: NewJob) -> Enqueued:
        """Enqueue a job in a transaction of its own, committed on return."""
        with self._connection() as connection:
            return enqueue_sync(connection, job)

    def jobs(
        self, type: AnyType | None = None, *, tenant: str | None = None, state: State | str | None = None
    ) -> list[JobSheet]:
        """The committed jobs that fit the filters, in the order they were enqueued, with what went wrong in their runs.

        ``type`` is a name, a type or a handler.
        """
        wanted = None if state is None else State(state)
        rows = self._rows("list_queue", type=None if type is None else name_of(type), tenant=tenant, state=wanted)
        attempts = self._rows("list_attempts", ids=[row["id"] for row in rows]) if rows else []
        return [_sheet(row, [attempt for attempt in attempts if attempt["job_id"] == row["id"]]) for row in rows]

    def job(self, job_id: int) -> JobSheet:
        """One job as it is now.

        Raises:
            JobNotFoundError: there is none with this id, or its transaction has not committed.
        """
        for job in self.jobs():
            if job.id == job_id:
                return job
        raise JobNotFoundError(f"there is no job {job_id}")

    def assert_enqueued(
        self,
        type: AnyType,
        payload: object = None,
        *,
        tenant: str | None = None,
        dedupe_key: str | None = None,
        state: State | str | None = None,
        run_at: datetime | None = None,
        delay: timedelta | None = None,
        within: timedelta = A_MOMENT,
        count: int = 1,
    ) -> JobSheet:
        """Exactly ``count`` committed jobs are like this; returns the first of them.

        What is not given does not matter.  ``payload`` is a mapping that must be a part of the job's, at every depth,
        or a whole payload of the type.  ``run_at``, or ``delay`` from the clock's now, is met ``within`` a span.  A job
        counts in whatever ``state``, also when it has run.

        Raises:
            AssertionError: fewer or more are; the message shows the nearest, and in what each differs.
        """
        __tracebackhide__ = True
        if count < 1:
            raise ValueError(f"count is {count}: use assert_not_enqueued()")
        if run_at is not None and delay is not None:
            raise ValueError("give run_at or delay, not both")
        now = self.clock.now()
        expected = Expected(
            type=name_of(type),
            payload=payload_of(type, payload),
            tenant=tenant,
            dedupe_key=dedupe_key,
            state=None if state is None else State(state),
            run_at=run_at if delay is None else now + delay,
            within=within,
        )
        jobs = self.jobs()
        found = [job for job in jobs if not expected.differences(job)]
        if len(found) != count:
            raise AssertionError(self._amiss(expected, count, found, jobs, now))
        return found[0]

    def assert_not_enqueued(
        self,
        type: AnyType,
        payload: object = None,
        *,
        tenant: str | None = None,
        dedupe_key: str | None = None,
        state: State | str | None = None,
    ) -> None:
        """No committed job is like this: see :meth:`assert_enqueued`.

        Raises:
            AssertionError: some are; the message shows them.
        """
        __tracebackhide__ = True
        expected = Expected(
            type=name_of(type),
            payload=payload_of(type, payload),
            tenant=tenant,
            dedupe_key=dedupe_key,
            state=None if state is None else State(state),
            run_at=None,
            within=A_MOMENT,
        )
        if found := [job for job in self.jobs() if not expected.differences(job)]:
            raise AssertionError(self._amiss(expected, 0, found, found, self.clock.now()))

    def _amiss(
        self, expected: Expected, count: int, found: Sequence[JobSheet], jobs: Sequence[JobSheet], now: datetime
    ) -> str:
        """Why an assertion fails: what was expected, what is there instead, and what may be there soon."""
        text = f"expected {count or 'no'} {'job' if count <= 1 else 'jobs'} like this, found {len(found)}: {expected}"
        shown = found or jobs
        head = "They are:" if found else "The nearest that are there:" if jobs else "The queue is empty."
        lines = [text, head, *([near_misses(expected, shown, now)] if shown else [])]
        if len(found) < count and (uncommitted := self._rows("open_transactions")[0]["open"]):
            lines.append(
                f"Transactions that are still open: {uncommitted}. What they enqueued is there when they commit."
            )
        return "\n".join(lines)

    def describe(self, *, with_traces: bool = False) -> str:
        """The queue as text for people, a job a line: what a failed test's report shows, with tracebacks."""
        jobs, now = self.jobs(), self.clock.now()
        lines = []
        for job in jobs[:MOST_DESCRIBED]:
            lines += [line_of(job, now), *(traces_of(job) if with_traces else ())]
        if len(jobs) > MOST_DESCRIBED:
            lines.append(f"and {len(jobs) - MOST_DESCRIBED} more")
        return "\n".join(lines) or "the queue is empty"

    def drain(
        self, *what: Runnable, through: timedelta | None = None, until_empty: bool = False, concurrency: int = 1
    ) -> Coroutine[Any, Any, Report]:
        """Run the due jobs of these handlers (or of a registry, or a runner) until none is left; say what was done.

        It is an invocation of the real runner, with one handler at a time unless ``concurrency`` says otherwise; a
        runner of yours keeps its own, and its budget, and is lent the test's database and clock.  With ``through`` that
        much time passes: the clock leaps from each due job to the next.  With ``until_empty`` as much passes as it
        takes until no job of these types waits.  The report counts all of it.

        Raises:
            AssertionError: jobs keep coming, and would for ever.

        Example:
            >>> async def test_it_gives_up_after_five_attempts(leadjobs_queue):
            ...     leadjobs_queue.add(flaky.type.job({}))
            ...     report = await leadjobs_queue.drain(flaky, until_empty=True)
            ...     assert (report.retried, report.failed) == (4, 1)
        """
        _want_a_loop("drain")
        return drain(self.url, self.clock, what, concurrency, Patience(through, until_empty))

    def drain_sync(
        self, *what: Runnable, through: timedelta | None = None, until_empty: bool = False, concurrency: int = 1
    ) -> Report:
        """:meth:`drain` for sync tests, in an event loop of its own."""
        patience = Patience(through, until_empty)
        return _run("drain", lambda: drain(self.url, self.clock, what, concurrency, patience))

    def run_one(self, handler: Handler[P], payload: P, *, tenant: str = "") -> Coroutine[Any, Any, Ran]:
        """Add a job with this payload and run it once, by the real runner, and no other job.

        What the handler raises is in the answer.
        """
        _want_a_loop("run_one")
        return self._run_one(handler, payload, tenant)

    def run_one_sync(self, handler: Handler[P], payload: P, *, tenant: str = "") -> Ran:
        """:meth:`run_one` for sync tests, in an event loop of its own."""
        return _run("run_one", lambda: self._run_one(handler, payload, tenant))

    async def _run_one(self, handler: Handler[P], payload: P, tenant: str) -> Ran:
        witness = Witness(handler)
        witness.runner = runner_of(self.url, self.clock, [witness.handler()], concurrency=1)
        job_id = self.add(handler.type.job(payload, tenant=tenant)).job_id
        with self._alone(job_id, handler.type.name):
            await witness.runner.run()
        return Ran(outcome=witness.outcome, error=witness.error, job=self.job(job_id))

    @contextmanager
    def _alone(self, job_id: JobId, type_name: str) -> Iterator[None]:
        """Put the other jobs of its type off, and back again."""
        rows = self._rows("put_off", id=job_id, type=type_name, hours=FAR_HOURS)
        try:
            yield
        finally:
            self._rows("put_back", ids=[row["id"] for row in rows], hours=FAR_HOURS)


def _sheet(row: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> JobSheet:
    """A job of whole rows: columns that have no place on the sheet are left out."""
    parts = parts_of(row)
    known = {name: parts[name] for name in _names(JobSheet) if name in parts}
    history = [AttemptLine(**{name: attempt[name] for name in _names(AttemptLine)}) for attempt in attempts]
    return JobSheet(**{**known, "history": history})


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _want_a_loop(name: str) -> None:
    """Say so at once where a coroutine would be made that nobody can await."""
    if not _has_loop():
        raise RuntimeError(f"{name}() is for async tests: call {name}_sync() here")


def _run(name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    if _has_loop():
        raise RuntimeError(f"{name}_sync() is for sync tests, and an event loop is running: await {name}() here")
    return asyncio.run(work())
