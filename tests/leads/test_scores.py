"""Which of several scorings of one conversation becomes the lead's own: that of the newest look at it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.leads.telling import NOON, Db, Stage

from leadjobs.app import App
from leadjobs.leads.inbound import Consent, LeadId, MessageId
from leadjobs.leads.jobs import LeadMessage
from leadjobs.leads.scoring.prompt import Score
from leadjobs.leads.scoring.scores import Case, Scored, keep_score, open_case
from leadjobs.leads.sessions import Sessions


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


@pytest.fixture
def look(stage: Stage, sessions: Sessions) -> Callable[[], Awaitable[Case]]:
    """The lead as a scorer finds it at this moment."""

    async def look() -> Case:
        (message,) = await stage.rows("SELECT id, lead_id, workspace_id FROM message ORDER BY id LIMIT 1")
        what = LeadMessage(LeadId(message["lead_id"]), MessageId(message["id"]))
        async with sessions() as session:
            case = await open_case(session, what, str(message["workspace_id"]))
        assert isinstance(case, Case)
        return case

    return look


async def decide(sessions: Sessions, case: Case, points: int) -> str | None:
    """The scorer's answer to what it had looked at, and what became of it; a decided case needs none."""
    score = Score(fit=points, intent=points, overall=points, reasoning="As asked.")
    async with sessions() as session:
        scored = case.disqualified or Scored(score=score, model="m")
        kept = await keep_score(session, case, scored, job_id=1, job_attempt=1)
        await session.commit()
    return kept


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE lead SET company = 'BrightSmile', headcount = '42'",
        "UPDATE workspace_settings SET ideal_customer_profile = 'Bakeries'",
    ],
    ids=["enriched", "another profile"],
)
@pytest.mark.parametrize("ends_last", ["older", "newer"])
async def test_of_two_looks_at_the_same_messages_the_newer_one_s_score_stands(
    stage: Stage, sessions: Sessions, look: Callable[[], Awaitable[Case]], change: str, ends_last: str
) -> None:
    """Whichever ends last: what the older one had not seen yet is no message, but counts as much."""
    await stage.say(1)
    older = await look()
    await stage.db.execute(change.encode())
    newer = await look()

    both = [(newer, 4), (older, 2)] if ends_last == "older" else [(older, 2), (newer, 4)]
    said = [await decide(sessions, case, points) for case, points in both]

    assert ("kept in the history; there is a newer picture" in said) is (ends_last == "older")
    assert 4 == (await stage.lead())["overall_score"]
    kept = await stage.rows("SELECT overall_score = 4 AS is_newer, is_applied FROM lead_score ORDER BY id")
    expected = [(True, True), (False, False)] if ends_last == "older" else [(False, True), (True, True)]
    assert expected == [tuple(row.values()) for row in kept]


async def test_a_disqualification_that_was_taken_back_is_not_applied(
    stage: Stage, sessions: Sessions, look: Callable[[], Awaitable[Case]]
) -> None:
    """It is history, whether or not the lead was scored again by then."""
    await stage.say(1)
    await stage.db.execute("UPDATE lead SET sentiment_tag = 'Blacklist'")
    disqualified = await look()
    await stage.db.execute("UPDATE lead SET sentiment_tag = NULL")

    await decide(sessions, disqualified, 1)
    assert None is (await stage.lead())["overall_score"]
    await decide(sessions, await look(), 4)
    await decide(sessions, disqualified, 1)

    assert 4 == (await stage.lead())["overall_score"]
    assert [False, True, False] == [
        row["is_applied"] for row in await stage.rows("SELECT is_applied FROM lead_score ORDER BY id")
    ]


async def test_who_subscribes_again_without_a_word_is_unscored_again(
    stage: Stage, sessions: Sessions, look: Callable[[], Awaitable[Case]]
) -> None:
    """The 1 was for having left, and there is nothing else to score; an older look that ends late leaves it so."""
    await stage.say(1, text="", consent=Consent.STOPPED)
    older = await look()
    await stage.run()
    assert 1 == (await stage.lead())["overall_score"]

    await stage.say(2, text="", consent=Consent.STARTED, sent_at=NOON + timedelta(hours=1))
    await stage.run()
    assert "kept in the history; the disqualification was taken back" == await decide(sessions, older, 1)

    lead = await stage.lead()
    scores = ("fit_score", "intent_score", "overall_score", "score_reasoning", "scored_at")
    assert {None} == {lead[name] for name in scores}
    reasons = await stage.rows("SELECT reason FROM background_job WHERE type LIKE 'LEAD_SCORING%' ORDER BY id")
    cleared = "skipped: no inbound message to score; the score of a disqualification that was taken back is cleared"
    assert cleared == reasons[-1]["reason"]


async def test_who_never_said_anything_has_no_score_to_clear(stage: Stage) -> None:
    """And the job says so."""
    await stage.say(1, text="", consent=Consent.STARTED)
    await stage.run()

    reasons = await stage.rows("SELECT reason FROM background_job WHERE type LIKE 'LEAD_SCORING%' ORDER BY id")
    assert "skipped: no inbound message to score" == reasons[-1]["reason"]
