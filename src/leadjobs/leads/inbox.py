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
from leadjobs.errors import MalformedWebhookError, StoreError, UnknownSourceError
from leadjobs.leads.inbound import Adapter, Ignored, Inbound, LeadId, MessageId, WorkspaceId
from leadjobs.leads.jobs import POST_PROCESS, LeadMessage, post_process_key
from leadjobs.store.connection import Rows, Transactions, fetch_async
from leadjobs.store.statements import statement
from leadjobs.web.delivery import Answer, Delivery

MAX_TRIES = 3  # of one transaction, where a deadlock with a racing delivery ended it
MAX_ROUNDS = 5  # of looking for a lead that others are creating at the same moment


class Inbox:
    """Receives webhook deliveries of the sources that have an adapter."""

    def __init__(self, transactions: Transactions, adapters: Iterable[Adapter]) -> None:
        self._transactions = transactions
        self._adapters: Mapping[str, Adapter] = {adapter.source: adapter for adapter in adapters}

    async def receive(self, delivery: Delivery) -> Answer:
        """Keep a delivery and enqueue its post-processing; the same delivery again changes nothing and is answered 200.

        A genuine delivery that is no reply, cannot be read, or belongs to nobody is kept with its reason and answered
        200 too: sending it again would not help.

        Raises:
            UnknownSourceError: no adapter has this source.
            BadSignatureError: the sender did not prove that it knows the secret, or none is configured.
        """
        adapter = self._adapters.get(delivery.source)
        if adapter is None:
            raise UnknownSourceError(f"no source is called {delivery.source!r}")
        adapter.verify(delivery)
        try:
            meaning: Inbound | Ignored = adapter.read(delivery)
        except MalformedWebhookError as error:
            key = f"sha256:{sha256(delivery.body).hexdigest()}"
            meaning = Ignored(source=adapter.source, tenant_keys=(), delivery_key=key, reason=f"unreadable: {error}")
        return replace(adapter.thanks or Answer(200, ""), what=await self._keep(delivery, meaning))

    async def _keep(self, delivery: Delivery, meaning: Inbound | Ignored) -> str:
        tries = 0
        while True:
            tries += 1
            try:
                async with self._transactions.begin() as connection:
                    return await _Keeping(connection).keep(delivery, meaning)
            except psycopg.errors.DeadlockDetected:
                if tries == MAX_TRIES:
                    raise


class _Keeping:
    """One transaction."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def _rows(self, name: str, **params: Any) -> Rows:
        return await fetch_async(self._connection, statement(name, "leadjobs.leads"), params)

    async def keep(self, delivery: Delivery, meaning: Inbound | Ignored) -> str:
        """Keep the event; for a reply, its lead, its message and its job too.  Says what was done."""
        kept = await self._rows(
            "keep_event",
            source=meaning.source,
            tenant_keys=list(meaning.tenant_keys),
            delivery_key=meaning.delivery_key,
            is_reply=isinstance(meaning, Inbound),
            what="kept" if isinstance(meaning, Inbound) else f"ignored: {meaning.reason}",
            url=delivery.url.partition("?")[0],
            content_type=delivery.headers.get("content-type"),
            body=delivery.body,
        )
        if not kept:
            return "duplicate"
        (event,) = kept
        if isinstance(meaning, Inbound) and event["workspace_id"] is not None:
            await self._keep_reply(event["id"], WorkspaceId(event["workspace_id"]), meaning)
        return str(event["what"])

    async def _keep_reply(self, event_id: int, workspace_id: WorkspaceId, reply: Inbound) -> None:
        """The reply as a message of its lead, and the job that sees to it."""
        message = await self._keep_message(workspace_id, reply)
        await self._rows("link_event", event_id=event_id, message_id=message.message_id)
        kind, key = POST_PROCESS[reply.channel], post_process_key(message)
        await enqueue(self._connection, kind.job(message, tenant=str(workspace_id), dedupe_key=key))

    async def _keep_message(self, workspace_id: WorkspaceId, reply: Inbound) -> LeadMessage:
        """The message, with its lead; another delivery may have brought it already."""
        key = {"workspace_id": workspace_id, "source": reply.source, "message_key": reply.message_key}
        rows = await self._rows("find_message", **key)
        if not rows:
            lead_id = await self._find_or_add_lead(workspace_id, reply)
            rows = await self._rows(
                "add_message",
                **key,
                lead_id=lead_id,
                channel=reply.channel,
                subject=reply.subject,
                body=reply.text,
                sender=reply.sender,
                recipient=reply.recipient,
                consent=reply.consent,
                sent_at=reply.sent_at,
            )
            rows = rows or await self._rows("find_message", **key)
        return LeadMessage(LeadId(rows[0]["lead_id"]), MessageId(rows[0]["id"]))

    async def _find_or_add_lead(self, workspace_id: WorkspaceId, reply: Inbound) -> LeadId:
        """The lead with one of the reply's identities, or a new one; racing callers agree on one."""
        known = {
            "workspace_id": workspace_id,
            "kinds": [identity.kind.value for identity in reply.identities],
            "identities": [identity.value for identity in reply.identities],
        }
        person = {
            "first_name": reply.first_name,
            "last_name": reply.last_name,
            "job_title": reply.job_title,
            "company": reply.company,
        }
        for _ in range(MAX_ROUNDS):
            if found := await self._rows("find_lead", **known):
                await self._rows("fill_lead", lead_id=found[0]["lead_id"], **known, **person)
                return LeadId(found[0]["lead_id"])
            (added,) = await self._rows("add_lead", **known, **person)
            if added["identities"] == len(set(reply.identities)):
                return LeadId(added["lead_id"])
            await self._rows("drop_lead", lead_id=added["lead_id"])
        raise StoreError(f"no agreement on who owns the identities of a lead of workspace {workspace_id}")
