"""Kept deliveries again: what nobody owned, or nobody could read, is not lost."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.app import App
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES, SOURCES, Reply
from leadjobs.leads.inbound import Adapter
from leadjobs.leads.replay import Replay, Replayed
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.workspaces import Profile, Source, set_up_workspace
from leadjobs.store.connection import Transactions
from leadjobs.web.delivery import Delivery

Db = AsyncConnection[DictRow]


def delivery(reply: Reply) -> Delivery:
    call = post("https://ops.example.test", 1, reply)
    headers = {name.lower(): value for name, value in call.headers.items()}
    return Delivery(source=reply.source, url=call.url, headers=headers, body=call.body)


async def replayed(app: App, url: str, *, is_dry: bool = False, **options: Any) -> list[Replayed]:
    replay = Replay(Transactions(url, at_once=1), options.pop("adapters", app.adapters))
    return [each async for each in replay.run(most=options.pop("most", 1000), is_dry=is_dry, **options)]


async def own(sessions: Sessions) -> None:
    async with sessions() as session:
        await set_up_workspace(session, "Acme", Profile(), [Source.parse(text) for text in SOURCES])
        await session.commit()


async def counted(db: Db) -> tuple[int, ...]:
    tables = ("inbox_event", "lead", "message", "background_job")
    row = await (
        await db.execute(f"SELECT {', '.join(f'(SELECT count(*) FROM {t}) AS {t}' for t in tables)}")
    ).fetchone()
    assert row is not None
    return tuple(row.values())


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.source)
async def test_a_delivery_that_nobody_owned_is_kept_whole_once_somebody_does(
    app: App, sessions: Sessions, db: Db, url: str, reply: Reply
) -> None:
    """Each source: first nobody's, then a dry run changes nothing, then it is a message with its job; twice is once."""
    answer = await app.inbox.receive(delivery(reply))
    assert (200, "ignored: no workspace has this source") == (answer.status, answer.what)
    assert ["as before"] == [each.is_now for each in await replayed(app, url)]
    await own(sessions)
    before = await counted(db)
    await db.execute("UPDATE inbox_event SET received_at = '2026-11-01T00:00:00Z'")

    assert ["kept"] == [each.is_now for each in await replayed(app, url, is_dry=True)]
    assert before == await counted(db)
    (done,) = await replayed(app, url)
    again, resent = await replayed(app, url), await app.inbox.receive(delivery(reply))

    assert ("ignored: no workspace has this source", "kept", []) == (done.was, done.is_now, again)
    assert "duplicate" == resent.what
    rows = await (await db.execute("SELECT body, sent_at FROM message WHERE direction = 'inbound'")).fetchall()
    assert [reply.text] == [row["body"] for row in rows]
    assert rows[0]["sent_at"] <= datetime(2026, 11, 22, 12, tzinfo=UTC)  # the provider's time, or when it had arrived
    assert (1, 1, 1) == (before[0], *(await counted(db))[:2])


async def test_what_could_not_be_read_is_read_by_a_better_adapter(app: App, workspace: int, db: Db, url: str) -> None:
    """The bytes were kept; the delivery takes its own key, and its re-send is a duplicate."""
    reply = REPLIES[0]
    call = delivery(reply)
    whole = json.loads(call.body)
    odd = replace(call, body=json.dumps({"new_envelope": whole}).encode())
    answer = await app.inbox.receive(odd)
    assert answer.what.startswith("ignored: unreadable: ")

    (done,) = await replayed(app, url, adapters=[_Unwrapping(app)])

    assert (True, "kept") == (done.was.startswith("ignored: unreadable"), done.is_now)
    events = await (await db.execute("SELECT delivery_key, what FROM inbox_event")).fetchall()
    assert ["kept"] == [event["what"] for event in events]
    assert "duplicate" == (await app.inbox.receive(call)).what
    assert [] == await replayed(app, url)


class _Unwrapping:
    """An adapter that has learned a new envelope."""

    source, thanks = "emailbison", None

    def __init__(self, app: App) -> None:
        self._known: Adapter = next(adapter for adapter in app.adapters if adapter.source == "emailbison")

    def verify(self, _: Delivery) -> None: ...

    def read(self, delivery: Delivery) -> Any:
        inner = json.loads(delivery.body)["new_envelope"]
        return self._known.read(replace(delivery, body=json.dumps(inner).encode()))


async def test_two_replays_at_once_share_the_work(app: App, sessions: Sessions, db: Db, url: str) -> None:
    """Each delivery becomes one message, and is told of by whoever came first."""
    for number in range(12):
        await app.inbox.receive(delivery(replace(REPLIES[1], name=f"Ada No{number}", text=f"Number {number}")))
    await own(sessions)

    both = await asyncio.gather(replayed(app, url), replayed(app, url))

    assert ["kept"] * 12 == [each.is_now for one in both for each in one]
    assert (12, 1, 12, 12) == await counted(db)


async def test_what_another_replay_has_made_a_message_since_is_passed_over(
    app: App, sessions: Sessions, url: str
) -> None:
    """It is no duplicate of itself: the replay that comes later says nothing of it."""
    for reply in REPLIES[:3]:
        await app.inbox.receive(delivery(reply))
    await own(sessions)

    slow = Replay(Transactions(url, at_once=1), app.adapters).run(most=1000, is_dry=False)
    first = await anext(slow)
    others = await replayed(app, url)

    assert ["kept"] * 3 == [each.is_now for each in (first, *others)]
    assert [] == [each async for each in slow]


async def test_a_replay_is_bounded_and_goes_by_source(app: App, sessions: Sessions, url: str) -> None:
    """Only so many, only of one source; the rest stays for the next."""
    for reply in REPLIES[:3]:
        await app.inbox.receive(delivery(reply))
    await own(sessions)

    assert ["twilio"] == [each.source for each in await replayed(app, url, source="twilio")]
    assert 1 == len(await replayed(app, url, most=1))
    assert 1 == len(await replayed(app, url))


async def test_a_source_that_is_gone_is_said_to_be(app: App, db: Db, url: str) -> None:
    """Nothing is changed."""
    await app.inbox.receive(delivery(REPLIES[1]))

    assert ["no source has this name any more"] == [each.is_now for each in await replayed(app, url, adapters=[])]
    assert (1, 0, 0, 0) == await counted(db)
