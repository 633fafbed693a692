"""A workspace with one source that tells what a test wants told."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.app import App
from leadjobs.leads.inbound import Channel, Identity, Inbound, Outbound
from leadjobs.leads.inbox import Inbox
from leadjobs.store.connection import Transactions
from leadjobs.web.delivery import Answer, Delivery

Db = AsyncConnection[DictRow]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REPLY = Inbound(
    source="told",
    tenant_keys=("acme",),
    delivery_key="1",
    message_key="1",
    channel=Channel.EMAIL,
    identities=(Identity.email("maya@x.example"),),
    text="What does it cost?",
    sender="maya@x.example",
    recipient="us@x.example",
    sent_at=NOON,
)


class Telling:
    """An adapter that tells what a test wants told."""

    source, thanks = "told", None
    meaning: Any = REPLY

    def verify(self, _: Delivery) -> None: ...

    def read(self, _: Delivery) -> Any:
        return self.meaning


class Stage:
    """A workspace with one source, and deliveries to it."""

    def __init__(self, app: App, db: Db, url: str) -> None:
        self.app, self.db, self._telling = app, db, Telling()
        self._inbox = Inbox(Transactions(url, at_once=2), [self._telling])

    async def tell(self, meaning: Inbound | Outbound = REPLY, **changes: Any) -> Answer:
        """Bring one message; a key of its own unless one is given."""
        self._telling.meaning = replace(meaning, **changes)
        return await self._inbox.receive(Delivery(source="told", url="", headers={}, body=b""))

    async def say(self, number: int, **changes: Any) -> Answer:
        return await self.tell(delivery_key=str(number), message_key=str(number), **changes)

    async def run(self) -> Any:
        return await self.app.runner.run()

    async def lead(self) -> DictRow:
        (row,) = await self.rows("SELECT * FROM lead")
        return row

    async def rows(self, query: str) -> list[DictRow]:
        return await (await self.db.execute(query)).fetchall()

    async def steps(self, key: str = "1") -> dict[str, str]:
        """What each step of a message's job found."""
        rows = await self.rows(
            "SELECT name, result FROM job_step JOIN background_job AS job ON job.id = job_id JOIN message ON"
            f" job.dedupe_key = 'message:' || message.id WHERE message_key = '{key}' ORDER BY job_step.finished_at"
        )
        return {row["name"]: row["result"] for row in rows}


def ours(text: str, **changes: Any) -> Outbound:
    """A message of ours to the same lead."""
    fields = {name: getattr(REPLY, name) for name in Outbound.__dataclass_fields__}
    return Outbound(**fields | {"message_key": "ours", "delivery_key": "sent", "text": text} | changes)
