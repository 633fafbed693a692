"""A handler that blocks the event loop: nothing can end it, but it is told, and no fault of the database's."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, NewJob, Outcome, RetryPolicy, handler

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

LATER = RetryPolicy(base=timedelta(days=1), cap=timedelta(days=1))


@pytest.mark.parametrize("blocked", [0.2, 2.7])
async def test_a_blocked_event_loop_is_told_and_is_not_the_databases_fault(
    stage: "Stage", caplog: pytest.LogCaptureFixture, blocked: float
) -> None:
    """Its log line names the types that ran; the invocation ends for want of time, also where it ends too late."""

    @handler("BLOCKS", payload=dict, timeout=1, retry=LATER)
    async def blocks(job: Job[Any]) -> Outcome:
        time.sleep(blocked)  # noqa: ASYNC251
        return Done()

    await stage.add(NewJob(type="BLOCKS"), NewJob(type="BLOCKS", delay=timedelta(hours=1)))
    report = await stage.runner(blocks, budget=timedelta(seconds=4), reserve=timedelta(seconds=3)).run()

    told = [record.fact for record in caplog.records if hasattr(record, "fact")]
    still = [fact for fact in told if fact["event"] == "runner.stood_still"]
    assert ["BLOCKS"] * (blocked > 1) == [fact["types"] for fact in still]
    assert all(2.5 <= fact["seconds"] <= blocked for fact in still)
    assert (report.stopped, report.claimed) == ("deadline" if still else "drained", 1)


async def test_a_statement_that_is_not_answered_in_time_is_no_standstill(
    stage: "Stage", caplog: pytest.LogCaptureFixture
) -> None:
    """The process went on all the time: it was the database that did not."""
    await stage.add(NewJob(type="IDLES"))

    @handler("IDLES", payload=dict, timeout=0.2)
    async def idles(job: Job[Any]) -> Outcome:
        return Done()

    async with stage.connection() as other:
        await other.execute("LOCK TABLE job_hold IN ACCESS EXCLUSIVE MODE")  # which claims look at, and reports do not
        report = await stage.runner(idles, budget=timedelta(seconds=2), reserve=timedelta(seconds=1)).run()

    assert ("database", 0, 1) == (report.stopped, report.claimed, report.due)
    assert "stood_still" not in caplog.text
