"""What keeps jobs from running, for those who ask: holds, limits, and why one job waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from leadjobs.core.durations import expected
from leadjobs.core.job import JobId, Lane, State
from leadjobs.core.limit import EVERYTHING, Room, check_resource, names_of, of_tenant
from leadjobs.core.registry import Registry
from leadjobs.errors import StoreError
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.desk import Desk, JobSheet
from leadjobs.store.jobs import JobStore
from leadjobs.store.statements import statement

MOST_AHEAD = 1000  # count_ahead.sql counts no further
SILENCE = 150.0  # seconds without any runner, after which that is why a job waits: the cron calls each minute


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLine:
    """A hold: what it is on, who or what put it there, until when (None: until it is let go)."""

    name: str
    kind: str
    reason: str
    until: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """A limit as a runner last declared it, and how much of it is used; ``rate`` is in jobs a second."""

    name: str
    types: Sequence[str]
    tenant: str | None
    max_running: int | None
    rate: float | None
    running: int
    free_in: float | None


def hold_name(name: str, tenant: str | None) -> str:
    """The name of a hold, checked; ``name@tenant``, as a list of holds has it, is the same as both given apart.

    Raises:
        SettingsError: no type or resource can be called so.

    >>> hold_name("SEND_SMS@7", None) == hold_name("SEND_SMS", "7")
    True
    """
    if tenant is None and "@" in name:
        name, tenant = name.split("@", 1)
    if name != EVERYTHING:
        check_resource(name)
    return name if tenant is None else of_tenant(name, tenant)


class HoldDesk:
    """Looks at holds and limits, and acts on holds, on one connection of our own."""

    def __init__(self, connection: OwnConnection) -> None:
        self._connection = connection

    async def _rows(self, name: str, /, **params: Any) -> Sequence[Mapping[str, Any]]:
        return await fetch_async(self._connection, statement(name), params)

    async def holds(self, names: Sequence[str] | None = None) -> list[HoldLine]:
        """The holds that are on; of these names, where some are given."""
        return [HoldLine(**row) for row in await self._rows("list_holds", names=names, now=None)]

    async def limits(self, names: Sequence[str] | None = None) -> list[LimitLine]:
        """The first thousand limits by name; of these names, where some are given."""
        rows = await self._rows("list_limits", names=names, now=None)
        return [LimitLine(**{**row, "free_in": row["free_in"] and float(row["free_in"])}) for row in rows]

    async def pause(
        self, name: str, *, tenant: str | None = None, span: timedelta | None = None, reason: str
    ) -> HoldLine:
        """Hold a type, a resource or everything back, for a span or until it is let go; what stands then.

        A hold that lasts longer, or as long, stays as it is: let go of it first where less is meant.  From the commit
        on nothing of it is claimed, by any runner; what runs goes on.
        """
        seconds = None if span is None else span.total_seconds()
        rows = await self._rows("put_hold", name=hold_name(name, tenant), reason=reason, seconds=seconds)
        return HoldLine(**rows[0])

    async def release(self, name: str, *, tenant: str | None = None) -> None:
        """Let go of what is held by this name.

        Raises:
            StoreError: nothing is.
        """
        if not await self._rows("release_hold", name=hold_name(name, tenant)):
            raise StoreError(f"nothing is held by the name {hold_name(name, tenant)}: see `leadjobs holds list`")

    async def why(self, job_id: JobId, registry: Registry | None = None) -> list[str]:
        """Why a job is where it is: all that keeps it, most lasting first; never empty.

        ``registry`` knows the job's type, what it uses and its limits; without it only what the database knows is told.

        Raises:
            JobNotFoundError: there is none with this id.
        """
        job = await Desk(self._connection).show(job_id)
        if job.state not in {State.PENDING, State.RUNNING}:
            return [f"it has ended {job.state} at {_time(job.finished_at)}: {job.reason}"]
        place = {"lane": job.lane, "type": job.type, "tenant": job.tenant, "run_at": job.run_at, "id": job.id}
        (ahead,) = await self._rows("count_ahead", **place)
        if job.state is State.RUNNING:
            return [_running(job, ahead["now"])]
        reasons = [*await self._held(job, registry), *await self._limited(job, registry)]
        if registry is not None and job.type not in registry:
            reasons.append(f"this app has no handler for {job.type}: deploy one that has, or ask with --app")
        if job.run_at > ahead["now"]:
            reasons.append(f"it is due at {_time(job.run_at)}: {job.reason or 'it was added for then'}")
        reasons += await self._too_long(job, registry)
        if job.lane == Lane.ALONE:
            reasons.append(
                "its process died once, so it runs alone: first in an invocation, or when nothing else is left"
            )
        return [*reasons, *await self._turn(ahead["jobs"])] or [
            "nothing keeps it: the next claim that comes to it takes it"
        ]

    async def _held(self, job: JobSheet, registry: Registry | None) -> list[str]:
        known = registry is not None and job.type in registry
        subjects = registry[job.type].type.subjects if registry is not None and known else (job.type,)
        return [
            f"{line.name} is {_KINDS[line.kind]}{f' until {_time(line.until)}' if line.until else ''}: {_why(line)}"
            for line in await self.holds(names_of(subjects, job.tenant))
        ]

    async def _limited(self, job: JobSheet, registry: Registry | None) -> list[str]:
        if registry is None or job.type not in registry or not registry[job.type].type.limits:
            return []
        limits = {each.name: each.limit for each in registry.limits_on(job.type, job.tenant)}
        reasons = []
        for line in await self.limits(list(limits)):
            room = Room.under(limits[line.name], running=line.running, free_in=line.free_in or 0.0)
            if line.max_running is not None and line.running >= line.max_running:
                reasons.append(f"{line.name} is at its limit: {line.running} of {line.max_running} run")
            if room.opens_in is not None:
                reasons.append(f"{line.name} is at its rate: the next may start in {room.opens_in:.1f} s")
        return reasons

    async def _too_long(self, job: JobSheet, registry: Registry | None) -> list[str]:
        (last,) = await self._rows("find_too_long", type=job.type, since=job.run_at, now=None)
        if last["ended_at"] is None:
            return []
        what = f"it did not fit the time left of an invocation that ended at {_time(last['ended_at'])}"
        if registry is not None and job.type in registry:
            timeout = registry[job.type].seconds
            runs = (await JobStore(self._connection).find_durations())[job.type]
            learned = f" after {runs.ended.total()} runs that ended and {runs.cut.total()} that were cut"
            what += f": {expected(timeout, runs):.1f} s are expected{learned}, and its timeout is {timeout:g} s"
        return [what]

    async def _turn(self, ahead: int) -> list[str]:
        since = (await JobStore(self._connection).pulse()).since_invocation
        reasons = []
        if ahead:
            most = f"{ahead} or more" if ahead == MOST_AHEAD else str(ahead)
            reasons.append(f"{most} of the same type and tenant are before it")
        if since is None or since > SILENCE:
            ago = "within the last week" if since is None else f"for {since:.0f} s"
            reasons.append(f"no runner has ended an invocation {ago}: is the cron calling? (`leadjobs doctor`)")
        return reasons


_KINDS = {
    "paused": "paused",
    "busy": "busy",
    "exhausted": "used up",
}


def _why(line: HoldLine) -> str:
    return line.reason.removeprefix("held: ")  # as the run that put it there has it on its job


def _running(job: JobSheet, now: datetime) -> str:
    if job.lease_until is not None and job.lease_until < now:
        return f"its process died or went silent: its lease ended at {_time(job.lease_until)}, the next rescue takes it"
    return f"it runs since {_time(job.started_at)}, under a lease until {_time(job.lease_until)}"


def _time(at: datetime | None) -> str:
    return "?" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
