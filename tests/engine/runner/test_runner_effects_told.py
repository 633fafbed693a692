"""What the reason of a job tells of its effects, where no further run will look what became of them (G6)."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.engine.locks import until_somebody_waits
from tests.engine.runner.sending import SENDING, AnyJob, Provider

from leadjobs import Done, GiveUp, Outcome, RetryPolicy, handler

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage


@pytest.mark.parametrize("how", ["out of attempts", "gave up", "committed", "timed out"])
async def test_a_job_that_ends_failed_says_first_what_nobody_knows(stage: "Stage", how: str) -> None:
    """No further run will look: whoever reads the reason must, and the error itself may be long."""
    timeout, provider = (0.2 if how == "timed out" else 5), Provider(TimeoutError)

    @handler("SENDING", payload=dict, retry=RetryPolicy(max_attempts=1), timeout=timeout)
    async def run(job: AnyJob) -> Outcome:
        async def send(tag: str) -> object:
            await asyncio.sleep(60 if how == "timed out" else 0)
            return await provider.send(tag)

        await job.effect("call", Provider().send)
        try:
            await job.effect("sms", send)
        except TimeoutError:
            if how == "gave up":
                return GiveUp("x" * 400)
            if how == "committed":
                async with stage.connection() as connection:
                    return await job.commit(connection, GiveUp("x" * 400))
            raise
        return Done()

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()

    job = await stage.job(id_)
    assert job["state"] == "FAILED"
    ended = "gave up" if how in {"gave up", "committed"} else "out of attempts (1): "
    assert job["reason"].startswith("nobody knows whether sms was sent: look for lj-")
    assert (
        f"`leadjobs effects mark-sent {id_} sms` or `leadjobs effects send-again {id_} sms`; {ended}" in job["reason"]
    )


async def test_of_two_unknown_effects_each_is_told_once(stage: "Stage") -> None:
    """Also where the error tells of one of them itself."""
    provider = Provider(TimeoutError, TimeoutError)

    @handler("SENDING", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def run(job: AnyJob) -> Outcome:
        for name in ("call", "sms"):
            with suppress(TimeoutError):
                await job.effect(name, provider.send)
        await job.effect("call", provider.send)
        return Done()

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()

    reason = (await stage.job(id_))["reason"]
    assert (1, 1) == (reason.count("whether call was sent"), reason.count("whether sms was sent"))


async def test_a_receipt_that_is_kept_while_the_run_is_cut_off_is_not_unknown(stage: "Stage") -> None:
    """The run hears of its cancellation only; what it wrote is written."""
    provider = Provider()
    await stage.add(SENDING)
    async with stage.connection() as other:

        @handler("SENDING", payload=dict, retry=RetryPolicy(max_attempts=1), timeout=0.5)
        async def run(job: AnyJob) -> Outcome:
            async def send(tag: str) -> object:
                await other.execute("SELECT FROM job_effect FOR UPDATE")
                return await provider.send(tag)

            await job.effect("sms", send)
            return Done()

        running = asyncio.create_task(stage.runner(run).run())
        await until_somebody_waits(stage.db)
        await stage.until(
            "SELECT now() - pg_stat_activity.query_start > interval '0.7 s' FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await other.rollback()
        await running

    (job,) = await stage.rows("SELECT state, reason FROM background_job")
    assert ("FAILED", "out of attempts (1): timed out after 0.5 s") == (job["state"], job["reason"])
