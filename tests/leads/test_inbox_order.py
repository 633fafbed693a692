"""One order of locks for whoever keeps what a lead said: the lead first, then its messages."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from tests.engine.locks import PATIENCE, until_somebody_waits, waiting
from tests.leads.telling import NOON, REPLY, Db, Stage

from leadjobs.app import App
from leadjobs.leads.conversations import Conversations
from leadjobs.leads.inbound import Identity, Inbound, LeadId, Person, WorkspaceId
from leadjobs.leads.inbox import Keeping
from leadjobs.web.delivery import Delivery

STATEMENTS = 10  # more than a delivery takes
SECOND = replace(REPLY, message_key="2", delivery_key="2", text="Still there?", sent_at=NOON + timedelta(seconds=1))


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    stage = Stage(app, db, url)
    await stage.say(1)
    return stage


@pytest.fixture
async def other(url: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    async with await AsyncConnection.connect(url, row_factory=dict_row) as connection:
        yield connection


async def keep(connection: Any, told: Inbound) -> str:
    """A delivery as the door keeps it, in a transaction of its own."""
    async with connection.transaction():
        return await Keeping(connection).keep(Delivery(source="told", url="", headers={}, body=b""), told)


class Halt:
    """Where a connection stands still: before the statement with this number, until it may go on."""

    def __init__(self, number: int) -> None:
        self.left, self.is_there, self.may_go_on = number, asyncio.Event(), asyncio.Event()

    def of(self, connection: AsyncConnection[DictRow]) -> None:
        halt = self

        class HaltingCursor(AsyncCursor[Any]):
            async def execute(self, *args: Any, **kwargs: Any) -> Any:
                halt.left -= 1
                if halt.left == 0:
                    halt.is_there.set()
                    await halt.may_go_on.wait()
                return await super().execute(*args, **kwargs)

        connection.cursor_factory = HaltingCursor


async def until_waits_or_ends(db: Db, task: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not task.done() and not await waiting(db):
            pass


@pytest.mark.parametrize("number", range(1, STATEMENTS))
async def test_two_deliveries_of_one_reply_at_once_wait_for_each_other_one_way(
    stage: Stage, db: Db, url: str, other: AsyncConnection[DictRow], number: int
) -> None:
    """Before whichever statement the first stands still, and though the second fills a blank of the lead."""
    halt = Halt(number)
    async with await AsyncConnection.connect(url, row_factory=dict_row) as first:
        halt.of(first)
        one, there = asyncio.create_task(keep(first, SECOND)), asyncio.create_task(halt.is_there.wait())
        await asyncio.wait((one, there), return_when=asyncio.FIRST_COMPLETED)
        there.cancel()
        two = asyncio.create_task(keep(other, replace(SECOND, delivery_key="b", person=Person(company="Acme"))))
        await until_waits_or_ends(db, two)
        halt.may_go_on.set()
        assert ("kept", "kept") == (await one, await two)

    assert "Acme" == (await stage.lead())["company"]
    assert 2 == len(await stage.rows("SELECT id FROM message"))


async def test_a_delivery_waits_for_who_has_the_lead_and_takes_its_message(
    stage: Stage, db: Db, url: str, workspace: int, other: AsyncConnection[DictRow]
) -> None:
    """A history that brings the same reply is kept by a run that holds the lead."""
    lead_id = LeadId((await stage.lead())["id"])
    async with await AsyncConnection.connect(url, row_factory=dict_row) as runs, runs.transaction():
        await runs.execute("SELECT FROM lead WHERE id = %s FOR NO KEY UPDATE", [lead_id])
        door = asyncio.create_task(keep(other, SECOND))
        await until_somebody_waits(db)
        await Conversations(runs, WorkspaceId(workspace)).keep_of(lead_id, SECOND)

    assert "kept" == await door
    assert 2 == len(await stage.rows("SELECT id FROM message"))


async def test_deliveries_of_two_leads_do_not_wait_for_each_other(
    stage: Stage, url: str, other: AsyncConnection[DictRow]
) -> None:
    """Each has its own."""
    ada = replace(SECOND, message_key="a", delivery_key="a", identities=(Identity.email("ada@y.example"),))
    await stage.tell(ada)
    async with await AsyncConnection.connect(url, row_factory=dict_row) as first, first.transaction():
        await keep(first, SECOND)
        async with asyncio.timeout(PATIENCE):
            assert "kept" == await keep(other, replace(ada, message_key="b", delivery_key="b"))
