"""Clay's answer in the database: one statement that fills blanks, notes facts, and says whose it was."""

import asyncio
from dataclasses import asdict
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.leads.fact import Fact, FactKind
from leadjobs.leads.inbound import Found, FoundStatus, Person
from leadjobs.store.connection import Transactions, fetch_async
from leadjobs.store.statements import statement

Db = AsyncConnection[DictRow]
PHONE = Fact(FactKind.PHONE, "+14155552671")
PERSON = Person(company="BrightSmile", industry="Dentists", headcount="42", job_title="Owner")


def found(
    status: FoundStatus = FoundStatus.FOUND, *, person: Person = PERSON, facts: tuple[Fact, ...] = (PHONE,)
) -> Found:
    return Found(source="clay", delivery_key="key", request_id="request", status=status, person=person, facts=facts)


async def keep(connection: AsyncConnection[Any], meaning: Found, key: str = "1") -> dict[str, Any]:
    """What the inbox does with an answer, after its delivery is kept."""
    (event,) = await fetch_async(
        connection,
        statement("keep_event", "leadjobs.leads"),
        {
            "source": meaning.source,
            "tenant_keys": list(meaning.tenant_keys),
            "delivery_key": key,
            "is_message": False,
            "what": "kept",
            "url": "",
            "content_type": None,
            "body": b"",
        },
    )
    person = asdict(meaning.person)
    (kept,) = await fetch_async(
        connection,
        statement("keep_found", "leadjobs.leads"),
        {
            "event_id": event["id"],
            "request_id": meaning.request_id,
            "status": meaning.status.value,
            "origin": meaning.source,
            "kinds": [fact.kind.value for fact in meaning.facts],
            "facts": [fact.value for fact in meaning.facts],
            **{name: person[name] for name in ("job_title", "company", "industry", "headcount")},
        },
    )
    return dict(kept)


async def one(db: Db, query: str) -> DictRow:
    row = await (await db.execute(query)).fetchone()
    assert row is not None
    return row


@pytest.fixture
async def asked(db: Db, workspace: int) -> DictRow:
    """A lead with a company whose message made us ask; its ids."""
    await db.execute("INSERT INTO lead (id, workspace_id, company) VALUES (7, %s, 'Known before')", (workspace,))
    await db.execute(
        "INSERT INTO message (id, workspace_id, lead_id, channel, direction, source, message_key, body, sender,"
        " recipient, sent_at) VALUES (9, %s, 7, 'sms', 'inbound', 'test', 'key', 'Hi', '', '', now())",
        (workspace,),
    )
    await db.execute(
        "INSERT INTO enrichment (request_id, lead_id, message_id, kind, status, error)"
        " VALUES ('request', 7, 9, 'contact', 'sent', 'earlier trouble')"
    )
    return {"what": "kept", "workspace_id": workspace, "lead_id": 7, "message_id": 9}


LEAD = "SELECT company, industry, headcount, job_title FROM lead WHERE id = 7"
QUESTION = "SELECT status, error, answered_at IS NOT NULL AS is_answered FROM enrichment"


async def test_an_answer_fills_blanks_and_notes_facts(db: Db, asked: DictRow) -> None:
    """What is known stays; whose it was comes back, and stands with the delivery."""
    assert {**asked, "is_filled": True} == await keep(db, found())

    assert {"company": "Known before", "industry": "Dentists", "headcount": "42", "job_title": "Owner"} == await one(
        db, LEAD
    )
    assert {"kind": "phone", "value": "+14155552671", "origin": "clay", "message_id": 9, "lead_id": 7} == await one(
        db, "SELECT kind, value, origin, message_id, lead_id FROM lead_fact"
    )
    assert {"status": "found", "error": None, "is_answered": True} == await one(db, QUESTION)
    assert {"workspace_id": asked["workspace_id"], "what": "kept"} == await one(
        db, "SELECT workspace_id, what FROM inbox_event"
    )
    assert {"n": 0} == await one(db, "SELECT count(*) AS n FROM lead_identity")


@pytest.mark.parametrize("person", [Person(), Person(company="Other")])
async def test_nothing_new_for_the_model_is_said(db: Db, asked: DictRow, person: Person) -> None:
    """A number alone, or what is known already, changes no score: is_filled says so, and the fact is noted."""
    assert {**asked, "is_filled": False} == await keep(db, found(person=person))
    assert {"n": 1} == await one(db, "SELECT count(*) AS n FROM lead_fact")


async def test_a_second_answer_is_harmless(db: Db, asked: DictRow) -> None:
    """Nothing is filled, noted or dated twice, and what was found is not taken back."""
    await keep(db, found())
    before = [await one(db, LEAD), await one(db, "SELECT * FROM enrichment"), await one(db, "SELECT * FROM lead_fact")]

    answers = [
        await keep(db, found(), "2"),
        await keep(db, found(FoundStatus.NOT_FOUND, person=Person(), facts=()), "3"),
        await keep(db, found(FoundStatus.FAILED, person=Person(), facts=()), "4"),
    ]

    assert [{**asked, "is_filled": False}] * 3 == answers
    assert before == [
        await one(db, LEAD),
        await one(db, "SELECT * FROM enrichment"),
        await one(db, "SELECT * FROM lead_fact"),
    ]


async def test_a_later_success_counts(db: Db, asked: DictRow) -> None:
    """A row that is run again may find what it had not found."""
    await keep(db, found(FoundStatus.FAILED, person=Person(), facts=()))
    assert {"status": "failed", "error": "it says that it failed", "is_answered": True} == await one(db, QUESTION)
    await keep(db, found(FoundStatus.NOT_FOUND, person=Person(), facts=()), "2")
    assert {"status": "not_found", "error": None, "is_answered": True} == await one(db, QUESTION)
    assert {**asked, "is_filled": True} == await keep(db, found(), "3")
    assert {"status": "found", "error": None, "is_answered": True} == await one(db, QUESTION)


async def test_an_answer_that_nobody_asked_for_changes_nothing(db: Db, asked: DictRow) -> None:
    """An unknown request id: the delivery is kept with its reason, everything else is as before."""
    await db.execute("UPDATE enrichment SET request_id = 'another'")
    before = [await one(db, LEAD), await one(db, "SELECT * FROM enrichment")]

    what = "ignored: nobody asked under this request id"
    nobody = {"what": what, "workspace_id": None, "lead_id": None, "message_id": None, "is_filled": False}
    assert nobody == await keep(db, found())

    assert before == [await one(db, LEAD), await one(db, "SELECT * FROM enrichment")]
    assert {"n": 0} == await one(db, "SELECT count(*) AS n FROM lead_fact")
    assert {"workspace_id": None, "what": what} == await one(db, "SELECT workspace_id, what FROM inbox_event")


async def test_an_answer_about_a_deleted_message_has_nothing_to_score(db: Db, asked: DictRow) -> None:
    """The message is gone, the lead is not: what was found is kept."""
    await db.execute("DELETE FROM message")
    assert {**asked, "message_id": None, "is_filled": True} == await keep(db, found())


async def test_what_somebody_else_is_just_writing_stays(url: str, db: Db, asked: DictRow) -> None:
    """An answer that arrives while a job has the lead waits for it, and fills what is blank then: no deadlock, though
    both note the same fact."""
    transactions = Transactions(url, at_once=2)

    async def answer() -> dict[str, Any]:
        async with transactions.begin() as connection:
            return await keep(connection, found())

    async with transactions.begin() as job:
        await job.execute("SELECT FROM lead WHERE id = 7 FOR NO KEY UPDATE")
        answering = asyncio.create_task(answer())
        async with asyncio.timeout(10):
            while not (await one(db, "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"))["n"]:
                pass
        await job.execute("UPDATE lead SET industry = 'Dental care' WHERE id = 7")
        await job.execute(
            "INSERT INTO lead_fact (lead_id, kind, value, origin) VALUES (7, 'phone', '+14155552671', 'own_words')"
        )

    assert {**asked, "is_filled": True} == await answering
    assert {"company": "Known before", "industry": "Dental care", "headcount": "42", "job_title": "Owner"} == await one(
        db, LEAD
    )
    assert {"origin": "own_words"} == await one(db, "SELECT origin FROM lead_fact")


async def test_the_same_answer_twice_at_once_counts_once(url: str, db: Db, asked: DictRow) -> None:
    """Two rows for one question may answer at the same moment."""
    transactions = Transactions(url, at_once=8)

    async def answer(number: int) -> dict[str, Any]:
        async with transactions.begin() as connection:
            return await keep(connection, found(), str(number))

    answers = await asyncio.gather(*(answer(number) for number in range(8)))
    assert 1 == sum(kept["is_filled"] for kept in answers)
    assert {"n": 1} == await one(db, "SELECT count(*) AS n FROM lead_fact")
