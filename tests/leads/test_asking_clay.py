"""Asking Clay: once, counted, written down before it is sent, and never at the price of a secret."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.errors import ProviderUnavailableError, SettingsError
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.jobs import LeadMessage
from leadjobs.leads.post_process.clay import Clay, Contacts, is_wanted
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Lead
from leadjobs.testing.clay import ClayStandIn, Refusal, Silence
from leadjobs.testing.serve import serve

Db = AsyncConnection[DictRow]
TOKEN = "clay-token"


@dataclass(frozen=True)
class Stage:
    """A table at Clay, a workspace, and what is looked at."""

    table: ClayStandIn
    url: str
    sessions: Sessions
    workspace: int
    db: Db

    def clay(self, **changed: Any) -> Clay:
        return Clay(**{"url": self.url, "token": TOKEN} | changed)

    async def ask(self, what: LeadMessage, **changed: Any) -> str:
        return await self.clay(**changed).enrich(self.sessions, what)

    async def one(self, query: str, *params: Any) -> DictRow:
        row = await (await self.db.execute(query, params)).fetchone()
        assert row is not None
        return row

    async def message_of(self, lead_id: int, key: str) -> LeadMessage:
        """One more message of the lead."""
        row = await self.one(
            "INSERT INTO message (workspace_id, lead_id, channel, direction, source, message_key, body, sender,"
            " recipient, sent_at) SELECT workspace_id, id, 'email', 'inbound', 'test', %s, 'Hi', '', '', now()"
            " FROM lead WHERE id = %s RETURNING id",
            key,
            lead_id,
        )
        return LeadMessage(LeadId(lead_id), MessageId(row["id"]))

    async def reply(self, name: str = "maya") -> LeadMessage:
        """A message of a new lead, known by its e-mail address."""
        add = "INSERT INTO lead (workspace_id, first_name, company) VALUES (%s, 'Maya', 'BrightSmile') RETURNING id"
        lead_id = (await self.one(add, self.workspace))["id"]
        names = "INSERT INTO lead_identity VALUES (%s, 'email', %s, %s)"
        await self.db.execute(names, (self.workspace, f"{name}@brightsmile.example", lead_id))
        return await self.message_of(lead_id, name)

    async def question(self) -> tuple[str, str | None]:
        """How the only question stands, and why."""
        row = await self.one("SELECT status, error FROM enrichment")
        return row["status"], row["error"]

    async def submitted(self) -> int:
        return int((await self.one("SELECT coalesce(sum(submitted), 0) AS n FROM clay_table"))["n"])


@pytest.fixture
def table_url(table: ClayStandIn) -> Iterator[str]:
    with serve(table) as url:
        yield f"{url}/v3/sources/webhook/secret-address"


@pytest.fixture
def table() -> ClayStandIn:
    return ClayStandIn(token=TOKEN)


@pytest.fixture
def stage(table: ClayStandIn, table_url: str, sessions: Sessions, workspace: int, db: Db) -> Stage:
    return Stage(table, table_url, sessions, workspace, db)


async def test_a_lead_becomes_one_row_and_one_question(stage: Stage) -> None:
    """The table gets what it can look the person up by, and the ids that its answer must bring back."""
    what = await stage.reply()
    await stage.db.execute(
        "INSERT INTO lead_fact (lead_id, kind, value, origin) VALUES (%s, 'linkedin_profile', %s, 'own_words')",
        (what.lead_id, "linkedin.com/in/maya"),
    )

    assert "Clay was asked" == await stage.ask(what)

    question = await stage.one("SELECT request_id, lead_id, message_id, kind, status FROM enrichment")
    row = {
        "requestId": question["request_id"],
        "leadId": what.lead_id,
        "enrichmentType": "contact",
        "firstName": "Maya",
        "lastName": None,
        "email": "maya@brightsmile.example",
        "company": "BrightSmile",
        "jobTitle": None,
        "linkedinUrl": "https://www.linkedin.com/in/maya",
    }
    assert [row] == stage.table.rows
    assert [what.lead_id, what.message_id, "contact", "sent"] == list(question.values())[1:]
    assert 1 == await stage.submitted()


async def test_a_row_has_a_size(stage: Stage) -> None:
    """Clay takes 100 kB: what a stranger named their company is cut."""
    what = await stage.reply()
    await stage.db.execute("UPDATE lead SET company = repeat('x', 1000000)")
    await stage.ask(what)
    assert 500 == len(stage.table.rows[0]["company"])


async def test_a_lead_is_asked_about_once(stage: Stage) -> None:
    """Its next message asks nothing, whatever the first question brought."""
    what = await stage.reply()
    await stage.ask(what)
    again = await stage.message_of(what.lead_id, "again")

    for status in ("sent", "found", "not_found", "failed"):
        await stage.db.execute("UPDATE enrichment SET status = %s, asked_at = now() - interval '1 hour'", (status,))
        assert "Clay was asked before" == await stage.ask(again)
    assert (1, 1) == (len(stage.table.rows), await stage.submitted())


async def test_two_jobs_at_once_ask_once(stage: Stage) -> None:
    """Two messages of one lead on two connections: one question, one row, and the other is told."""
    first = await stage.reply()
    second = await stage.message_of(first.lead_id, "second")

    notes = await asyncio.gather(stage.ask(first), stage.ask(second))

    assert ["Clay was asked", "Clay was asked before"] == sorted(notes)
    assert (1, 1) == (len(stage.table.rows), await stage.submitted())


async def test_the_cap_holds_against_many_at_once(stage: Stage, url: str) -> None:
    """A cap of three, ten leads on ten connections: three rows, and seven leads that can be asked about another day."""
    clay, sessions = stage.clay(max_rows=3), Sessions(url, connections=10)
    replies = [await stage.reply(f"lead{number}") for number in range(10)]

    notes = await asyncio.gather(*(clay.enrich(sessions, what) for what in replies))
    await sessions.close()

    assert ["Clay was asked"] * 3 + ["Clay's row cap is reached"] * 7 == sorted(notes)
    assert (3, 3) == (len(stage.table.rows), await stage.submitted())
    assert 3 == (await stage.one("SELECT count(*) AS n FROM enrichment"))["n"]


async def test_a_cap_of_zero_sends_nothing(stage: Stage) -> None:
    """Zero is none, not one."""
    assert "Clay's row cap is reached" == await stage.ask(await stage.reply(), max_rows=0)
    assert ([], 0) == (stage.table.rows, await stage.submitted())


async def test_another_address_is_another_count(stage: Stage) -> None:
    """A new webhook source has all its rows, and no address is in the database."""
    await stage.ask(await stage.reply("a"), max_rows=1)
    assert "Clay was asked" == await stage.ask(await stage.reply("b"), max_rows=1, url=f"{stage.url}-2")

    rows = await (await stage.db.execute("SELECT url_hash, submitted FROM clay_table")).fetchall()
    assert [1, 1] == [row["submitted"] for row in rows]
    assert not any("secret" in row["url_hash"] or "http" in row["url_hash"] for row in rows)


async def test_a_full_table_is_told_of_early_and_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """At nine rows of ten, an error for a person; past ten, another one; not one for every lead."""
    clay, told = stage.clay(max_rows=10), []
    for number in range(13):
        await clay.enrich(stage.sessions, await stage.reply(f"lead{number}"))
        told.append([record.getMessage().split()[0] for record in caplog.records if record.levelname == "ERROR"])

    assert [] == told[7]
    assert ["clay.nearly_full"] == told[8] == told[9]
    assert ["clay.nearly_full", "clay.full"] == told[10] == told[12]


async def test_a_crash_after_the_reservation_is_made_up_for(stage: Stage) -> None:
    """The process dies before it sends: nobody else may send while it could be at it; then one of two does, counted
    again, under the same request id."""
    what = await stage.reply()
    async with stage.sessions() as session:
        assert not isinstance(await stage.clay()._reserve(session, what), str)
        await session.commit()
    request_id = (await stage.one("SELECT request_id FROM enrichment"))["request_id"]

    assert "Clay was asked before" == await stage.ask(what)
    await stage.db.execute("UPDATE enrichment SET asked_at = now() - interval '20 seconds'")
    notes = await asyncio.gather(stage.ask(what), stage.ask(what))

    assert ["Clay was asked", "Clay was asked before"] == sorted(notes)
    assert [request_id] == [row["requestId"] for row in stage.table.rows]
    assert (("sent", None), 2) == (await stage.question(), await stage.submitted())


async def test_an_old_question_without_an_end_is_left_alone(stage: Stage) -> None:
    """What may have been sent two days ago is not sent again."""
    what = await stage.reply()
    stage.table.then(Refusal(status=503))
    with pytest.raises(ProviderUnavailableError):
        await stage.ask(what)
    await stage.db.execute("UPDATE enrichment SET asked_at = now() - interval '2 days'")

    assert "Clay was asked before" == await stage.ask(what)
    assert [] == stage.table.rows


async def test_a_cap_that_is_reached_between_two_tries_holds(stage: Stage) -> None:
    """A question that is sent once more needs room for another row, and else stays as it was."""
    what = await stage.reply()
    stage.table.then(Refusal(status=503))
    with pytest.raises(ProviderUnavailableError):
        await stage.ask(what, max_rows=1)
    before = await stage.one("SELECT * FROM enrichment")

    assert "Clay's row cap is reached" == await stage.ask(what, max_rows=1)
    assert (before, [], 1) == (
        await stage.one("SELECT * FROM enrichment"),
        stage.table.rows,
        await stage.submitted(),
    )


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "30", 30.0),
        (503, None, None),
        (500, "inf", None),
        (502, "-1", None),
        (503, "soon", None),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (408, None, None),
        (425, None, None),
    ],
)
async def test_clay_unavailable_is_asked_again(
    stage: Stage, status: int, retry_after: str | None, seconds: float | None
) -> None:
    """Busy or down: the question stays open with its reason, and the next message asks at once, once."""
    what, reason = await stage.reply(), f"Clay is not available: HTTP {status}"
    stage.table.then(Refusal(status=status, headers={"retry-after": retry_after} if retry_after else {}))
    with pytest.raises(ProviderUnavailableError, match=f"^{reason}$") as busy:
        await stage.ask(what)
    assert (seconds, ("asked", reason)) == (busy.value.retry_after, await stage.question())

    later = await stage.message_of(what.lead_id, "later")
    notes = await asyncio.gather(stage.ask(later), stage.ask(later))
    assert ["Clay was asked", "Clay was asked before"] == sorted(notes)
    assert ("sent", None) == await stage.question()
    assert later.message_id == (await stage.one("SELECT message_id FROM enrichment"))["message_id"]
    assert (1, 2) == (len(stage.table.rows), await stage.submitted())


@pytest.mark.parametrize("status", [301, 400, 403, 404, 413, 422])
async def test_a_refusal_is_final_and_seen(stage: Stage, caplog: pytest.LogCaptureFixture, status: int) -> None:
    """What Clay refuses it would refuse again: a note for the job, the reason in the row, an error in the log."""
    stage.table.then(Refusal(status=status))
    what, reason = await stage.reply(), f"Clay refused the row: HTTP {status}"

    assert reason == await stage.ask(what)
    assert ("failed", reason) == await stage.question()
    assert ["clay.refused"] == [record.getMessage().split()[0] for record in caplog.records]
    assert "Clay was asked before" == await stage.ask(what)


async def test_a_silent_clay_is_not_waited_for(stage: Stage) -> None:
    """The call ends in time; the row may have been taken, so the question stays open."""
    stage.table.then(Silence())
    async with asyncio.timeout(4):
        with pytest.raises(ProviderUnavailableError, match=r"^Clay did not answer within 0\.3 s$"):
            await stage.ask(await stage.reply(), timeout=0.3)
    assert ("asked", "Clay did not answer within 0.3 s") == await stage.question()


async def test_no_connection_is_held_while_clay_thinks(stage: Stage, url: str) -> None:
    """With one connection for all, the others go on while a row is on its way; a job that is cut off leaves its
    question open."""
    sessions, what = Sessions(url, connections=1), await stage.reply()
    stage.table.then(Silence())
    asking = asyncio.create_task(stage.clay().enrich(sessions, what))
    assert await asyncio.to_thread(stage.table.has_taken.wait, 4)
    async with asyncio.timeout(4), sessions() as session:
        assert await session.get(Lead, what.lead_id) is not None
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await sessions.close()

    assert ("asked", None) == await stage.question()


async def test_an_answer_that_is_faster_than_our_note_stands(stage: Stage) -> None:
    """Clay's answer may arrive before we wrote down that the row was sent."""
    stage.table.then(Silence())
    asking = asyncio.create_task(stage.ask(await stage.reply(), timeout=1.0))
    assert await asyncio.to_thread(stage.table.has_taken.wait, 4)
    await stage.db.execute("UPDATE enrichment SET status = 'found'")
    await asyncio.gather(asking, return_exceptions=True)

    assert ("found", None) == await stage.question()


@pytest.mark.parametrize("wrong", ["address", "token", "host"])
async def test_no_secret_is_told(stage: Stage, caplog: pytest.LogCaptureFixture, wrong: str) -> None:
    """Whatever goes wrong or well, neither the address nor the token is in a log line, an error, a row or a repr."""
    changed = {
        "address": {"url": f"{stage.url}/x"},
        "token": {"token": "other-secret"},
        "host": {"url": "http://127.0.0.1:1/secret"},
    }
    clay, told = stage.clay(**changed[wrong]), ""
    with caplog.at_level(logging.DEBUG):
        try:
            await clay.enrich(stage.sessions, await stage.reply())
        except ProviderUnavailableError as error:
            told = f"{error!r} {error.__cause__!r} {error.__context__!r}"
        await stage.ask(await stage.reply("well"))

    rows = [await stage.one("SELECT string_agg(e::text, ' ') AS t FROM enrichment e")]
    everything = f"{told} {caplog.text} {rows} {clay!r} {vars(clay).keys()}"
    assert "Clay" in str(rows)
    assert [word for word in ("secret", TOKEN, "webhook/") if word in everything] == []


@pytest.mark.parametrize(
    "url", ["", "clay.example/x", "ftp://clay.example/x", "https://", "https://a b/", "https://[x", "https://é.example"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """At once, and without repeating it."""
    with pytest.raises(SettingsError, match=r"^LEADJOBS_CLAY_URL is no address: ") as refused:
        Clay(url=url)
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize("token", ["é", "a b", "a\nb"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """A stray newline at its end is fine; anything within is a mistake."""
    with pytest.raises(SettingsError, match=r"^LEADJOBS_CLAY_TOKEN cannot be sent: "):
        Clay(url="https://clay.example/x", token=token)
    assert Clay(url="https://clay.example/x\n", token="fine\n") is not None


async def test_a_table_without_a_token_gets_none(stage: Stage) -> None:
    """An empty token is no header: Clay's own is optional."""
    stage.table.token = None
    assert "Clay was asked" == await stage.ask(await stage.reply(), token=" ")


FINDABLE = Contacts(emails=("maya@x.example",))


@pytest.mark.parametrize(
    ("lead", "contacts", "expected"),
    [
        (Lead(), FINDABLE, True),
        (Lead(), Contacts(profiles=("linkedin.com/in/maya",)), True),
        (Lead(last_name="Ortiz", company="BrightSmile"), Contacts(), True),
        (Lead(first_name="Maya", company="BrightSmile"), Contacts(), False),
        (Lead(), Contacts(), False),
        (Lead(), Contacts(emails=("a@x.example",), phones=("+14155552671",)), False),
        (Lead(opted_out_why="said so", opted_out_at="2026-01-01"), FINDABLE, False),
        (Lead(sentiment_tag="Blacklist"), FINDABLE, False),
        (Lead(sentiment_tag="interested"), FINDABLE, True),
    ],
)
def test_who_is_worth_a_row(lead: Lead, contacts: Contacts, *, expected: bool) -> None:
    """A lead to pursue, without a telephone number, that can be looked up."""
    assert expected is is_wanted(lead, contacts)


@pytest.mark.parametrize("known", ["lead_identity", "lead_fact"])
async def test_a_known_number_is_not_asked_for(stage: Stage, known: str) -> None:
    """Neither where it is a name of theirs nor where they wrote it; and nothing is written down or counted."""
    what = await stage.reply()
    columns = "lead_id, kind, value, " + ("workspace_id" if known == "lead_identity" else "origin")
    await stage.db.execute(
        f"INSERT INTO {known} ({columns}) VALUES (%s, 'phone', '+14155552671', %s)",
        (what.lead_id, stage.workspace if known == "lead_identity" else "own_words"),
    )
    assert "Clay is not needed" == await stage.ask(what)
    assert "the lead was deleted" == await stage.ask(LeadMessage(LeadId(4711), what.message_id))
    assert ([], 0) == (stage.table.rows, await stage.submitted())
    assert 0 == (await stage.one("SELECT count(*) AS n FROM enrichment"))["n"]
