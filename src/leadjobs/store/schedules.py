"""Schedules in the database: what runners have declared, how far each has come, and what an operator does to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.job import JobId, State
from leadjobs.core.schedule import Rhythm, Schedule
from leadjobs.errors import ScheduleNotFoundError, SettingsError
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.statements import statement

NOTE_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database knows of a schedule; ``cron`` is None where it knows none of this name.

    ``now`` is the database's time at the look.  Ticks count from ``counted_from`` on.
    """

    name: str
    cron: str | None
    tz: str | None
    type: str | None
    tenant: str | None
    counted_from: datetime | None
    paused_at: datetime | None
    noted_at: datetime | None
    now: datetime

    @property
    def owed_tick(self) -> datetime | None:
        """The newest tick that nobody has enqueued a job for, by the expression that held until now."""
        if self.cron is None or self.tz is None or self.counted_from is None or self.paused_at is not None:
            return None
        return _owed(self.cron, self.tz, after=self.counted_from, now=self.now)

    def is_as(self, schedule: Schedule) -> bool:
        """Is it what a runner declares, and was it said lately?"""
        declared = (schedule.cron, schedule.tz, schedule.job.type, schedule.job.tenant)
        is_same = (self.cron, self.tz, self.type, self.tenant) == declared
        return is_same and self.noted_at is not None and self.now - self.noted_at < NOTE_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleLine:
    """A schedule in a list.

    ``next_tick`` may have passed: then its job is enqueued by the next invocation.  It is None while the schedule is
    paused, and where its expression cannot be read here.  ``last_job_state`` is None where the job was pruned.
    """

    name: str
    cron: str
    tz: str
    type: str
    tenant: str
    next_tick: datetime | None
    last_tick: datetime | None
    last_job_id: JobId | None
    last_job_state: State | None
    last_job_reason: str | None
    paused_at: datetime | None
    paused_by: str | None
    noted_at: datetime


class ScheduleStore:
    """The statements on ``job_schedule``, on one connection of our own, as methods named like their SQL files."""

    def __init__(self, connection: OwnConnection, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()

    async def _rows(self, name: str, /, **params: Any) -> Sequence[Mapping[str, Any]]:
        return await fetch_async(self._connection, statement(name), params)

    async def find_schedules(self, names: Iterable[str]) -> dict[str, Known]:
        """What is known of schedules of these names, all at one instant."""
        rows = await self._rows("find_schedules", names=list(names), now=self._clock.database_now())
        return {row["name"]: Known(**row) for row in rows}

    async def note_schedules(self, schedules: Sequence[Schedule], *, now: datetime) -> None:
        """Keep what a runner declares; the ticks of what is new or changed count from ``now``, its last look, on."""
        await self._rows(
            "note_schedules",
            names=[each.name for each in schedules],
            crons=[each.cron for each in schedules],
            zones=[each.tz for each in schedules],
            types=[each.job.type for each in schedules],
            tenants=[each.job.tenant for each in schedules],
            now=now,
        )

    async def take_ticks(self, ticks: Mapping[str, datetime]) -> set[str]:
        """Move schedules on to these ticks and say whose are ours: of all who try, one gets each.

        In a transaction, by whose commit a job stands for each tick that is ours.
        """
        rows = await self._rows("take_ticks", names=list(ticks), ticks=list(ticks.values()))
        return {row["name"] for row in rows}

    async def keep_tick_jobs(self, jobs: Mapping[str, JobId]) -> None:
        """Remember which jobs stand for the ticks that were just taken."""
        await self._rows("keep_tick_jobs", names=list(jobs), job_ids=list(jobs.values()))

    async def list_schedules(self) -> list[ScheduleLine]:
        """All schedules that were ever declared, by name."""
        rows = await self._rows("list_schedules", now=self._clock.database_now())
        return [_line(**row) for row in rows]

    async def pause(self, name: str, *, by: str) -> None:
        """Let a schedule's ticks pass by until it is resumed; one that is paused already stays as it is.

        Raises:
            ScheduleNotFoundError: no runner has declared one of this name.
        """
        if not await self._rows("pause_schedule", name=name, paused_by=by, now=self._clock.database_now()):
            raise ScheduleNotFoundError(_nobody_declared(name))

    async def resume(self, name: str) -> None:
        """Let a schedule's ticks count again, from now on: those that passed by stay so.

        Raises:
            ScheduleNotFoundError: no runner has declared one of this name.
        """
        if not await self._rows("resume_schedule", name=name, now=self._clock.database_now()):
            raise ScheduleNotFoundError(_nobody_declared(name))

    async def remove(self, name: str) -> None:
        """Forget a schedule that no runner declares any more; what it enqueued stays.

        Raises:
            ScheduleNotFoundError: no runner has declared one of this name.
        """
        if not await self._rows("remove_schedule", name=name):
            raise ScheduleNotFoundError(_nobody_declared(name))


def _owed(cron: str, tz: str, *, after: datetime, now: datetime) -> datetime | None:
    try:
        return Rhythm(cron, tz).newest_tick(after=after, through=now)
    except SettingsError:  # another release wrote it, with a zone that is not known here
        return None


def _line(*, since: datetime, now: datetime, last_job_state: str | None, **row: Any) -> ScheduleLine:
    next_tick: datetime | None = None
    if row["paused_at"] is None:
        next_tick = _owed(row["cron"], row["tz"], after=max(since, row["last_tick"] or since), now=now)
        next_tick = next_tick or _next(row["cron"], row["tz"], after=now)
    state = None if last_job_state is None else State(last_job_state)
    return ScheduleLine(next_tick=next_tick, last_job_state=state, **row)


def _next(cron: str, tz: str, *, after: datetime) -> datetime | None:
    try:
        return Rhythm(cron, tz).next_tick(after=after)
    except SettingsError:
        return None


def _nobody_declared(name: str) -> str:
    return f"there is no schedule {name}: `leadjobs schedules list` shows those that a runner has declared"
