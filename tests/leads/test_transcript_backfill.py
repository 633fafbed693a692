"""The transcript backfill from end to end: a kept delivery, the provider's API, the real runner, and the scorer."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.channels.histories.apis import KEY, UNIPILE, unipile_said
from tests.leads.stage import scorings

from leadjobs.channels.unipile import Unipile
from leadjobs.core.registry import Registry
from leadjobs.handlers.lead_scoring_post_process import lead_scoring_post_process
from leadjobs.handlers.linkedin_inbound_post_process import linkedin_inbound_post_process
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.inbox import Inbox
from leadjobs.leads.post_process.pipeline import PostProcess
from leadjobs.leads.post_process.visit import Tools
from leadjobs.leads.sessions import Sessions
from leadjobs.runner import Runner
from leadjobs.store.connection import Transactions
from leadjobs.testing.clay import Refusal
from leadjobs.testing.openai import OpenAIStandIn
from leadjobs.testing.providers import ProvidersStandIn
from leadjobs.testing.serve import serve
from leadjobs.web.signatures import Secrets

Db = AsyncConnection[DictRow]
SECRET = "test-unipile-secret"
NOTES = "SELECT result FROM job_step WHERE name = 'transcript' ORDER BY job_id"


@pytest.fixture
def apis() -> ProvidersStandIn:
    return ProvidersStandIn(key=KEY)


@pytest.fixture
def apis_url(apis: ProvidersStandIn) -> Iterator[str]:
    with serve(apis) as url:
        yield url


@pytest.fixture
async def tools(sessions: Sessions, openai_url: str, apis_url: str) -> AsyncIterator[Tools]:
    ai = AI(api_key="sk-test", model="gpt-6-luna", base_url=openai_url, timeout=10.0)
    yield Tools(sessions, ai, histories={"unipile": UNIPILE.history(apis_url)})
    await ai.aclose()


@pytest.fixture
def runner(url: str, tools: Tools) -> Runner:
    assert tools.ai is not None
    post_process, timeout = PostProcess(tools), timedelta(seconds=30)
    handlers = Registry(
        linkedin_inbound_post_process(post_process, timeout=timeout),
        lead_scoring_post_process(tools.sessions, tools.ai, timeout=timeout),
    )
    return Runner(url, handlers, budget=timedelta(seconds=60), concurrency=4)


@pytest.fixture
async def inbox(workspace: int, db: Db, url: str) -> Inbox:
    account = "dfXlh46vQYCsMbVarumWlg"
    await db.execute(
        "INSERT INTO workspace_source VALUES ('unipile', %s, %s) ON CONFLICT DO NOTHING", [account, workspace]
    )
    return Inbox(Transactions(url, at_once=2), [Unipile(Secrets.parse(SECRET))])


async def receive(inbox: Inbox, **fields: object) -> None:
    delivery = UNIPILE.delivery(**fields)
    assert (await inbox.receive(replace(delivery, headers={"unipile-auth": SECRET}))).status == 200


async def column(db: Db, query: str) -> list[object]:
    return [next(iter(row.values())) for row in await (await db.execute(query)).fetchall()]


async def test_a_yes_is_judged_on_what_it_was_asked(
    inbox: Inbox, runner: Runner, apis: ProvidersStandIn, openai: OpenAIStandIn, db: Db
) -> None:
    """Our message, which no webhook brought, stands before the reply in what the scorer is shown."""
    apis.answers[UNIPILE.path] = {"items": [unipile_said("Shall we call you on Tuesday?")]}
    await receive(inbox, message="yes")

    report = await runner.run()

    assert (2, 0) == (report.succeeded, report.due)
    assert ["1 messages fetched"] == await column(db, NOTES)
    (asked,) = scorings(openai)
    shown = str(asked["input"])
    assert 0 <= shown.index("LINKEDIN OUT Agent: Shall we call you on Tuesday?") < shown.index("LINKEDIN IN Lead: yes")


async def test_what_the_history_told_is_not_kept_again_by_its_webhook(
    inbox: Inbox, runner: Runner, apis: ProvidersStandIn, db: Db
) -> None:
    """A late echo of our message is the message that was fetched; the next reply asks nobody."""
    apis.answers[UNIPILE.path] = {"items": [unipile_said("Shall we call you on Tuesday?")]}
    await receive(inbox, message="yes")
    await runner.run()
    sam = {"attendee_provider_id": "ACoAAAcDMMQBODyLwZrRcgYhrkCafURGqva0U4E"}
    maya = {"attendee_provider_id": "ACoAABQ1MvABx9y-example"}

    await receive(
        inbox, message_id="message-1", message="Shall we call you?", sender=sam, attendees=[maya], is_sender=1
    )
    await receive(inbox, message_id="another", message="At noon", timestamp="2026-11-22T10:05:00Z")
    await runner.run()

    said = ["Shall we call you on Tuesday?", "yes", "At noon"]
    assert said == await column(db, "SELECT body FROM message ORDER BY sent_at")
    assert ["1 messages fetched", "nothing to fetch"] == await column(db, NOTES)
    assert [UNIPILE.path] == apis.asked


async def test_an_old_request_to_stop_in_the_history_opts_the_lead_out(
    inbox: Inbox, runner: Runner, apis: ProvidersStandIn, openai: OpenAIStandIn, db: Db
) -> None:
    """They said it before we listened; it counts, and no model is asked for a score."""
    apis.answers[UNIPILE.path] = {"items": [unipile_said("Please stop messaging me", ours=False)]}
    await receive(inbox, message="Which company is this?")

    await runner.run()

    assert ["asked to stop: 'Please stop messaging me'"] == await column(db, "SELECT opted_out_why FROM lead")
    assert [] == scorings(openai)


async def test_a_history_that_fails_does_not_stop_scoring(
    inbox: Inbox, runner: Runner, apis: ProvidersStandIn, openai: OpenAIStandIn, db: Db
) -> None:
    """The key was withdrawn: that is noted, and the reply is scored on what is known."""
    apis.then(Refusal(status=403))
    await receive(inbox, message="yes")

    report = await runner.run()

    assert (2, 0) == (report.succeeded, report.due)
    assert ["passed by: unipile refused to tell the conversation: HTTP 403"] == await column(db, NOTES)
    assert 1 == len(scorings(openai))
