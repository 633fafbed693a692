"""GET /api/leads: lists by score, newest activity first, page by page."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from sqlalchemy.ext.asyncio import AsyncSession
from tests.leads.reader import NOON, identity, keep, lead, message, reader, token_for
from tests.leads.telling import NOON as REPLY_NOON
from tests.leads.telling import Stage

from leadjobs.app import App
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Lead, Workspace

Db = AsyncConnection[DictRow]


@pytest.fixture
async def token(sessions: Sessions, workspace: int) -> str:
    return await token_for(sessions, workspace)


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


def ids(answer: httpx.Response) -> list[int]:
    assert 200 == answer.status_code, answer.text
    return [each["id"] for each in answer.json()["leads"]]


async def test_a_line_shows_who_it_is_and_what_it_scored_with_addresses_masked(
    sessions: Sessions, workspace: int, token: str
) -> None:
    """Names and scores are plain, identities are not, and nothing is to be cached."""
    (maya,) = await keep(
        sessions,
        lead(
            workspace,
            first_name="Maya",
            last_name="Ortiz",
            company="Bright Smile",
            job_title="Owner",
            sentiment_tag="interested",
            fit_score=4,
            intent_score=3,
            overall_score=4,
            score_reasoning="Asks for a call.",
            scored_at=NOON,
        ),
    )
    await keep(sessions, identity(maya, "email", "maya@brightsmile.example"), identity(maya, "phone", "+447700900123"))
    await keep(sessions, message(maya, 1, channel="sms"), message(maya, 2), message(maya, 3, "outbound", channel="sms"))
    async with reader(sessions, token) as http:
        answer = await http.get("/api/leads")

    assert "no-store" == answer.headers["cache-control"]
    assert {
        "leads": [
            {
                "id": maya.id,
                "workspaceId": workspace,
                "firstName": "Maya",
                "lastName": "Ortiz",
                "company": "Bright Smile",
                "jobTitle": "Owner",
                "identities": [
                    {"kind": "email", "value": "m***@brightsmile.example"},
                    {"kind": "phone", "value": "+44*******123"},
                ],
                "channel": "email",
                "lastInboundAt": "2026-11-23T12:00:00Z",
                "sentiment": "interested",
                "disqualified": None,
                "fitScore": 4,
                "intentScore": 3,
                "overallScore": 4,
                "scoreReasoning": "Asks for a call.",
                "scoredAt": "2026-11-23T12:00:00Z",
            }
        ],
        "nextCursor": None,
    } == answer.json()


CHOSEN = {
    "": ["four", "three", "two", "one", "stopped", "bounced", "tagged", "unscored"],
    "score=4": ["four"],
    "score=3+": ["four", "three"],
    "score=3%2B": ["four", "three"],
    "score=3%20": ["four", "three"],
    "score=2+": ["four", "three", "two"],
    "score=1+": ["four", "three", "two", "one", "stopped", "bounced"],
    "score=unscored": ["tagged", "unscored"],
    "score=disqualified": ["stopped", "bounced", "tagged"],
    "score=disqualified&limit=2": ["stopped", "bounced"],
}
REASONS = {"stopped": "said stop", "bounced": "their address bounced", "tagged": " Unsubscribed"}


async def test_a_score_chooses_leads(sessions: Sessions, workspace: int, token: str) -> None:
    """Each value with its leads; a plus sign may come as itself, encoded, or as the space that it means."""
    await keep(
        sessions,
        lead(workspace, 1, first_name="four", overall_score=4),
        lead(workspace, 2, first_name="three", overall_score=3),
        lead(workspace, 3, first_name="two", overall_score=2),
        lead(workspace, 4, first_name="one", overall_score=1),
        lead(workspace, 5, first_name="stopped", overall_score=1, opted_out_at=NOON, opted_out_why="said stop"),
        lead(workspace, 6, first_name="bounced", overall_score=1, bounced_at=NOON),
        lead(workspace, 7, first_name="tagged", sentiment_tag=" Unsubscribed"),
        lead(workspace, 8, first_name="unscored", sentiment_tag="unsure"),
    )
    async with reader(sessions, token) as http:
        found = {query: (await http.get(f"/api/leads?{query}")).json()["leads"] for query in CHOSEN}

    assert CHOSEN == {query: [each["firstName"] for each in leads] for query, leads in found.items()}
    assert [REASONS.get(name) for name in CHOSEN[""]] == [each["disqualified"] for each in found[""]]


async def pages(http: httpx.AsyncClient, path: str, limit: int) -> list[list[int]]:
    """The ids of all pages, by following the cursors."""
    found: list[list[int]] = []
    query = f"limit={limit}"
    while len(found) < 20:
        answer = await http.get(f"{path}{'&' if '?' in path else '?'}{query}")
        found.append(ids(answer))
        if (cursor := answer.json()["nextCursor"]) is None:
            return found
        query = f"limit={limit}&cursor={cursor}"
    pytest.fail("the pages have no end")


async def crowd(sessions: Sessions, workspace: int) -> list[Lead]:
    """Thirteen leads in the order of their activity: some at the same microsecond, some that never wrote."""
    leads = [lead(workspace, minute // 3, overall_score=1 + minute % 4) for minute in range(9)]
    leads += [lead(workspace, last_inbound_at=None, created_at=NOON - timedelta(hours=n // 2)) for n in range(4)]
    await keep(sessions, *leads)
    return sorted(leads, key=lambda each: (each.last_inbound_at or each.created_at, each.id), reverse=True)


async def test_pages_show_every_lead_once(sessions: Sessions, workspace: int, token: str) -> None:
    """Whatever their size, pages put together are the whole list; the last one has no cursor."""
    expected = [each.id for each in await crowd(sessions, workspace)]
    async with reader(sessions, token) as http:
        for limit in (1, 4, 13, 200):
            found = await pages(http, "/api/leads", limit)
            assert expected == [each for page in found for each in page]
            assert -(-13 // limit) == len(found)


async def test_pages_of_one_score_hold_that_score_alone(sessions: Sessions, workspace: int, token: str) -> None:
    """A cursor goes with any filter."""
    expected = [each.id for each in await crowd(sessions, workspace) if (each.overall_score or 0) >= 2]
    async with reader(sessions, token) as http:
        assert expected == [each for page in await pages(http, "/api/leads?score=2%2B", 2) for each in page]


async def test_a_reply_between_two_pages_moves_its_lead_and_no_other(
    sessions: Sessions, workspace: int, token: str, db: Db
) -> None:
    """Paging by place, not by number: nobody is skipped or shown twice because somebody else wrote."""
    everybody = await crowd(sessions, workspace)
    async with reader(sessions, token) as http:
        first = (await http.get("/api/leads?limit=5")).json()
        await db.execute("UPDATE lead SET last_inbound_at = now() WHERE id = %s", [everybody[12].id])
        rest = await http.get(f"/api/leads?cursor={first['nextCursor']}")

    assert [each.id for each in everybody[5:12]] == ids(rest)


async def test_a_lead_keeps_its_place_while_its_first_reply_is_worked_on(
    stage: Stage, sessions: Sessions, workspace: int, token: str
) -> None:
    """It stands where it wrote as soon as it is there: it does not go back, and nobody is shown it twice."""
    await stage.say(1)
    (older,) = await keep(sessions, lead(workspace, last_inbound_at=REPLY_NOON - timedelta(hours=1)))
    async with reader(sessions, token) as http:
        first = (await http.get("/api/leads?limit=1")).json()
        await stage.run()
        rest = await http.get(f"/api/leads?cursor={first['nextCursor']}")

    assert [(await stage.rows("SELECT min(id) AS id FROM lead"))[0]["id"]] == [each["id"] for each in first["leads"]]
    assert [older.id] == ids(rest)


async def test_nobody_sees_the_leads_of_another_workspace(sessions: Sessions, workspace: int, token: str) -> None:
    """Each token opens one workspace, with any filter and any cursor."""
    (other,) = await keep(sessions, Workspace(name="Other"))
    (ours, _) = await keep(sessions, lead(workspace, 2, overall_score=3), lead(other.id, 1, overall_score=3))
    async with reader(sessions, token) as http:
        assert [ours.id] == ids(await http.get("/api/leads"))
        assert [ours.id] == ids(await http.get("/api/leads?score=3+"))
    async with reader(sessions, await token_for(sessions, other.id)) as http:
        theirs = (await http.get("/api/leads?limit=1")).json()
    assert ours.id not in [each["id"] for each in theirs["leads"]]


async def test_times_are_in_utc_wherever_the_database_is(
    sessions: Sessions, workspace: int, token: str, db: Db, url: str
) -> None:
    """A server in another time zone tells the same times, and its cursors lead to the same places."""
    expected = [each.id for each in await crowd(sessions, workspace)]
    name = url.split("/")[3].split("?", maxsplit=1)[0]
    await db.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'".encode())
    await sessions.close()
    async with reader(sessions, token) as http:
        times = [each["lastInboundAt"] for each in (await http.get("/api/leads")).json()["leads"]]
        assert {"2026-11-23T12:00:00Z", "2026-11-23T11:59:00Z", "2026-11-23T11:58:00Z", None} == set(times)
        assert expected == [each for page in await pages(http, "/api/leads", 4) for each in page]


OPEN = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.mark.direct("counts the door's connections at the server")
async def test_a_burst_uses_few_connections_and_leaves_none_open(
    sessions: Sessions, workspace: int, token: str, db: Db
) -> None:
    """Forty readers at once share four connections, and the last to leave closes them."""
    await crowd(sessions, workspace)
    most = 0

    async def look(http: httpx.AsyncClient) -> Any:
        nonlocal most
        answer = await http.get("/api/leads")
        most = max(most, *[row["n"] for row in await (await db.execute(OPEN)).fetchall()])
        return answer.status_code

    async with reader(sessions, token) as http:
        assert [200] * 40 == await asyncio.gather(*(look(http) for _ in range(40)))
        assert 200 == (await http.get("/api/leads")).status_code  # and the next one opens one again

    assert 1 <= most <= 2 * 4  # of forty; a server process that is ending counts for a moment beside its successor
    async with asyncio.timeout(10):  # a server process takes a moment to end
        while await (await db.execute(OPEN)).fetchall() != [{"n": 0}]:
            await db.execute("SELECT pg_sleep(0.01)")


class SlowToClose(Sessions):
    """Sessions whose closing takes some turns of the loop, and which count who comes meanwhile."""

    came_too_early, closed = 0, 0

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.closing = asyncio.Event()

    def __call__(self) -> AsyncSession:
        self.came_too_early += self.closing.is_set()
        return super().__call__()

    async def close(self) -> None:
        self.closing.set()
        for _ in range(100):
            await asyncio.sleep(0)
        await super().close()
        self.closing.clear()
        self.closed += 1


async def test_who_comes_while_the_connections_are_closed_waits_for_it(url: str, token: str) -> None:
    """A connection opened in that moment would be nobody's to close."""
    sessions = SlowToClose(url)
    async with asyncio.timeout(10), reader(sessions, token) as http:
        first = asyncio.create_task(http.get("/api/leads"))
        await sessions.closing.wait()
        answers = [await http.get("/api/leads"), await first]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert (0, 2) == (sessions.came_too_early, sessions.closed)


async def test_head_says_that_there_is_an_answer(sessions: Sessions, workspace: int, token: str) -> None:
    """HEAD is answered as GET is, and any other method is refused."""
    async with reader(sessions, token) as http:
        assert 200 == (await http.head("/api/leads")).status_code
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            refused = await http.request(method, "/api/leads")
            assert (405, {"GET", "HEAD"}) == (refused.status_code, set(refused.headers["allow"].split(", ")))
