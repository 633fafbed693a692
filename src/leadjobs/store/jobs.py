"""The runner's statements on the job table, as methods named like their SQL files."""

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple, Self

from psycopg.rows import args_row, scalar_row

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.durations import Durations
from leadjobs.core.ending import Ending, endings_json, results_json
from leadjobs.core.job import JobId, Lane, Lease, State
from leadjobs.core.limit import names_of
from leadjobs.core.plan import Share, Stream
from leadjobs.core.progress import Progress
from leadjobs.core.report import Report
from leadjobs.store.connection import OwnConnection, fetch_async, schema_wanted
from leadjobs.store.statements import statement

MAX_RESCUED = 500
LOOK_BACK = 20  # invocations whose runs say how long those of this one will take
BACKLOG_CEILING = 1000


class Place(NamedTuple):
    """A place in a stream's order: everything up to it was claimed before."""

    run_at: datetime
    id: int


_LANES = {lane.value: lane for lane in Lane}
_IN_ORDER = attrgetter("run_at", "lease")
START = Place(datetime(1, 1, 1, tzinfo=UTC), 0)


class Claimed(NamedTuple):
    """A job row at the moment it was claimed: what claim.sql returns, in its order.  ``payload`` is JSON text."""

    lease: Lease
    stream: Stream
    payload: str
    generation: int
    attempts: int
    run_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, id_: int, lease_no: int, lane: str, type_: str, tenant: str, *others: Any) -> Self:
        """The job of a row."""
        return cls(Lease(JobId(id_), lease_no), Stream(_LANES[lane], type_, tenant), *others)

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.lease.job_id

    @property
    def type(self) -> str:
        """The job's type."""
        return self.stream.type

    @property
    def tenant(self) -> str:
        """Whose job it is."""
        return self.stream.tenant

    @property
    def place(self) -> Place:
        """Where in its stream it stood."""
        return Place(self.run_at, self.lease.job_id)


class Picture(NamedTuple):
    """The streams that have due work, and the names that are held, each with the seconds until it is free by itself."""

    streams: list[Stream]
    held: Mapping[str, float | None]


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

    async def discover(self, types: Sequence[str], known: Collection[Stream] = ()) -> Picture:
        """What there is to do of these types, beside what is ``known`` to be, and what is held."""
        rows = await self._rows_now(
            "discover",
            lanes=list(Lane),
            types=list(types),
            known_lanes=[stream.lane for stream in known],
            known_types=[stream.type for stream in known],
            known_tenants=[stream.tenant for stream in known],
        )
        return Picture(
            [Stream(_LANES[row["lane"]], row["type"], row["tenant"]) for row in rows if row["held"] is None],
            {row["held"]: row["seconds"] for row in rows if row["held"] is not None},
        )

    async def claim(
        self,
        shares: Sequence[Share],
        after: Mapping[Stream, Place],
        lease_seconds: Mapping[str, float],
        subjects: Mapping[str, Sequence[str]] | None = None,
    ) -> list[Claimed]:
        """Take leases on the first due jobs of each share, in the order they are due; none where a name is held.

        ``subjects`` says what else than its own name may be held for jobs of a type.
        """
        places = [after.get(share.stream, START) for share in shares]
        binds = {
            "lanes": [share.stream.lane for share in shares],
            "types": [share.stream.type for share in shares],
            "tenants": [share.stream.tenant for share in shares],
            "slots": [share.slots for share in shares],
            "after_run_at": [place.run_at for place in places],
            "after_id": [place.id for place in places],
            "names": [
                json.dumps(names_of((subjects or {}).get(type_, [type_]), tenant)) for (_, type_, tenant), _ in shares
            ],
            "lease_seconds": json.dumps(lease_seconds),
            "now": self._clock.database_now(),
        }
        with schema_wanted():
            cursor = self._connection.cursor(row_factory=args_row(Claimed.of))
            claimed = await (await cursor.execute(statement("claim").for_psycopg, binds)).fetchall()
        return sorted(claimed, key=_IN_ORDER)

    async def settle(self, endings: Sequence[Ending]) -> set[JobId]:
        """End these runs in one statement; says which were settled.

        The others have another owner by now (see :meth:`find_lost`), or somebody has their row locked.  None is settled
        without its result.
        """
        if (told := results_json(endings)) is None:
            return await self._settle(endings)
        async with self._connection.transaction():
            kept = {row["job_id"] for row in await self._rows_now("keep_results", told=told)}
            return await self._settle([each for each in endings if each.id in kept or not each.has_news])

    async def _settle(self, endings: Sequence[Ending]) -> set[JobId]:
        binds = {"endings": endings_json(endings), "now": self._clock.database_now()}
        with schema_wanted():
            cursor = self._connection.cursor(row_factory=scalar_row)
            return set(await (await cursor.execute(statement("settle").for_psycopg, binds)).fetchall())

    async def keep_progress(self, told: Mapping[Lease, Progress]) -> set[JobId]:
        """Keep how far runs are; says of which it was kept.

        The others have another owner by now, or somebody has their row locked.
        """
        records = [
            f'{{"id":{lease.job_id},"lease_no":{lease.lease_no},"progress":{progress.as_json()}}}'
            for lease, progress in told.items()
        ]
        rows = await self._rows_now("keep_results", told=f"[{','.join(records)}]")
        return {JobId(row["job_id"]) for row in rows}

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

    async def find_durations(self) -> Durations:
        """How long runs took in the newest invocations of the last day."""
        rows = await self._rows_now("find_durations", invocations=LOOK_BACK)
        return Durations.merged(row["durations"] for row in rows)

    async def note_invocation(self, report: Report, durations: Durations, *, since_completion: float | None) -> None:
        """Keep what an invocation did, how long its runs took, and how many seconds ago it last ended a job."""
        took = durations.take()
        await self._rows_now(
            "note_invocation",
            id=uuid.uuid4(),
            seconds=report.seconds,
            since_completion=since_completion,
            report=json.dumps(report.as_json() | ({"durations": took} if took else {})),
        )
