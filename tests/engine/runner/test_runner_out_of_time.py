"""A run that has too little time left for what comes next: who leaves it so little decides what that costs."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Handler, Job, NewJob, Outcome, OutOfTimeError, handler
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]


def seconds(span: float) -> timedelta:
    return timedelta(seconds=span)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only handlers move."""
    return FakeClock(datetime.now(UTC) + seconds(60))


def asking(clock: FakeClock) -> Handler[Any]:
    """A handler whose work takes half a second, and that does not begin it with less than two left."""

    @handler("ASK", payload=dict, timeout=60)
    async def ask(job: AnyJob) -> Outcome:
        if (left := job.time_left()) < 2:
            raise OutOfTimeError(f"{left:.1f} s left are too few to ask")
        clock.advance(seconds(0.5))
        return Done()

    return ask


async def test_a_run_that_is_started_too_late_is_handed_back_at_no_attempt(stage: "Stage", clock: FakeClock) -> None:
    """By what runs take it would have fitted; the first that says otherwise is the last of its type to be started."""
    runner = stage.runner(asking(clock), budget=seconds(75), reserve=seconds(1), concurrency=1, clock=clock)
    await stage.add(*(NewJob(type="ASK") for _ in range(200)))

    report = await runner.run()

    assert (report.succeeded, report.handed_back, report.retried, report.failed) == (145, 1, 0, 0)
    assert (report.stopped, report.too_long, report.due) == ("deadline", ("ASK",), 55)
    reason = await stage.value("SELECT reason FROM background_job WHERE reason LIKE 'handed back%%'")
    assert reason == "handed back: 1.5 s left are too few to ask"
    assert await stage.value("SELECT max(attempts) FROM background_job") == 0
    assert (await runner.run()).succeeded == 55


async def test_a_run_that_is_started_too_late_would_have_taken_longer_than_it_had(
    stage: "Stage", clock: FakeClock
) -> None:
    """It counts as cut when the time was over, for that is what it said of itself."""
    runner = stage.runner(asking(clock), budget=seconds(75), reserve=seconds(1), concurrency=1, clock=clock)
    await stage.add(*(NewJob(type="ASK") for _ in range(200)))

    await runner.run()

    kept = await stage.value("SELECT report -> 'durations' -> 'ASK' FROM runner_invocation")
    assert kept["cut"] == {"7": 1}, "1.5 s are in the bucket that ends at 1.7 s, and not in that of nothing"


async def test_where_its_own_timeout_is_too_short_it_is_a_failed_attempt(stage: "Stage", clock: FakeClock) -> None:
    """Handed back it would never end: the next run has no more time than this one."""

    @handler("SLOW", payload=dict, timeout=60)
    async def slow(job: AnyJob) -> Outcome:
        clock.advance(seconds(58.5))
        raise OutOfTimeError("too few to ask")

    (id_,) = await stage.add(NewJob(type="SLOW"))

    report = await stage.runner(slow, budget=seconds(70), reserve=seconds(1), clock=clock).run()

    assert (report.handed_back, report.retried) == (0, 1)
    assert (await stage.job(id_))["attempts"] == 1
    assert await stage.records(id_) == ["failed"]


async def test_a_runner_without_an_end_starts_no_run_too_late(stage: "Stage") -> None:
    """What the error says is then about the timeout."""

    @handler("SLOW", payload=dict, timeout=60)
    async def slow(job: AnyJob) -> Outcome:
        raise OutOfTimeError("too few to ask")

    (id_,) = await stage.add(NewJob(type="SLOW"))
    runner = stage.runner(slow)
    running = asyncio.create_task(runner.run_until_stopped())
    await stage.until("SELECT 1 FROM background_job WHERE attempts = 1")
    runner.stop()

    assert (await running).retried == 1
    assert await stage.records(id_) == ["failed"]
