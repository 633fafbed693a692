"""Running a test's queue by the real engine, and letting time pass without waiting for it."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.engine.testing.handlers import Welcome, flaky, office_hours, refuses, send_welcome

from leadjobs import (
    Done,
    GiveUp,
    Handler,
    Job,
    NewJob,
    Outcome,
    Registry,
    Retry,
    Runner,
    State,
    enqueue,
    enqueue_sync,
    handler,
)
from leadjobs.core.limit import Limit
from leadjobs.core.schedule import Schedule
from leadjobs.testing import LeapClock, Queue

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AnyJob = Job[dict[str, Any]]


def test_a_sync_test_drains_what_is_due(leadjobs_queue: Queue) -> None:
    """All due jobs of the handlers run, and no others."""
    for user_id in range(3):
        leadjobs_queue.add(send_welcome.type.job(Welcome(user_id)))
    later = leadjobs_queue.add(send_welcome.type.job(Welcome(9), delay=HOUR))
    leadjobs_queue.add(refuses.type.job({}))

    report = leadjobs_queue.drain_sync(send_welcome)

    assert (report.claimed, report.succeeded, report.stopped) == (3, 3, "drained")
    assert State.PENDING is leadjobs_queue.job(later.job_id).state
    assert State.PENDING is leadjobs_queue.jobs(refuses)[0].state


async def test_an_async_test_drains_handlers_registries_and_runners(leadjobs_queue: Queue) -> None:
    """A runner of one's own is lent the test's database and clock, and gets its own back."""
    ended: list[str] = []

    async def on_end() -> None:
        ended.append("closed")

    elsewhere = Runner("postgresql://nobody@127.0.0.1:1/none", Registry(send_welcome), on_end=on_end)
    clock = elsewhere.clock
    each: list[Handler[Any] | Registry | Runner] = [send_welcome, Registry(send_welcome), elsewhere]
    for what in each:
        leadjobs_queue.add(send_welcome.type.job(Welcome(1)))
        assert 1 == (await leadjobs_queue.drain(what)).succeeded
    assert (elsewhere.url, elsewhere.clock, ended) == ("postgresql://nobody@127.0.0.1:1/none", clock, ["closed"])


async def test_the_wrong_twin_says_which_is_the_right_one(leadjobs_queue: Queue) -> None:
    """There is no event loop inside an event loop."""
    with pytest.raises(RuntimeError, match="await drain"):
        leadjobs_queue.drain_sync(send_welcome)
    with pytest.raises(RuntimeError, match="await run_one"):
        leadjobs_queue.run_one_sync(send_welcome, Welcome(1))


def test_the_wrong_twin_says_so_in_a_sync_test_too(leadjobs_queue: Queue) -> None:
    """Rather than making a coroutine that nobody can await."""
    with pytest.raises(RuntimeError, match=r"call drain_sync\(\) here"):
        leadjobs_queue.drain(send_welcome).close()
    with pytest.raises(RuntimeError, match=r"call run_one_sync\(\) here"):
        leadjobs_queue.run_one(send_welcome, Welcome(1)).close()


def test_what_cannot_be_drained_is_refused(leadjobs_queue: Queue) -> None:
    """Nothing, a runner among others, and time that goes back."""
    runner = Runner(leadjobs_queue.url, Registry(send_welcome))
    with pytest.raises(TypeError, match="drain what"):
        leadjobs_queue.drain_sync()
    with pytest.raises(TypeError, match="a Runner is drained alone"):
        leadjobs_queue.drain_sync(runner, flaky)
    with pytest.raises(ValueError, match="give one of them"):
        leadjobs_queue.drain_sync(flaky, through=HOUR, until_empty=True)
    with pytest.raises(ValueError, match="time does not go back"):
        leadjobs_queue.drain_sync(flaky, through=-HOUR)


def test_a_chain_of_retries_runs_to_its_end_at_once(leadjobs_queue: Queue) -> None:
    """Five attempts with minutes between them; the report counts all of them."""
    ends = leadjobs_queue.add(flaky.type.job({"failures": 3})).job_id
    fails = leadjobs_queue.add(flaky.type.job({"failures": 9})).job_id

    report = leadjobs_queue.drain_sync(flaky, until_empty=True)

    assert (report.claimed, report.retried, report.succeeded, report.failed, report.due) == (9, 7, 1, 1, 0)
    assert "at last" == leadjobs_queue.job(ends).reason
    job = leadjobs_queue.job(fails)
    assert (State.FAILED, 5, 5) == (job.state, job.attempts, len(job.history))
    assert timedelta(minutes=7) < leadjobs_queue.clock.ahead < timedelta(minutes=16)


def test_a_span_passes_and_what_falls_due_in_it_runs_in_its_order(leadjobs_queue: Queue) -> None:
    """What is due later does not run; the clock has moved by the span."""
    order: list[int] = []

    @handler("NOTE", payload=dict)
    async def note(job: AnyJob) -> Outcome:
        order.append(job.payload["n"])
        return Done()

    before = leadjobs_queue.clock.now()
    for n, delay in ((3, 3 * HOUR), (1, HOUR), (0, None), (9, 9 * HOUR)):
        leadjobs_queue.add(note.type.job({"n": n}, delay=delay))

    report = leadjobs_queue.drain_sync(note, through=4 * HOUR)

    assert ([0, 1, 3], 3) == (order, report.succeeded)
    assert timedelta() <= leadjobs_queue.clock.now() - before - 4 * HOUR < timedelta(minutes=1)
    leadjobs_queue.assert_enqueued(note, {"n": 9}, delay=5 * HOUR, state="PENDING")


def test_what_a_handler_puts_off_counts_from_the_time_that_has_passed(leadjobs_queue: Queue) -> None:
    """A chain of daily reminders is as long as the days that pass: a leap does not make its end due at once."""

    @handler("REMIND", payload=dict)
    async def remind(job: AnyJob) -> Outcome:
        async with await psycopg.AsyncConnection.connect(leadjobs_queue.url) as connection:
            await enqueue(connection, remind.type.job({"day": job.payload["day"] + 1}, delay=DAY))
        return Done()

    leadjobs_queue.add(remind.type.job({"day": 0}))

    assert 8 == leadjobs_queue.drain_sync(remind, through=7 * DAY + HOUR).succeeded
    leadjobs_queue.assert_enqueued(remind, {"day": 8}, delay=DAY - HOUR, state="PENDING")


def test_what_is_enqueued_after_a_leap_is_due_at_once(leadjobs_queue: Queue, leadjobs_clock: LeapClock) -> None:
    """In whatever transaction, with or without a key."""
    leadjobs_clock.advance(DAY)
    with psycopg.connect(leadjobs_queue.url) as connection:
        enqueue_sync(connection, send_welcome.type.job(Welcome(1), dedupe_key="w"))
        enqueue_sync(connection, send_welcome.type.job(Welcome(2)))

    assert 2 == leadjobs_queue.drain_sync(send_welcome).succeeded
    leadjobs_queue.assert_enqueued(send_welcome, delay=timedelta(), count=2)


def test_a_job_whose_process_died_is_taken_back_when_its_lease_has_ended(leadjobs_queue: Queue) -> None:
    """The clock leaps to the end of the lease, as to a job that falls due."""
    job_id = leadjobs_queue.add(send_welcome.type.job(Welcome(1))).job_id
    with psycopg.connect(leadjobs_queue.url) as connection:
        connection.execute(
            "UPDATE background_job SET state = 'RUNNING', lease_no = 1, lease_until = now() + interval '50 seconds'"
        )

    assert 0 == leadjobs_queue.drain_sync(send_welcome).claimed
    report = leadjobs_queue.drain_sync(send_welcome, until_empty=True)

    assert (report.rescued, report.succeeded) == (1, 1)
    assert ["lost"] == [attempt.ended_as for attempt in leadjobs_queue.job(job_id).history]


def test_jobs_that_come_back_for_ever_end_the_drain(leadjobs_queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error that says what to do instead."""
    monkeypatch.setattr("leadjobs.testing.drain.MOST_ROUNDS", 5)
    leadjobs_queue.add(office_hours.type.job({}))

    with pytest.raises(AssertionError, match=r"after 5 rounds and 4:00:\d\d; drain\(through=…\)"):
        leadjobs_queue.drain_sync(office_hours, until_empty=True)
    assert 3 == leadjobs_queue.drain_sync(office_hours, through=3.5 * HOUR).snoozed


def test_a_job_that_somebody_has_locked_does_not_hold_up_the_drain(leadjobs_queue: Queue) -> None:
    """It is left as due, and the report says so."""
    leadjobs_queue.add(send_welcome.type.job(Welcome(1)))
    with psycopg.connect(leadjobs_queue.url) as connection:
        connection.execute("SELECT 1 FROM background_job FOR UPDATE")

        report = leadjobs_queue.drain_sync(send_welcome, until_empty=True)

        assert (report.claimed, report.due) == (0, 1)


def test_a_hold_ends_and_a_rate_goes_on_as_time_passes(leadjobs_queue: Queue) -> None:
    """The clock leaps there too; what is held until somebody lets it go stays, and is reported as due."""

    @handler("CALL", payload=dict, limits=[Limit(rate=2, per=timedelta(hours=1))])
    async def call(job: AnyJob) -> Outcome:
        return Done()

    for _ in range(5):
        leadjobs_queue.add(call.type.job({}))
    with psycopg.connect(leadjobs_queue.url) as connection:
        connection.execute("INSERT INTO job_hold VALUES ('CALL', 'busy', 'closed', now() + interval '1 day')")

    report = leadjobs_queue.drain_sync(call, until_empty=True)

    assert (report.succeeded, report.due) == (5, 0)
    assert 25 * HOUR < leadjobs_queue.clock.ahead < 29 * HOUR
    leadjobs_queue.add(call.type.job({}))
    with psycopg.connect(leadjobs_queue.url) as connection:
        connection.execute("UPDATE job_hold SET until = NULL")
    assert 1 == leadjobs_queue.drain_sync(call, until_empty=True).due


def test_a_schedule_ticks_as_time_passes(leadjobs_queue: Queue) -> None:
    """Each tick of the span has its job, and runs at its time; a queue is empty though a schedule goes on."""
    hours: list[int] = []

    @handler("REPORT", payload=dict)
    async def report(job: AnyJob) -> Outcome:
        hours.append(leadjobs_queue.clock.now().hour)
        return Done()

    nightly = Schedule("nightly", "0 3 * * *", job=report.type.job({}))
    runner = Runner(leadjobs_queue.url, Registry(report), schedules=[nightly])

    assert (7, 7) == (leadjobs_queue.drain_sync(runner, through=7 * DAY).scheduled, len(leadjobs_queue.jobs(report)))
    assert [3] * 7 == hours
    assert 0 == leadjobs_queue.drain_sync(runner, until_empty=True).claimed


async def test_one_run_is_told_whole_and_leaves_the_others_alone(leadjobs_queue: Queue) -> None:
    """What the handler returned, and its job; jobs of the same type wait where they waited."""
    waiting = leadjobs_queue.add(send_welcome.type.job(Welcome(1)))
    before = leadjobs_queue.job(waiting.job_id)

    ran = await leadjobs_queue.run_one(send_welcome, Welcome(2), tenant="acme")

    assert (Done("welcomed 2"), None) == (ran.outcome, ran.error)
    assert ("acme", State.SUCCEEDED, "welcomed 2") == (ran.job.tenant, ran.job.state, ran.job.reason)
    assert before == leadjobs_queue.job(waiting.job_id)
    assert 1 == (await leadjobs_queue.drain(send_welcome)).succeeded


def test_one_run_is_one_even_if_the_job_is_due_again_at_once(leadjobs_queue: Queue) -> None:
    """A retry without a wait is not taken."""

    @handler("AGAIN", payload=dict)
    async def again(job: AnyJob) -> Outcome:
        return Retry("busy", after=timedelta())

    ran = leadjobs_queue.run_one_sync(again, {})

    assert (Retry("busy", after=timedelta()), State.PENDING, 1) == (ran.outcome, ran.job.state, ran.job.attempts)


def test_what_a_handler_raises_or_cannot_read_is_in_the_answer(leadjobs_queue: Queue) -> None:
    """Its exception itself, a time-out, and what it refuses."""

    @handler("SLOW", payload=dict, timeout=0.05)
    async def slow(job: AnyJob) -> Outcome:
        await asyncio.Event().wait()
        return Done()

    raised = leadjobs_queue.run_one_sync(flaky, {"failures": 1})
    timed_out = leadjobs_queue.run_one_sync(slow, {})
    refused = leadjobs_queue.run_one_sync(refuses, {})

    assert (None, "no answer, attempt 1") == (raised.outcome, str(raised.error))
    assert "ConnectionError" == raised.job.history[0].error_type
    assert isinstance(timed_out.error, asyncio.CancelledError)
    assert "timed_out" == timed_out.job.history[0].ended_as
    assert (GiveUp("nothing to be done"), State.FAILED) == (refused.outcome, refused.job.state)


def test_a_handler_that_commits_its_rows_with_its_end_does_so_here(leadjobs_queue: Queue) -> None:
    """It is the real engine: job.commit() and its fence are at work."""

    @handler("BOOK", payload=dict)
    async def book(job: AnyJob) -> Outcome:
        async with await psycopg.AsyncConnection.connect(leadjobs_queue.url) as connection:
            await connection.execute("CREATE TABLE ledger (n int)")
            await enqueue(connection, NewJob(type="NEXT"))
            return await job.commit(connection, Done("booked"))

    assert Done("booked") == leadjobs_queue.run_one_sync(book, {}).outcome
    leadjobs_queue.assert_enqueued("NEXT")
