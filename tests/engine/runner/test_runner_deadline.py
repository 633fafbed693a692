"""Time: what is started, what is cut and handed back, and that run() returns within its budget whatever happens."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.runner.stubborn import stubborn_until

from leadjobs import Done, Job, NewJob, Outcome, Report, RetryPolicy, Runner, handler
from leadjobs.errors import SettingsError
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
TOMORROW = RetryPolicy(base=timedelta(days=1), cap=timedelta(days=1))  # not in the same invocation
SLACK = 0.3  # seconds that a busy machine may add


def seconds(span: float) -> timedelta:
    return timedelta(seconds=span)


async def timed(runner: Runner) -> tuple[Report, float]:
    """A run's report, and how long it took."""
    begun = time.monotonic()
    return await runner.run(), time.monotonic() - begun


@asynccontextmanager
async def until_left(released: asyncio.Event) -> AsyncIterator[None]:
    """Let go of what a run has left behind, so that no task outlives its test."""
    try:
        yield
    finally:
        released.set()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.wait(left, timeout=5) if left else None


async def test_what_does_not_fit_the_time_left_is_not_started(stage: "Stage", in_order: None) -> None:
    """With 75 s left, a job of up to 85 s waits for the next invocation, which begins with it."""
    clock = FakeClock(datetime.now(UTC) + seconds(60))

    @handler("A_FIRST", payload=dict, timeout=30)
    async def first(job: AnyJob) -> Outcome:
        clock.advance(seconds(20))
        return Done()

    @handler("B_LONG", payload=dict, timeout=85)
    async def long(job: AnyJob) -> Outcome:
        return Done()

    _, id_ = await stage.add(NewJob(type="A_FIRST"), NewJob(type="B_LONG"))
    runner = stage.runner(first, long, budget=seconds(100), concurrency=1, clock=clock)

    report = await runner.run()

    assert (report.claimed, report.stopped, report.due) == (1, "deadline", 1)
    job = await stage.job(id_)
    assert (job["state"], job["lease_no"]) == ("PENDING", 0)
    assert ((report := await runner.run()).succeeded, report.stopped) == (1, "drained")


async def test_what_still_fits_is_run_beside_what_does_not(stage: "Stage", in_order: None) -> None:
    """A job that is too long for the time left holds up no shorter one."""
    clock = FakeClock(datetime.now(UTC) + seconds(60))

    @handler("SHORT", payload=dict, timeout=5)
    async def short(job: AnyJob) -> Outcome:
        clock.advance(seconds(4))
        return Done()

    @handler("Z_LONG", payload=dict, timeout=95)
    async def long(job: AnyJob) -> Outcome:
        return Done()

    await stage.add(*(NewJob(type="SHORT") for _ in range(10)), NewJob(type="Z_LONG"))

    report = await stage.runner(short, long, budget=seconds(100), concurrency=1, clock=clock).run()

    assert (report.succeeded, report.stopped, report.due) == (10, "deadline", 1)


async def test_the_first_claim_takes_what_fits_the_whole_budget(stage: "Stage") -> None:
    """A timeout just as long as an invocation is not missed by the milliseconds that the claim took."""

    @handler("WHOLE", payload=dict, timeout=9)
    async def whole(job: AnyJob) -> Outcome:
        return Done()

    await stage.add(NewJob(type="WHOLE"))

    report = await stage.runner(whole, budget=seconds(10), reserve=seconds(1)).run()

    assert (report.succeeded, report.stopped) == (1, "drained")


async def test_a_shorter_budget_starts_nothing_that_it_cannot_end(stage: "Stage") -> None:
    """The budget given to run() counts, not the runner's own; its reserve shrinks with it."""

    @handler("LONG", payload=dict, timeout=60)
    async def long(job: AnyJob) -> Outcome:
        return Done()

    @handler("SHORT", payload=dict, timeout=2)
    async def short(job: AnyJob) -> Outcome:
        return Done()

    await stage.add(NewJob(type="LONG"), NewJob(type="SHORT"))
    runner = stage.runner(long, short)

    report = await runner.run(seconds(4))

    assert (report.claimed, report.succeeded, report.stopped, report.due) == (1, 1, "deadline", 1)
    assert (await runner.run()).succeeded == 1


async def test_what_runs_over_is_handed_back_at_no_cost(stage: "Stage") -> None:
    """Cancelled at the end of the time, due again at once, on record, and not an attempt."""

    @handler("LONG", payload=dict, timeout=1)  # as long as the invocation: started, and cut before its own timeout
    async def long(job: AnyJob) -> Outcome:
        await asyncio.Event().wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="LONG"))

    report, took = await timed(stage.runner(long, budget=seconds(1.5), reserve=seconds(0.5)))

    job = await stage.job(id_)
    assert took < 1.5
    assert (
        job["state"],
        job["attempts"],
        job["reason"],
    ) == ("PENDING", 0, "handed back: the invocation's time is over")
    assert (report.stopped, report.handed_back, report.due) == ("deadline", 1, 1)
    assert await stage.records(id_) == ["handed_back"]


async def test_a_handler_that_takes_its_cancellation_for_an_end_is_done(stage: "Stage") -> None:
    """It was cut, it came to a good end in the time it had left, and that counts."""
    started = asyncio.Event()

    @handler("SAVES", payload=dict)
    async def saves(job: AnyJob) -> Outcome:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Done("saved in time")
        return Done()

    (id_,) = await stage.add(NewJob(type="SAVES"))
    runner = stage.runner(saves)
    running = asyncio.create_task(runner.run())
    await started.wait()
    runner.stop()
    report = await running

    job = await stage.job(id_)
    assert (job["state"], job["reason"], report.succeeded) == ("SUCCEEDED", "saved in time", 1)


async def test_a_handler_that_ignores_its_cancellation_does_not_hold_up_the_answer(stage: "Stage") -> None:
    """run() answers within its budget; the job is left to its lease, and the report says that it is not settled."""
    released = asyncio.Event()

    stubborn = stubborn_until(released, timeout=0.6)

    @handler("QUICK", payload=dict, timeout=0.6)
    async def quick(job: AnyJob) -> Outcome:
        return Done()

    id_, other = await stage.add(NewJob(type="STUBBORN"), NewJob(type="QUICK"))
    async with until_left(released):
        report, took = await timed(stage.runner(stubborn, quick, budget=seconds(2), reserve=seconds(1)))

        assert took < 2
        assert (report.stopped, report.unsettled, report.succeeded) == ("deadline", 1, 1)
        assert not report.is_healthy
        told = await stage.value("SELECT report -> 'durations' FROM runner_invocation")
        assert (1, 0) == (sum(told["STUBBORN"]["cut"].values()), len(told["STUBBORN"]["ended"])), "it took too long"
    assert (await stage.job(id_))["state"] == "RUNNING"
    assert (await stage.job(other))["state"] == "SUCCEEDED"


async def test_a_budget_holds_while_the_whole_table_is_locked(stage: "Stage") -> None:
    """Neither a claim nor a settle gets through, and run() still answers in time."""
    started, go = asyncio.Event(), asyncio.Event()

    @handler("WAIT", payload=dict, timeout=1)
    async def wait(job: AnyJob) -> Outcome:
        started.set()
        await go.wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="WAIT"))
    running = asyncio.create_task(timed(stage.runner(wait, budget=seconds(2), reserve=seconds(1))))
    await started.wait()
    async with stage.connection() as migration:
        await migration.execute("LOCK TABLE background_job IN ACCESS EXCLUSIVE MODE")
        go.set()
        report, took = await running
    assert took < 2 + SLACK
    assert (report.stopped, report.unsettled) == ("database", 1)
    assert (await stage.job(id_))["state"] == "RUNNING"


async def test_a_timeout_that_fits_no_invocation_is_a_settings_error(stage: "Stage") -> None:
    """The runner does not start at all, and says which type and what to change."""

    @handler("ENDLESS", payload=dict, timeout=230)
    async def endless(job: AnyJob) -> Outcome:
        return Done()

    with pytest.raises(
        SettingsError, match=r"ENDLESS is 230 s.*195 s for jobs.*shorten the timeout or raise the budget"
    ):
        stage.runner(endless, budget=seconds(200))
    with pytest.raises(SettingsError, match="concurrency of a Runner is 0"):
        stage.runner(concurrency=0)


async def test_a_job_past_its_own_timeout_is_retried(stage: "Stage") -> None:
    """It is cancelled, costs an attempt, and is on record as timed out."""

    @handler("SLOW", payload=dict, timeout=0.1, retry=TOMORROW)
    async def slow(job: AnyJob) -> Outcome:
        await asyncio.Event().wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="SLOW"))

    report = await stage.runner(slow).run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"], await stage.records(id_)) == ("PENDING", 1, ["timed_out"])
    assert "timed out after 0.1 s" in job["reason"]
    assert report.retried == 1


async def test_a_timeout_of_the_handlers_own_is_an_ordinary_error(stage: "Stage") -> None:
    """A call inside the handler that took too long does not mean that the handler did."""

    @handler("CALLS", payload=dict, retry=TOMORROW)
    async def calls(job: AnyJob) -> Outcome:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="CALLS"))

    await stage.runner(calls).run()

    kept = await stage.rows("SELECT ended_as, error_type FROM job_attempt WHERE job_id = %s", id_)
    assert kept == [{"ended_as": "failed", "error_type": "TimeoutError"}]


async def test_stop_hands_back_what_runs_and_returns_soon(stage: "Stage") -> None:
    """As on SIGTERM: nothing new is claimed, what runs is due again at once, at no cost."""
    started = asyncio.Event()

    @handler("LONG", payload=dict)
    async def long(job: AnyJob) -> Outcome:
        started.set()
        await asyncio.Event().wait()
        return Done()

    ids = await stage.add(NewJob(type="LONG"), NewJob(type="LONG"))
    runner = stage.runner(long, concurrency=1)
    running = asyncio.create_task(runner.run_until_stopped())
    await started.wait()
    runner.stop()
    async with asyncio.timeout(2):
        report = await running

    job = await stage.job(ids[0])
    assert (report.stopped, report.claimed, report.handed_back, report.due) == ("asked", 1, 1, 2)
    assert (job["state"], job["attempts"], job["reason"]) == ("PENDING", 0, "handed back: the runner was stopped")
    assert await stage.records(ids[0]) == ["handed_back"]
    assert await stage.value("SELECT run_at <= now() FROM background_job WHERE id = %s", ids[0])


async def test_a_run_that_is_cancelled_hands_back_what_runs(stage: "Stage") -> None:
    """A server that shuts down cancels its tasks: the jobs are due again, and the cancellation goes on."""
    started = asyncio.Event()

    @handler("LONG", payload=dict)
    async def long(job: AnyJob) -> Outcome:
        started.set()
        await asyncio.Event().wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="LONG"))
    running = asyncio.create_task(stage.runner(long).run())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    job = await stage.job(id_)
    assert (job["state"], job["attempts"]) == ("PENDING", 0)
    assert await stage.records(id_) == ["handed_back"]


@pytest.mark.direct("waits for the last statement of a connection that is the runner's own")
async def test_a_runner_without_an_end_finds_what_is_added_while_it_idles(stage: "Stage") -> None:
    """It looks again each second, and ends soon when asked to."""
    ran = asyncio.Event()

    @handler("NEW", payload=dict)
    async def new(job: AnyJob) -> Outcome:
        ran.set()
        return Done()

    runner = stage.runner(new)
    running = asyncio.create_task(runner.run_until_stopped())
    for _ in range(2):
        ran.clear()
        # It has looked, and found nothing: its last statement is a discovery.
        await stage.until(
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'leadjobs' AND state = 'idle'"
            " AND datname = current_database() AND query LIKE '%%RECURSIVE head%%'"
            " AND pid <> pg_backend_pid()"
        )
        await stage.add(NewJob(type="NEW"))
        async with asyncio.timeout(2.5):
            await ran.wait()
        await stage.until("SELECT count(*) = 0 FROM background_job WHERE state <> 'SUCCEEDED'")
    runner.stop()
    async with asyncio.timeout(1):
        report = await running

    assert (report.stopped, report.succeeded) == ("asked", 2)


async def test_a_runner_without_an_end_takes_back_what_others_lost(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rescue step comes around there too: a lost job does not wait for another invocation."""
    monkeypatch.setattr("leadjobs.runner.NOTE_EVERY", 0.0)
    ran = asyncio.Event()

    @handler("LOST", payload=dict)
    async def lost(job: AnyJob) -> Outcome:
        ran.set()
        return Done()

    runner = stage.runner(lost)
    running = asyncio.create_task(runner.run_until_stopped())
    await stage.until("SELECT count(*) > 0 FROM runner_invocation")
    await stage.add(NewJob(type="LOST", delay=timedelta(hours=1)))
    await stage.db.execute(
        "UPDATE background_job SET state = 'RUNNING', lease_no = 1, lease_until = now() - interval '1 second'"
    )
    async with asyncio.timeout(5):
        await ran.wait()
    runner.stop()

    assert (await running).rescued == 1


async def test_sixty_jobs_over_several_invocations(stage: "Stage") -> None:
    """Each ends once, no invocation is over its budget, and none cuts what it started."""

    @handler("SCORE", payload=dict, timeout=0.9, retry=RetryPolicy(max_attempts=1))
    async def score(job: AnyJob) -> Outcome:
        await stage.note("scored", job.id)
        await asyncio.sleep(0.4)
        return Done()

    ids = await stage.add(*(NewJob(type="SCORE", tenant=f"t{n % 4}") for n in range(60)))
    runner = stage.runner(score, budget=seconds(2), reserve=seconds(0.5), concurrency=10)

    invocations: list[tuple[Report, float]] = []
    while not invocations or invocations[-1][0].due:
        invocations.append(await timed(runner))

    assert await stage.states() == {"SUCCEEDED": 60}
    assert Counter(ids) == Counter(job_id for job_id, _ in await stage.effects())
    assert all(took < 2 for _, took in invocations)
    assert 2 <= len(invocations) <= 8
    assert sum(report.handed_back + report.lost + report.unsettled for report, _ in invocations) == 0
