"""The runner's statements on the job table, as methods named like their SQL files."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.ending import Ending, endings_json
from leadjobs.core.job import JobId, Lane, Lease, State
from leadjobs.core.plan import Share, Stream
from leadjobs.core.report import Report
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.statements import statement

MAX_RESCUED = 500
BACKLOG_CEILING = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a stream's order: everything up to it was claimed before."""

    run_at: datetime
    id: int


START = Place(datetime(1, 1, 1, tzinfo=UTC), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job row at the moment it was claimed."""

    id: JobId
    lane: Lane
    type: str
    tenant: str
    payload: Mapping[str, Any]
    generation: int
    attempts: int
    lease_no: int
    run_at: datetime
    created_at: datetime
    started_at: datetime

    @property
    def lease(self) -> Lease:
        """The lease that was taken."""
        return Lease(self.id, self.lease_no)

    @property
    def stream(self) -> Stream:
        """The stream it came from."""
        return Stream(self.lane, self.type, self.tenant)

    @property
    def place(self) -> Place:
        """Where in its stream it stood."""
        return Place(self.run_at, self.id)


@dataclass(frozen=True, slots=True)
class Rescued:
    """A job that was taken back from an owner who went silent."""

    id: JobId
    type: str
    state: State


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due and still waits.  ``due`` is exact up to the ceiling and means "at least" there."""

    due: int
    oldest_due_seconds: float | None
    unknown_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds since a runner last ended a job and since one last ran; None where none did in the last week."""

    since_completion: float | None
    since_invocation: float | None


class JobStore:
    """Claims, settles and looks after jobs on one connection of our own."""

    def __init__(self, connection: OwnConnection, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()

    async def _rows(self, name: str, **params: Any) -> Sequence[Mapping[str, Any]]:
        return await fetch_async(self._connection, statement(name), params)

    async def _rows_now(self, name: str, **params: Any) -> Sequence[Mapping[str, Any]]:
        return await self._rows(name, now=self._clock.database_now(), **params)

    async def discover(self, types: Sequence[str]) -> list[Stream]:
        """The streams of these types that have due work."""
        rows = await self._rows_now("discover", lanes=list(Lane), types=list(types))
        return [Stream(Lane(row["lane"]), row["type"], row["tenant"]) for row in rows]

    async def claim(
        self, shares: Sequence[Share], after: Mapping[Stream, Place], lease_seconds: Mapping[str, float]
    ) -> list[Claimed]:
        """Take leases on the first due jobs of each share, in the order they are due."""
        places = [after.get(share.stream, START) for share in shares]
        rows = await self._rows_now(
            "claim",
            lanes=[share.stream.lane for share in shares],
            types=[share.stream.type for share in shares],
            tenants=[share.stream.tenant for share in shares],
            slots=[share.slots for share in shares],
            after_run_at=[place.run_at for place in places],
            after_id=[place.id for place in places],
            lease_seconds=json.dumps(lease_seconds),
        )
        claimed = [Claimed(**{**row, "lane": Lane(row["lane"])}) for row in rows]
        return sorted(claimed, key=lambda job: (job.run_at, job.id))

    async def settle(self, endings: Sequence[Ending]) -> set[JobId]:
        """End these runs in one statement; says which were settled.

        The others have another owner by now (see :meth:`find_lost`), or somebody has their row locked.
        """
        rows = await self._rows_now("settle", endings=endings_json(endings))
        return {JobId(row["id"]) for row in rows}

    async def rescue(self, *, max_losses: int) -> list[Rescued]:
        """Take back a bounded number of leases that have ended."""
        rows = await self._rows_now("rescue", max_losses=max_losses, max_jobs=MAX_RESCUED)
        return [Rescued(JobId(row["id"]), row["type"], State(row["state"])) for row in rows]

    async def find_lost(self, leases: Iterable[Lease]) -> set[Lease]:
        """Which of these leases have moved on without us."""
        held = list(leases)
        rows = await self._rows("find_lost", ids=[x.job_id for x in held], lease_nos=[x.lease_no for x in held])
        return {Lease(JobId(row["id"]), row["lease_no"]) for row in rows}

    async def backlog(self, known_types: Sequence[str]) -> Backlog:
        """What is due and still waits."""
        (row,) = await self._rows_now("backlog", types=list(known_types), ceiling=BACKLOG_CEILING)
        oldest = row["oldest_due_seconds"]
        return Backlog(row["due"], None if oldest is None else float(oldest), tuple(row["unknown_types"] or ()))

    async def pulse(self) -> Pulse:
        """When jobs were last ended, and when a runner last ran."""
        (row,) = await self._rows_now("last_completion")
        return Pulse(
            *(None if row[key] is None else float(row[key]) for key in ("since_completion", "since_invocation"))
        )

    async def note_invocation(self, report: Report, *, since_completion: float | None) -> None:
        """Keep what an invocation did, and how many seconds ago it last ended a job for good."""
        await self._rows_now(
            "note_invocation",
            id=uuid.uuid4(),
            seconds=report.seconds,
            since_completion=since_completion,
            report=report.model_dump_json(by_alias=True),
        )
