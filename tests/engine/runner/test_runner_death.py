"""Processes that die, and machines whose clocks are wrong."""

import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, NewJob, Outcome, RetryPolicy, handler
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

DAY = 86_400.0


async def test_a_job_whose_process_was_killed_is_run_again(stage: "Stage") -> None:
    """Nobody takes it while its lease holds; after that it is taken back and ends: two starts, one completion."""

    @handler("HANG", payload=dict)
    async def hang(job: Job[dict[str, Any]]) -> Outcome:
        await stage.note("start", job.id)
        await stage.note("done", job.id)
        return Done("in the second run")

    (id_,) = await stage.add(NewJob(type="HANG"))
    process = await stage.process()
    await stage.until("SELECT count(*) = 1 FROM effect WHERE what = 'start'")
    process.kill()
    assert await process.wait() == -signal.SIGKILL

    early = await stage.runner(hang).run()
    assert (early.rescued, early.claimed, (await stage.job(id_))["state"]) == (0, 0, "RUNNING")
    later = FakeClock(datetime.now(UTC) + timedelta(minutes=2))
    report = await stage.runner(hang, clock=later).run()

    assert (report.rescued, report.succeeded) == (1, 1)
    assert [(id_, "start"), (id_, "start"), (id_, "done")] == await stage.effects()
    job = await stage.job(id_)
    assert (job["state"], job["reason"], job["attempts"]) == ("SUCCEEDED", "in the second run", 0)
    assert await stage.records(id_) == ["lost"]


async def test_a_lost_job_is_taken_back_by_one_runner_only(stage: "Stage") -> None:
    """A second invocation finds nothing to rescue, and the job has run once more, not twice."""

    @handler("HANG", payload=dict)
    async def hang(job: Job[dict[str, Any]]) -> Outcome:
        await stage.note("start", job.id)
        return Done()

    await stage.add(NewJob(type="HANG"))
    process = await stage.process()
    await stage.until("SELECT count(*) = 1 FROM effect")
    process.kill()
    await process.wait()
    await stage.end_leases()

    reports = [await stage.runner(hang).run() for _ in range(2)]

    assert ([r.rescued for r in reports], [r.succeeded for r in reports]) == ([1, 0], [1, 0])
    assert len(await stage.effects()) == 2


@pytest.mark.parametrize("off", [-DAY, DAY], ids=["a day behind", "a day ahead"])
async def test_only_the_clock_of_the_database_decides(stage: "Stage", off: float) -> None:
    """On a machine whose wall clock is a day off, leases, run_at and waits are what they are anywhere."""
    due, soon = await stage.add(
        NewJob(type="CLOCKED"), NewJob(type="CLOCKED", run_at=datetime.now(UTC) + timedelta(hours=1))
    )

    assert await (await stage.process(wall_clock_off=off)).wait() == 0

    assert [(due, True)] == [
        (job_id, what in {"lease 69", "lease 70"}) for job_id, what in await stage.effects()
    ]  # a timeout of 40 s and half a minute of grace
    waits = await stage.value("SELECT extract(epoch FROM run_at - now()) FROM background_job WHERE id = %s", due)
    assert 3600 - 60 < waits <= 3600
    assert ((job := await stage.job(soon))["state"], job["lease_no"]) == ("PENDING", 0)
    assert await stage.value("SELECT abs(extract(epoch FROM ended_at - now())) < 60 FROM runner_invocation")


async def test_a_day_passes_for_all_of_the_engine_at_once(stage: "Stage") -> None:
    """What the database's clock says is what a fake clock stands in for: scheduled work becomes due by it."""
    clock = FakeClock(datetime.now(UTC) + timedelta(minutes=1))

    @handler("TOMORROW", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def tomorrow(job: Job[dict[str, Any]]) -> Outcome:
        return Done()

    await stage.add(NewJob(type="TOMORROW", run_at=clock.database_now() + timedelta(days=1)))
    runner = stage.runner(tomorrow, clock=clock)

    assert (await runner.run()).claimed == 0
    clock.advance(timedelta(days=1))
    assert (await runner.run()).succeeded == 1
