"""Effects (G6): an intent before the call, its answer after it; what is unknown is looked up or shown to a person."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.runner.sending import AT_ONCE, SENDING, AnyJob, Provider, Slow, effects, sending

from leadjobs import (
    Done,
    EffectUnknownError,
    JobId,
    NotSent,
    NotSentError,
    Outcome,
    RetryPolicy,
    Unknown,
    handler,
)
from leadjobs.core.effect import MAX_TAG, tag_of
from leadjobs.errors import StoreError
from leadjobs.store.connection import connect
from leadjobs.store.desk import Desk
from leadjobs.store.effect_desk import EffectDesk

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

IDLE = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%%'"


async def test_a_later_run_gets_the_receipt_and_sends_nothing(stage: "Stage") -> None:
    """Whatever fails after an effect, it is made once; all runs see the same receipt."""
    provider, seen = Provider(), list[Any]()

    @handler("SENDING", payload=dict, retry=AT_ONCE)
    async def run(job: AnyJob) -> Outcome:
        seen.append(await job.effect("sms", provider.send))
        if job.attempt < 3:
            raise RuntimeError("after it")
        return Done()

    (id_,) = await stage.add(SENDING)

    report = await stage.runner(run).run()

    assert (2, 1) == (report.retried, report.succeeded)
    assert [tag_of(id_, 1, (await stage.job(id_))["created_at"], "sms")] == provider.sent
    assert [{"number": 1}] * 3 == seen
    assert [(1, "accepted", {"number": 1}, "send")] == await effects(stage)


async def test_the_intent_is_committed_before_the_call_and_no_transaction_is_open(stage: "Stage") -> None:
    """During the call everybody can see that it was begun, and nobody waits for it."""
    during: list[Any] = []

    async def send(tag: str) -> Any:
        during.extend(await effects(stage))
        during.append(await stage.value(IDLE))

    @handler("SENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        return Done(str(await job.effect("sms", send)))

    await stage.add(SENDING)
    await stage.runner(run).run()

    assert [(1, "intended", None, None), 0] == during
    assert [(1, "accepted", None, "send")] == await effects(stage)


@pytest.mark.parametrize("lost", [TimeoutError, ConnectionResetError, RuntimeError("500")])
async def test_a_lost_answer_is_shown_to_a_person_and_never_sent_again(
    stage: "Stage", lost: BaseException | type[BaseException]
) -> None:
    """The next run ends the job FAILED with the two commands, at no cost in attempts; a retry by hand is refused."""
    provider = Provider(lost)
    (id_,) = await stage.add(SENDING)

    report = await stage.runner(sending(provider)).run()

    job = await stage.job(id_)
    assert (1, 1, 1) == (report.retried, report.failed, len(provider.sent))
    assert ("FAILED", 1) == (job["state"], job["attempts"])
    assert f"`leadjobs effects mark-sent {id_} sms` or `leadjobs effects send-again {id_} sms`" in job["reason"]
    assert ["failed", "failed"] == await stage.records(id_)
    async with connect(stage.url) as connection:
        (unknown,) = await EffectDesk(connection).list_effects(only_unknown=True)
        with pytest.raises(EffectUnknownError, match=f"effects mark-sent {id_} sms"):
            await Desk(connection).retry(id_, by="ada")
    assert (id_, "sms", True, provider.sent[0]) == (unknown.job_id, unknown.name, unknown.is_unknown, unknown.tag)
    assert job == await stage.job(id_)


async def test_a_process_that_dies_in_the_call_leaves_it_unknown(stage: "Stage") -> None:
    """After kill -9 the intent is there, and the next run does not send."""
    provider = Provider()
    (id_,) = await stage.add(SENDING)
    process = await stage.process()
    await stage.until("SELECT count(*) = 1 FROM effect WHERE what LIKE 'sent %%'")
    process.kill()
    await process.wait()
    await stage.end_leases()

    await stage.runner(sending(provider)).run()

    assert ("FAILED", []) == ((await stage.job(id_))["state"], provider.sent)
    assert [(1, "intended", None, None)] == await effects(stage)


async def test_what_is_cut_off_in_the_call_is_unknown(stage: "Stage") -> None:
    """A run that is handed back in the middle of a call cannot know either."""
    provider, called = Provider(), asyncio.Event()

    async def hang(tag: str) -> Any:
        called.set()
        await asyncio.Event().wait()

    @handler("SENDING", payload=dict)
    async def cut_off(job: AnyJob) -> Outcome:
        return Done(str(await job.effect("sms", hang)))

    (id_,) = await stage.add(SENDING)
    runner = stage.runner(cut_off)
    running = asyncio.create_task(runner.run())
    await called.wait()
    runner.stop()
    assert 1 == (await running).handed_back
    await stage.runner(sending(provider)).run()

    assert ("FAILED", []) == ((await stage.job(id_))["state"], provider.sent)


@pytest.mark.parametrize(
    ("found", "sent", "state", "told"),
    [
        ({"number": 7}, 1, "SUCCEEDED", [(1, "accepted", {"number": 7}, "look_up")]),
        (NotSent(), 2, "SUCCEEDED", [(1, "accepted", {"number": 2}, "send")]),
        (Unknown("it is down"), 1, "FAILED", [(1, "intended", None, None)]),
        (None, 1, "FAILED", [(1, "intended", None, None)]),
    ],
    ids=["found", "not sent", "unknown", "nothing said"],
)
async def test_what_is_unknown_is_looked_up_by_its_tag(
    stage: "Stage", found: Any, sent: int, state: str, told: list[Any]
) -> None:
    """A receipt is kept; what was not sent is sent under the same tag; what stays unknown is shown to a person."""
    provider, asked = Provider(TimeoutError), list[str]()

    async def look_up(tag: str) -> Any:
        asked.append(tag)
        return found

    (id_,) = await stage.add(SENDING)

    await stage.runner(sending(provider, look_up)).run()

    assert (asked * sent, state) == (provider.sent, (await stage.job(id_))["state"])
    assert told == await effects(stage)
    why = "it is down" if found else "the look-up returned nothing"
    assert (why in (await stage.job(id_))["reason"]) == (state == "FAILED")


@pytest.mark.parametrize("not_sent", [NotSentError("refused", retry_after=0), ConnectionRefusedError()], ids=str)
async def test_what_was_certainly_not_sent_is_sent_by_the_retry(stage: "Stage", not_sent: Exception) -> None:
    """A NotSentError, or an exception that the handler names, withdraws the intent; the tag stays."""
    provider = Provider(not_sent)
    await stage.add(SENDING)

    report = await stage.runner(sending(provider, not_sent=(ConnectionRefusedError,))).run()

    assert (1, 1, 2, 1) == (report.retried, report.succeeded, len(provider.sent), len(set(provider.sent)))
    assert [(1, "accepted", {"number": 2}, "send")] == await effects(stage)


async def test_the_same_run_does_not_send_again_either(stage: "Stage") -> None:
    """A handler that catches a time-out and tries once more is asked to look first."""
    provider = Provider(TimeoutError)

    @handler("SENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        with pytest.raises(TimeoutError):
            await job.effect("sms", provider.send)
        return Done(str(await job.effect("sms", provider.send)))

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()

    assert ("FAILED", 1) == ((await stage.job(id_))["state"], len(provider.sent))


async def test_asked_for_twice_at_once_it_is_sent_once(stage: "Stage") -> None:
    """Both callers in one run get the one receipt."""
    provider, sending = Provider(), list[str]()

    async def look_up(tag: str) -> NotSent:
        return NotSent()  # as a provider says of a call that is under way

    @handler("SENDING", payload=dict)
    async def run(job: AnyJob) -> Outcome:
        turns: Any = job._run.effects

        async def send(tag: str) -> dict[str, Any]:
            sending.append(tag)
            while len(sending) < 2 and not turns._turns["sms"]._waiters:  # noqa: ASYNC110  (until both are here)
                await asyncio.sleep(0)
            return await provider.send(tag)

        return Done(str(await asyncio.gather(*(job.effect("sms", send, look_up) for _ in range(2)))))

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()

    assert ("[{'number': 1}, {'number': 1}]", 1) == ((await stage.job(id_))["reason"], len(provider.sent))


@pytest.mark.parametrize("by_hand", ["mark-sent", "send-again"])
async def test_a_person_lets_the_job_go_on_in_its_generation(stage: "Stage", by_hand: str) -> None:
    """What is kept stays: its steps, its other effects; what the person said decides whether it is sent again."""
    provider, steps = Provider(TimeoutError), Provider()

    @handler("SENDING", payload=dict, retry=AT_ONCE)
    async def run(job: AnyJob) -> Outcome:
        await job.step("work", lambda: steps.send("step"))
        await job.effect("call", steps.send)
        return Done(f"{job.generation} {await job.effect('sms', provider.send)}")

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()
    async with connect(stage.url) as connection:
        desk = EffectDesk(connection)
        if by_hand == "mark-sent":
            assert await desk.mark_sent(id_, "sms", by="ada", receipt={"number": 4})
        else:
            assert await desk.send_again(id_, "sms", by="ada")
        assert "ada" in (await stage.job(id_))["reason"]
        if by_hand == "mark-sent":
            with pytest.raises(StoreError, match=r"was sent, and its receipt is \{'number': 4}: leave the receipt out"):
                await desk.mark_sent(id_, "sms", by="bob", receipt={"number": 5})
            assert await desk.mark_sent(id_, "sms", by="bob")  # a second time, with nothing else to say
        await stage.runner(run).run()
        with pytest.raises(StoreError, match="was sent"):
            await desk.send_again(id_, "sms", by="ada")
        await Desk(connection).retry(id_, by="ada")  # nothing is unknown any more: a new generation is allowed
    await stage.runner(run).run()

    assert ("SUCCEEDED", 2) == ((await stage.job(id_))["state"], (await stage.job(id_))["generation"])
    first = (1, "accepted", {"number": 4}, "ada") if by_hand == "mark-sent" else (1, "accepted", {"number": 2}, "send")
    call, again = (1, "accepted", {"number": 2}, "send"), (2, "accepted", {"number": 4}, "send")
    assert [call, first, again] == (await effects(stage))[:3]
    tags = provider.sent[:2] if by_hand == "send-again" else provider.sent[:1] * 2
    assert tags[0] == tags[1]
    assert provider.sent[-1] not in tags


async def test_by_hand_what_does_not_fit_changes_nothing(stage: "Stage", slow: Slow) -> None:
    """A running job, an effect that is not there, a receipt that is no JSON: an error that says so."""
    (id_,) = await stage.add(SENDING)
    running = asyncio.create_task(stage.runner(sending(slow)).run())
    await slow.called.wait()
    async with connect(stage.url) as connection:
        desk = EffectDesk(connection)
        assert [] == await desk.list_effects(only_unknown=True)  # its owner may still tell
        for act in (desk.mark_sent(id_, "sms", by="ada"), desk.send_again(id_, "sms", by="ada")):
            with pytest.raises(StoreError, match="is running"):
                await act
        with pytest.raises(StoreError, match="has no effect call"):
            await desk.mark_sent(id_, "call", by="ada")
        with pytest.raises(StoreError, match="is not JSON"):
            await desk.mark_sent(id_, "sms", by="ada", receipt=object())
        slow.go.set()
        await running
        assert not await desk.mark_sent(id_, "sms", by="ada")  # a job that has succeeded is left as it is
    assert "SUCCEEDED" == (await stage.job(id_))["state"]
    assert "send" == (await effects(stage))[0][3]


async def test_a_receipt_that_is_no_json_is_an_error_but_sent(stage: "Stage") -> None:
    """It went out, whatever came back: no later run sends it again."""

    class Odd(Provider):
        async def send(self, tag: str) -> Any:
            await super().send(tag)
            return object()

    provider = Odd()
    (id_,) = await stage.add(SENDING)

    report = await stage.runner(sending(provider)).run()

    assert (1, 1, 1) == (report.retried, report.succeeded, len(provider.sent))
    error = await stage.value("SELECT error FROM job_attempt WHERE job_id = %s", id_)
    assert error.startswith("the receipt of sms is not JSON")


@pytest.mark.parametrize("name", ["", "x" * 21, "a b", "é", "a\n"])
async def test_a_name_that_makes_no_tag_is_refused(stage: "Stage", name: str) -> None:
    """Tags are ASCII and short, for providers take no others."""
    provider = Provider()

    @handler("SENDING", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def run(job: AnyJob) -> Outcome:
        return Done(str(await job.effect(name, provider.send)))

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()

    assert "an effect's name has 1 to 20 letters" in (await stage.job(id_))["reason"]
    assert [] == provider.sent


@pytest.mark.parametrize(
    ("send", "cause", "intents"),
    [
        (lambda tag: {"sid": tag}, "send of effect sms is a plain function: write async def", 1),
        ({"sid": 7}, "send of effect sms is a dict: give what is to be called", 0),
    ],
    ids=["plain", "called already"],
)
async def test_a_send_that_nobody_can_wait_for_says_how_it_is_written(
    stage: "Stage", send: Any, cause: str, intents: int
) -> None:
    """What a plain function did is unknown; what cannot be called was not sent, and leaves no intent behind."""

    @handler("SENDING", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def run(job: AnyJob) -> Outcome:
        return Done(str(await job.effect("sms", send)))

    (id_,) = await stage.add(SENDING)
    await stage.runner(run).run()

    assert cause in (await stage.job(id_))["reason"]
    assert intents == len(await effects(stage))


def test_the_longest_tag_is_as_long_as_is_said() -> None:
    """The largest id and generation, and the longest name."""
    tag = tag_of(JobId(2**63 - 1), 2**31 - 1, datetime(2026, 11, 23, tzinfo=UTC), "x" * 20)
    assert len(tag) <= MAX_TAG
