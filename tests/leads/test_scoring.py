"""LEAD_SCORING_POST_PROCESS, from the stored reply to the lead's scores, with a real SDK talking HTTP to a stand-in."""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.engine.locks import until_somebody_waits
from tests.leads.stage import scoring_by, scorings

from leadjobs.app import App
from leadjobs.core.report import Report
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES, Reply
from leadjobs.enqueue import enqueue
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.jobs import LEAD_SCORING_POST_PROCESS, LeadMessage
from leadjobs.testing.openai import Fault, OpenAIStandIn
from leadjobs.web.delivery import Delivery

Db = AsyncConnection[DictRow]
BASE = "https://ops.example.test"
MAYA = REPLIES[0]


async def receive(app: App, text: str, *, number: int = 1, reply: Reply = MAYA) -> None:
    """A reply of one person: the number names the reply, the name the person."""
    call = post(BASE, number, replace(reply, text=text))
    headers = {name.lower(): value for name, value in call.headers.items()}
    body = call.body.replace(f'"id": {88100 + number}'.encode(), b'"id": 88100')
    await app.inbox.receive(Delivery(source=reply.source, url=call.url, headers=headers, body=body))


async def one(db: Db, query: str) -> DictRow:
    row = await (await db.execute(query)).fetchone()
    assert row is not None
    return row


async def all_of(db: Db, query: str) -> list[DictRow]:
    return await (await db.execute(query)).fetchall()


SCORES = "SELECT fit_score, intent_score, overall_score, score_reasoning FROM lead"


async def test_a_reply_becomes_a_score_with_everything_it_took(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """One tick post-processes and scores; the score, its history and the call's bill are all on record."""
    await receive(app, "Yes, call me")
    report = await app.runner.run()

    assert (2, "drained", 0) == (report.succeeded, report.stopped, report.due)
    assert {"fit_score": 3, "intent_score": 3, "overall_score": 3, "score_reasoning": "Asks for a call."} == await one(
        db, SCORES
    )
    call = await one(db, "SELECT * FROM ai_interaction WHERE feature = 'lead_scoring.score'")
    job = await one(db, "SELECT id FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS'")
    assert ("background-job/lead-scoring-post-process", job["id"], 1) == (
        call["source"],
        call["job_id"],
        call["job_attempt"],
    )
    assert ("succeeded", "lead_scoring.score.v2", "gpt-6-luna") == (
        call["status"],
        call["prompt_version"],
        call["model"],
    )
    assert call["input_tokens"] > 0
    assert call["cost_usd_micros"] > 0
    score = await one(
        db, "SELECT model, prompt_version, total_tokens, cost_usd_micros, is_applied, job_id FROM lead_score"
    )
    assert (True, job["id"], call["cost_usd_micros"]) == (
        score["is_applied"],
        score["job_id"],
        score["cost_usd_micros"],
    )
    asked = scorings(openai)[0]
    assert "Dental practices" in asked["input"]
    assert "Yes, call me" in asked["input"]


async def test_every_inbound_message_is_scored_again(app: App, workspace: int, openai: OpenAIStandIn, db: Db) -> None:
    """A second reply is scored although scores exist; re-enqueueing the same message's scoring is not."""
    await receive(app, "Tell me more", number=1)
    await app.runner.run()
    await receive(app, "What does it cost?", number=2)
    await app.runner.run()
    assert 2 == len(scorings(openai))
    row = await one(db, "SELECT payload FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS' LIMIT 1")
    what = LeadMessage(LeadId(row["payload"]["lead_id"]), MessageId(row["payload"]["message_id"]))
    key = f"lead_scoring:{what.lead_id}:{what.message_id}"
    await enqueue(db, LEAD_SCORING_POST_PROCESS.job(what, tenant=str(workspace), dedupe_key=key))
    await app.runner.run()

    assert 2 == len(scorings(openai))
    assert {"leads": 1, "scores": 2} == await one(
        db, "SELECT (SELECT count(*) FROM lead) AS leads, (SELECT count(*) FROM lead_score) AS scores"
    )


@pytest.mark.parametrize(
    "words",
    [
        "We rejected the last vendor, you may be a better fit",
        "My calendar is blocked until Friday, then call me",
        "Your mail was in my spam folder, sorry! Yes, let's talk",
        "The old address does not exist any more, use this one. Happy to talk",
    ],
)
async def test_a_genuine_reply_with_suspicious_words_goes_to_the_model(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db, words: str
) -> None:
    """Rejected, blocked, spam, does not exist: words of a prospect, not of a bounce."""
    await receive(app, words)
    await app.runner.run()

    assert 1 == len(scorings(openai))
    assert 3 == (await one(db, SCORES))["overall_score"]


async def test_opt_out_after_interest_scores_one_and_asks_no_model(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """An 'Interested' lead that says STOP is disqualified, on whatever channel and however it was tagged before."""
    await receive(app, "Interested, call me", number=1)
    await app.runner.run()
    await db.execute("UPDATE lead SET sentiment_tag = 'Interested'")
    await receive(app, "Please remove me from your mailing list.", number=2)
    await app.runner.run()

    assert 1 == len(scorings(openai))
    row = await one(db, SCORES)
    assert (1, 1, 1) == (row["fit_score"], row["intent_score"], row["overall_score"])
    assert row["score_reasoning"].startswith("Disqualified: asked to stop")


@pytest.mark.parametrize("tag", ["Blacklist", "opted out", "UNSUBSCRIBED", "Bounced"])
async def test_a_disqualifying_tag_scores_one_and_asks_no_model(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db, tag: str
) -> None:
    """The legacy tags disqualify too, however they are written."""
    await receive(app, "Hello again")
    await db.execute("UPDATE lead SET sentiment_tag = %s", (tag,))
    await app.runner.run()

    assert [] == scorings(openai)
    assert {"overall_score": 1} == await one(db, "SELECT overall_score FROM lead")


async def test_who_opts_out_while_the_model_thinks_is_disqualified(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """The standing is looked at again under the lead's lock: a good score bought a moment too late is not applied."""
    await receive(app, "Call me")
    thinking = asyncio.Event()
    loop = asyncio.get_running_loop()
    go_on = asyncio.Event()

    def score(request: dict[str, Any]) -> dict[str, Any]:
        loop.call_soon_threadsafe(thinking.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return {"fitScore": 4, "intentScore": 4, "overallScore": 4, "reasoning": "Hot."}

    openai.answer = scoring_by(score)
    running = asyncio.create_task(app.runner.run())
    await asyncio.wait_for(thinking.wait(), 10)
    await db.execute("UPDATE lead SET opted_out_at = now(), opted_out_why = 'said so by telephone'")
    go_on.set()
    await running

    row = await one(db, SCORES)
    assert (1, "Disqualified: said so by telephone") == (row["overall_score"], row["score_reasoning"])
    history = await all_of(db, "SELECT overall_score, is_applied FROM lead_score ORDER BY id")
    assert [{"overall_score": 4, "is_applied": False}, {"overall_score": 1, "is_applied": True}] == history


async def test_who_is_opting_out_while_the_score_is_kept_is_disqualified(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db, url: str
) -> None:
    """The score waits for whoever has the lead, and then looks: an opt-out that commits a moment later is seen."""
    await receive(app, "Call me")
    opting_out = await psycopg.AsyncConnection.connect(url)
    loop = asyncio.get_running_loop()

    def score(request: dict[str, Any]) -> dict[str, Any]:
        opts_out = opting_out.execute("UPDATE lead SET opted_out_at = now(), opted_out_why = 'said so by telephone'")
        asyncio.run_coroutine_threadsafe(opts_out, loop).result(10)
        return {"fitScore": 4, "intentScore": 4, "overallScore": 4, "reasoning": "Hot."}

    openai.answer = scoring_by(score)
    running = asyncio.create_task(app.runner.run())
    async with asyncio.timeout(10), opting_out:  # which commits at its end
        await until_somebody_waits(db)
    await running

    assert (1, "Disqualified: said so by telephone") == tuple(
        (await one(db, "SELECT overall_score, score_reasoning FROM lead")).values()
    )


async def test_an_older_job_never_overwrites_a_newer_score(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """The first message's scoring answers last; the score that saw both messages stands, the late one is history."""
    loop = asyncio.get_running_loop()
    first_asks, second_is_scored = asyncio.Event(), asyncio.Event()

    def score(request: dict[str, Any]) -> dict[str, Any]:
        is_first = "second" not in request["input"]
        if is_first:
            loop.call_soon_threadsafe(first_asks.set)
            asyncio.run_coroutine_threadsafe(second_is_scored.wait(), loop).result(20)
        points = 2 if is_first else 4
        return {"fitScore": points, "intentScore": points, "overallScore": points, "reasoning": f"Saw {points // 2}."}

    openai.answer = scoring_by(score)
    await receive(app, "The first", number=1)
    slow = asyncio.create_task(app.runner.run())
    await asyncio.wait_for(first_asks.wait(), 10)
    await receive(app, "The second", number=2)
    for _ in range(200):
        if (await one(db, "SELECT count(*) AS n FROM lead_score"))["n"]:
            break
        await asyncio.sleep(0.05)
    second_is_scored.set()
    await slow

    assert {"overall_score": 4, "score_reasoning": "Saw 2."} == await one(
        db, "SELECT overall_score, score_reasoning FROM lead"
    )
    history = await all_of(db, "SELECT overall_score, is_applied FROM lead_score ORDER BY id")
    assert [{"overall_score": 4, "is_applied": True}, {"overall_score": 2, "is_applied": False}] == history


async def eighty_of_ours(db: Db) -> None:
    """Eighty outbound messages to the lead, all after what it wrote."""
    await db.execute(
        "INSERT INTO message"
        " (workspace_id, lead_id, channel, direction, source, message_key, body, sender, recipient, sent_at)"
        " SELECT workspace_id, lead_id, 'sms', 'outbound', 'test', 'k' || n, 'ours no ' || n, 'a', 'b',"
        " sent_at + n * interval '1 microsecond' FROM message, generate_series(1, 80) AS n WHERE direction = 'inbound'"
    )


async def test_more_than_sixty_messages_are_scored_on_the_newest(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """The model sees the newest sixty of all channels, and is told that there were more."""
    await receive(app, "first words", number=1)
    await eighty_of_ours(db)
    await receive(app, "the very newest words", number=2)
    await db.execute("UPDATE message SET sent_at = now() WHERE body = 'the very newest words'")
    await app.runner.run()

    prompt = scorings(openai)[-1]["input"]
    assert "the very newest words" in prompt
    assert "ours no 80" in prompt
    assert "first words" not in prompt
    assert "earlier messages left out" in prompt


async def test_a_reply_behind_sixty_of_our_messages_is_still_what_is_scored(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """However much we wrote since, the newest inbound message is before the model."""
    await receive(app, "only reply", number=1)
    await eighty_of_ours(db)
    await app.runner.run()

    prompt = scorings(openai)[-1]["input"]
    assert ("only reply" in prompt, "ours no 80" in prompt) == (True, True)
    assert {"overall_score": 3} == await one(db, "SELECT overall_score FROM lead")


def only_scoring(report: Report) -> tuple[int, int, int]:
    return report.failed, report.retried, report.snoozed


BAD = [Fault.TRUNCATED, Fault.INVALID_JSON, Fault.OUT_OF_RANGE, Fault.MISSING_KEY]


@pytest.mark.parametrize("fault", BAD)
async def test_an_unusable_answer_is_never_a_success_without_a_score(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db, fault: Fault
) -> None:
    """Truncated (twice), not JSON, out of range or incomplete: an attempt is used, the call is on record as failed, and
    the next run scores."""
    openai.then(*([fault, fault] if fault is Fault.TRUNCATED else [fault]), of="lead_score")
    await receive(app, "Call me")
    report = await app.runner.run()

    assert (0, 1, 0) == only_scoring(report)
    job = await one(db, "SELECT state, attempts FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS'")
    assert {"state": "PENDING", "attempts": 1} == job
    assert {"overall_score": None} == await one(db, "SELECT overall_score FROM lead")
    failed = await all_of(db, "SELECT status, output_tokens FROM ai_interaction WHERE feature = 'lead_scoring.score'")
    assert {"failed"} == {row["status"] for row in failed}
    assert all(row["output_tokens"] is not None for row in failed)

    await db.execute("UPDATE background_job SET run_at = now()")
    await app.runner.run()
    assert {"overall_score": 3} == await one(db, "SELECT overall_score FROM lead")


@pytest.mark.parametrize("fault", [Fault.REFUSAL, Fault.CONTENT_FILTER])
async def test_a_refusal_ends_the_job_failed_with_its_reason(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db, fault: Fault
) -> None:
    """Asking again would not help: FAILED at once, visible, and the lead stays unscored."""
    openai.then(fault, of="lead_score")
    await receive(app, "Call me")
    report = await app.runner.run()

    assert (1, 0, 0) == only_scoring(report)
    job = await one(db, "SELECT state, reason FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS'")
    assert "FAILED" == job["state"]
    assert job["reason"].startswith("gave up: ProviderRefusedError")
    assert {"overall_score": None} == await one(db, "SELECT overall_score FROM lead")


async def test_answers_that_stay_unusable_end_the_job_failed(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """Out of attempts is FAILED with the reason, never a quiet success."""
    openai.then(*[Fault.MISSING_KEY] * 20, of="lead_score")
    await receive(app, "Call me")
    for _ in range(6):
        await app.runner.run()
        await db.execute("UPDATE background_job SET run_at = now() WHERE state = 'PENDING'")

    job = await one(db, "SELECT state, attempts, reason FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS'")
    assert ("FAILED", 5) == (job["state"], job["attempts"])
    assert job["reason"].startswith("out of attempts (5): InvalidAnswerError")
    assert 5 == len(await all_of(db, "SELECT id FROM ai_interaction WHERE feature = 'lead_scoring.score'"))
    attempts = await all_of(db, "SELECT ended_as, error_type FROM job_attempt")
    assert [{"ended_as": "failed", "error_type": "InvalidAnswerError"}] * 5 == attempts


async def test_without_a_key_scoring_waits_and_the_rest_goes_on(
    url: str, settings: Any, workspace: int, db: Db
) -> None:
    """No OpenAI key: replies are post-processed, their scoring is left alone and reported."""
    app = App(lambda: settings.model_copy(update={"openai_api_key": None}))
    await receive(app, "Call me")
    report = await app.runner.run()

    assert (1, ("LEAD_SCORING_POST_PROCESS",)) == (report.succeeded, report.unknown_types)
    assert {"state": "PENDING"} == await one(
        db, "SELECT state FROM background_job WHERE type = 'LEAD_SCORING_POST_PROCESS'"
    )


async def test_a_job_of_another_workspace_scores_nothing(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db
) -> None:
    """A job's tenant must be its lead's workspace."""
    await receive(app, "Call me")
    await app.runner.run()
    openai.calls.clear()
    what = LeadMessage(LeadId((await one(db, "SELECT id FROM lead"))["id"]), MessageId(1))
    await enqueue(db, LEAD_SCORING_POST_PROCESS.job(what, tenant="4711"))
    report = await app.runner.run()

    assert (1, []) == (report.failed, scorings(openai))
