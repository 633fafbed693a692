"""discover -> plan -> claim, on its own."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from leadjobs import Done, Job, NewJob, Outcome, Registry, handler
from leadjobs.claimer import ALONE_EVERY, Claimer
from leadjobs.core.durations import Durations
from leadjobs.core.job import Lane
from leadjobs.store.connection import connect
from leadjobs.store.jobs import Claimed, JobStore
from leadjobs.store.limits import LimitStore
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage


@handler("WORK", payload=dict)
async def work(job: Job[dict[str, Any]]) -> Outcome:
    return Done()


async def test_a_lost_job_gets_its_turn_in_a_busy_invocation(stage: "Stage") -> None:
    """While others keep coming, nothing more is claimed beside what runs once a lost job has waited long enough."""
    await stage.add(*[NewJob(type="WORK") for _ in range(40)])
    async with connect(stage.url) as connection:
        await connection.execute("UPDATE background_job SET lane = 'alone' WHERE id % 20 = 0")
        clock = FakeClock()
        claimer = Claimer(
            JobStore(connection),
            LimitStore(connection, clock),
            Registry(work),
            clock,
            slots=5,
            usable=1e9,
            durations=Durations(),
        )

        async def claim(*, is_idle: bool) -> list[Claimed] | None:
            return await claimer.claim(5, seconds_left=1e9, is_idle=is_idle)

        first = await claim(is_idle=True)
        assert first is not None
        assert [Lane.ALONE] == [job.stream.lane for job in first]
        others = await claim(is_idle=True)
        assert others is not None
        assert [Lane.LIVE] * 5 == [job.stream.lane for job in others]

        clock.advance(timedelta(seconds=ALONE_EVERY))
        assert await claim(is_idle=False) is None
        second = await claim(is_idle=True)
        assert second is not None
        assert [Lane.ALONE] == [job.stream.lane for job in second]
        others = await claim(is_idle=False)
        assert others is not None
        assert [Lane.LIVE] * 5 == [job.stream.lane for job in others]
