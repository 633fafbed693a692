"""EmailBison (and Inboxxia, its white label): replies to e-mail campaigns.

From docs.emailbison.com (webhooks: overview, triggers, deliveries and attempts) and public handlers of its events.  It
documents no signature, so the secret is a token in the address or a bearer token.  Event types come in upper or lower
case; relays wrap the envelope in ``data``, ``payload`` or both; one reply raises ``lead_replied`` and
``lead_interested``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from leadjobs.channels import Address, Id, Payload, Text, body_key, read_as, read_json
from leadjobs.channels.email_text import from_mail_system, html_to_text, own_words
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Channel, Delivery, Identity, IdentityKind, Ignored, Inbound
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, bearer_token, query_token

_REPLIES = frozenset({"lead_replied", "lead_interested", "untracked_reply_received"})
_WRAPPERS = (("data",), ("payload",), ("data", "payload"))


class _Event(Payload):
    type: Id
    instance_url: Id
    workspace_id: Id


class _ReplyId(Payload):
    id: Id


class _Reply(_ReplyId):
    from_email_address: Address
    primary_to_email_address: Address | None = None
    date_received: object = None
    automated_reply: bool | None = None
    email_subject: Text | None = None
    text_body: Text | None = None
    html_body: Text | None = None


class _Lead(Payload):
    id: Id
    email: Address | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    title: Text | None = None
    company: Text | None = None


class _SenderEmail(Payload):
    email: Address | None = None


class _Data(Payload):
    reply: _Reply
    lead: _Lead | None = None
    sender_email: _SenderEmail | None = None


class _Announcement(Payload):
    """What every event says."""

    event: _Event


class _ReplyEvent(_Announcement):
    """An event that speaks of a reply."""

    data: _Data


class _OtherData(Payload):
    reply: _ReplyId


class _OtherEvent(Payload):
    """An event that is no reply, but names one: a bounce, for example."""

    data: _OtherData


@dataclass(frozen=True, slots=True)
class EmailBison:
    """The adapter; ``secrets`` are the tokens that we put into the webhook's address."""

    secrets: Secrets
    source: ClassVar[str] = "emailbison"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if the address or the Authorization header carries our token.

        Raises:
            BadSignatureError: wrong or missing token, or no secret is set.
        """
        if not self.secrets:
            raise BadSignatureError("emailbison: no secret is set")
        given = (query_token(delivery.url), bearer_token(delivery.headers))
        if not any(self.secrets.matches(token) for token in given if token is not None):
            raise BadSignatureError("emailbison: the token in the address or Authorization header does not match")

    def read(self, delivery: Delivery) -> Inbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no event of EmailBison's, or a reply lacks a field.
        """
        envelope = _envelope(read_json(self.source, delivery.body))
        event = read_as(self.source, _Announcement, envelope).event
        kind = event.type.lower()
        if kind not in _REPLIES:
            return self._ignored(event, _other_key(event, envelope, delivery.body), f"{kind} is not a reply")
        return self._reply(event, read_as(self.source, _ReplyEvent, envelope).data)

    def _reply(self, event: _Event, data: _Data) -> Inbound | Ignored:
        reply, lead = data.reply, data.lead
        key = _delivery_key(event, reply)
        if reason := _why_not_theirs(data):
            return self._ignored(event, key, reason)
        text = own_words(reply.text_body or "") or own_words(html_to_text(reply.html_body or ""))
        if not text:
            return self._ignored(event, key, "no words of their own")
        return Inbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=key,
            message_key=f"{_instance(event)}/{reply.id}",
            channel=Channel.EMAIL,
            identities=_identities(event, reply, lead),
            text=text,
            subject=_or_none(reply.email_subject),
            sender=reply.from_email_address,
            recipient=_recipient(data),
            sent_at=_moment(reply.date_received),
            first_name=_or_none(lead.first_name if lead else None),
            last_name=_or_none(lead.last_name if lead else None),
            job_title=_or_none(lead.title if lead else None),
            company=_or_none(lead.company if lead else None),
        )

    def _ignored(self, event: _Event, key: str, reason: str) -> Ignored:
        return Ignored(source=self.source, tenant_keys=_tenant_keys(event), delivery_key=key, reason=reason)


def _envelope(body: Mapping[str, Any]) -> object:
    """The object that has ``event``: the body, or what a relay wrapped; the body where neither has one."""
    if isinstance(body.get("event"), dict):
        return body
    for steps in _WRAPPERS:
        inner: Any = body
        for step in steps:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("event"), dict):
            return inner
    return body


def _instance(event: _Event) -> str:
    return event.instance_url.rstrip("/")


def _tenant_keys(event: _Event) -> tuple[str, ...]:
    return (f"{_instance(event)}/{event.workspace_id}", event.workspace_id)


def _delivery_key(event: _Event, reply: _ReplyId) -> str:
    return f"{_instance(event)}/{reply.id}/{event.type.lower()}"


def _other_key(event: _Event, envelope: object, body: bytes) -> str:
    """The key of an event that is no reply: many still name one (a bounce, say), others have no id at all."""
    try:
        return _delivery_key(event, read_as("emailbison", _OtherEvent, envelope).data.reply)
    except MalformedWebhookError:
        return body_key(body)


def _why_not_theirs(data: _Data) -> str | None:
    sender, ours = data.reply.from_email_address, _sending_mailbox(data)
    if "@" not in sender:
        return "the sender has no address"
    if data.reply.automated_reply:
        return "automated reply"
    if from_mail_system(sender):
        return "sent by a mail system"
    if ours and Identity.email(ours) == Identity.email(sender):
        return "sent by our own mailbox"
    return None


def _identities(event: _Event, reply: _Reply, lead: _Lead | None) -> tuple[Identity, ...]:
    """The lead's own names, never those of a colleague who answers in their place; the sender's where no lead is."""
    if lead is None:
        return (Identity.email(reply.from_email_address),)
    numbered = Identity(IdentityKind.EMAILBISON_LEAD, f"{_instance(event)}/{lead.id}")
    return (numbered, Identity.email(lead.email)) if lead.email else (numbered,)


def _recipient(data: _Data) -> str:
    """The mailbox of ours that was written to; empty where nothing says: not worth losing a reply over."""
    return data.reply.primary_to_email_address or _sending_mailbox(data) or ""


def _sending_mailbox(data: _Data) -> str | None:
    return data.sender_email.email if data.sender_email else None


def _moment(value: object) -> datetime | None:
    """The time in UTC, or None where it cannot be read or names no zone: not worth losing a reply over."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _or_none(text: str | None) -> str | None:
    return (text or "").strip() or None
