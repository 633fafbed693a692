"""EmailBison (and Inboxxia, its white label): e-mail campaigns, the replies to them, unsubscribes and bounces.

From docs.emailbison.com (webhooks: overview, triggers, deliveries and attempts) and public handlers of its events.  It
documents no signature, so the secret is a token in the address or a bearer token.  Event types come in upper or lower
case; relays wrap the envelope in ``data``, ``payload`` or both; one reply raises ``lead_replied`` and
``lead_interested``.  What a person sends by hand is told as a "reply" of ours; what a campaign sends, as a scheduled
e-mail, which the replies to it carry along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from leadjobs.channels import (
    Address,
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
from leadjobs.web.signatures import Secrets

_REPLIES = frozenset({"lead_replied", "lead_interested", "untracked_reply_received"})
_NEWS: Mapping[str, Consent] = {"lead_unsubscribed": Consent.STOPPED, "email_bounced": Consent.BOUNCED}
_WRAPPERS = (("data",), ("payload",), ("data", "payload"))


class _Event(Payload):
    type: Id
    instance_url: Id
    workspace_id: Id

    @property
    def kind(self) -> str:
        """The type in lower case."""
        return self.type.lower()

    @property
    def instance(self) -> str:
        """The address of the instance: ids are its own."""
        return self.instance_url.rstrip("/")


class _Reply(Payload):
    """A mail in the master inbox: one that came, or one that was sent from there."""

    id: Id
    from_email_address: Address
    primary_to_email_address: Address | None = None
    date_received: object = None
    automated_reply: bool | None = None
    email_subject: AnyText = None
    text_body: Text | None = None
    html_body: Text | None = None

    @property
    def words(self) -> str:
        """What it says without the history below it."""
        return own_words(self.text_body or "") or own_words(html_to_text(self.html_body or ""))


class _ScheduledEmail(Payload):
    """A mail that a campaign sent."""

    id: Id
    email_subject: AnyText = None
    email_body: Text | None = None
    sent_at: object = None

    @property
    def words(self) -> str:
        """What it says without the history below it."""
        return own_words(html_to_text(self.email_body or ""))


class _Lead(Payload):
    id: Id
    email: Address | None = None
    first_name: AnyText = None
    last_name: AnyText = None
    title: AnyText = None
    company: AnyText = None


class _SenderEmail(Payload):
    email: Address | None = None


class _Occurrence(Payload):
    """The id and time of a reply or of a campaign's event, whatever else it is."""

    id: Id
    date_received: object = None
    created_at: object = None


class _Data(Payload):
    reply: _Reply
    lead: _Lead | None = None
    sender_email: Annotated[_SenderEmail | None, Lenient] = None
    scheduled_email: Annotated[_ScheduledEmail | None, Lenient] = None


class _SentData(Payload):
    scheduled_email: _ScheduledEmail
    lead: _Lead
    sender_email: Annotated[_SenderEmail | None, Lenient] = None


class _Occurrences(Payload):
    """What an event may be known by."""

    reply: Annotated[_Occurrence | None, Lenient] = None
    campaign_event: Annotated[_Occurrence | None, Lenient] = None


class _NewsData(_Occurrences):
    lead: _Lead
    sender_email: Annotated[_SenderEmail | None, Lenient] = None


class _Announcement(Payload):
    """What every event says."""

    event: _Event


class _ReplyEvent(Payload):
    data: _Data


class _SentEvent(Payload):
    data: _SentData


class _NewsEvent(Payload):
    data: _NewsData


class _OtherEvent(Payload):
    data: Annotated[_Occurrences | None, Lenient] = None


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
        needs_token(self.source, self.secrets, delivery)

    def read(self, delivery: Delivery) -> Inbound | Outbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no event of EmailBison's, or one that we need lacks a field.
        """
        envelope = _envelope(read_json(self.source, delivery.body))
        event = read_as(self.source, _Announcement, envelope).event
        if event.kind in _REPLIES:
            return self._reply(event, read_as(self.source, _ReplyEvent, envelope).data)
        if event.kind == "manual_email_sent":
            return self._by_hand(event, read_as(self.source, _ReplyEvent, envelope).data)
        if event.kind == "email_sent":
            return self._by_campaign(event, read_as(self.source, _SentEvent, envelope).data)
        if consent := _NEWS.get(event.kind):
            news = read_as(self.source, _NewsEvent, envelope).data
            return self._news(event, news, consent, _occurrence_key(event, news, delivery.body))
        other = read_as(self.source, _OtherEvent, envelope).data
        return self._ignored(event, _occurrence_key(event, other, delivery.body), f"{event.kind} is no message")

    def _reply(self, event: _Event, data: _Data) -> Inbound | Ignored:
        reply, lead = data.reply, data.lead
        key, text = f"{event.instance}/{reply.id}/{event.kind}", reply.words
        if reason := _why_not_theirs(data) or (None if text else "no words of their own"):
            return self._ignored(event, key, reason)
        return Inbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=key,
            message_key=f"{event.instance}/{reply.id}",
            channel=Channel.EMAIL,
            identities=_identities(event, lead, reply.from_email_address),
            text=text,
            subject=or_none(reply.email_subject),
            sender=reply.from_email_address,
            # Empty where nothing says which mailbox of ours was written to: not worth losing a reply over.
            recipient=reply.primary_to_email_address or _mailbox(data.sender_email),
            sent_at=moment(reply.date_received),
            person=_person(lead),
            answers=_answered(event, data.scheduled_email),
        )

    def _by_hand(self, event: _Event, data: _Data) -> Outbound | Ignored:
        ours, lead = data.reply, data.lead
        key, text = f"{event.instance}/{ours.id}/{event.kind}", ours.words
        recipient = ours.primary_to_email_address or _address(lead)
        if not text:
            return self._ignored(event, key, "no text")
        if lead is None and "@" not in recipient:
            return self._ignored(event, key, "the recipient has no address")
        return Outbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=key,
            message_key=f"{event.instance}/{ours.id}",
            channel=Channel.EMAIL,
            identities=_identities(event, lead, recipient),
            text=text,
            subject=or_none(ours.email_subject),
            sender=ours.from_email_address,
            recipient=recipient,
            sent_at=moment(ours.date_received),
            person=_person(lead),
        )

    def _by_campaign(self, event: _Event, data: _SentData) -> Outbound | Ignored:
        ours, lead = data.scheduled_email, data.lead
        message_key, text = _sent_key(event, ours), ours.words
        if not text:
            return self._ignored(event, f"{message_key}/{event.kind}", "no text")
        return Outbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{message_key}/{event.kind}",
            message_key=message_key,
            channel=Channel.EMAIL,
            identities=_identities(event, lead, ""),
            text=text,
            subject=or_none(ours.email_subject),
            sender=_mailbox(data.sender_email),
            recipient=_address(lead),
            sent_at=moment(ours.sent_at),
            person=_person(lead),
        )

    def _news(self, event: _Event, data: _NewsData, consent: Consent, key: str) -> Inbound:
        times = [part.date_received or part.created_at for part in (data.reply, data.campaign_event) if part]
        return Inbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=key,
            message_key=key,
            channel=Channel.EMAIL,
            identities=_identities(event, data.lead, ""),
            text="",
            sender=_address(data.lead),
            recipient=_mailbox(data.sender_email),
            sent_at=next(filter(None, map(moment, times)), None),
            person=_person(data.lead),
            consent=consent,
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


def _tenant_keys(event: _Event) -> tuple[str, ...]:
    return (f"{event.instance}/{event.workspace_id}", event.workspace_id)


def _sent_key(event: _Event, sent: _ScheduledEmail) -> str:
    """The message key of a campaign's mail; scheduled e-mails and replies are numbered apart."""
    return f"{event.instance}/sent/{sent.id}"


def _occurrence_key(event: _Event, data: _Occurrences | None, body: bytes) -> str:
    """The key of what is no message: many events name a reply (a bounce, say), others only themselves, some nothing."""
    if data and data.reply:
        return f"{event.instance}/{data.reply.id}/{event.kind}"
    if data and data.campaign_event:
        return f"{event.instance}/event/{data.campaign_event.id}/{event.kind}"
    return body_key(body)


def _answered(event: _Event, sent: _ScheduledEmail | None) -> Sent | None:
    """The campaign's mail that a reply carries along; None without its time, for it must not come after the reply."""
    sent_at, text = (moment(sent.sent_at), sent.words) if sent else (None, "")
    if sent is None or sent_at is None or not text:
        return None
    return Sent(message_key=_sent_key(event, sent), text=text, subject=or_none(sent.email_subject), sent_at=sent_at)


def _why_not_theirs(data: _Data) -> str | None:
    sender, ours = data.reply.from_email_address, _mailbox(data.sender_email)
    if "@" not in sender:
        return "the sender has no address"
    if data.reply.automated_reply:
        return "automated reply"
    if from_mail_system(sender):
        return "sent by a mail system"
    if ours and Identity.email(ours) == Identity.email(sender):
        return "sent by our own mailbox"
    return None


def _identities(event: _Event, lead: _Lead | None, address: str) -> tuple[Identity, ...]:
    """The lead's own names, never those of a colleague who answers in their place; the address where no lead is."""
    if lead is None:
        return (Identity.email(address),)
    numbered = Identity(IdentityKind.EMAILBISON_LEAD, f"{event.instance}/{lead.id}")
    return (numbered, Identity.email(lead.email)) if lead.email else (numbered,)


def _person(lead: _Lead | None) -> Person:
    if lead is None:
        return Person()
    return Person(
        first_name=or_none(lead.first_name),
        last_name=or_none(lead.last_name),
        job_title=or_none(lead.title),
        company=or_none(lead.company),
    )


def _address(lead: _Lead | None) -> str:
    return (lead.email or "") if lead else ""


def _mailbox(sender_email: _SenderEmail | None) -> str:
    return (sender_email.email or "") if sender_email else ""
