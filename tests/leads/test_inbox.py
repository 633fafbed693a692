"""The inbox: one delivery, one message, one job, whatever goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.engine.locks import until_somebody_waits
from tests.leads.telling import REPLY, Stage

from leadjobs.app import App
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES, Reply
from leadjobs.errors import BadSignatureError, UnknownSourceError
from leadjobs.leads.inbound import Identity, Sent
from leadjobs.leads.inbox import Inbox, Keeping, read
from leadjobs.store.connection import Transactions
from leadjobs.web.delivery import Delivery

Db = AsyncConnection[DictRow]
BASE = "https://ops.example.test"


def delivery(number: int = 1, reply: Reply = REPLIES[0]) -> Delivery:
    """A signed delivery of the demo's making."""
    call = post(BASE, number, reply if number == 1 else replace(reply, name=f"Ada No{number}"))
    headers = {name.lower(): value for name, value in call.headers.items()}
    return Delivery(source=reply.source, url=call.url, headers=headers, body=call.body)


async def counted(db: Db) -> dict[str, int]:
    tables = ("inbox_event", "lead", "message WHERE direction = 'inbound'", "background_job")
    counts = ", ".join(f"(SELECT count(*) FROM {table}) AS {table.partition(' ')[0]}" for table in tables)
    row = await (await db.execute(f"SELECT {counts}")).fetchone()
    assert row is not None
    return {name: int(count) for name, count in row.items()}


ONE_OF_EACH = {"inbox_event": 1, "lead": 1, "message": 1, "background_job": 1}


@pytest.mark.parametrize("reply", [REPLIES[0], REPLIES[1], REPLIES[2]], ids=lambda reply: reply.source)
async def test_a_delivery_becomes_an_event_a_lead_a_message_and_a_job(
    app: App, workspace: int, db: Db, reply: Reply
) -> None:
    """Every source's reply is kept whole, and its job carries ids only, for the workspace that owns the account."""
    answer = await app.inbox.receive(delivery(1, reply))

    assert (200, "kept") == (answer.status, answer.what)
    assert await counted(db) == ONE_OF_EACH
    job = await (await db.execute("SELECT type, tenant, payload FROM background_job")).fetchone()
    message = await (
        await db.execute("SELECT id, lead_id, body, channel FROM message WHERE direction = 'inbound'")
    ).fetchone()
    assert job is not None
    assert message is not None
    assert f"{message['channel'].upper()}_INBOUND_POST_PROCESS" == job["type"]
    assert {"lead_id": message["lead_id"], "message_id": message["id"]} == job["payload"]
    assert (str(workspace), reply.text) == (job["tenant"], message["body"])


@pytest.mark.parametrize("reply", [REPLIES[0], REPLIES[1], REPLIES[2]], ids=lambda reply: reply.source)
async def test_the_same_delivery_three_times_at_once_is_kept_once(
    app: App, workspace: int, db: Db, reply: Reply
) -> None:
    """Racing re-sends agree on one event, one lead, one message and one job; all are answered 200."""
    answers = await asyncio.gather(*(app.inbox.receive(delivery(1, reply)) for _ in range(3)))
    again = await app.inbox.receive(delivery(1, reply))

    assert ["duplicate", "duplicate", "kept"] == sorted(answer.what for answer in answers)
    assert "duplicate" == again.what
    assert await counted(db) == ONE_OF_EACH


async def test_racing_first_replies_of_one_person_make_one_lead(app: App, workspace: int, db: Db) -> None:
    """Find-or-create of a lead is free of races: twenty different first messages at once, one lead."""
    person = REPLIES[0]
    calls = [delivery(1, replace(person, text=f"Message {number}")) for number in range(20)]
    calls = [
        replace(call, body=call.body.replace(b'"id": 4402901', f'"id": {5000 + number}'.encode()))
        for number, call in enumerate(calls)
    ]

    await asyncio.gather(*(app.inbox.receive(call) for call in calls))

    assert {"inbox_event": 20, "lead": 1, "message": 20, "background_job": 20} == await counted(db)


class CrashingTransactions(Transactions):
    """Cuts the connection before the statement with this number, as a dying process would."""

    def __init__(self, url: str, crash_before: int) -> None:
        super().__init__(url, at_once=1)
        self._crash_before, self.statements = crash_before, 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        async with super().begin() as connection:
            real = connection.cursor

            def cursor(*args: Any, **kwargs: Any) -> Any:
                self.statements += 1
                if self.statements == self._crash_before:
                    connection.pgconn.finish()
                return real(*args, **kwargs)

            connection.cursor = cursor  # type: ignore[method-assign]
            yield connection


async def test_a_crash_between_any_two_statements_leaves_nothing_and_a_re_send_heals_it(
    app: App, workspace: int, db: Db, url: str
) -> None:
    """Die before each statement in turn: no half-kept delivery; the provider's re-send is then kept whole."""
    adapters = list(app.inbox._adapters.values())
    healthy = CrashingTransactions(url, crash_before=-1)
    await app.inbox.receive(delivery(98))  # with the mail of ours that all of these answer
    await Inbox(healthy, adapters).receive(delivery(99))
    before, crashes = await counted(db), healthy.statements
    assert crashes >= 6

    for number in range(1, crashes + 1):
        with pytest.raises(psycopg.Error):
            await Inbox(CrashingTransactions(url, number), adapters).receive(delivery(number))
        assert before == await counted(db), f"crash before statement {number}"

        answer = await app.inbox.receive(delivery(number))
        after = await counted(db)
        assert "kept" == answer.what
        assert {name: count + 1 for name, count in before.items()} == after, f"re-send after crash {number}"
        before = after


async def test_two_deliveries_of_one_reply_make_one_message_and_one_job(app: App, workspace: int, db: Db) -> None:
    """LEAD_REPLIED and LEAD_INTERESTED of one reply are two events of one message, and one job."""
    replied = delivery()
    interested = replace(replied, body=replied.body.replace(b"LEAD_REPLIED", b"LEAD_INTERESTED"))

    await app.inbox.receive(replied)
    await app.inbox.receive(interested)

    assert ONE_OF_EACH | {"inbox_event": 2} == await counted(db)


async def test_two_deliveries_of_one_reply_at_once_make_one_message(app: App, workspace: int, db: Db, url: str) -> None:
    """The second waits for the first, that has the lead, and takes its message for its own."""
    replied = delivery()
    await app.inbox.receive(replace(replied, body=replied.body.replace(b'"id": 4402901', b'"id": 1')))
    interested = replace(replied, body=replied.body.replace(b"LEAD_REPLIED", b"LEAD_INTERESTED"))
    (adapter,) = (adapter for adapter in app.adapters if adapter.source == replied.source)

    async with Transactions(url, at_once=1).begin() as first:
        await Keeping(first).keep(replied, read(adapter, replied))
        second = asyncio.create_task(app.inbox.receive(interested))
        await until_somebody_waits(db)

    assert "kept" == (await second).what
    assert {"inbox_event": 3, "lead": 1, "message": 2, "background_job": 2} == await counted(db)


async def test_a_delivery_for_nobody_is_kept_and_taken_up_once_its_workspace_exists(
    app: App, db: Db, sessions: Any
) -> None:
    """An unknown account is answered 200 and kept; after the workspace is set up, the re-send becomes a message."""
    answer = await app.inbox.receive(delivery())
    assert (200, "ignored: no workspace has this source") == (answer.status, answer.what)
    assert {"inbox_event": 1, "lead": 0, "message": 0, "background_job": 0} == await counted(db)

    await db.execute("INSERT INTO workspace (id, name) VALUES (7, 'Late')")
    await db.execute("INSERT INTO workspace_source VALUES ('emailbison', 'https://send.acme-outreach.example/14', 7)")
    assert "kept" == (await app.inbox.receive(delivery())).what
    assert await counted(db) == ONE_OF_EACH


async def test_a_forged_delivery_leaves_no_trace(app: App, workspace: int, db: Db) -> None:
    """Wrong, missing or foreign proof is refused before the database is touched."""
    genuine = delivery()
    for forged in (
        replace(genuine, url=genuine.url.replace("token=", "token=x")),
        replace(genuine, url=genuine.url.partition("?")[0]),
        replace(genuine, source="twilio"),
        replace(genuine, source="postmark"),
    ):
        with pytest.raises(BadSignatureError):
            await app.inbox.receive(forged)
    with pytest.raises(UnknownSourceError):
        await app.inbox.receive(replace(genuine, source="nobody"))
    assert 0 == sum((await counted(db)).values())


async def test_what_cannot_be_read_is_kept_and_answered_200(app: App, workspace: int, db: Db) -> None:
    """A genuine sender's unreadable body is not lost, and not asked for again."""
    answer = await app.inbox.receive(replace(delivery(), body=b'{"event": {}}'))

    assert 200 == answer.status
    row = await (await db.execute("SELECT what, body FROM inbox_event")).fetchone()
    assert row is not None
    assert row["what"].startswith("ignored: unreadable: emailbison: ")
    assert b'{"event": {}}' == row["body"]


BUTTONS = [
    "",
    "This message was automatically generated by Gmail.",
    "Apple Mail sent this email to unsubscribe from “Hi”.",
]


@pytest.mark.parametrize("text", BUTTONS, ids=["no words", "gmail", "apple"])
@pytest.mark.parametrize("source", ["postmark", "sendgrid"])
async def test_a_request_in_the_subject_alone_is_heard(
    app: App, workspace: int, db: Db, source: str, text: str
) -> None:
    """An unsubscribe button sends a subject, and at most a line of the program's own."""
    sent = delivery(1, Reply("Maya Ortiz", source, text))
    answer = await app.inbox.receive(replace(sent, body=sent.body.replace(b"Re: Quick question", b"unsubscribe")))

    assert "kept" == answer.what
    row = await (await db.execute("SELECT opted_out_why FROM lead")).fetchone()
    assert {"opted_out_why": "asked to stop: 'unsubscribe'"} == row


async def test_a_time_in_the_future_is_taken_for_now(app: App, workspace: int, db: Db) -> None:
    """A provider whose clock is ahead cannot put a message after all that follow."""
    ahead = delivery()
    await app.inbox.receive(
        replace(ahead, body=ahead.body.replace(b"2026-11-22T10:00:00.000000Z", b"2099-01-01T00:00:00.000000Z"))
    )

    row = await (
        await db.execute("SELECT sent_at <= now() AS is_past FROM message WHERE direction = 'inbound'")
    ).fetchone()
    assert {"is_past": True} == row


async def test_a_key_that_two_senders_share_is_a_message_of_each(app: App, workspace: int, db: Db, url: str) -> None:
    """A mailer that gives all mails one Message-ID: neither mail is lost, and a request to stop is its sender's own."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    stage = Stage(app, db, url)
    ada = replace(REPLY, text="Unsubscribe", sender="ada@y.example", identities=(Identity.email("ada@y.example"),))

    await stage.tell(delivery_key="maya")
    await stage.tell(ada, delivery_key="ada")
    await stage.tell(ada, delivery_key="ada, told again")

    assert {"inbox_event": 3, "lead": 2, "message": 2, "background_job": 2} == await counted(db)
    leads = await stage.rows(
        "SELECT sender, message.body, opted_out_at IS NOT NULL AS is_stopped, event.delivery_key FROM message"
        " JOIN lead ON lead.id = lead_id JOIN inbox_event AS event ON event.message_id = message.id ORDER BY event.id"
    )
    assert [
        ("maya@x.example", "What does it cost?", False, "maya"),
        ("ada@y.example", "Unsubscribe", True, "ada"),
        ("ada@y.example", "Unsubscribe", True, "ada, told again"),
    ] == [tuple(row.values()) for row in leads]


async def test_a_mail_of_ours_that_two_replies_carry_is_in_both_conversations(
    app: App, workspace: int, db: Db, url: str
) -> None:
    """Where a provider gives one key to what it sent to many."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    stage, ours = Stage(app, db, url), Sent(message_key="campaign", text="Do you need chairs?")
    await stage.say(1, answers=ours)
    await stage.say(2, answers=ours, sender="ada@y.example", identities=(Identity.email("ada@y.example"),))

    said = await stage.rows("SELECT direction FROM message ORDER BY lead_id, sent_at")
    assert ["outbound", "inbound"] * 2 == [row["direction"] for row in said]
