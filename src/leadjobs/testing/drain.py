"""Running a test's queue, and letting time pass until nothing is left to run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from leadjobs.core.job import Job
from leadjobs.core.outcome import Outcome
from leadjobs.core.registry import Handler, Registry
from leadjobs.core.report import Report
from leadjobs.runner import Runner
from leadjobs.store.connection import connect, fetch_async
from leadjobs.store.statements import statement
from leadjobs.testing.clock import LeapClock

SLACK = timedelta(seconds=30)  # of an invocation's budget, beyond the longest timeout
MOST_ROUNDS = 500  # that is some 10 s
A_LEAP = timedelta(milliseconds=1)  # beyond the instant itself: no rounding falls short of it

Runnable = Handler[Any] | Registry | Runner
"""What can be drained: handlers, a registry of them, or a runner of yours."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How much time may pass in a drain: none, a span, or as much as it takes until no job waits."""

    span: timedelta | None
    until_empty: bool

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.span is not None and self.until_empty:
            raise ValueError("through= lets a span pass, until_empty= as much as it takes: give one of them")
        if self.span is not None and self.span < timedelta():
            raise ValueError(f"time does not go back: through={self.span!r}")


async def drain(url: str, clock: LeapClock, what: Sequence[Runnable], concurrency: int, patience: Patience) -> Report:
    """Run what is due; then leap to what is due next, as far as patience reaches, and run that."""
    clock.read_again()
    begun = clock.now()
    end = None if patience.span is None else begun + patience.span
    reports: list[Report] = []
    with _runner(url, clock, what, concurrency) as runner:
        while True:
            reports.append(await runner.run())
            if end is None and not patience.until_empty:
                break
            ahead = await _look_ahead(runner, clock, with_ticks=end is not None)
            is_moving = ahead.is_due and (reports[-1].claimed or reports[-1].rescued)
            if not is_moving and (ahead.next_at is None or (end is not None and ahead.next_at > end)):
                break  # what is due nevertheless, somebody holds on to: another round would find no more
            if end is None and len(reports) == MOST_ROUNDS:
                passed = timedelta(seconds=int((clock.now() - begun).total_seconds()))
                raise AssertionError(
                    f"jobs keep coming: there are some after {MOST_ROUNDS} rounds and {passed}; "
                    "drain(through=…) lets a span pass"
                )
            if not is_moving and ahead.next_at is not None:
                clock.advance_to(ahead.next_at + A_LEAP)
    if end is not None:
        clock.advance_to(end)
    return _total(reports)


@contextmanager
def _runner(url: str, clock: LeapClock, what: Sequence[Runnable], concurrency: int) -> Iterator[Runner]:
    """A runner of these, on the test's database and by its clock; the user's own is lent to it."""
    match what:
        case [Runner() as runner]:
            kept = runner.url, runner.clock
            runner.url, runner.clock = url, clock
            try:
                yield runner
            finally:
                runner.url, runner.clock = kept
        case []:
            raise TypeError("drain what?  Give handlers, a Registry or a Runner")
        case _:
            handlers: list[Handler[Any]] = []
            for each in what:
                if isinstance(each, Runner):
                    raise TypeError("a Runner is drained alone: it has handlers of its own")
                handlers += [each] if isinstance(each, Handler) else list(each)
            yield runner_of(url, clock, handlers, concurrency)


def runner_of(url: str, clock: LeapClock, handlers: Sequence[Handler[Any]], concurrency: int) -> Runner:
    """A runner with time enough for each of these."""
    budget = max((handler.type.timeout for handler in handlers), default=timedelta()) + SLACK
    return Runner(url, Registry(*handlers), budget=budget, concurrency=concurrency, clock=clock)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What is before a runner: is a job due, and when does something happen next that may let one run?"""

    is_due: bool
    next_at: datetime | None


async def _look_ahead(runner: Runner, clock: LeapClock, *, with_ticks: bool) -> _Ahead:
    asked = {"types": runner.registry.type_names, "now": clock.database_now()}
    async with connect(runner.url) as connection:
        (row,) = await fetch_async(connection, statement("look_ahead", "leadjobs.testing"), asked)
    events = [row["next_at"]] if row["is_any_left"] and row["next_at"] is not None else []
    if with_ticks:
        events += [schedule.rhythm.next_tick(after=clock.now()) for schedule in runner.timetable or ()]
    return _Ahead(row["is_due"], min(events, default=None))


def _total(reports: Sequence[Report]) -> Report:
    """What several invocations did, and what the last one left."""
    counted = [field.name for field in fields(Report) if field.type in {int, float} and field.name != "due"]
    return replace(reports[-1], **{name: sum(getattr(report, name) for report in reports) for name in counted})


class Witness:
    """Runs a handler once, and remembers what it said."""

    def __init__(self, handler: Handler[Any]) -> None:
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.runner: Runner | None = None
        self._handler = handler

    def handler(self) -> Handler[Any]:
        """The handler, watched: its runner stops when it has ended."""
        return Handler(self._handler.type, self._run)

    async def _run(self, job: Job[Any]) -> Outcome:
        try:
            self.outcome = await self._handler.run(job)
        except BaseException as error:
            self.error = error
            raise
        finally:
            if self.runner is not None:
                self.runner.stop()
        return self.outcome
