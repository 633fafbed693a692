"""GET /api/leads/{id}: everything about one lead, bounded."""

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.leads.reader import NOON, identity, keep, lead, message, reader, token_for

from leadjobs.leads.directory import MAX_TEXT, MOST
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Enrichment, Lead, LeadFact, LeadScore, ReplyDraft

Db = AsyncConnection[DictRow]


@pytest.fixture
async def token(sessions: Sessions, workspace: int) -> str:
    return await token_for(sessions, workspace)


@pytest.fixture
async def maya(sessions: Sessions, workspace: int) -> Lead:
    (maya,) = await keep(sessions, lead(workspace, first_name="Maya", industry="Dental care", headcount="11-50"))
    return maya


def score(of: Lead, through: int, overall: int, **columns: object) -> LeadScore:
    known = {"lead_id": of.id, "message_id": through, "through_message_id": through, "job_id": 1, "job_attempt": 1}
    scores = {"fit_score": 4, "intent_score": overall, "overall_score": overall, "score_reasoning": f"saw {through}"}
    return LeadScore(**known | scores | {"is_applied": True, "scored_at": NOON} | columns)


async def test_everything_about_a_lead_is_on_one_sheet(sessions: Sessions, maya: Lead, token: str) -> None:
    """Nothing is masked: names, conversation, scores with their costs, drafts, facts, requests for facts."""
    await keep(sessions, identity(maya, "email", "maya@brightsmile.example"))
    first, second = await keep(
        sessions,
        message(maya, 1, "outbound", subject="Empty chairs?"),
        message(maya, 2, channel="sms", source="twilio", consent="started", sentiment="interested"),
    )
    by_model = {"model": "gpt-5-nano", "prompt_version": "v1", "cost_usd_micros": 93}
    await keep(sessions, score(maya, first.id, 1, is_applied=False), score(maya, second.id, 3, **by_model))
    drafted = {"body": "Shall we call?", "model": "gpt-5-nano", "prompt_version": "d1", "created_at": NOON}
    await keep(sessions, ReplyDraft(lead_id=maya.id, message_id=second.id, **drafted))
    fact = {"kind": "phone", "value": "+447700900123", "origin": "message"}
    await keep(sessions, LeadFact(lead_id=maya.id, message_id=second.id, noted_at=NOON, **fact))
    asked = {"kind": "phone", "status": "failed", "error": "busy", "asked_at": NOON}
    await keep(sessions, Enrichment(lead_id=maya.id, request_id="r1", **asked))
    async with reader(sessions, token) as http:
        answer = await http.get(f"/api/leads/{maya.id}")

    noon = "2026-11-23T12:00:00Z"
    sheet = answer.json()
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert [{"kind": "email", "value": "maya@brightsmile.example"}] == sheet["identities"]
    assert ("Maya", "Dental care", "11-50", "sms") == tuple(
        sheet[name] for name in ("firstName", "industry", "headcount", "channel")
    )
    assert [
        {
            "id": first.id,
            "direction": "outbound",
            "channel": "email",
            "source": "postmark",
            "sentAt": "2026-11-23T12:01:00Z",
            "subject": "Empty chairs?",
            "text": "words 1",
            "textLength": 7,
            "sentiment": None,
            "consent": None,
        },
        {
            "id": second.id,
            "direction": "inbound",
            "channel": "sms",
            "source": "twilio",
            "sentAt": "2026-11-23T12:02:00Z",
            "subject": None,
            "text": "words 2",
            "textLength": 7,
            "sentiment": "interested",
            "consent": "started",
        },
    ] == sheet["conversation"]
    assert 0 == sheet["earlierMessages"]
    newest, oldest = sheet["scores"]
    assert {
        "messageId": second.id,
        "throughMessageId": second.id,
        "fitScore": 4,
        "intentScore": 3,
        "overallScore": 3,
        "scoreReasoning": f"saw {second.id}",
        "scoredAt": noon,
        "isApplied": True,
        "model": "gpt-5-nano",
        "promptVersion": "v1",
        "costUsdMicros": 93,
    } == newest
    assert (first.id, False, None) == (oldest["throughMessageId"], oldest["isApplied"], oldest["model"])
    said = {"text": "Shall we call?", "model": "gpt-5-nano", "promptVersion": "d1"}
    assert [{"messageId": second.id, "createdAt": noon} | said] == sheet["drafts"]
    assert [fact | {"messageId": second.id, "notedAt": noon}] == sheet["facts"]
    assert [{"kind": "phone", "status": "failed", "error": "busy", "askedAt": noon, "answeredAt": None}] == sheet[
        "enrichments"
    ]


async def test_a_lead_that_is_only_a_name_has_an_empty_sheet(sessions: Sessions, maya: Lead, token: str) -> None:
    """No message, no score, no draft: empty lists, and not an error."""
    async with reader(sessions, token) as http:
        sheet = (await http.get(f"/api/leads/{maya.id}")).json()

    lists = ("identities", "conversation", "scores", "drafts", "facts", "enrichments")
    assert [[]] * 6 == [sheet[name] for name in lists]
    assert (None, None, 0) == (sheet["channel"], sheet["overallScore"], sheet["earlierMessages"])


async def test_a_long_conversation_ends_with_its_newest_messages(sessions: Sessions, maya: Lead, token: str) -> None:
    """By the time they were sent, not the order they came in; how many are older is counted."""
    await keep(sessions, *(message(maya, number) for number in reversed(range(MOST + 7))))
    async with reader(sessions, token) as http:
        sheet = (await http.get(f"/api/leads/{maya.id}")).json()

    assert [f"words {number}" for number in range(7, MOST + 7)] == [each["text"] for each in sheet["conversation"]]
    assert 7 == sheet["earlierMessages"]


async def test_a_long_message_is_cut_and_says_how_long_it_is(sessions: Sessions, maya: Lead, token: str) -> None:
    """One mail of megabytes does not make the sheet too large to be answered."""
    await keep(sessions, message(maya, 1, body="ö" * 3_000_000, subject="s" * 3_000_000))
    async with reader(sessions, token) as http:
        answer = await http.get(f"/api/leads/{maya.id}")

    (shown,) = answer.json()["conversation"]
    assert ("ö" * MAX_TEXT, 3_000_000, MAX_TEXT) == (shown["text"], shown["textLength"], len(shown["subject"]))
    assert len(answer.content) < 50_000


async def test_the_history_of_scores_is_bounded_too(sessions: Sessions, maya: Lead, token: str) -> None:
    """The newest ones, newest first."""
    await keep(sessions, *(score(maya, number, 2) for number in range(MOST + 3)))
    async with reader(sessions, token) as http:
        sheet = (await http.get(f"/api/leads/{maya.id}")).json()

    assert list(reversed(range(3, MOST + 3))) == [each["throughMessageId"] for each in sheet["scores"]]


async def test_a_sheet_shows_one_moment(sessions: Sessions, workspace: int, maya: Lead, db: Db) -> None:
    """What commits while a sheet is put together is on none of its parts."""
    from leadjobs.leads.directory import Directory, reading
    from leadjobs.leads.inbound import WorkspaceId

    async with reading(sessions) as session:
        directory = Directory(session, WorkspaceId(workspace))
        before = await directory.lead(maya.id)
        await keep(sessions, message(maya, 1), score(maya, 1, 4))
        await db.execute("UPDATE lead SET first_name = 'Mia' WHERE id = %s", [maya.id])
        session.expire_all()
        assert before == await directory.lead(maya.id)


async def test_reading_cannot_write(sessions: Sessions, maya: Lead) -> None:
    """The database itself refuses, whatever a query may try."""
    from sqlalchemy import update
    from sqlalchemy.exc import InternalError

    from leadjobs.leads.directory import reading

    with pytest.raises(InternalError, match="read-only transaction"):
        async with reading(sessions) as session:
            await session.execute(update(Lead).values(first_name="Mallory"))


async def test_a_session_after_reading_writes_again(sessions: Sessions, maya: Lead) -> None:
    """What reading asks of its connection ends with it: the next one to use it may write, and later than the limit."""
    from sqlalchemy import text

    from leadjobs.leads.directory import reading

    async with reading(sessions) as session:
        assert "5s" == await session.scalar(text("SHOW statement_timeout"))
    async with sessions() as session:
        shown = [await session.scalar(text(f"SHOW {name}")) for name in ("statement_timeout", "transaction_read_only")]
        assert ["0", "off"] == shown
        assert "read committed" == await session.scalar(text("SHOW transaction_isolation"))
