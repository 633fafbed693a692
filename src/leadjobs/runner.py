"""START HERE: the runner.  claim -> handle -> settle, inside a time budget.

An invocation takes back what dead owners left, then drains the queue until nothing due is left or its time is over:

    claim    leases on the jobs whose turn it is   claimer.py: discover -> plan -> claim
    handle   your function, in a task of its own   flight.py
    settle   what became of it, under the lease    settler.py

A slot is free again only when its job's settle has committed: a process may be frozen or killed at any instruction, and
whatever it had not committed by then is somebody else's to do.  Any number of invocations may run side by side.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from leadjobs.claimer import Claimer
from leadjobs.core.argument import misfit
from leadjobs.core.clock import Clock, Deadline, SystemClock
from leadjobs.core.job import Lane, Lease
from leadjobs.core.registry import Registry
from leadjobs.core.report import Report, Stopped
from leadjobs.core.retention import Retention
from leadjobs.core.schedule import Schedule
from leadjobs.errors import SettingsError
from leadjobs.flight import Fate, Flight, Tower
from leadjobs.settler import Settler
from leadjobs.store.connection import OwnConnection, TimeLimit, Transactions, connect
from leadjobs.store.jobs import Claimed, JobStore
from leadjobs.store.limits import LimitStore
from leadjobs.tally import Tally
from leadjobs.telemetry import InvocationEnded, tell
from leadjobs.watch import Watch

if TYPE_CHECKING:
    from leadjobs.timetable import Timetable

LOOK_EVERY = 1.0  # seconds between looks at the queue, and at our leases, while handlers run
STARTS_AT_ONCE = 20  # handlers, before the event loop may do something else
STEPS_AT_ONCE = 2  # connections on which handlers' steps are kept, opened only while one is
PATIENCE = 5.0  # seconds that an idle invocation waits for a limit to open; what opens later is the next one's
NO_TIME = 0.05  # seconds in which nothing is begun
REPORT_WITHIN = 60.0  # seconds at the most, also of an invocation that has no end
NOTE_EVERY = 60.0  # seconds between rescues, and notes, of an invocation that has no end


class Runner:
    """Runs the jobs of a registry on a database.

    ``budget`` is how long an invocation may take in all, and ``reserve`` the last part of it, kept for handing back and
    settling (a tenth of the budget, at most 5 s, where not given).  ``concurrency`` is how many handlers run at once.
    ``on_end`` is awaited when the last of the invocations that overlap in this process has ended: the place to close
    what handlers share.

    ``schedules`` are jobs to enqueue at the ticks of cron expressions; each invocation begins with those that are due.
    ``retention`` says how long jobs are kept that have ended: an invocation with time left deletes some of the others.
    Without it nothing is ever deleted, for only you know how long you need a job's row, and its dedupe key held.

    Raises:
        SettingsError: a job type's timeout fits no invocation, a schedule or another argument cannot work; the message
            names it and the fix.
    """

    def __init__(
        self,
        url: str,
        registry: Registry,
        *,
        budget: timedelta = timedelta(seconds=240),
        reserve: timedelta | None = None,
        concurrency: int = 32,
        max_losses: int = 2,
        clock: Clock | None = None,
        on_end: Callable[[], Awaitable[None]] | None = None,
        schedules: Iterable[Schedule] = (),
        retention: Retention | None = None,
    ) -> None:
        _check(url=url, registry=registry, budget=budget, reserve=reserve, concurrency=concurrency)
        _check(max_losses=max_losses, schedules=schedules, retention=retention)
        self.url, self.registry, self.budget = url, registry, budget
        self._reserve = reserve
        self.concurrency, self.max_losses, self.clock, self._on_end = (
            concurrency,
            max_losses,
            clock or SystemClock(),
            on_end,
        )
        for each in schedules:
            _check(schedule=each)
        self.timetable, self.retention = _timetable_of(tuple(schedules), registry), retention
        self._active: set[_Invocation] = set()
        kept = self.reserve_of(budget)
        for handler in registry:
            if handler.type.timeout > budget - kept:
                raise SettingsError(
                    f"the timeout of {handler.type.name} is {handler.type.timeout.total_seconds():g} s, but an "
                    f"invocation has {(budget - kept).total_seconds():g} s for jobs (its budget less "
                    f"{kept.total_seconds():g} s to settle): it could never start; shorten the timeout or raise the "
                    "budget"
                )

    def reserve_of(self, budget: timedelta) -> timedelta:
        """The last part of a budget, in which nothing runs any more."""
        return min(timedelta(seconds=5), budget / 10) if self._reserve is None else min(self._reserve, budget * 0.9)

    async def run(self, budget: timedelta | None = None) -> Report:
        """Drain the queue within a budget (the runner's own where not given) and say what was done.

        It returns before the budget is over if handlers honour cancellation and do not block the event loop.  Handlers
        that run over are cancelled and their jobs handed back, at no cost in attempts.
        """
        _check(budget=self.budget if budget is None else max(budget, timedelta.resolution))
        return await self._invoke(_Invocation(self, self.budget if budget is None else budget))

    async def run_until_stopped(self) -> Report:
        """Drain the queue and look again every second, until :meth:`stop` is called; then hand back what still runs."""
        return await self._invoke(_Invocation(self, None))

    def stop(self) -> None:
        """End all invocations in this process soon: claim nothing more, hand back, settle, return."""
        for invocation in self._active:
            invocation.stop()

    async def _invoke(self, invocation: "_Invocation") -> Report:
        self._active.add(invocation)
        try:
            return await invocation.run()
        finally:
            self._active.discard(invocation)
            if self._on_end is not None and not self._active:
                await self._on_end()


class _Invocation:
    """One drain of the queue."""

    def __init__(self, runner: Runner, budget: timedelta | None) -> None:
        self._runner, self._clock, self._is_endless = runner, runner.clock, budget is None
        reserve = runner.reserve_of(budget or runner.budget)
        self._reserve = reserve.total_seconds()
        self._usable = float("inf") if budget is None else (budget - reserve).total_seconds()
        self._deadline = Deadline(self._clock, None if budget is None else budget.total_seconds())
        self._cut_at = self._deadline.sooner(reserve)
        self._settler = Settler(runner.url, self._clock, self._deadline, self._settled)
        self._tower = Tower(
            self._clock, self._cut_at, Transactions(runner.url, at_once=STEPS_AT_ONCE), self._settler.land
        )
        self._flights: dict[Lease, Flight] = {}
        self._boarded: deque[Flight] = deque()
        self._most_at_once = _part_of(runner.concurrency)
        self._changed = asyncio.Event()
        self._stopped: Stopped | None = None
        self._connection: OwnConnection
        self._tally = Tally(self._clock)
        self._looked_at = self._noted_at = self._clock.monotonic()
        self._watch = Watch(self._flights, is_endless=self._is_endless, grace=self._reserve / 4)

    def stop(self) -> None:
        """End soon, also where the database says nothing."""
        self._stopped = self._stopped or "asked"
        if self._is_endless:
            self._watch.give_up(after=self._reserve / 2)
        self._changed.set()

    async def run(self) -> Report:
        """Rescue, drain, land, report."""
        if self._for_jobs() <= NO_TIME:
            return self._tally.report("deadline")
        async with connect(self._runner.url, within=self._for_jobs()) as self._connection:
            store, limits = JobStore(self._connection, self._clock), LimitStore(self._connection, self._clock)
            claimer = self._claimer = Claimer(
                store,
                limits,
                self._runner.registry,
                self._clock,
                slots=self._runner.concurrency,
                usable=self._usable,
                durations=self._tally.durations,
            )
            settling = asyncio.create_task(self._settler.settle_all())
            watching = asyncio.create_task(self._watch.keep())
            try:
                async with self._watch.limit(self._for_jobs()):
                    await self._rescue(store)
                    self._stopped = await self._drain(store, claimer)
                    if self._stopped == "drained":
                        await self._prune()
            except (psycopg.OperationalError, TimeoutError):
                self._stopped = "deadline" if self._watch.was_still else "database"
            finally:
                await self._land(settling)
                watching.cancel()
            return await self._report(store)

    async def _rescue(self, store: JobStore) -> None:
        """Take back what dead owners left, and enqueue what schedules owe."""
        for job in await store.rescue(max_losses=self._runner.max_losses):
            self._tally.rescued(job)
        if (timetable := self._runner.timetable) is not None:
            self._tally.counts.scheduled += await timetable.enqueue_due(self._connection, self._clock)

    async def _prune(self) -> None:
        """Delete some of the jobs that were kept long enough, in the time that is left."""
        if (retention := self._runner.retention) is not None:
            from leadjobs.store.pruning import Pruner  # loaded by those who prune

            pruner = Pruner(self._connection, retention, self._clock)
            self._tally.counts.pruned += await pruner.prune_some(seconds=self._cut_at.seconds_left())

    async def _drain(self, store: JobStore, claimer: Claimer) -> Stopped:
        """Claim and start jobs until none is left that may run and none runs, or the time is over."""
        while self._stopped is None and self._cut_at.seconds_left() > 0:
            self._watch.turn()
            was_idle = not self._flights  # what ends during the claim may have added jobs that it did not see
            claimed = await self._claim(claimer)
            pause = claimer.seconds_to_room(within=PATIENCE)
            if claimed is None and was_idle and pause is None and not self._is_endless:
                return "deadline" if claimer.too_long else "drained"
            if claimed is None:
                await self._wait(store, LOOK_EVERY if pause is None else min(pause, LOOK_EVERY))
            self._start(claimed or ())
        return self._stopped or "deadline"

    async def _claim(self, claimer: Claimer) -> list[Claimed] | None:
        """Jobs for the free slots; none beside a job that must run alone."""
        free = self._runner.concurrency - len(self._flights) + self._watch.stuck
        if free <= 0 or self._is_one_alone():
            return None
        return await claimer.claim(
            min(free, self._most_at_once),
            seconds_left=self._cut_at.seconds_left(),
            is_idle=len(self._flights) <= self._watch.stuck,
        )

    def _is_one_alone(self) -> bool:
        last = next(reversed(self._flights.values()), None)  # nothing is claimed beside it
        is_alone = last is not None and last.claimed.stream.lane is Lane.ALONE
        return is_alone and len(self._flights) > self._watch.stuck

    def _start(self, claimed: Sequence[Claimed]) -> None:
        """Start jobs, a few each time that the event loop comes round: so the next claim goes out meanwhile."""
        for job in claimed:
            flight = self._flights[job.lease] = Flight(job, self._runner.registry[job.type], self._tower)
            self._boarded.append(flight)
        self._tally.counts.claimed += len(claimed)
        self._take_off()

    def _take_off(self) -> None:
        for _ in range(min(STARTS_AT_ONCE, len(self._boarded))):
            self._boarded.popleft().start()
        if self._boarded:
            asyncio.get_running_loop().call_soon(self._take_off)

    def _settled(self, flight: Flight, fate: Fate) -> None:
        """A flight's ending is committed (or dropped, or could not be told): its slot is free."""
        del self._flights[flight.claimed.lease]
        self._changed.set()
        self._claimer.ended(flight.claimed.stream, for_want_of_time=flight.unused > 0)
        self._tally.settled(flight, fate)

    async def _wait(self, store: JobStore, seconds: float) -> None:
        """Wait until a slot is free or the seconds are over; now and then see whether we still own what runs."""
        try:
            async with asyncio.timeout(max(0.0, min(seconds, self._cut_at.seconds_left()))):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        now = self._clock.monotonic()
        if self._flights and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            for lease in await store.find_lost(self._flights):
                if (flight := self._flights.get(lease)) is not None:
                    flight.cut_short("its lease was lost")
            await self._keep_progress(store)
        if self._is_endless and now - self._noted_at >= NOTE_EVERY:
            await self._rescue(store)
            await self._prune()
            await self._report(store)

    async def _keep_progress(self, store: JobStore) -> None:
        """Keep how far those runs are that have said so since the last look; an ending tells the last by itself."""
        running = [flight for flight in self._flights.values() if flight.ending is None]
        told = {flight.claimed.lease: flight.news for flight in running if flight.news is not None}
        kept = await store.keep_progress(told) if told else set()
        for flight in running:
            if flight.claimed.id in kept and flight.news is told[flight.claimed.lease]:
                flight.news = None

    async def _land(self, settling: asyncio.Task[None]) -> None:
        """Hand back what still runs, settle it, and leave in time whatever happens.

        A handler that does not honour its cancellation is left behind: its job is not settled, and its lease ends.
        """
        for flight in self._flights.values():
            flight.cut_short(
                "the invocation's time is over" if self._stopped == "deadline" else "the runner was stopped"
            )
        landing = Deadline(self._clock, self._rest(0.5))
        while self._flights and landing.seconds_left() > 0:
            try:
                async with asyncio.timeout(landing.seconds_left()):
                    await self._changed.wait()
            except TimeoutError:
                break
            self._changed.clear()
        self._settler.close()
        for part in (0.4, 0.3, 0.3):  # for its work, for a statement that answers to its cancellation, and for none
            await asyncio.wait([settling], timeout=self._rest(part))
            settling.cancel()
        for flight in self._flights.values():
            self._tally.left_behind(flight)

    def _for_jobs(self) -> float:
        """Seconds until whatever is asked of the database is given up: in the middle of the reserve."""
        return self._deadline.seconds_left() - self._reserve / 2

    def _rest(self, part: float) -> float:
        """A part of what is left of the reserve, in seconds."""
        return max(0.05, min(self._reserve, self._deadline.seconds_left()) * part)

    async def _report(self, store: JobStore) -> Report:
        """What was done and what is left; kept in the database too."""
        self._noted_at = self._clock.monotonic()
        report = self._tally.report(self._stopped or "asked")
        report.too_long = self._claimer.too_long if report.stopped == "deadline" else ()
        try:
            left = max(0.05, min(self._deadline.seconds_left(), REPORT_WITHIN))
            async with TimeLimit(left * 0.5, grace=left * 0.2):
                await store.note_invocation(
                    report, self._tally.durations, since_completion=self._tally.since_completion
                )
                backlog, pulse = await store.backlog(self._runner.registry.type_names), await store.pulse()
            report.due, report.oldest_due_seconds = backlog.due, backlog.oldest_due_seconds
            report.unknown_types, report.since_completion_seconds = backlog.unknown_types, pulse.since_completion
        except (psycopg.Error, TimeoutError):
            report.stopped = "database"
        tell(InvocationEnded.of(report))
        return report


def _check(**given: Any) -> None:
    """Refuse arguments of a runner that cannot work."""
    span = "a span of time, such as timedelta(seconds=240)"
    fits: dict[str, tuple[type | tuple[type, ...], Any, str]] = {
        "url": (str, None, "the URL of a database"),
        "registry": (Registry, None, "a leadjobs.Registry(…) of your handlers"),
        "budget": (timedelta, timedelta.resolution, span),
        "reserve": ((timedelta, type(None)), timedelta(), span),
        "concurrency": (int, 1, "how many handlers run at once, 1 or more"),
        "max_losses": (int, 1, "a whole number from 1 up"),
        "schedules": ((list, tuple, set, frozenset), None, "a list of them, such as schedules=[nightly]"),
        "schedule": (Schedule, None, "what Schedule(…) makes"),
        "retention": ((Retention, type(None)), None, "a Retention(…)"),
    }
    for name, value in given.items():
        kind, least, fit = fits[name]
        why = misfit(value, kind, fit)
        if why is None and least is not None and value is not None and value < least:
            why = f"is {value}: give {fit}"
        if why is not None:
            raise SettingsError(f"{name} of a Runner {why}")


def _timetable_of(schedules: tuple[Schedule, ...], registry: Registry) -> "Timetable | None":
    """None without schedules: a process that has none starts without what they need."""
    if not schedules:
        return None
    from leadjobs.timetable import Timetable

    return Timetable(schedules, registry)


def _part_of(slots: int) -> int:
    """How many jobs one claim takes: so few that a claim, handlers and a settle go on side by side.

    Half of the slots; where there are many a quarter, which is still enough to make a statement worth its while.
    """
    return max(-(-slots // 4), min(-(-slots // 2), 100))
