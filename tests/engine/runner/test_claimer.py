"""discover -> plan -> claim, on its own."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, NewJob, Outcome, Registry, handler
from leadjobs.claimer import ALONE_EVERY, JOBS_PER_DISCOVERY, PLACES_FOR, Claimer
from leadjobs.core.durations import Durations
from leadjobs.core.job import Lane
from leadjobs.core.plan import Stream
from leadjobs.store.connection import connect
from leadjobs.store.jobs import Claimed, JobStore, Picture
from leadjobs.store.limits import LimitStore
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage


@handler("WORK", payload=dict)
async def work(job: Job[dict[str, Any]]) -> Outcome:
    return Done()


@asynccontextmanager
async def claiming(stage: "Stage", clock: FakeClock) -> AsyncIterator[Claimer]:
    """A claimer for five slots with all the time in the world, on a connection of its own."""
    async with connect(stage.url) as connection:
        store, limits = JobStore(connection), LimitStore(connection, clock)
        yield Claimer(store, limits, Registry(work), clock, slots=5, usable=1e9, durations=Durations())


async def claim(claimer: Claimer, *, free: int = 5, is_idle: bool = True) -> list[Claimed]:
    """What it claims, where there is something to try."""
    claimed = await claimer.claim(free, seconds_left=1e9, is_idle=is_idle)
    assert claimed is not None
    return claimed


def lanes_of(claimed: list[Claimed]) -> list[Lane]:
    return [job.stream.lane for job in claimed]


async def test_a_lost_job_gets_its_turn_in_a_busy_invocation(stage: "Stage") -> None:
    """While others keep coming, nothing more is claimed beside what runs once a lost job has waited long enough."""
    clock = FakeClock()
    await stage.add(*[NewJob(type="WORK") for _ in range(40)])
    await stage.rows("UPDATE background_job SET lane = 'alone' WHERE id %% 20 = 0 RETURNING id")
    async with claiming(stage, clock) as claimer:
        assert [Lane.ALONE] == lanes_of(await claim(claimer))
        assert [Lane.LIVE] * 5 == lanes_of(await claim(claimer))

        clock.advance(timedelta(seconds=ALONE_EVERY))
        assert await claimer.claim(5, seconds_left=1e9, is_idle=False) is None
        assert [Lane.ALONE] == lanes_of(await claim(claimer))
        assert [Lane.LIVE] * 5 == lanes_of(await claim(claimer, is_idle=False))


async def test_a_stream_that_gives_what_it_is_asked_for_is_not_looked_for(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head may be far behind what was claimed of it; others are looked for all the same."""
    looks: list[set[str]] = []
    look = JobStore.discover

    async def discover(store: JobStore, types: Sequence[str], known: Collection[Stream]) -> Picture:
        looks.append({stream.tenant for stream in known})
        return await look(store, types, known)

    monkeypatch.setattr(JobStore, "discover", discover)
    clock = FakeClock()
    await stage.add(*[NewJob(type="WORK", tenant="big") for _ in range(400)], NewJob(type="WORK", tenant="little"))
    async with claiming(stage, clock) as claimer:
        await claim(claimer, free=2 * JOBS_PER_DISCOVERY)  # each is dealt half, and one has but one job
        await stage.add(NewJob(type="WORK", tenant="new"))
        claimed = await claim(claimer, free=2 * JOBS_PER_DISCOVERY)
        assert "new" in {job.tenant for job in claimed}

        clock.advance(timedelta(seconds=PLACES_FOR))
        await claim(claimer)
    assert looks == [set(), {"big"}, set()], "and now and then all are"


async def test_what_is_committed_late_is_seen_within_a_second(stage: "Stage") -> None:
    """Its place is before what was claimed already of a stream that does not run dry."""
    clock = FakeClock()
    async with stage.connection() as caller, claiming(stage, clock) as claimer:
        (late,) = await (
            await caller.execute("INSERT INTO background_job (type) VALUES ('WORK') RETURNING id")
        ).fetchall()
        await stage.add(*[NewJob(type="WORK") for _ in range(1000)])
        await claim(claimer, free=JOBS_PER_DISCOVERY)
        await caller.commit()
        assert late["id"] not in [job.id for job in await claim(claimer, free=JOBS_PER_DISCOVERY)]

        clock.advance(timedelta(seconds=PLACES_FOR))
        assert late["id"] == (await claim(claimer, free=JOBS_PER_DISCOVERY))[0].id
