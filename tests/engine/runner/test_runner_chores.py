"""What an invocation does beside draining: schedules at its beginning, pruning where time is left."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, NewJob, Outcome, Retention, Schedule, handler
from leadjobs.errors import SettingsError
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
KEPT = Retention(succeeded=timedelta(days=10))
OLD = (
    "INSERT INTO background_job (type, state, created_at, finished_at)"
    " VALUES ('OLD', 'SUCCEEDED', now() - interval '90 days', now() - interval '90 days')"
)


@handler("TICKED", payload=dict)
async def ticked(job: AnyJob) -> Outcome:
    return Done(f"{job.payload}")


def minutely(**more: Any) -> Schedule:
    return Schedule("minutely", "* * * * *", **({"job": NewJob(type="TICKED", payload={"n": 1})} | more))


async def owe_a_tick(stage: "Stage", *schedules: Schedule) -> None:
    """Have a runner note the schedules, and a minute go by since."""
    await stage.runner(ticked, schedules=schedules).run()
    await stage.db.execute("UPDATE job_schedule SET since = since - interval '61 seconds'")


async def test_a_tick_s_job_runs_in_the_invocation_that_met_it(stage: "Stage") -> None:
    """By the database's clock, with the payload that was declared; the report counts it."""
    await owe_a_tick(stage, minutely())
    report = await stage.runner(ticked, schedules=[minutely()]).run()
    assert (1, 1) == (report.scheduled, report.succeeded)
    assert "{'n': 1}" == await stage.value("SELECT reason FROM background_job")


async def test_runners_at_once_run_a_tick_once(stage: "Stage") -> None:
    """Five whole invocations side by side, three schedules."""
    schedules = [Schedule(name, "* * * * *", job=NewJob(type="TICKED")) for name in ("a", "b", "c")]
    clock = FakeClock(datetime(2035, 11, 23, 12, tzinfo=UTC))
    await stage.runner(ticked, schedules=schedules, clock=clock).run()
    clock.advance(timedelta(minutes=1))
    reports = await asyncio.gather(*(stage.runner(ticked, schedules=schedules, clock=clock).run() for _ in range(5)))
    assert (3, 3) == (sum(r.scheduled for r in reports), sum(r.succeeded for r in reports))
    assert {"SUCCEEDED": 3} == await stage.states()


async def test_a_machine_whose_clock_is_off_meets_no_tick_early(stage: "Stage") -> None:
    """Only what statements take for now decides; a runner's own day does not."""
    clock = FakeClock(datetime(2035, 11, 23, 12, 0, 30, tzinfo=UTC))
    runner = stage.runner(ticked, schedules=[minutely()], clock=clock)
    assert 0 == (await runner.run()).scheduled
    clock.advance(timedelta(seconds=29))
    assert 0 == (await runner.run()).scheduled
    clock.advance(timedelta(seconds=1))
    assert 1 == (await runner.run()).scheduled


async def test_a_runner_without_an_end_meets_ticks_and_prunes(stage: "Stage", monkeypatch: pytest.MonkeyPatch) -> None:
    """Every minute, where an invocation does so once."""
    monkeypatch.setattr("leadjobs.runner.NOTE_EVERY", 0.0)
    runner = stage.runner(ticked, schedules=[minutely()], retention=KEPT)
    running = asyncio.create_task(runner.run_until_stopped())
    await stage.until("SELECT count(*) > 0 FROM runner_invocation")
    await stage.db.execute(OLD)
    await stage.db.execute("UPDATE job_schedule SET since = since - interval '61 seconds'")
    await stage.until("SELECT count(*) > 0 FROM background_job WHERE type = 'TICKED' AND state = 'SUCCEEDED'")
    await stage.until("SELECT count(*) = 0 FROM background_job WHERE type = 'OLD'")
    runner.stop()
    report = await running
    assert (report.scheduled >= 1, report.pruned) == (True, 1)


async def test_nothing_is_deleted_unless_somebody_says_how_long_it_is_kept(stage: "Stage") -> None:
    """Without a retention a row stays for ever, and its key is held."""
    await stage.db.execute(OLD)
    assert 0 == (await stage.runner(ticked).run()).pruned
    assert 1 == (await stage.runner(ticked, retention=KEPT).run()).pruned
    assert {} == await stage.states()


async def test_an_invocation_that_runs_out_of_time_prunes_nothing(stage: "Stage") -> None:
    """Work comes first: what is old can wait for a quiet minute."""

    @handler("SLOW", payload=dict, timeout=0.3)
    async def slow(job: AnyJob) -> Outcome:
        await asyncio.sleep(0.25)
        return Done()

    await stage.db.execute(OLD)
    await stage.add(*(NewJob(type="SLOW") for _ in range(20)))
    report = await stage.runner(
        slow, retention=KEPT, concurrency=1, budget=timedelta(seconds=1), reserve=timedelta(seconds=0.2)
    ).run()
    assert ("deadline", 0) == (report.stopped, report.pruned)
    assert 1 == await stage.value("SELECT count(*) FROM background_job WHERE type = 'OLD'")


def test_a_schedule_that_cannot_work_stops_the_runner_s_construction(stage: "Stage") -> None:
    """Not the first tick, in the night."""
    with pytest.raises(SettingsError, match="schedule minutely: job is of the type NOBODY"):
        stage.runner(ticked, schedules=[minutely(job=NewJob(type="NOBODY"))])
