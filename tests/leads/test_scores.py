"""Which of several scorings of one conversation becomes the lead's own: that of the newest look at it."""

from collections.abc import Awaitable, Callable

import pytest
from tests.leads.telling import Db, Stage

from leadjobs.app import App
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.jobs import LeadMessage
from leadjobs.leads.scoring.prompt import Score
from leadjobs.leads.scoring.scores import Case, Scored, keep_score, open_case
from leadjobs.leads.sessions import Sessions


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    """A workspace with a lead that wrote once."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    stage = Stage(app, db, url)
    await stage.say(1)
    return stage


@pytest.fixture
def look(stage: Stage, sessions: Sessions) -> Callable[[], Awaitable[Case]]:
    """The lead as a scorer finds it at this moment."""

    async def look() -> Case:
        (message,) = await stage.rows("SELECT id, lead_id, workspace_id FROM message")
        what = LeadMessage(LeadId(message["lead_id"]), MessageId(message["id"]))
        async with sessions() as session:
            case = await open_case(session, what, str(message["workspace_id"]))
        assert isinstance(case, Case)
        return case

    return look


async def decide(sessions: Sessions, case: Case, points: int) -> None:
    """The scorer's answer to what it had looked at; a case that is decided already needs none."""
    score = Score(fit=points, intent=points, overall=points, reasoning="As asked.")
    async with sessions() as session:
        await keep_score(session, case, case.disqualified or Scored(score=score, model="m"), job_id=1, job_attempt=1)
        await session.commit()


@pytest.mark.parametrize(
    "change",
    [
        ("SELECT", "UPDATE lead SET company = 'BrightSmile', headcount = '42'"),
        ("SELECT", "UPDATE workspace_settings SET ideal_customer_profile = 'Bakeries'"),
        ("UPDATE lead SET sentiment_tag = 'Blacklist'", "UPDATE lead SET sentiment_tag = NULL"),
    ],
    ids=["enriched", "another profile", "no longer disqualified"],
)
@pytest.mark.parametrize("ends_last", ["older", "newer"])
async def test_of_two_looks_at_the_same_messages_the_newer_one_s_score_stands(
    stage: Stage, sessions: Sessions, look: Callable[[], Awaitable[Case]], change: tuple[str, str], ends_last: str
) -> None:
    """Whichever ends last: what the older one had not seen yet is no message, but counts as much."""
    before, after = change
    await stage.db.execute(before.encode())
    older = await look()
    await stage.db.execute(after.encode())
    newer = await look()

    both = [(newer, 4), (older, 2)] if ends_last == "older" else [(older, 2), (newer, 4)]
    for case, points in both:
        await decide(sessions, case, points)

    assert 4 == (await stage.lead())["overall_score"]
    kept = await stage.rows("SELECT overall_score = 4 AS is_newer, is_applied FROM lead_score ORDER BY id")
    expected = [(True, True), (False, False)] if ends_last == "older" else [(False, True), (True, True)]
    assert expected == [tuple(row.values()) for row in kept]
