"""The schedules that a runner declares, and enqueueing a job for each tick that has come."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import psycopg

from leadjobs.core.clock import Clock
from leadjobs.core.registry import Registry
from leadjobs.core.schedule import Schedule
from leadjobs.core.storable import storable_json
from leadjobs.enqueue import enqueue_many
from leadjobs.errors import PayloadError, SettingsError
from leadjobs.store.connection import OwnConnection
from leadjobs.store.schedules import ScheduleStore
from leadjobs.telemetry import ScheduleTicked, tell


class Timetable:
    """The schedules of a runner, by name.

    Raises:
        SettingsError: two of one name, a job of a type that the registry does not have, or a payload that its type does
            not take; the message names the schedule and the fix.
    """

    def __init__(self, schedules: Iterable[Schedule], registry: Registry) -> None:
        self._schedules: dict[str, Schedule] = {}
        for each in schedules:
            if each.name in self._schedules:
                raise SettingsError(f"two schedules are called {each.name}: give one of them another name")
            if each.job.type not in registry:
                raise SettingsError(
                    f"schedule {each.name}: job is of the type {each.job.type}, which has no handler here; "
                    f"the runner knows {', '.join(registry.type_names) or 'none'}"
                )
            _check_payload(each, registry)
            self._schedules[each.name] = each

    def __iter__(self) -> Iterator[Schedule]:
        return iter(self._schedules.values())

    def __contains__(self, name: object) -> bool:
        return name in self._schedules

    def __getitem__(self, name: str) -> Schedule:
        return self._schedules[name]

    async def enqueue_due(self, connection: OwnConnection, clock: Clock) -> int:
        """Enqueue one job for each schedule that has a tick which nobody has met yet, and say how many.

        Ticks missed are one job, for the newest of them.  Each tick has one job, whoever else does this at the same
        moment, for the tick is taken and the job enqueued in one transaction.  One statement where nothing is due and
        nothing is new; none without schedules.  The database's clock says what is due.
        """
        if not self._schedules:
            return 0
        store = ScheduleStore(connection, clock)
        known = await store.find_schedules(self._schedules)
        owed = {name: tick for name, found in known.items() if (tick := found.owed_tick) is not None}
        added = await self._enqueue(connection, store, owed) if owed else 0
        if news := [each for name, each in self._schedules.items() if not known[name].is_as(each)]:
            await store.note_schedules(news, now=known[news[0].name].now)
        return added

    async def _enqueue(self, connection: OwnConnection, store: ScheduleStore, owed: dict[str, datetime]) -> int:
        """Take the ticks and enqueue the jobs of those that are ours, in one transaction."""
        await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)  # whatever the role's default is
        async with connection.transaction():
            ours = sorted(await store.take_ticks(owed))
            added = await enqueue_many(connection, [self._schedules[name].job_at(owed[name]) for name in ours])
            if added:
                await store.keep_tick_jobs(dict(zip(ours, (each.job_id for each in added), strict=True)))
        for name, each in zip(ours, added, strict=True):
            tell(ScheduleTicked(schedule=name, tick=owed[name].isoformat(), job_id=each.job_id, verdict=each.verdict))
        return len(ours)


def _check_payload(schedule: Schedule, registry: Registry) -> None:
    try:
        registry[schedule.job.type].type.read(storable_json(dict(schedule.job.payload)))
    except PayloadError as error:
        raise SettingsError(f"schedule {schedule.name}: {error}; make the job with the type's own .job()") from None
    except ValueError as error:
        raise SettingsError(f"schedule {schedule.name}: payload {error}") from None
