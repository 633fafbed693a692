"""Keeping what was said: a lead by any of its names, and its messages, in the caller's transaction."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from leadjobs.errors import StoreError
from leadjobs.leads.inbound import Consent, Inbound, LeadId, MessageId, Outbound, Sent, Told, WorkspaceId
from leadjobs.leads.jobs import LeadMessage
from leadjobs.leads.post_process.opt_out import opt_in_in
from leadjobs.store.connection import Rows, fetch_async
from leadjobs.store.statements import statement

MAX_ROUNDS = 5  # of looking for a lead that others are creating at the same moment


class Conversations:
    """A workspace's leads and messages, on a connection with an open transaction (psycopg's, or SQLAlchemy's)."""

    def __init__(self, connection: Any, workspace_id: WorkspaceId) -> None:
        self._connection, self._workspace_id = connection, workspace_id

    async def _rows(self, name: str, **params: Any) -> Rows:
        return await fetch_async(self._connection, statement(name, "leadjobs.leads"), params)

    async def keep(self, told: Inbound | Outbound) -> LeadMessage:
        """The message, with its lead and with ours that it answers; what is kept already stays as it is."""
        lead_id = await self._find_or_add_lead(told)
        if isinstance(told, Inbound) and told.answers is not None:
            await self.keep_of(lead_id, _outbound(told, told.answers))  # first, as it was said first
        return await self.keep_of(lead_id, told)

    async def keep_of(self, lead_id: LeadId, told: Inbound | Outbound) -> LeadMessage:
        """The message of a lead that is known.

        Keys may be of a sender's making, as a Message-ID is: to one that another lead's message has the lead is added.
        So a reply whose deliveries name two leads is a message of each, and each hears what it asks.
        """
        for key in (told.message_key, f"{told.message_key} of lead {lead_id}"):
            message = await self._add(lead_id, key, told)
            if message.lead_id == lead_id:
                return message
        raise StoreError(f"the keys of a message of lead {lead_id} from {told.source} are of other leads' messages")

    async def _add(self, lead_id: LeadId, key: str, told: Inbound | Outbound) -> LeadMessage:
        """The message, added under this key; or what has it already.  The lead is locked: see `find_lead.sql`."""
        added = await self._rows(
            "add_message",
            workspace_id=self._workspace_id,
            lead_id=lead_id,
            channel=told.channel,
            direction="inbound" if isinstance(told, Inbound) else "outbound",
            source=told.source,
            message_key=key,
            subject=told.subject,
            body=told.text,
            sender=told.sender,
            recipient=told.recipient,
            consent=_consent(told) if isinstance(told, Inbound) else None,
            sent_at=told.sent_at,
        )
        if added:
            return LeadMessage(lead_id, MessageId(added[0]["id"]))
        (found,) = await self._rows(
            "find_message", workspace_id=self._workspace_id, source=told.source, message_key=key
        )
        return LeadMessage(LeadId(found["lead_id"]), MessageId(found["id"]))

    async def _find_or_add_lead(self, told: Told) -> LeadId:
        """The lead with one of the message's identities, or a new one, locked; racing callers agree on one."""
        known = {
            "workspace_id": self._workspace_id,
            "kinds": [identity.kind.value for identity in told.identities],
            "identities": [identity.value for identity in told.identities],
        }
        person = asdict(told.person)
        for _ in range(MAX_ROUNDS):
            if found := await self._rows("find_lead", **known):
                await self._rows("fill_lead", lead_id=found[0]["lead_id"], **known, **person)
                return LeadId(found[0]["lead_id"])
            (added,) = await self._rows("add_lead", **known, **person)
            if added["identities"] == len(set(told.identities)):
                return LeadId(added["lead_id"])
            await self._rows("drop_lead", lead_id=added["lead_id"])
        raise StoreError(f"no agreement on who owns the identities of a lead of workspace {self._workspace_id}")


def _consent(told: Inbound) -> Consent | None:
    """The provider's word, or their own that takes a request to stop back: one that comes late is to see it."""
    return told.consent or (Consent.STARTED if opt_in_in(told.text, told.channel) is not None else None)


def _outbound(reply: Inbound, sent: Sent) -> Outbound:
    """Our own message that a reply's delivery carries; where nothing says when it was sent, just before the reply."""
    just_before = reply.sent_at and reply.sent_at - timedelta(seconds=1)
    return Outbound(
        source=reply.source,
        tenant_keys=reply.tenant_keys,
        delivery_key=reply.delivery_key,
        message_key=sent.message_key,
        channel=reply.channel,
        identities=reply.identities,
        text=sent.text,
        subject=sent.subject,
        sender=reply.recipient,
        recipient=reply.sender,
        sent_at=sent.sent_at or just_before,
    )
