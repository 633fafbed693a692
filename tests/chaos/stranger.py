"""A stranger who claims jobs as a runner does, and is never heard of again: to all others, a process that died."""

from collections.abc import Sequence

from tests.chaos.database import Database
from tests.chaos.jobs import REGISTRY

from leadjobs.core.clock import SystemClock
from leadjobs.core.job import JobId, Lane
from leadjobs.core.plan import Share
from leadjobs.store.jobs import JobStore
from leadjobs.store.limits import LimitStore

UNDER_LIMITS = [each.type.name for each in REGISTRY if each.type.limits]
MANY_LOSSES = 100_000  # jobs are lost here all the time, and none of them is to blame


async def claim(database: Database, types: Sequence[str], lanes: Sequence[Lane], *, seconds: float) -> list[JobId]:
    """Claim one job of each stream that has room under its limits, on leases of so many seconds."""
    clock, lease_seconds = SystemClock(), dict.fromkeys(types, seconds)
    async with await database.connect("chaos stranger") as connection:
        store = JobStore(connection, clock)
        streams = [each for each in (await store.discover(types)).streams if each.lane in lanes]
        limits_on = {stream: REGISTRY.limits_on(stream.type, stream.tenant) for stream in streams}
        wanted = [limit for limits in limits_on.values() for limit in limits]
        async with LimitStore(connection, clock).locked(wanted) as rooms:
            shares = [Share(stream, 1) for stream in streams if rooms.take(limits_on[stream])]
            claimed = await store.claim(shares, {}, lease_seconds)
            for job in claimed:
                rooms.started(limits_on[job.stream])
    return [job.id for job in claimed]


async def rescue(database: Database) -> None:
    """Take back all leases that have ended: what they were on is to run alone."""
    async with await database.connect("chaos stranger") as connection:
        await JobStore(connection).rescue(max_losses=MANY_LOSSES)
