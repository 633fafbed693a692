"""The inbox: verify a delivery, keep it, and enqueue its job, in one transaction, in milliseconds.

Nothing here calls a model or a provider.  The event, the lead, the message and the job commit together or not at all,
so a crash between any two statements leaves nothing, and the provider's re-send heals it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import AsyncConnection

from leadjobs.enqueue import enqueue
from leadjobs.errors import MalformedWebhookError, UnknownSourceError
from leadjobs.leads.conversations import Conversations
from leadjobs.leads.inbound import (
    Adapter,
    Found,
    Ignored,
    Inbound,
    LeadId,
    Meaning,
    MessageId,
    Outbound,
    Told,
    WorkspaceId,
)
from leadjobs.leads.jobs import (
    LEAD_SCORING_POST_PROCESS,
    LeadMessage,
    post_process_key,
    post_process_type,
    scoring_key,
)
from leadjobs.leads.post_process.opt_out import asks_to_stop
from leadjobs.store.connection import Rows, Transactions, fetch_async
from leadjobs.store.statements import statement
from leadjobs.web.delivery import Answer, Delivery

MAX_TRIES = 3  # of one transaction, where a deadlock with a racing delivery ended it


UNREADABLE = "unreadable"


def read(adapter: Adapter, delivery: Delivery) -> Meaning:
    """What a delivery means; one that cannot be read is ignored, and keyed by its bytes."""
    try:
        return adapter.read(delivery)
    except MalformedWebhookError as error:
        key = f"{UNREADABLE}:{sha256(delivery.body).hexdigest()}"
        return Ignored(source=adapter.source, tenant_keys=(), delivery_key=key, reason=f"{UNREADABLE}: {error}")


class Inbox:
    """Receives webhook deliveries of the sources that have an adapter."""

    def __init__(self, transactions: Transactions, adapters: Iterable[Adapter]) -> None:
        self._transactions = transactions
        self._adapters: Mapping[str, Adapter] = {adapter.source: adapter for adapter in adapters}

    async def receive(self, delivery: Delivery) -> Answer:
        """Keep a delivery and enqueue its post-processing; the same delivery again changes nothing and is answered 200.

        A genuine delivery that is no message, cannot be read, or belongs to nobody is kept with its reason and answered
        200 too: sending it again would not help.

        Raises:
            UnknownSourceError: no adapter has this source.
            BadSignatureError: the sender did not prove that it knows the secret, or none is configured.
        """
        adapter = self._adapters.get(delivery.source)
        if adapter is None:
            raise UnknownSourceError(f"no source is called {delivery.source!r}")
        adapter.verify(delivery)
        return replace(adapter.thanks or Answer(200, ""), what=await self._keep(delivery, read(adapter, delivery)))

    async def _keep(self, delivery: Delivery, meaning: Meaning) -> str:
        tries = 0
        while True:
            tries += 1
            try:
                async with self._transactions.begin() as connection:
                    return await Keeping(connection).keep(delivery, meaning)
            except psycopg.errors.DeadlockDetected:
                if tries == MAX_TRIES:
                    raise


class Keeping:
    """Keeps deliveries, in the caller's transaction."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def _rows(self, name: str, **params: Any) -> Rows:
        return await fetch_async(self._connection, statement(name, "leadjobs.leads"), params)

    async def keep(self, delivery: Delivery, meaning: Meaning) -> str:
        """Keep the event; for a message, its lead too, and for a reply, its job.  Says what was done."""
        kept = await self._rows(
            "keep_event",
            source=meaning.source,
            tenant_keys=list(meaning.tenant_keys),
            delivery_key=meaning.delivery_key,
            is_message=isinstance(meaning, Told),
            what=f"ignored: {meaning.reason}" if isinstance(meaning, Ignored) else "kept",
            url=delivery.url.partition("?")[0].replace("\0", ""),  # the query may hold a secret
            content_type=delivery.headers.get("content-type"),
            body=delivery.body,
        )
        if not kept:
            return "duplicate"
        (event,) = kept
        if isinstance(meaning, Found):
            return await self._keep_found(event["id"], meaning)
        if not isinstance(meaning, Ignored) and event["workspace_id"] is not None:
            await self._keep_told(event["id"], WorkspaceId(event["workspace_id"]), meaning)
        return str(event["what"])

    async def _keep_told(self, event_id: int, workspace_id: WorkspaceId, told: Inbound | Outbound) -> None:
        """What was said as a message of its lead; a reply also gets the job that sees to it.

        A request to stop is heard here: the job may have to wait, for what it uses may be held.
        """
        message = await Conversations(self._connection, workspace_id).keep(told)
        await self._rows("link_event", event_id=event_id, message_id=message.message_id)
        if isinstance(told, Inbound):
            if (why := asks_to_stop(told.text, told.channel, told.consent)) is not None:
                await self._rows("hear_stop", message_id=message.message_id, why=why)
            kind, key = post_process_type(told.source, told.channel), post_process_key(message)
            await enqueue(self._connection, kind.job(message, tenant=str(workspace_id), dedupe_key=key))

    async def _keep_found(self, event_id: int, found: Found) -> str:
        """What an outside service found out about a lead; where that filled a blank, the lead is scored again."""
        (kept,) = await self._rows(
            "keep_found",
            event_id=event_id,
            request_id=found.request_id,
            status=found.status,
            origin=found.source,
            kinds=[fact.kind.value for fact in found.facts],
            facts=[fact.value for fact in found.facts],
            job_title=found.person.job_title,
            company=found.person.company,
            industry=found.person.industry,
            headcount=found.person.headcount,
        )
        if kept["is_filled"] and kept["message_id"] is not None:
            what = LeadMessage(LeadId(kept["lead_id"]), MessageId(kept["message_id"]))
            tenant, key = str(kept["workspace_id"]), f"{scoring_key(what)}:enriched:{event_id}"
            await enqueue(self._connection, LEAD_SCORING_POST_PROCESS.job(what, tenant=tenant, dedupe_key=key))
        return str(kept["what"])
