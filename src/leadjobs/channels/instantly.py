"""Instantly: replies to e-mail campaigns, what the campaigns sent, unsubscribes and bounces.

From developer.instantly.ai (guides/webhook-events, schemas/webhook-event) and the webhook notes of Instantly's starter
kit.  It signs nothing: the proof is a header of our choosing, or a token in the address.  It sends no id of the event,
and ``email_id`` repeats for every event of a thread, so a reply is known by ``email_id`` and ``timestamp``.  One reply
also raises an event for each label it is given, with the same text.  The lead's own columns arrive as more keys.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from leadjobs.channels import (
    AnyAddress,
    AnyId,
    AnyText,
    Id,
    Payload,
    body_key,
    clean,
    moment,
    needs_token,
    or_none,
    read_as,
    read_json,
)
from leadjobs.channels.email_text import html_to_text, own_words
from leadjobs.errors import MalformedWebhookError
from leadjobs.leads.inbound import Channel, Consent, Delivery, Identity, Ignored, Inbound, Outbound, Person, Sent
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, query_token

_NEWS: Mapping[str, Consent] = {"lead_unsubscribed": Consent.STOPPED, "email_bounced": Consent.BOUNCED}
_AUTOMATED = frozenset({"auto_reply_received", "lead_out_of_office"})
_LABELS = frozenset(
    {
        "lead_closed",
        "lead_interested",
        "lead_meeting_booked",
        "lead_meeting_completed",
        "lead_neutral",
        "lead_no_show",
        "lead_not_interested",
        "lead_wrong_person",
    }
)
_OTHERS = frozenset(
    {
        "account_error",
        "campaign_completed",
        "email_link_clicked",
        "email_opened",
        "link_clicked",
        "supersearch_enrichment_completed",
    }
)


class _Event(Payload):
    """What any event may say, and the ``tenant`` of the address it was sent to."""

    event_type: Id
    tenant: AnyId = None
    timestamp: AnyId = None
    workspace: AnyId = None
    campaign_id: AnyId = None
    email_id: AnyId = None
    step: AnyId = None
    lead_email: AnyAddress = None
    email_account: AnyAddress = None
    email_subject: AnyText = None
    email_text: AnyText = None
    email_html: AnyText = None
    reply_subject: AnyText = None
    reply_text: AnyText = None
    reply_html: AnyText = None
    reply_text_snippet: AnyText = None

    @property
    def kind(self) -> str:
        """The event's type; what is sent counts, not the name it was subscribed by."""
        return self.event_type.lower()


@dataclass(frozen=True, slots=True)
class Instantly:
    """The adapter; ``secrets`` are the tokens that we put into the webhook's headers or address."""

    secrets: Secrets
    source: ClassVar[str] = "instantly"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if one of our headers, the Authorization header or the address carries our token.

        Raises:
            BadSignatureError: wrong or missing token, or no secret is set.
        """
        needs_token(self.source, self.secrets, delivery, "x-leadjobs-token", "x-instantly-secret")

    def read(self, delivery: Delivery) -> Inbound | Outbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no event of Instantly's, or names no lead where it should.
        """
        body = read_json(self.source, delivery.body)
        event = read_as(self.source, _Event, {**body, "tenant": query_token(delivery.url, "tenant")})
        occurrence = _occurrence(event, delivery.body)
        if reason := _why_no_message(event):
            return self._ignored(event, occurrence, reason)
        lead = event.lead_email or ""
        if "@" not in lead:
            raise MalformedWebhookError("instantly: lead_email is missing, or no address")
        if event.kind == "email_sent":
            return self._sent(event, occurrence, lead, _person(body))
        return self._received(event, occurrence, lead, _person(body))

    def _received(self, event: _Event, occurrence: str, lead: str, person: Person) -> Inbound:
        """A reply, or the news that they unsubscribed or that nothing arrives."""
        consent = _NEWS.get(event.kind)
        return Inbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{event.kind}/{occurrence}",
            message_key=f"{consent or 'reply'}/{occurrence}",
            channel=Channel.EMAIL,
            identities=(Identity.email(lead),),
            text="" if consent else _reply_words(event),
            subject=or_none(event.email_subject if consent else event.reply_subject),
            sender=lead,
            recipient=event.email_account or "",
            sent_at=moment(event.timestamp),
            person=person,
            consent=consent,
            answers=None if consent else _answered(event, lead),
        )

    def _sent(self, event: _Event, occurrence: str, lead: str, person: Person) -> Outbound:
        text = _sent_words(event)
        return Outbound(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{event.kind}/{occurrence}",
            message_key=_sent_key(event, lead, text),
            channel=Channel.EMAIL,
            identities=(Identity.email(lead),),
            text=text,
            subject=or_none(event.email_subject),
            sender=event.email_account or "",
            recipient=lead,
            sent_at=moment(event.timestamp),
            person=person,
        )

    def _ignored(self, event: _Event, occurrence: str, reason: str) -> Ignored:
        return Ignored(
            source=self.source,
            tenant_keys=_tenant_keys(event),
            delivery_key=f"{event.kind}/{occurrence}",
            reason=reason,
        )


def _why_no_message(event: _Event) -> str | None:
    kind = event.kind
    if kind == "reply_received":
        return None if _reply_words(event) else "no words of their own"
    if kind == "email_sent":
        return None if _sent_words(event) else "email_sent without its text"
    if kind in _NEWS:
        return None
    if kind in _AUTOMATED:
        return "automated reply"
    if kind in _LABELS:
        return f"label {kind}"
    return f"{kind} is no message" if kind in _OTHERS else "a label of the workspace's own, or an unknown type of event"


def _tenant_keys(event: _Event) -> tuple[str, ...]:
    return tuple(key for key in (event.workspace, event.tenant) if key)


def _occurrence(event: _Event, body: bytes) -> str:
    """What tells one event from another of its type, and is the same when it is sent again."""
    if event.timestamp is None:
        return body_key(body)
    if event.email_id is None:
        return _hashed(event.campaign_id, event.lead_email, event.timestamp)
    return f"{event.email_id}/{event.timestamp}"


def _reply_words(event: _Event) -> str:
    """What the person wrote; Instantly's preview of it only where it sends nothing else."""
    if not (event.reply_text or event.reply_html):
        return own_words(event.reply_text_snippet or "")
    return own_words(event.reply_text or "") or own_words(html_to_text(event.reply_html or ""))


def _sent_words(event: _Event) -> str:
    return own_words(event.email_text or "") or own_words(html_to_text(event.email_html or ""))


def _answered(event: _Event, lead: str) -> Sent | None:
    """The mail of ours that a reply answers, where its delivery carries it."""
    text = _sent_words(event)
    if not text:
        return None
    return Sent(message_key=_sent_key(event, lead, text), text=text, subject=or_none(event.email_subject))


def _sent_key(event: _Event, lead: str, text: str) -> str:
    """A mail of ours, whether its own event tells of it or a reply to it: a lead gets each step of a campaign once."""
    return f"sent/{_hashed(event.campaign_id, Identity.email(lead).value, event.step or text)}"


def _hashed(*parts: str | None) -> str:
    return body_key(json.dumps(parts).encode())


def _person(body: Mapping[str, Any]) -> Person:
    """What the lead's columns say; people spell their names in many ways."""
    columns = {re.sub(r"[^a-z0-9]", "", name.lower()): value for name, value in body.items()}

    def said(*names: str) -> str | None:
        values = (columns.get(name) for name in names)
        texts = (str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool))
        return next((known for text in texts if (known := or_none(clean(text)))), None)

    return Person(
        first_name=said("firstname"),
        last_name=said("lastname"),
        job_title=said("jobtitle", "title"),
        company=said("companyname", "company"),
        industry=said("industry", "companyindustry"),
        headcount=said("employees", "numberofemployees", "employeecount", "headcount", "companysize"),
    )
