"""A network that goes silent, takes every byte and brings none: run() returns within its budget all the same (G11)."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.runner.silence import Network, network_to

from leadjobs import Done, Job, NewJob, Outcome, Registry, Runner, handler
from leadjobs.errors import StoreError
from leadjobs.store.connection import TimeLimit, connect

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
BUDGET = 2.0
SLACK = 0.5  # seconds that a busy machine may add
STATEMENTS = {  # what a runner says, by a word that is in no other statement of these tests
    "the rescue": b"expired AS MATERIALIZED",
    "the look for work": b"RECURSIVE head",
    "the claim": b"lease_no = lease_no + 1,\n       lease_until",
    "the settle": b"ending AS MATERIALIZED",
    "the note of the invocation": b"INSERT INTO runner_invocation",
    "a step": b"INSERT INTO job_step",
}


@handler("STEP", payload=dict, timeout=1)
async def in_steps(job: AnyJob) -> Outcome:
    """One step, and done."""

    async def work() -> int:
        return 7

    await job.step("work", work)
    return Done()


@pytest.fixture
async def network(stage: "Stage") -> AsyncIterator[tuple[Network, Runner]]:
    """A network, and a runner behind it; no task of the runner's may outlive a second cancellation for long."""
    async with network_to(stage.url) as (network, url):
        yield network, Runner(url, Registry(in_steps), budget=timedelta(seconds=BUDGET))


async def test_a_database_that_never_answers_is_told_within_the_budget(network: tuple[Network, Runner]) -> None:
    """The connection is made within the budget, or it is not made."""
    silent, runner = network
    silent.falls_silent()
    begun = time.monotonic()

    with pytest.raises(StoreError, match="does not answer"):
        await runner.run()

    assert time.monotonic() - begun < BUDGET + SLACK


@pytest.mark.parametrize("word", STATEMENTS.values(), ids=list(STATEMENTS))
async def test_a_statement_that_is_never_answered_holds_up_no_answer(
    stage: "Stage", network: tuple[Network, Runner], word: bytes
) -> None:
    """Whichever it is; what ran is left to its lease, and the task that waits for an answer ends when told so."""
    silent, runner = network
    await stage.add(NewJob(type="STEP"))
    silent.falls_silent(at=word)
    begun = time.monotonic()

    report = await runner.run()

    assert time.monotonic() - begun < BUDGET + SLACK
    assert not report.is_healthy
    left = [task for task in asyncio.all_tasks() if "Flight._fly" in repr(task)]
    for task in left:
        task.cancel()
    assert not left or not (await asyncio.wait(left, timeout=1))[1]


async def test_a_rollback_that_nobody_answers_is_given_up_too(stage: "Stage", network: tuple[Network, Runner]) -> None:
    """Where the time is over between two statements, the transaction rolls back: that has been cancelled once only."""
    silent, runner = network
    begun = time.monotonic()
    async with connect(runner.url) as connection:

        async def look_and_wait() -> None:
            async with TimeLimit(0.5, grace=0.5), connection.transaction():
                await connection.execute("SELECT 1")
                silent.falls_silent()
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await look_and_wait()

    assert time.monotonic() - begun < 1 + SLACK


async def test_where_the_loop_stood_still_a_silence_makes_late_by_no_more(
    stage: "Stage", network: tuple[Network, Runner]
) -> None:
    """All that is to end a statement comes due at once then, as one cancellation."""
    silent, runner = network
    await stage.add(NewJob(type="STEP"))
    silent.falls_silent(at=STATEMENTS["the claim"], then=lambda: time.sleep(BUDGET))
    begun = time.monotonic()

    report = await runner.run()

    assert time.monotonic() - begun < BUDGET + 2 * SLACK
    assert not report.is_healthy


async def test_an_endless_runner_gives_up_a_database_that_says_nothing(
    stage: "Stage", network: tuple[Network, Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for ever: so whoever watches over it starts it anew.  A loop that stands still is no silence."""
    monkeypatch.setattr("leadjobs.watch.SILENT_AFTER", 1.5)
    silent, runner = network
    running = asyncio.create_task(runner.run_until_stopped())
    for number in (1, 2, 3, 4):  # each found by the look of another second
        await stage.add(NewJob(type="STEP"))
        await stage.until("SELECT count(*) = %s FROM background_job WHERE state = 'SUCCEEDED'", number)
    time.sleep(2)  # noqa: ASYNC251  (a handler that blocks the loop)
    await stage.add(NewJob(type="STEP"))
    await stage.until("SELECT count(*) = 5 FROM background_job WHERE state = 'SUCCEEDED'")
    assert not running.done()

    silent.falls_silent()

    async with asyncio.timeout(10):
        report = await running
    assert (report.stopped, report.succeeded) == ("database", 5)


async def test_stopping_an_endless_runner_waits_for_no_answer_either(
    stage: "Stage", network: tuple[Network, Runner]
) -> None:
    """A deploy ends it, though the database says nothing: within the reserve."""
    silent, runner = network
    running = asyncio.create_task(runner.run_until_stopped())
    await stage.add(NewJob(type="STEP"))
    await stage.until("SELECT count(*) = 1 FROM background_job WHERE state = 'SUCCEEDED'")
    heard = asyncio.Event()
    silent.falls_silent(at=STATEMENTS["the look for work"], then=heard.set)
    await heard.wait()

    runner.stop()

    async with asyncio.timeout(5):
        assert "asked" == (await running).stopped or not (await running).is_healthy
