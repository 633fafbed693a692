"""Back-pressure of the model's provider: one answer holds back all that asks the same, and nothing else."""

from datetime import timedelta

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.leads.telling import NOON, Stage

from leadjobs.app import App
from leadjobs.leads.ai.errors import ModelBusyError
from leadjobs.leads.ai.models import Model, resources_of
from leadjobs.settings import Settings
from leadjobs.store.connection import connect
from leadjobs.store.holds import HoldDesk, HoldLine
from leadjobs.testing.openai import OpenAIStandIn, Refuse

Db = AsyncConnection[DictRow]
BUSY = Refuse(status=429, code="rate_limit_exceeded", headers={"retry-after": "3600"})
BROKE = Refuse(status=429, code="insufficient_quota")
POST_PROCESS, SCORING = "EMAIL_INBOUND_POST_PROCESS", "LEAD_SCORING_POST_PROCESS"


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


async def hold_on(url: str) -> HoldLine:
    """The only hold there is."""
    async with connect(url) as connection:
        (line,) = await HoldDesk(connection).holds()
    return line


async def release(url: str, name: str) -> None:
    async with connect(url) as connection:
        await HoldDesk(connection).release(name)


async def waiting(stage: Stage) -> dict[str, tuple[int, str]]:
    """What waits by type: its attempts, and why."""
    rows = await stage.rows("SELECT type, attempts, reason FROM background_job WHERE state = 'PENDING'")
    return {row["type"]: (row["attempts"], row["reason"]) for row in rows}


async def test_one_429_holds_back_all_that_asks_the_model(
    stage: Stage, openai: OpenAIStandIn, settings: Settings, url: str
) -> None:
    """Met by a scoring, it keeps replies too, for every runner: no attempt, no further call; then all goes on."""
    openai.then(BUSY, of="lead_score")
    await stage.say(1)
    await stage.run()
    await stage.say(2, sent_at=NOON + timedelta(minutes=1))
    asked = len(openai.calls)

    report = await App(lambda: settings).runner.run()

    assert (0, 2, asked) == (report.claimed, report.due, len(openai.calls))
    why = "held: OpenAI is not available: HTTP 429, code rate_limit_exceeded, parameter none"
    assert {POST_PROCESS: (0, None), SCORING: (0, why)} == await waiting(stage)
    hold = await hold_on(url)
    assert ("openai/gpt-6-luna", "busy", why) == (hold.name, hold.kind, hold.reason)
    (row,) = await stage.rows("SELECT until - now() AS span FROM job_hold")
    assert timedelta(minutes=50) < row["span"] <= timedelta(minutes=60)
    await release(url, "openai/gpt-6-luna")
    assert 3 == (await stage.run()).succeeded


@pytest.mark.parametrize("attempts", [0, 4])
@pytest.mark.parametrize("question", ["reply_sentiment", "reply_draft"])
async def test_a_reply_that_meets_it_waits_at_no_attempt(
    stage: Stage, openai: OpenAIStandIn, url: str, attempts: int, question: str
) -> None:
    """In the last attempt too, for scoring needs the same model; what was done is not done again."""
    openai.then(BUSY, of=question)
    await stage.say(1)
    await stage.db.execute("UPDATE background_job SET attempts = %s", [attempts])

    await stage.run()

    assert attempts == (await waiting(stage))[POST_PROCESS][0]
    assert question.removeprefix("reply_") not in await stage.steps()
    await release(url, "openai/gpt-6-luna")
    await stage.run()
    assert 3 == (await stage.lead())["overall_score"]
    assert 4 == len(openai.calls)


async def test_without_credit_all_waits_until_somebody_lets_go(
    stage: Stage, openai: OpenAIStandIn, settings: Settings, url: str
) -> None:
    """The account is held, whatever the model; the reason says what to do."""
    openai.then(BROKE, of="lead_score")
    await stage.say(1)
    await stage.run()
    await stage.say(2, sent_at=NOON + timedelta(minutes=1))

    other = App(lambda: settings.model_copy(update={"ai_model": "gpt-5.6-luna"}))

    assert 0 == (await other.runner.run()).claimed
    hold = await hold_on(url)
    assert ("openai", "exhausted", None) == (hold.name, hold.kind, hold.until)
    assert hold.reason.endswith("a person must add some or raise its limit, then `leadjobs holds release openai`")
    assert (0, hold.reason) == (await waiting(stage))[SCORING]
    await release(url, "openai")
    assert 3 == (await stage.run()).succeeded


async def test_a_successor_that_is_busy_holds_back_who_is_set_to_its_predecessor(
    settings: Settings, workspace: int, openai: OpenAIStandIn, db: Db, url: str
) -> None:
    """What a type uses is its model and all that follow it: another process would move on to the busy one."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    nano = settings.model_copy(update={"ai_model": "gpt-5-nano"})
    stage = Stage(App(lambda: nano), db, url)
    openai.then(Refuse(status=404, code="model_not_found"), BUSY, of="reply_sentiment")
    await stage.say(1)

    await stage.run()

    assert "openai/gpt-6-luna" == (await hold_on(url)).name
    assert POST_PROCESS in await waiting(stage)
    assert 0 == (await App(lambda: nano).runner.run()).claimed


async def test_a_failure_without_a_time_holds_nobody(stage: Stage, openai: OpenAIStandIn) -> None:
    """One lost answer says nothing of the next: the job alone tries again."""
    openai.then(Refuse(status=503), of="lead_score")
    await stage.say(1)

    await stage.run()

    assert [] == await stage.rows("SELECT * FROM job_hold")
    assert 1 == (await waiting(stage))[SCORING][0]


async def test_a_request_to_stop_is_heard_while_all_is_held(stage: Stage, openai: OpenAIStandIn, url: str) -> None:
    """With the webhook's own transaction, before any job runs; the lead is disqualified for whoever looks."""
    await stage.db.execute("INSERT INTO job_hold (name, kind, reason) VALUES ('openai', 'exhausted', 'no credit')")

    await stage.say(1, text="Please remove me from your list")
    assert 0 == (await stage.run()).claimed

    heard = (NOON, "asked to stop: 'Please remove me from your list'")
    lead = await stage.lead()
    assert heard == (lead["opted_out_at"], lead["opted_out_why"])
    await release(url, "openai")
    await stage.run()
    lead = await stage.lead()
    assert (*heard, 1, []) == (lead["opted_out_at"], lead["opted_out_why"], lead["overall_score"], openai.calls)


async def test_a_request_that_was_taken_back_is_not_heard_again(stage: Stage) -> None:
    """Neither the message's job nor one more delivery that tells of it puts the lead back to where it was."""
    await stage.say(1, text="Please remove me from your list")
    await stage.db.execute("UPDATE lead SET opted_out_at = NULL, opted_out_why = NULL")
    await stage.tell(delivery_key="again", text="Please remove me from your list")

    await stage.run()

    assert None is (await stage.lead())["opted_out_at"]
    assert (await stage.steps())["consent"].startswith("opted out: ")


@pytest.mark.parametrize(("asked", "held"), [(20.0, 20.0), (1e9, 6 * 3600.0)])
def test_a_hold_lasts_for_six_hours_at_most(asked: float, held: float) -> None:
    busy = ModelBusyError("busy", uses="openai/luna", retry_after=asked)

    assert timedelta(seconds=held) == busy.hold.until


@pytest.mark.parametrize("name", ["@cf/meta/llama 3", "ft:gpt:acme::7", "", "x" * 300])
def test_any_model_can_be_held(name: str) -> None:
    """Names that gateways give are no reason not to start."""
    hold = ModelBusyError("busy", uses=Model(name=name).resource, retry_after=1).hold
    assert hold.name in resources_of(name)
