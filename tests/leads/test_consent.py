"""May we still write to them?  What was said last decides, by when it was said and not by when we are told of it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.leads.telling import NOON, REPLY, Db, Stage

from leadjobs.app import App
from leadjobs.core.registry import Registry
from leadjobs.handlers.email_inbound_post_process import email_inbound_post_process
from leadjobs.handlers.sms_inbound_post_process import sms_inbound_post_process
from leadjobs.leads.inbound import Channel, Consent, Delivery, Inbound
from leadjobs.leads.post_process.pipeline import PostProcess
from leadjobs.leads.post_process.visit import Tools
from leadjobs.leads.sessions import Sessions
from leadjobs.runner import Runner
from leadjobs.testing.openai import OpenAIStandIn, Refuse

HOUR = timedelta(hours=1)
PROVIDER_S_WORD = {"text": "", "consent": Consent.STARTED}
OWN_WORD = {"text": "Start", "channel": Channel.SMS}


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


async def opted_out_at(stage: Stage) -> Any:
    return (await stage.lead())["opted_out_at"]


@pytest.mark.parametrize("start", [PROVIDER_S_WORD, OWN_WORD], ids=["the provider's word", "their own word"])
@pytest.mark.parametrize("is_seen_to", [True, False])
async def test_a_request_to_stop_that_is_told_of_late_stops_nobody_who_came_back(
    stage: Stage, start: dict[str, Any], *, is_seen_to: bool
) -> None:
    """Neither the webhook nor the job hears it, whether or not the welcome's own job has run; a later one is heard."""
    await stage.say(1, sent_at=NOON, **start)
    if is_seen_to:
        await stage.run()

    await stage.say(2, text="Unsubscribe", sent_at=NOON - HOUR)
    assert None is await opted_out_at(stage)
    await stage.run()
    assert None is await opted_out_at(stage)

    await stage.say(3, text="Unsubscribe", sent_at=NOON + HOUR)
    assert NOON + HOUR == await opted_out_at(stage)


@dataclass(frozen=True)
class Memory:
    """A provider that remembers these."""

    said: tuple[Inbound, ...]

    async def earlier(self, delivery: Delivery, *, time_left: float) -> tuple[Inbound, ...]:
        return self.said


@pytest.mark.parametrize("is_newest_first", [True, False])
async def test_who_came_back_in_a_history_is_not_stopped(
    stage: Stage, sessions: Sessions, url: str, *, is_newest_first: bool
) -> None:
    """A conversation from before we listened holds both; in whatever order the provider tells them."""
    by_sms = replace(REPLY, channel=Channel.SMS)
    stop = replace(by_sms, message_key="stop", text="STOP", sent_at=NOON - 2 * HOUR)
    start = replace(by_sms, message_key="start", text="START", sent_at=NOON - HOUR)
    tools = Tools(sessions, histories={"told": Memory((start, stop) if is_newest_first else (stop, start))})
    handlers = Registry(sms_inbound_post_process(PostProcess(tools), timeout=timedelta(seconds=30)))
    await stage.tell(by_sms)

    await Runner(url, handlers, budget=timedelta(seconds=60), concurrency=1).run()

    assert "2 messages fetched" == (await stage.steps())["transcript"]
    assert None is await opted_out_at(stage)


@pytest.mark.parametrize("is_begun", [True, False])
async def test_a_bounce_is_none_where_a_later_reply_is_still_worked_on(
    stage: Stage, openai: OpenAIStandIn, *, is_begun: bool
) -> None:
    """The reply is kept, and says that they can be reached, before its job has come to its end, or has begun."""
    await stage.say(1)
    if is_begun:
        openai.then(Refuse(status=500), of="reply_sentiment")
        await stage.run()
    await stage.db.execute("UPDATE background_job SET run_at = now() + interval '1 hour' WHERE state = 'PENDING'")

    await stage.say(2, text="", consent=Consent.BOUNCED, sent_at=NOON - HOUR)
    await stage.run()

    assert ("nothing about consent" if is_begun else None) == (await stage.steps()).get("consent")  # the reply's
    assert None is (await stage.lead())["bounced_at"]


@pytest.mark.parametrize("start", [PROVIDER_S_WORD, OWN_WORD], ids=["the provider's word", "their own word"])
@pytest.mark.parametrize("is_stop_first", [True, False])
async def test_of_a_stop_and_a_start_at_one_time_the_stop_stands(
    stage: Stage, start: dict[str, Any], *, is_stop_first: bool
) -> None:
    """Providers tell times to the second: which came last is in doubt, and then we do not write."""
    for number in (1, 2):
        is_stop = (number == 1) is is_stop_first
        await stage.say(number, **({"text": "STOP", "channel": Channel.SMS} if is_stop else start))
    assert NOON == await opted_out_at(stage)

    await stage.run()
    assert NOON == await opted_out_at(stage)


async def test_a_request_to_stop_is_not_its_own_welcome(stage: Stage) -> None:
    """Whatever its provider says beside it."""
    await stage.say(1, text="STOP", channel=Channel.SMS, consent=Consent.STARTED)
    assert NOON == await opted_out_at(stage)

    await stage.run()
    assert NOON == await opted_out_at(stage)


async def test_a_welcome_that_a_previous_release_kept_is_one(stage: Stage) -> None:
    """It kept no word of consent with it: the job hears it."""
    await stage.say(1, text="STOP", channel=Channel.SMS)
    await stage.say(2, text="START", channel=Channel.SMS, sent_at=NOON + HOUR)
    await stage.db.execute("UPDATE message SET consent = NULL")

    await stage.run()

    assert None is await opted_out_at(stage)


@pytest.mark.parametrize("text", ["What does it cost?", "Unsubscribe"])
async def test_when_a_reply_that_a_previous_release_kept_was_written_is_known(stage: Stage, text: str) -> None:
    """It left that to the end of the job."""
    await stage.say(1, text=text)
    await stage.db.execute("UPDATE lead SET last_inbound_at = NULL")

    await stage.run()

    assert NOON == (await stage.lead())["last_inbound_at"]


async def test_a_bounce_in_a_history_is_none_where_it_holds_a_later_reply(
    stage: Stage, sessions: Sessions, url: str
) -> None:
    """The time of the reply is known to what the same run is told next."""
    reply = replace(REPLY, message_key="reply", sent_at=NOON + 2 * HOUR)
    bounce = replace(REPLY, message_key="bounce", text="", consent=Consent.BOUNCED, sent_at=NOON + HOUR)
    tools = Tools(sessions, histories={"told": Memory((reply, bounce))})
    handlers = Registry(email_inbound_post_process(PostProcess(tools), timeout=timedelta(seconds=30)))
    await stage.tell()

    await Runner(url, handlers, budget=timedelta(seconds=60), concurrency=1).run()

    assert "2 messages fetched" == (await stage.steps())["transcript"]
    lead = await stage.lead()
    assert (NOON + 2 * HOUR, None) == (lead["last_inbound_at"], lead["bounced_at"])
