"""What the leads door refuses, and how it says so: never with a 5xx for what a caller sent."""

import asyncio
import base64
import json

import httpx
import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.leads.reader import keep, lead, reader, token_for

from leadjobs.leads import directory, door
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Workspace
from leadjobs.leads.views import Place

Db = AsyncConnection[DictRow]


@pytest.fixture
async def token(sessions: Sessions, workspace: int) -> str:
    return await token_for(sessions, workspace)


def said(answer: httpx.Response) -> tuple[int, str, str]:
    """The status, the code and the words; an answer that nobody may cache, in the form of all errors."""
    assert "no-store" == answer.headers["cache-control"]
    told = answer.json()
    assert {"error", "code"} == set(told)
    return answer.status_code, told["code"], told["error"]


NO_TOKENS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer ljt_" + "A" * 43},
    {"Authorization": "Bearer ljt_" + "A" * 44},
    {"Authorization": "Bearer \x00"},
    {"Authorization": "Bearer " + "ljt_" * 10_000},
    {"Authorization": "Basic dXNlcjpsanQ="},
)


@pytest.mark.parametrize("path", ["/api/leads", "/api/leads/1", "/api/leads/x", "/api/leads?score=9"])
async def test_without_a_token_that_opens_nothing_is_told(sessions: Sessions, path: str) -> None:
    """401, whatever else is right or wrong with the request, and the scheme that is asked for."""
    async with reader(sessions) as http:
        for given in NO_TOKENS:
            answer = await http.get(path, headers=given)
            assert (401, "LJ402", "unauthorized") == said(answer), given
            assert "Bearer" == answer.headers["www-authenticate"]


async def test_what_cannot_be_a_token_costs_no_connection() -> None:
    """A flood of nonsense does not reach the database: here there is none, and the answer is the same."""
    away = Sessions("postgresql://nobody@/nowhere?host=/tmp/no-such-folder")
    async with reader(away, "nonsense") as http:
        assert (401, "LJ402", "unauthorized") == said(await http.get("/api/leads"))


async def test_a_revoked_token_opens_nothing(sessions: Sessions, token: str, db: Db) -> None:
    """From the next request on."""
    async with reader(sessions, token) as http:
        assert 200 == (await http.get("/api/leads")).status_code
        await db.execute("UPDATE api_token SET revoked_at = now()")
        assert (401, "LJ402", "unauthorized") == said(await http.get("/api/leads"))


async def test_the_kept_hash_is_no_token(sessions: Sessions, token: str, db: Db) -> None:
    """Who reads the table cannot read leads with what is in it."""
    (row,) = await (await db.execute("SELECT token_hash FROM api_token")).fetchall()
    for guess in (row["token_hash"], f"ljt_{row['token_hash'][:43]}"):
        async with reader(sessions, guess) as http:
            assert 401 == (await http.get("/api/leads")).status_code


NO_IDS = (
    "0", "-1", "+1", "1.0", "1e3", "x", "1x", "007", "1/2", "leads", "%31x", "%D9%A1", "%00", "%20", "1%0A",
    "9223372036854775808", "9999999999999999999", "1" * 5000, "9223372036854775807", "..%2F1", "%ff",
)  # fmt: skip


async def test_what_is_no_id_is_an_unknown_lead(sessions: Sessions, token: str) -> None:
    """Nonsense, and numbers beyond what the database can hold: 404 like an id that nobody has."""
    unknown = (404, "LJ605", "there is no lead with this id")
    async with reader(sessions, token) as http:
        answers = {given: said(await http.get(f"/api/leads/{given}")) for given in NO_IDS}
    assert dict.fromkeys(NO_IDS, unknown) == answers


async def test_another_workspace_s_lead_is_as_unknown_as_none(sessions: Sessions, workspace: int, token: str) -> None:
    """The answer to a lead of somebody else is, to the byte, that to a lead that never was."""
    (other,) = await keep(sessions, Workspace(name="Other"))
    (theirs,) = await keep(sessions, lead(other.id))
    async with reader(sessions, token) as http:
        refused, unknown = await http.get(f"/api/leads/{theirs.id}"), await http.get("/api/leads/4711")
    async with reader(sessions, await token_for(sessions, other.id)) as http:
        assert 200 == (await http.get(f"/api/leads/{theirs.id}")).status_code

    assert 404 == refused.status_code
    assert (refused.content, refused.headers) == (unknown.content, unknown.headers)


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


SCORES = "score is one of 4, 3+, 2+, 1+, unscored, disqualified"
LIMIT = "limit is a whole number from 1 to 200"
CURSOR = "cursor is the nextCursor of an answer, as it was"
KNOWN = "this address takes score, limit, cursor, each once"


GOOD = '{"at": "2026-11-23T12:00:00Z", "id": 1}'
CURSORS = (
    '{"at": "2026-11-23T12:00:00Z"}',
    '{"id": 1}',
    '{"at": "2026-11-23T12:00:00", "id": 1}',
    '{"at": "2026-11-23T12:00:00Z", "id": 0}',
    '{"at": "2026-11-23T12:00:00Z", "id": 9223372036854775808}',
    '{"at": "2026-11-23T12:00:00Z", "id": "1"}',
    '{"at": "2026-11-23T12:00:00Z", "id": 1, "workspaceId": 2}',
    '{"at": "0001-01-01T00:00:00+23:59", "id": 1}',
    '{"at": "9999-12-31T23:59:59-23:59", "id": 1}',
    '{"at": NaN, "id": 1}',
    "[" * 10_000,
)
REFUSED = {
    **{f"score={x}": SCORES for x in ("", "0", "5", "3", "4+", "3++", "3%20%20", "+3", "UNSCORED", "%00")},
    **{f"limit={x}": LIMIT for x in ("", "0", "-1", "201", "1.5", "1_0", "%2B5", "%20", "%D9%A1", "050", "9" * 5000)},
    **{f"cursor={x}": CURSOR for x in ("", "x", "e30", "%FF", "%00", "A" * 5000, "!!!!", "bnVsbA")},
    **{f"cursor={cursor(x)}": CURSOR for x in CURSORS},
    f"cursor={cursor(GOOD)}!!!!": CURSOR,
    **dict.fromkeys(("scores=4", "score=4&score=4", "workspaceId=2", "%00=1"), KNOWN),
}


async def test_a_parameter_that_cannot_be_used_is_named(sessions: Sessions, token: str) -> None:
    """400 with what it may be, and nothing of what was sent."""
    async with reader(sessions, token) as http:
        answers = {query: said(await http.get(f"/api/leads?{query}")) for query in REFUSED}
    assert {query: (400, "LJ604", words) for query, words in REFUSED.items()} == answers


async def test_a_lead_has_one_address(sessions: Sessions, workspace: int, token: str) -> None:
    """Its id as it is written, with or without a slash behind it; not with a zero, a sign or a line break."""
    (ours,) = await keep(sessions, lead(workspace))
    async with reader(sessions, token) as http:
        assert 200 == (await http.get(f"/api/leads/{ours.id}/")).status_code
        for rest in (
            f"0{ours.id}",
            f"+{ours.id}",
            f"{ours.id}.0",
            f"{ours.id}%0A",
            f"%0A{ours.id}",
            f"leads/{ours.id}",
            f"{ours.id}/messages",
        ):
            assert 404 == (await http.get(f"/api/leads/{rest}")).status_code


async def test_a_cursor_at_the_ends_of_the_calendar_is_a_place(sessions: Sessions, token: str) -> None:
    """The database is asked with no time that it cannot hold."""
    async with reader(sessions, token) as http:
        for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
            place = cursor(json.dumps({"at": at, "id": 1}))
            assert 200 == (await http.get(f"/api/leads?cursor={place}")).status_code


async def test_one_lead_takes_no_parameters(sessions: Sessions, workspace: int, token: str) -> None:
    """A filter that would have no effect is an error, not a surprise."""
    (ours,) = await keep(sessions, lead(workspace))
    async with reader(sessions, token) as http:
        refused = await http.get(f"/api/leads/{ours.id}?score=4")
    assert (400, "LJ604", "this address takes no parameters") == said(refused)


AWAY = (503, "LJ300", "the database does not answer: try again later")


async def test_a_database_that_is_away_is_a_503_that_says_to_try_again(token: str) -> None:
    """And that tells nothing of where the database is."""
    away = Sessions("postgresql://nobody@/nowhere?host=/tmp/no-such-folder")
    async with reader(away, token) as http:
        answer = await http.get("/api/leads")

    assert AWAY == said(answer)
    assert "60" == answer.headers["retry-after"]


async def test_a_database_that_is_behind_says_to_migrate(sessions: Sessions, token: str, db: Db) -> None:
    """A missing column is no mystery."""
    await db.execute("ALTER TABLE lead DROP COLUMN bounced_at CASCADE")
    async with reader(sessions, token) as http:
        status, code, words = said(await http.get("/api/leads"))
    assert (503, "LJ302", True) == (status, code, words.endswith("run `leadjobs migrate`"))


@pytest.mark.parametrize("times", [(0.1, None), (0, 0.3)], ids=["a statement's", "the door's"])
async def test_an_answer_does_not_wait_for_ever(
    sessions: Sessions, token: str, url: str, monkeypatch: pytest.MonkeyPatch, times: tuple[float, float | None]
) -> None:
    """Somebody else's lock on the table: each of the two times ends it by itself (0 and None are for ever)."""
    monkeypatch.setattr(directory, "STATEMENT_SECONDS", times[0])
    monkeypatch.setattr(door, "PATIENCE", times[1])
    async with asyncio.timeout(20), reader(sessions, token) as http:
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE lead IN ACCESS EXCLUSIVE MODE")
            assert AWAY == said(await http.get("/api/leads"))
        assert 200 == (await http.get("/api/leads")).status_code


def test_a_cursor_says_its_place_and_nothing_else() -> None:
    """There and back, and short enough for an address."""
    place = Place.parse(cursor('{"at": "2026-11-23T12:00:00.123456+01:00", "id": 9223372036854775807}'))
    assert (place, 123456) == (Place.parse(place.cursor), place.at.microsecond)
    assert len(place.cursor) < 100
