"""Clay's answer at the inbox: kept once, for the lead that was asked about, and scored again where it tells more."""

import json
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.app import App
from leadjobs.settings import Settings
from leadjobs.web.delivery import Answer, Delivery

Db = AsyncConnection[DictRow]
CALLBACK = json.loads((Path(__file__).parents[1] / "samples/webhooks/clay_enrichment_callback.json").read_bytes())
TOKEN = "test-clay-token"


@pytest.fixture
def app(settings: Settings) -> App:
    own = Settings(**settings.model_dump() | {"clay_secret": TOKEN})
    return App(lambda: own)


@pytest.fixture
async def asked(db: Db, workspace: int) -> None:
    """A lead with a message, about which Clay was asked."""
    await db.execute("INSERT INTO lead (id, workspace_id) VALUES (7, %s)", [workspace])
    await db.execute(
        "INSERT INTO message (id, workspace_id, lead_id, channel, direction, source, message_key, body, sender,"
        " recipient, sent_at) VALUES (8, %s, 7, 'sms', 'inbound', 'twilio', 'k', 'Hi', 'a', 'b', now())",
        [workspace],
    )
    await db.execute(
        "INSERT INTO enrichment (request_id, lead_id, message_id, kind, status) VALUES (%s, 7, 8, 'contact', 'sent')",
        [CALLBACK["requestId"]],
    )


async def tell(app: App, **changes: Any) -> Answer:
    body = json.dumps(CALLBACK | changes).encode()
    return await app.inbox.receive(
        Delivery(source="clay", url="https://x.example", headers={"x-leadjobs-token": TOKEN}, body=body)
    )


async def jobs(db: Db) -> list[str]:
    rows = await (await db.execute("SELECT dedupe_key FROM background_job ORDER BY id")).fetchall()
    return [row["dedupe_key"] for row in rows]


async def test_what_fills_a_blank_scores_the_lead_again(app: App, asked: None, db: Db) -> None:
    """The company was not known: one scoring job, however often Clay says it."""
    answers = [await tell(app, company="BrightSmile Dental") for _ in range(2)]

    assert ["kept", "duplicate"] == [answer.what for answer in answers]
    assert ["lead_scoring:7:8:enriched:1"] == await jobs(db)


async def test_a_richer_answer_scores_the_lead_again(app: App, asked: None, db: Db) -> None:
    """A row that was run again knows more than at first: what it fills now is for the scorer too."""
    for known in ({"company": "BrightSmile Dental"}, {"company": "BrightSmile Dental", "headcount": "42"}):
        assert "kept" == (await tell(app, **known)).what

    assert ["lead_scoring:7:8:enriched:1", "lead_scoring:7:8:enriched:2"] == await jobs(db)


async def test_a_number_alone_is_kept_and_scores_nothing(app: App, asked: None, db: Db) -> None:
    """The scorer is not told of numbers, so there is nothing to pay for."""
    assert "kept" == (await tell(app)).what

    row = await (await db.execute("SELECT kind, value, origin FROM lead_fact")).fetchone()
    assert {"kind": "phone", "value": "+447700900123", "origin": "clay"} == row
    assert [] == await jobs(db)


async def test_an_answer_to_nobody_s_question_is_ignored(app: App, workspace: int, db: Db) -> None:
    """It is kept with its reason, and answered 200."""
    answer = await tell(app)

    assert (200, "ignored: nobody asked under this request id", []) == (answer.status, answer.what, await jobs(db))
