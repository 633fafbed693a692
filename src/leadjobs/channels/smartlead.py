"""SmartLead: replies to e-mail campaigns, what the campaigns sent, unsubscribes and bounces.

From help.smartlead.ai (a page for each event), api.smartlead.ai (core/webhooks, api-reference/webhooks/events,
reference/email-reply-webhooks), helpcenter.smartlead.ai (sample payloads) and public captures.  They describe a flat
shape, which is what captures show, and one with ``lead`` and ``reply`` inside, which is read in the words of the first.
In a reply ``from_email`` is our mailbox and ``to_email`` whoever answered; ``stats_id`` and ``sent_message`` name the
mail that was answered.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from leadjobs.channels import (
    AnyAddress,
    AnyId,
    AnyText,
    Id,
    Lenient,
    Payload,
    Text,
    body_key,
    moment,
    needs_token,
    or_none,
    read_as,
    read_json,
)
from leadjobs.channels.email_text import from_mail_system, html_to_text, own_words
from leadjobs.errors import MalformedWebhookError
from leadjobs.leads.inbound import (
    Channel,
    Consent,
    Delivery,
    Identity,
    IdentityKind,
    Ignored,
    Inbound,
    Outbound,
    Person,
    Sent,
)
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, hmac_hex, query_token

_REPLIES = frozenset({"email_reply", "email_replied"})
_SENT = frozenset({"email_sent", "first_email_sent"})
_NEWS: Mapping[str, Consent] = {
    "lead_unsubscribed": Consent.STOPPED,
    "email_unsubscribed": Consent.STOPPED,
    "email_bounce": Consent.BOUNCED,
    "email_bounced": Consent.BOUNCED,
}
_OTHERS = frozenset(
    {
        "email_open",
        "email_opened",
        "email_link_click",
        "email_clicked",
        "lead_category_updated",
        "campaign_status_changed",
        "untracked_replies",
        "manual_step_reached",
        "email_account_disconnected",
        "linkedin_disconnected",
    }
)


_Time = Annotated[Text | int | float | None, Lenient]


class _Message(Payload):
    message_id: AnyId = None
    text: AnyText = None
    html: AnyText = None
    time: _Time = None


class _Correspondence(Payload):
    target: AnyAddress = Field(alias="targetLeadEmail", default=None)
    sender: AnyAddress = Field(alias="replyReceivedFrom", default=None)


class _Event(Payload):
    """What any event may say, and the ``tenant`` of the address it was sent to."""

    event_type: Id
    tenant: AnyId = None
    client_id: AnyId = None
    webhook_id: AnyId = None
    campaign_id: AnyId = None
    sequence_number: AnyId = None
    stats_id: AnyId = None
    sl_email_lead_id: AnyId = None
    sl_lead_email: AnyAddress = None
    lead_email: AnyAddress = None
    from_email: AnyAddress = None
    to_email: AnyAddress = None
    to_name: AnyText = None
    first_name: AnyText = None
    last_name: AnyText = None
    job_title: AnyText = None
    company_name: AnyText = None
    correspondence: Annotated[_Correspondence | None, Lenient] = Field(alias="leadCorrespondence", default=None)
    subject: AnyText = None
    custom_subject: AnyText = None
    reply_message: Annotated[_Message | None, Lenient] = None
    preview_text: AnyText = None
    reply_body: AnyText = None
    sent_message: Annotated[_Message | None, Lenient] = None
    sent_message_body: AnyText = None
    custom_email_message: AnyText = None
    bounce_message: Annotated[_Message | None, Lenient] = None
    is_sender_originated_bounce: object = None
    message_id: AnyId = None
    event_timestamp: _Time = None

    @property
    def kind(self) -> str:
        """The event's type in lower case: both cases are in use."""
        return self.event_type.lower()

    @property
    def reply(self) -> _Message:
        """The reply; the fields of old stand in for what the new ones lack."""
        new = self.reply_message or _Message()
        return _Message(
            message_id=new.message_id or self.message_id,
            text=new.text or self.preview_text,
            html=new.html or self.reply_body,
            time=new.time or self.event_timestamp,
        )

    @property
    def sent(self) -> _Message:
        """The mail of ours that the event is about.  Only where that is all it is about, ``message_id`` is its id."""
        new = self.sent_message or _Message()
        return _Message(
            message_id=new.message_id or (self.message_id if self.kind in _SENT else None),
            text=new.text,
            html=new.html or self.sent_message_body or self.custom_email_message,
            time=new.time,
        )

    @property
    def lead_address(self) -> str | None:
        """The address the campaign wrote to, which a colleague's answer does not change."""
        target = self.correspondence.target if self.correspondence else None
        given = (self.sl_lead_email, target, self.lead_email, self.to_email)
        return next((address for address in given if address and "@" in address), None)


@dataclass(frozen=True, slots=True)
class SmartLead:
    """The adapter; ``secrets`` are the webhooks' secret keys, or tokens that we put into their addresses."""

    secrets: Secrets
    source: ClassVar[str] = "smartlead"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if the body carries our secret or is signed with it, or the delivery carries it as a token.

        Raises:
            BadSignatureError: nothing of that, or no secret is set.
        """
        signature = delivery.headers.get("x-smartlead-signature", "").strip().removeprefix("sha256=")
        is_signed = self.secrets.accepts(signature, partial(hmac_hex, message=delivery.body, algorithm="sha256"))
        if not (self.secrets.matches(_secret_key(delivery.body)) or is_signed):
            needs_token(self.source, self.secrets, delivery, "x-smartlead-secret")

    def read(self, delivery: Delivery) -> Inbound | Outbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no event of SmartLead's, or names no lead where it should.
        """
        body = _in_flat_words(read_json(self.source, delivery.body))
        event = read_as(self.source, _Event, {**body, "tenant": query_token(delivery.url, "tenant")})
        if event.kind in _REPLIES:
            return self._reply(event)
        if event.kind in _SENT:
            return self._sent(event)
        occurrence = _occurrence(event, delivery.body)
        if consent := _NEWS.get(event.kind):
            return self._news(event, consent, occurrence)
        known = event.kind in _OTHERS
        return self._ignored(event, occurrence, f"{event.kind} is no message" if known else "an unknown type of event")

    def _reply(self, event: _Event) -> Inbound | Ignored:
        key, text = _reply_key(event), _words(event.reply)
        if reason := _why_not_theirs(event):
            return self._ignored(event, key, reason)
        if not text:
            return self._ignored(event, key, "no words of their own")
        return Inbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{event.kind}/{_lead_in_campaign(event)[1]}/{key}",  # two leads may use one Message-ID
            message_key=key,
            channel=Channel.EMAIL,
            identities=_identities(event),
            text=text,
            subject=or_none(event.subject),
            sender=_sender(event),
            recipient=event.from_email or "",
            sent_at=moment(event.reply.time) or moment(event.event_timestamp),
            person=_person(event),
            answers=_answered(event),
        )

    def _sent(self, event: _Event) -> Outbound | Ignored:
        key, text = _sent_key(event), _words(event.sent)
        if not text:
            return self._ignored(event, key, f"{event.kind} without its text")
        return Outbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{event.kind}/{key}",
            message_key=key,
            channel=Channel.EMAIL,
            identities=_identities(event),
            text=text,
            subject=or_none(event.subject) or or_none(event.custom_subject),
            sender=event.from_email or "",
            recipient=event.lead_address or "",
            sent_at=moment(event.sent.time) or moment(event.event_timestamp),
            person=_person(event),
        )

    def _news(self, event: _Event, consent: Consent, occurrence: str) -> Inbound | Ignored:
        if consent is Consent.BOUNCED and event.is_sender_originated_bounce is True:
            return self._ignored(event, occurrence, "bounced because of our own mailbox")
        bounce = event.bounce_message or _Message()
        return Inbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{event.kind}/{occurrence}",
            message_key=f"{consent}/{occurrence}",
            channel=Channel.EMAIL,
            identities=_identities(event),
            text="",
            subject=or_none(event.subject),
            sender=event.lead_address or "",
            recipient=event.from_email or "",
            sent_at=moment(bounce.time) or moment(event.event_timestamp),
            person=_person(event),
            consent=consent,
        )

    def _ignored(self, event: _Event, key: str, reason: str) -> Ignored:
        return Ignored(
            source=self.source, tenant_keys=_tenant_keys(event), delivery_key=f"{event.kind}/{key}", reason=reason
        )


def _secret_key(body: bytes) -> str:
    """The secret that the body itself carries; empty where it carries none, or is no JSON."""
    try:
        given = read_json("smartlead", body).get("secret_key")
    except MalformedWebhookError:
        return ""
    return given if isinstance(given, str) else ""


def _in_flat_words(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body, with what the nested shape and old names say in the words of today; what is null is left out."""
    lead, reply = _part(body, "lead"), _part(body, "reply")
    known = {
        "event_type": body.get("event"),
        "event_timestamp": body.get("time_replied") or body.get("time_sent") or body.get("timestamp"),
        "sl_email_lead_id": body.get("lead_id") or lead.get("id"),
        "sl_lead_email": lead.get("email"),
        "first_name": lead.get("first_name"),
        "last_name": lead.get("last_name"),
        "job_title": _part(lead, "custom_fields").get("job_title"),
        "company_name": lead.get("company_name"),
        "subject": reply.get("subject"),
        "reply_message": {
            "message_id": reply.get("message_id"),
            "text": reply.get("body"),
            "time": reply.get("received_at"),
        },
    }
    return {name: value for name, value in (*known.items(), *body.items()) if value is not None}


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _tenant_keys(event: _Event) -> tuple[str, ...]:
    ids = {"client": event.client_id, "webhook": event.webhook_id, "campaign": event.campaign_id}
    named = [f"{what}/{number}" for what, number in ids.items() if number]
    return (event.tenant, *named) if event.tenant else tuple(named)


def _identities(event: _Event) -> tuple[Identity, ...]:
    """The lead's names, never those of a colleague who answers in their place."""
    number, address = event.sl_email_lead_id, event.lead_address
    names = [Identity(IdentityKind.SMARTLEAD_LEAD, number)] if number else []
    names += [Identity.email(address)] if address else []
    if not names:
        raise MalformedWebhookError("smartlead: neither sl_lead_email nor to_email is an address")
    return tuple(names)


def _person(event: _Event) -> Person:
    """Who the lead is; ``to_name`` is only theirs where ``to_email`` is, and comes in one piece."""
    first, last = _known(event.first_name), _known(event.last_name)
    if first is last is None and _is_same(event.to_email, event.lead_address) and "@" not in (event.to_name or ""):
        name, _, rest = (_known(event.to_name) or "").partition(" ")
        first, last = or_none(name), or_none(rest)
    return Person(
        first_name=first, last_name=last, job_title=_known(event.job_title), company=_known(event.company_name)
    )


def _known(text: str | None) -> str | None:
    """The text, trimmed; None where nothing is left, or the dashes with which SmartLead says that it does not know."""
    return None if text and text.strip() == "--" else or_none(text)


def _sender(event: _Event) -> str:
    """Who wrote the reply: the lead, or someone in their place."""
    wrote = event.correspondence.sender if event.correspondence else None
    return wrote or event.to_email or event.lead_address or ""


def _why_not_theirs(event: _Event) -> str | None:
    sender = _sender(event)
    if from_mail_system(sender):
        return "sent by a mail system"
    if _is_same(sender, event.from_email) and not _is_same(sender, event.lead_address):
        return "sent by our own mailbox"
    return None


def _is_same(address: str | None, other: str | None) -> bool:
    return Identity.email(address or "") == Identity.email(other or "")


def _words(mail: _Message) -> str:
    """What was written in a mail, without its history; a field may hold markup or plain text, whatever its name."""
    plain = (html_to_text(text) if "</" in text or "<br" in text else text for text in (mail.text, mail.html) if text)
    return next((words for words in map(own_words, plain) if words), "")


def _answered(event: _Event) -> Sent | None:
    """The mail of ours that a reply answers, where its delivery carries it."""
    text = _words(event.sent)
    return Sent(message_key=_sent_key(event), text=text, sent_at=moment(event.sent.time)) if text else None


def _reply_key(event: _Event) -> str:
    """The reply's own Message-ID; where none is usable, what two replies to one mail do not have in common."""
    reply = event.reply
    known = _bare(reply.message_id)
    return f"reply/{known or _hashed(*_lead_in_campaign(event), reply.time, reply.text, reply.html)}"


def _sent_key(event: _Event) -> str:
    """The same for a mail of ours, whether its own event tells of it or a reply to it."""
    sent = event.sent
    known = _bare(sent.message_id) or event.stats_id
    return f"sent/{known or _hashed(*_lead_in_campaign(event), event.sequence_number or _words(sent))}"


def _occurrence(event: _Event, body: bytes) -> str:
    """What tells one event without a message of its own from another, and is the same when it is sent again."""
    when = event.event_timestamp
    return _hashed(*_lead_in_campaign(event), event.stats_id, when) if when else body_key(body)


def _lead_in_campaign(event: _Event) -> tuple[str | None, str]:
    return event.campaign_id, Identity.email(event.lead_address or "").value or event.sl_email_lead_id or ""


def _hashed(*parts: object) -> str:
    return body_key(json.dumps(parts).encode())


def _bare(message_id: str | None) -> str:
    """A Message-ID without its angle brackets: not every event has them."""
    return (message_id or "").strip("<> ")
