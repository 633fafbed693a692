"""SmartLead's message history of a lead in a campaign: what it sent before they answered, and their earlier replies.

From api.smartlead.ai (reference/fetch-lead-message-history-based-on-campaign, reference/authentication) and public
copies of its sample answer: ``GET /api/v1/campaigns/{campaign_id}/leads/{lead_id}/message-history?api_key=``, a
``history`` of mails of type ``SENT`` or ``REPLY``, the oldest first.  A newer page shows ``messages`` without any text,
which would be of no use; public code that reads real answers knows ``history`` alone.

``type`` says whose a mail is.  What mail systems answered is of type ``REPLY``, too, and the adapter ignores it.
"""

from email.utils import parseaddr
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from leadjobs.channels import Payload
from leadjobs.channels.histories import Api, ApiHistory, Plain, as_body
from leadjobs.leads.inbound import Adapter, IdentityKind, Inbound

API_URL: Final = "https://server.smartlead.ai"

# By a mail's type: the event that tells of it, and the part of the event that has its words.
_EVENTS = {"SENT": ("EMAIL_SENT", "sent_message"), "REPLY": ("EMAIL_REPLY", "reply_message")}
_CAMPAIGN = "campaign/"


def _address(value: object) -> str | None:
    """The address behind a name; None where there is none."""
    return parseaddr(value)[1] or None if isinstance(value, str) else None


class _Mail(Payload):
    type: str
    message_id: Plain = None
    stats_id: Plain = None
    time: Plain = None
    subject: Plain = None
    email_body: Plain = None
    email_seq_number: Plain = None
    sender: Annotated[str | None, BeforeValidator(_address)] = Field(alias="from", default=None)


class _History(Payload):
    history: tuple[_Mail, ...]


def smartlead_history(adapter: Adapter, *, api_key: str, url: str = API_URL) -> ApiHistory:
    """The history of SmartLead's campaigns.

    Raises:
        SettingsError: the key cannot be one.
    """
    return ApiHistory(adapter, Api(adapter.source, url, api_key=api_key, params=lambda key: {"api_key": key}), _ask)


async def _ask(api: Api, reply: Inbound, _: bytes) -> tuple[bytes, ...]:
    names = {identity.kind: identity.value for identity in reply.identities}
    lead, address = names.get(IdentityKind.SMARTLEAD_LEAD), names.get(IdentityKind.EMAIL)
    campaign = next((key.removeprefix(_CAMPAIGN) for key in reply.tenant_keys if key.startswith(_CAMPAIGN)), None)
    if lead is None or campaign is None:
        return ()
    answer = await api.get("api", "v1", "campaigns", campaign, "leads", lead, "message-history", model=_History)
    return tuple(
        as_body(
            event_type=event,
            campaign_id=campaign,
            sl_email_lead_id=lead,
            sl_lead_email=address,
            to_email=address,
            from_email=reply.recipient,
            subject=mail.subject,
            sequence_number=mail.email_seq_number,
            stats_id=mail.stats_id,
            leadCorrespondence={"targetLeadEmail": address, "replyReceivedFrom": mail.sender},
            **{part: {"message_id": mail.message_id, "html": mail.email_body, "time": mail.time}},
        )
        for mail in answer.history
        if mail.type in _EVENTS
        for event, part in [_EVENTS[mail.type]]
    )
