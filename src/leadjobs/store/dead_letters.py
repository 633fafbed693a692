"""Many jobs at once: what a filter finds, grouped by what went wrong, and acting on exactly that."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

import psycopg

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.job import JobId, State
from leadjobs.errors import StoreError
from leadjobs.store.connection import OwnConnection
from leadjobs.store.desk import Desk

BATCH = 500  # jobs of one statement, and of one transaction
NEWEST = 10_000  # failed jobs that the list of dead letters looks at

# What differs between two errors that are one: ids of all kinds, and numbers.
_IDS = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=[a-z_-]*\d)[\w-]{16,}\b|\b(?=[a-f]*\d)[0-9a-f]{7,}\b"
    r"|\d+(?:[.:,]\d+)*",
    re.IGNORECASE,
)
FOLDED = "#"


class Action(StrEnum):
    """What is done to jobs, and in which states they may be for it."""

    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"

    @property
    def may_be(self) -> tuple[State, ...]:
        """The states that it works on."""
        ended = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        match self:
            case Action.RETRY:
                return (State.PENDING, *ended)
            case Action.CANCEL:
                return (State.PENDING, State.RUNNING)
            case Action.DELETE:
                return ended


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs.  What is None filters nothing.

    ``reason`` is a part of it, in whatever case; a ``#`` in it stands for any text, as in :attr:`Group.reason`.  The
    time of a job is that of its end, or of its addition while it has not ended; ``since`` and ``before`` are instants,
    or spans before now.
    """

    states: tuple[State, ...]
    type_name: str | None = None
    tenant: str | None = None
    reason: str | None = None
    since: datetime | timedelta | None = None
    before: datetime | timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A job as it was seen: any change of it raises its ``lease_no`` or its ``generation``."""

    id: JobId
    lease_no: int
    generation: int
    type: str
    tenant: str
    state: State
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs of one type whose reasons differ in ids and numbers only; ``ids`` are the newest three."""

    type: str
    reason: str | None
    jobs: int
    tenants: int
    oldest: datetime
    newest: datetime
    ids: tuple[JobId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a filter found, newest first, and when; ``is_cut`` where there are more than were asked for."""

    at: datetime
    jobs: tuple[Found, ...]
    is_cut: bool

    @property
    def groups(self) -> list[Group]:
        """The jobs by type and reason, the group with the newest job first."""
        return group(self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """How far it has come: ``skipped`` had changed since the look, or were being changed; ``refused`` the database.

    A retry is refused where another unfinished job holds the dedupe key; a deletion where a row of somebody's own
    points to the job.  ``unknown`` are not retried, for nobody knows the end of an effect of theirs: a retry would make
    it again.
    """

    done: int = 0
    skipped: int = 0
    refused: int = 0
    unknown: int = 0
    of: int = 0

    @property
    def seen(self) -> int:
        """How many it has come to, whatever became of them."""
        return self.done + self.skipped + self.refused + self.unknown

    def __add__(self, other: "Acted") -> "Acted":
        """Both."""
        return Acted(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


class BulkDesk(Desk):
    """Looks at many jobs and acts on them, on one connection of our own."""

    def __init__(self, connection: OwnConnection, clock: Clock | None = None) -> None:
        super().__init__(connection)
        self._clock = clock or SystemClock()

    async def look(self, wanted: JobFilter, *, most: int) -> Look:
        """The newest jobs that fit the filter, as they are now, by the database's clock.  Nothing is changed."""
        ((now,),) = [row.values() for row in await self._rows("find_now", now=self._clock.database_now())]
        before = _instant(wanted.before, now)
        rows = await self._rows(
            "find_jobs",
            states=list(wanted.states),
            type=wanted.type_name,
            tenant=wanted.tenant,
            reason_like=None if wanted.reason is None else _like(wanted.reason),
            since=_instant(wanted.since, now),
            before=now if before is None else before,
            max_jobs=most + 1,
        )
        jobs = tuple(Found(**{**row, "state": State(row["state"])}) for row in rows[:most])
        return Look(at=now, jobs=jobs, is_cut=len(rows) > most)

    async def dead(self, *, type_name: str | None = None, tenant: str | None = None, most: int = NEWEST) -> Look:
        """The dead letters: the newest jobs that ended FAILED."""
        return await self.look(JobFilter(states=(State.FAILED,), type_name=type_name, tenant=tenant), most=most)

    async def act(self, action: Action, look: Look, *, by: str) -> AsyncIterator[Acted]:
        """Do it to the jobs of a look, a batch at a time, oldest first; each batch is committed when it is told.

        Only to jobs that are still as they were seen: what was claimed, retried, cancelled or given a new payload
        since is skipped, and so is what somebody has locked; no batch waits for anybody.  Ended in between, it is
        finished by looking again: what was done does not fit the filter any more.

        Raises:
            StoreError: a job is in a state in which this cannot be done.
        """
        if wrong := {job.state for job in look.jobs} - set(action.may_be):
            raise StoreError(f"cannot {action} jobs that are {', '.join(sorted(wrong))}: {_advice(action)}")
        acted, oldest_first = Acted(of=len(look.jobs)), look.jobs[::-1]
        for start in range(0, len(oldest_first), BATCH):
            acted += await self._act_on(action, oldest_first[start : start + BATCH], by=by)
            yield acted

    async def _act_on(self, action: Action, batch: Sequence[Found], *, by: str) -> Acted:
        """What became of them: one that the database refuses is none of the others' business."""
        try:
            return await self._act_on_all(action, batch, by=by)
        except psycopg.IntegrityError:
            if len(batch) == 1:
                return Acted(refused=1)
        return sum([await self._act_on(action, [job], by=by) for job in batch], Acted())

    async def _act_on_all(self, action: Action, batch: Sequence[Found], *, by: str) -> Acted:
        more: dict[str, object] = {
            "ids": [job.id for job in batch],
            "lease_nos": [job.lease_no for job in batch],
            "generations": [job.generation for job in batch],
        }
        if action is not Action.DELETE:
            verb = "retried" if action is Action.RETRY else "cancelled"
            more |= {"reason": f"{verb} by {by}", "now": self._clock.database_now()}
        rows = await self._rows(f"{action}_jobs", **more)
        unknown = sum(row.get("is_unknown", False) for row in rows)
        return Acted(done=len(rows) - unknown, unknown=unknown, skipped=len(batch) - len(rows))


def group(jobs: Iterable[Found]) -> list[Group]:
    """Jobs by type and reason, where ids and numbers in reasons are folded together; the newest group first."""
    alike: defaultdict[tuple[str, str | None], list[Found]] = defaultdict(list)
    for job in jobs:
        alike[job.type, fold(job.reason)].append(job)
    groups = [
        Group(
            type=type_name,
            reason=reason,
            jobs=len(members),
            tenants=len({job.tenant for job in members}),
            oldest=min(job.at for job in members),
            newest=max(job.at for job in members),
            ids=tuple(job.id for job in sorted(members, key=lambda job: (job.at, job.id), reverse=True)[:3]),
        )
        for (type_name, reason), members in alike.items()
    ]
    return sorted(groups, key=lambda each: (each.newest, each.ids), reverse=True)


def fold(reason: str | None) -> str | None:
    """A reason without what differs from job to job.

    >>> fold("HTTP 503 for contact 9f8a2c1b7d6e, attempt 2 of 5")
    'HTTP # for contact #, attempt # of #'
    """
    return None if reason is None else _IDS.sub(FOLDED, reason)


def _like(part: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", part)
    return f"%{escaped.replace(FOLDED, '%')}%"


def _instant(given: datetime | timedelta | None, now: datetime) -> datetime | None:
    return now - given if isinstance(given, timedelta) else given


def _advice(action: Action) -> str:
    match action:
        case Action.RETRY:
            return "cancel a running one first, or wait for its lease to end"
        case Action.CANCEL:
            return "they have ended"
        case Action.DELETE:
            return "cancel them first, or wait until they have ended"
