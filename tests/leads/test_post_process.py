"""Post-processing: the same named steps for every channel, each kept, none in the way of scoring."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.leads.stage import calls, name_of, scorings
from tests.leads.telling import NOON, Stage, ours

from leadjobs.app import App
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES, Reply
from leadjobs.leads.inbound import Consent, Sent
from leadjobs.settings import Settings
from leadjobs.testing.openai import Fault, OpenAIStandIn, Refuse
from leadjobs.web.delivery import Delivery

Db = AsyncConnection[DictRow]


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.source)
async def test_every_source_goes_through_the_same_steps(
    app: App, workspace: int, openai: OpenAIStandIn, db: Db, reply: Reply
) -> None:
    """Each source's reply ends post-processed by its channel's own type, and scored."""
    call = post("https://ops.example.test", 1, replace(reply, text="Call me on +44 161 496 0000"))
    headers = {name.lower(): value for name, value in call.headers.items()}
    await app.inbox.receive(Delivery(source=reply.source, url=call.url, headers=headers, body=call.body))

    report = await app.runner.run()

    assert (2, 0) == (report.succeeded, report.due)
    rows = await (
        await db.execute(
            "SELECT name FROM job_step JOIN background_job AS job ON job.id = job_id"
            " WHERE type LIKE '%INBOUND_POST_PROCESS' ORDER BY job_step.finished_at"
        )
    ).fetchall()
    assert ["consent", "transcript", "facts", "enrichment", "sentiment", "draft"] == [row["name"] for row in rows]
    row = await (
        await db.execute(
            "SELECT sentiment, overall_score, (SELECT value FROM lead_fact WHERE kind = 'phone') AS phone,"
            " (SELECT body FROM reply_draft) AS draft FROM message JOIN lead ON lead.id = lead_id"
            " WHERE direction = 'inbound'"
        )
    ).fetchone()
    expected = {"sentiment": "interested", "overall_score": 3, "phone": "+441614960000"}
    assert expected | {"draft": "Thank you, we will call you."} == row


async def test_a_request_to_stop_is_heard_while_the_model_is_down(stage: Stage, openai: OpenAIStandIn) -> None:
    """Consent is kept before anybody outside is asked, and nobody is asked about what it says."""
    openai.then(*[Refuse(status=500)] * 20)
    await stage.say(1, text="Please remove me from your list")

    report = await stage.run()

    assert (2, []) == (report.succeeded, openai.calls)
    lead = await stage.lead()
    assert ("asked to stop: 'Please remove me from your list'", 1) == (lead["opted_out_why"], lead["overall_score"])
    assert "opted out" == (await stage.steps())["sentiment"]
    assert [] == await stage.rows("SELECT * FROM reply_draft")


@pytest.mark.parametrize("answers", [[], [Fault.REFUSAL]])
async def test_a_retry_buys_no_finished_step_again(stage: Stage, openai: OpenAIStandIn, answers: list[Fault]) -> None:
    """The draft fails in the first run; the second asks for it, and not for the sentiment, answered or passed by."""
    openai.then(*answers, of="reply_sentiment")
    openai.then(Refuse(status=500), of="reply_draft")
    await stage.say(1)

    await stage.run()
    await stage.db.execute("UPDATE background_job SET run_at = now() WHERE state = 'PENDING'")
    report = await stage.run()

    assert 2 == report.succeeded
    asked = [name_of(call) for call in openai.calls]
    assert ["reply_sentiment", "reply_draft", "reply_draft", "lead_score"] == asked


async def test_a_run_that_dies_at_its_end_leaves_its_steps(stage: Stage, openai: OpenAIStandIn) -> None:
    """The scoring job cannot be added, once: the next run asks the model nothing again and adds it."""
    await stage.say(1)
    await stage.db.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$;"
        " CREATE TRIGGER refused BEFORE INSERT ON background_job FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    assert 1 == (await stage.run()).retried
    await stage.db.execute("DROP TRIGGER refused ON background_job; UPDATE background_job SET run_at = now()")

    await stage.run()

    assert ["reply_sentiment", "reply_draft", "lead_score"] == [name_of(call) for call in openai.calls]
    assert 3 == (await stage.lead())["overall_score"]


@pytest.mark.parametrize("name", ["reply_sentiment", "reply_draft"])
@pytest.mark.parametrize("fault", [Fault.REFUSAL, Fault.MISSING_KEY, Fault.INVALID_JSON])
async def test_an_answer_that_is_none_is_passed_by(
    stage: Stage, openai: OpenAIStandIn, name: str, fault: Fault
) -> None:
    """A step that the model refuses is noted with its cause, and the lead is scored all the same."""
    openai.then(fault, of=name)
    await stage.say(1)

    report = await stage.run()

    assert (0, 2) == (report.retried, report.succeeded)
    assert (await stage.steps())[name.removeprefix("reply_")].startswith("passed by: ")
    assert 3 == (await stage.lead())["overall_score"]


async def test_a_model_that_stays_away_does_not_keep_a_lead_from_being_scored(
    stage: Stage, openai: OpenAIStandIn
) -> None:
    """After the job's last attempt the step is passed by; nothing of it is lost in silence."""
    openai.then(*[Refuse(status=500)] * 5, of="reply_sentiment")
    await stage.say(1)

    for _ in range(5):
        await stage.db.execute("UPDATE background_job SET run_at = now() WHERE state = 'PENDING'")
        await stage.run()

    assert (await stage.steps())["sentiment"].startswith("passed by: OpenAI is not available")
    (job,) = await stage.rows("SELECT state, attempts FROM background_job WHERE type = 'EMAIL_INBOUND_POST_PROCESS'")
    assert {"state": "SUCCEEDED", "attempts": 4} == job
    assert 3 == (await stage.lead())["overall_score"]


async def test_too_little_time_does_not_keep_a_lead_from_being_scored(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the steps before have used up the job's own timeout in each of its attempts, the last one passes it by."""
    await stage.say(1)
    with monkeypatch.context() as patched:
        patched.setattr("leadjobs.leads.ai.asking.MIN_SECONDS", 46.0)  # more than the timeout of any type
        for _ in range(5):
            await stage.db.execute("UPDATE background_job SET run_at = now() WHERE state = 'PENDING'")
            await stage.run()

    steps = await stage.steps()
    assert all(steps[name].endswith("s left are too few to ask OpenAI") for name in ("sentiment", "draft"))
    (job,) = await stage.rows("SELECT state, attempts FROM background_job WHERE type = 'EMAIL_INBOUND_POST_PROCESS'")
    assert {"state": "SUCCEEDED", "attempts": 4} == job
    await stage.db.execute("UPDATE background_job SET run_at = now() WHERE state = 'PENDING'")
    await stage.run()
    assert 3 == (await stage.lead())["overall_score"]


async def test_without_a_model_all_else_is_done(settings: Settings, workspace: int, db: Db, url: str) -> None:
    """No key: consent, facts and roll-ups are seen to, and the scoring waits."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    stage = Stage(App(lambda: settings.model_copy(update={"openai_api_key": None})), db, url)
    await stage.say(1, text="Write to ada@y.example")

    report = await stage.run()

    assert (1, ("LEAD_SCORING_POST_PROCESS",)) == (report.succeeded, report.unknown_types)
    steps = await stage.steps()
    assert ("1 new", "no model is configured") == (steps["facts"], steps["sentiment"])
    assert NOON == (await stage.lead())["last_inbound_at"]


@pytest.mark.parametrize("consent", [Consent.STOPPED, Consent.BOUNCED])
async def test_news_without_words_scores_the_lead_again(stage: Stage, openai: OpenAIStandIn, consent: Consent) -> None:
    """An unsubscribe and a bounce come without a text: the lead is disqualified, and no model is asked about them."""
    await stage.say(1)
    await stage.run()
    asked = len(openai.calls)

    await stage.say(2, text="", consent=consent, sent_at=NOON + timedelta(hours=1))
    await stage.run()

    lead = await stage.lead()
    assert (1, True, asked) == (
        lead["overall_score"],
        lead["score_reasoning"].startswith("Disqualified: "),
        len(openai.calls),
    )
    assert NOON == lead["last_inbound_at"]


async def test_who_writes_again_after_a_bounce_can_be_reached(stage: Stage) -> None:
    """A bounce stands until newer words arrive; older ones that arrive late do not lift it."""
    await stage.say(1)
    await stage.say(2, text="", consent=Consent.BOUNCED, sent_at=NOON + timedelta(hours=1))
    await stage.run()
    await stage.say(3, text="Late, from before", sent_at=NOON - timedelta(hours=1))
    await stage.run()
    assert NOON + timedelta(hours=1) == (await stage.lead())["bounced_at"]

    await stage.say(4, text="Here I am", sent_at=NOON + timedelta(hours=2))
    await stage.run()

    lead = await stage.lead()
    assert (None, 3) == (lead["bounced_at"], lead["overall_score"])


async def test_a_bounce_that_is_told_of_late_is_none(stage: Stage) -> None:
    """They have written since."""
    await stage.say(1)
    await stage.run()
    await stage.say(2, text="", consent=Consent.BOUNCED, sent_at=NOON - timedelta(hours=1))
    await stage.run()

    lead = await stage.lead()
    assert (None, 3) == (lead["bounced_at"], lead["overall_score"])


async def test_late_arrivals_turn_nothing_back(stage: Stage, openai: OpenAIStandIn) -> None:
    """Roll-ups follow when things were said: an older reply that comes later changes neither time nor mood."""
    openai.answer = _by_text({"Yes": "interested", "No": "not_interested"}, openai.answer)
    await stage.say(1, text="Yes")
    await stage.run()

    await stage.say(2, text="No", sent_at=NOON - timedelta(days=1))
    await stage.run()

    lead = await stage.lead()
    assert (NOON, "interested") == (lead["last_inbound_at"], lead["sentiment_tag"])
    felt = await stage.rows("SELECT sentiment FROM message ORDER BY id")
    assert ["interested", "not_interested"] == [row["sentiment"] for row in felt]
    assert "none: the conversation has gone on" == (await stage.steps("2"))["draft"]


def _by_text(words: dict[str, str], else_: Any) -> Any:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        reply = asked["input"].partition("# Reply to judge")[2]
        found = [mood for word, mood in words.items() if word in reply.partition("# Task")[0]]
        return {"sentiment": found[0]} if name_of(asked) == "reply_sentiment" and found else else_(asked)

    return answer


async def test_a_tag_that_disqualifies_is_not_overwritten(stage: Stage, openai: OpenAIStandIn) -> None:
    """Somebody put it there who knows more than the newest message."""
    await stage.say(1)
    await stage.run()
    await stage.db.execute("UPDATE lead SET sentiment_tag = 'Blacklist'")
    await stage.say(2, text="Hello again", sent_at=NOON + timedelta(hours=1))
    await stage.run()

    lead = await stage.lead()
    assert ("Blacklist", 1) == (lead["sentiment_tag"], lead["overall_score"])


async def test_a_workspace_can_do_without_drafts(stage: Stage, openai: OpenAIStandIn) -> None:
    """Then no model is asked for one."""
    await stage.db.execute("UPDATE workspace_settings SET has_drafts = false")
    await stage.say(1)

    await stage.run()

    assert [] == calls(openai, "reply_draft")
    assert "none: the workspace wants no drafts" == (await stage.steps())["draft"]


async def test_what_we_sent_is_part_of_the_conversation_and_no_job(stage: Stage, openai: OpenAIStandIn) -> None:
    """Our own messages are told by sent events, echoes and replies; each is kept once, before the reply it led to."""
    await stage.tell(ours("Hi Maya, do you need chairs?"), sent_at=NOON - timedelta(days=2))
    assert [] == await stage.rows("SELECT id FROM background_job")
    await stage.say(1, answers=Sent(message_key="ours", text="Hi Maya, do you need chairs?"))
    await stage.say(2, answers=Sent(message_key="second", text="Still there?"), sent_at=NOON + timedelta(hours=1))
    await stage.run()

    said = await stage.rows("SELECT direction, body FROM message ORDER BY sent_at, id")
    expected = ["outbound", "inbound", "outbound", "inbound"]
    assert expected == [row["direction"] for row in said]
    prompt = scorings(openai)[-1]["input"]
    assert -1 < prompt.find("do you need chairs?") < prompt.find("What does it cost?")
    assert NOON + timedelta(minutes=59, seconds=59) == (await stage.lead())["last_outbound_at"]


async def test_who_only_got_mail_from_us_is_not_scored(stage: Stage, openai: OpenAIStandIn) -> None:
    """A lead without a word of its own has no score, and costs nothing."""
    await stage.tell(ours("Hi Maya"))

    await stage.run()

    assert (None, []) == ((await stage.lead())["overall_score"], openai.calls)


async def test_a_message_of_another_channel_is_skipped(stage: Stage) -> None:
    """A job of the wrong type says so and does nothing."""
    await stage.say(1)
    await stage.db.execute("UPDATE background_job SET type = 'SMS_INBOUND_POST_PROCESS'")

    await stage.run()

    (job,) = await stage.rows("SELECT state, reason FROM background_job")
    assert ("SUCCEEDED", "skipped: not an inbound message for SMS_INBOUND_POST_PROCESS") == tuple(job.values())


@pytest.mark.parametrize(
    "change", ["tenant = '4711'", "payload = jsonb_set(payload, '{lead_id}', to_jsonb((SELECT max(id) FROM lead)))"]
)
async def test_a_job_of_another_workspace_or_lead_does_nothing(
    stage: Stage, openai: OpenAIStandIn, change: str
) -> None:
    """A job's tenant must be its lead's workspace, and its message the lead's."""
    await stage.say(1)
    await stage.db.execute("INSERT INTO lead (workspace_id) SELECT workspace_id FROM lead")
    await stage.db.execute(f"UPDATE background_job SET {change}".encode())

    await stage.run()

    (job,) = await stage.rows("SELECT state, reason FROM background_job WHERE type = 'EMAIL_INBOUND_POST_PROCESS'")
    assert ("FAILED", "gave up: the message, the lead and the workspace do not belong together") == tuple(job.values())
    assert ({}, []) == (await stage.steps(), openai.calls)


async def test_a_lead_that_is_deleted_ends_the_job(stage: Stage) -> None:
    """There is nobody left to see to."""
    await stage.say(1)
    await stage.db.execute("DELETE FROM lead")

    await stage.run()

    (job,) = await stage.rows("SELECT state, reason FROM background_job")
    assert ("FAILED", "gave up: the lead or the message was deleted") == tuple(job.values())
