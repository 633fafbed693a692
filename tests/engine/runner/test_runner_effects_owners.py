"""Effects whose run was overtaken, cut off, or woke up too late: the answer is kept, and nothing else is sent."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.locks import until_somebody_waits
from tests.engine.runner.sending import AT_ONCE, SENDING, AnyJob, Provider, Slow, effects, sending

from leadjobs import (
    Done,
    LeaseLostError,
    NotSent,
    NotSentError,
    Outcome,
    handler,
)
from leadjobs.errors import StoreError
from leadjobs.store.connection import connect
from leadjobs.store.effect_desk import EffectDesk
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage


async def test_a_former_owner_still_attaches_the_answer_to_its_own_intent(stage: "Stage", slow: Slow) -> None:
    """The SMS did go out: unknown becomes accepted, and nothing else of the job changes.  A person lets it go on."""
    other, raised = Provider(), list[str]()

    @handler("SENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        try:
            return Done(str(await job.effect("sms", slow.send)))
        except LeaseLostError as error:
            raised.append(str(error))
            raise

    (id_,) = await stage.add(SENDING)
    first = asyncio.create_task(stage.runner(run).run())
    await slow.called.wait()
    await stage.end_leases()
    await stage.runner(sending(other)).run()
    failed = await stage.job(id_)
    slow.go.set()
    report = await first

    assert (1, 1, []) == (report.lost, len(slow.sent), other.sent)
    assert [f"job {id_} has another owner by now: the answer to sms was kept"] == raised
    assert ("FAILED", failed) == (failed["state"], await stage.job(id_))
    receipt = {"by": "the former owner", "number": 1}  # in the order in which jsonb keeps it
    assert [(1, "accepted", receipt, "send")] == await effects(stage)
    async with connect(stage.url) as connection:
        assert [] == await EffectDesk(connection).list_effects(only_unknown=True)
        with pytest.raises(StoreError, match="was sent, and its receipt is"):
            await EffectDesk(connection).mark_sent(id_, "sms", by="ada", receipt={"mine": 1})
        assert await EffectDesk(connection).mark_sent(id_, "sms", by="ada")
    await stage.runner(sending(other)).run()
    assert ([], str(receipt)) == (other.sent, (await stage.job(id_))["reason"])


async def test_what_is_accepted_is_never_taken_back(stage: "Stage", slow: Slow) -> None:
    """A person has said that it was sent; a former owner that says it was not, later, changes nothing."""
    other = Provider()
    (id_,) = await stage.add(SENDING)

    async def send(tag: str) -> Any:
        await slow.send(tag)
        raise NotSentError("not after all")

    @handler("SENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        return Done(str(await job.effect("sms", send)))

    first = asyncio.create_task(stage.runner(run).run())
    await slow.called.wait()
    await stage.end_leases()
    await stage.runner(sending(other)).run()
    async with connect(stage.url) as connection:
        await EffectDesk(connection).mark_sent(id_, "sms", by="ada", receipt=7)
    slow.go.set()
    await first
    await stage.runner(sending(other)).run()

    assert [(1, "accepted", 7, "ada")] == await effects(stage)
    assert ([], "7") == (other.sent, (await stage.job(id_))["reason"])


async def test_a_former_owner_does_not_answer_for_another_run(stage: "Stage", slow: Slow) -> None:
    """Once the owner has an intent of its own there, the late answer changes nothing."""
    owner = Provider()

    async def look_up(tag: str) -> NotSent:
        return NotSent()

    (id_,) = await stage.add(SENDING)
    first = asyncio.create_task(stage.runner(sending(slow)).run())
    await slow.called.wait()
    await stage.end_leases()
    during: list[Any] = []

    async def send(tag: str) -> dict[str, Any]:
        slow.go.set()
        during.append((await first).lost)
        return await owner.send(tag)

    @handler("SENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        return Done(str(await job.effect("sms", send, look_up)))

    await stage.runner(run).run()

    assert [1] == during
    assert [(1, "accepted", {"number": 1}, "send")] == await effects(stage)
    assert "{'number': 1}" == (await stage.job(id_))["reason"]


@pytest.mark.parametrize("where", ["before the intent", "in the look-up"])
async def test_a_former_owner_sends_and_keeps_nothing(stage: "Stage", where: str) -> None:
    """A run that lost its lease before it has sent writes no intent, and none of what it looked up."""
    provider, at, go = Provider(TimeoutError), asyncio.Event(), asyncio.Event()
    raised: list[str] = []

    async def wait(_: str = "") -> str:
        at.set()
        await go.wait()
        return "seen by a former owner"

    @handler("SENDING", payload=dict, retry=AT_ONCE)
    async def run(job: AnyJob) -> Outcome:
        if where == "before the intent":
            await wait()
        try:
            return Done(str(await job.effect("sms", provider.send, wait)))
        except LeaseLostError as error:
            raised.append(str(error))
            raise

    await stage.add(SENDING)
    first = asyncio.create_task(stage.runner(run).run())
    await at.wait()
    before = await effects(stage)
    await stage.db.execute("UPDATE background_job SET lease_no = lease_no + 1")  # as a claim that nobody ends
    go.set()
    report = await first

    assert (1, 1) == (report.lost, len(raised))
    assert before == await effects(stage)
    assert (where == "in the look-up") == bool(provider.sent)


async def test_the_receipt_is_kept_while_the_run_is_cut_off(stage: "Stage") -> None:
    """A cancellation between the answer and its keeping does not lose it."""
    provider, runs = Provider(), list[Any]()
    (id_,) = await stage.add(SENDING)
    async with stage.connection() as other:

        async def send(tag: str) -> dict[str, Any]:
            await other.execute("SELECT FROM job_effect FOR UPDATE")
            return await provider.send(tag)

        @handler("SENDING", payload=dict)
        async def run(job: AnyJob) -> Outcome:
            runs.append(job._run)
            return Done(str(await job.effect("sms", send)))

        runner = stage.runner(run)
        running = asyncio.create_task(runner.run())
        await until_somebody_waits(stage.db)
        runner.stop()
        while runs[0].cut is None:  # noqa: ASYNC110  (an attribute sets no event)
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # now it is cancelled
        await other.rollback()
        assert 1 == (await running).handed_back

    assert [(1, "accepted", {"number": 1}, "send")] == await effects(stage)
    await stage.runner(run).run()
    assert ("{'number': 1}", 1) == ((await stage.job(id_))["reason"], len(provider.sent))


async def test_nothing_is_sent_once_the_time_is_over(stage: "Stage") -> None:
    """A process that froze after its intent wakes up past its time: it withdraws the intent and sends nothing."""
    provider, clock, late = Provider(), FakeClock(datetime.now(UTC) + timedelta(minutes=1)), list[int]()

    @handler("SENDING", payload=dict, retry=AT_ONCE)
    async def run(job: AnyJob) -> Outcome:
        if job.attempt == 1:
            clock.advance(timedelta(minutes=1))
            with pytest.raises(NotSentError):
                await job.effect("sms", provider.send)
            late.append(len(provider.sent))
            raise TimeoutError
        return Done(str(await job.effect("sms", provider.send)))

    await stage.add(SENDING)
    report = await stage.runner(run, clock=clock).run()

    assert ([0], 1, 1) == (late, report.succeeded, len(provider.sent))
