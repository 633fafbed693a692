"""Standard Webhooks: what a system of your own, or any that can be made to send our contract, tells of a conversation.

The proof is that of the Standard Webhooks specification 1.0.0 (and of Svix, under its own header names): HMAC-SHA256
over id, time and body, with a secret ``whsec_...``; its asymmetric signatures (``v1a``) are not accepted.  The
specification leaves the body to the sender; the body we read is described in docs/sources/standard-webhooks.md.  Types
of event are open: one that we do not know is no error.
"""

import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, assert_never

from pydantic import Field

from leadjobs.channels import (
    Address,
    AnyId,
    AnyText,
    Id,
    Payload,
    body_key,
    clean,
    moment,
    or_none,
    read_as,
    read_json,
)
from leadjobs.channels.email_text import from_mail_system, html_to_text, mailbox_keys, own_words
from leadjobs.errors import BadSignatureError
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
)
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, hmac_base64, is_fresh, to_bytes

_RECEIVED, _SENT = "message.received", "message.sent"
_NEWS: Mapping[str, Consent] = {
    "contact.unsubscribed": Consent.STOPPED,
    "contact.resubscribed": Consent.STARTED,
    "contact.bounced": Consent.BOUNCED,
}
_SECRET = b"whsec_"
_SHORTEST_SECRET = 24  # bytes, as the specification asks; with none at all anybody could sign
_LONGEST_ID = 200
_NUMBER = re.compile(r"\+?(?:[ ().-]*[0-9]){3,15}")
_MAILBOX = re.compile(r"[^@\s<>]+@[^@\s<>]+")


class _Event(Payload):
    """What every delivery says."""

    type: Id
    timestamp: object = None


class _Data(Payload):
    """A message, or news of a contact."""

    id: Id
    channel: Channel
    sender: Address = Field(alias="from", default="")
    recipient: Address = Field(alias="to", default="")
    tenant: AnyId = None
    subject: AnyText = None
    text: AnyText = None
    html: AnyText = None
    email: AnyId = None
    phone: AnyId = None
    linkedin_id: AnyId = Field(alias="linkedinId", default=None)
    linkedin_url: AnyId = Field(alias="linkedinUrl", default=None)
    first_name: AnyId = Field(alias="firstName", default=None)
    last_name: AnyId = Field(alias="lastName", default=None)
    job_title: AnyId = Field(alias="jobTitle", default=None)
    company: AnyId = None
    industry: AnyId = None
    headcount: AnyId = None

    @property
    def words(self) -> str:
        """What was said; of an e-mail, without its history."""
        shown = html_to_text(self.html or "")
        if self.channel is Channel.EMAIL:
            return own_words(self.text or "") or own_words(shown)
        return (self.text or "").strip() or shown


class _Envelope(Payload):
    data: _Data


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """The adapter; ``secrets`` are those that deliveries are signed with, ``whsec_...``."""

    secrets: Secrets
    now: Callable[[], float] = time.time
    source: ClassVar[str] = "standard-webhooks"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if one of our secrets signed this delivery within the last five minutes.

        Raises:
            BadSignatureError: wrong or missing signature, an old one, no secret is set, or one that can sign nothing.
        """
        if not self.secrets:
            raise BadSignatureError("standard-webhooks: no secret is set")
        name, timestamp = _header(delivery, "id"), _header(delivery, "timestamp")
        if not name:
            raise BadSignatureError("standard-webhooks: webhook-id is missing")
        if not is_fresh(timestamp, self.now()):
            raise BadSignatureError("standard-webhooks: webhook-timestamp is missing, or more than five minutes off")
        message = to_bytes(f"{name}.{timestamp}.") + delivery.body

        @cache  # the header may list thousands of signatures, the body may be megabytes
        def sign(secret: bytes) -> bytes:
            return hmac_base64(_key(secret), message, "sha256")

        genuine = False
        for entry in _header(delivery, "signature").split():
            version, _, proof = entry.partition(",")
            genuine |= version == "v1" and self.secrets.accepts(proof, sign)
        if not genuine:
            raise BadSignatureError("standard-webhooks: no v1 signature in webhook-signature matches")

    def read(self, delivery: Delivery) -> Inbound | Outbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no event, or one of our types that lacks a field.
        """
        body = read_json(self.source, delivery.body)
        event, key = read_as(self.source, _Event, body), _delivery_key(delivery)
        if event.type not in (_RECEIVED, _SENT, *_NEWS):
            return Ignored(source=self.source, tenant_keys=(), delivery_key=key, reason=f"{event.type} is not known")
        return self._told(event, read_as(self.source, _Envelope, body).data, key)

    def _told(self, event: _Event, data: _Data, key: str) -> Inbound | Outbound | Ignored:
        lead, ours = (data.recipient, data.sender) if event.type == _SENT else (data.sender, data.recipient)
        tenant_keys, identities = _tenant_keys(data, ours), _identities(data, lead)
        consent, text = _NEWS.get(event.type), "" if event.type in _NEWS else data.words
        if reason := _why_unusable(event, data, has_names=bool(identities), has_text=bool(text or consent)):
            return Ignored(source=self.source, tenant_keys=tenant_keys, delivery_key=key, reason=reason)
        make = Outbound if event.type == _SENT else Inbound
        told = make(
            source=self.source,
            tenant_keys=tenant_keys,
            delivery_key=key,
            # News may be told with the id of the message that it came by.
            message_key=f"{event.type}/{data.id}" if consent else data.id,
            channel=data.channel,
            identities=identities,
            text=text,
            subject=or_none(data.subject),
            sender=data.sender,
            recipient=data.recipient,
            sent_at=moment(event.timestamp),
            person=_person(data),
        )
        return replace(told, consent=consent) if isinstance(told, Inbound) else told


def _header(delivery: Delivery, name: str) -> str:
    """One of the three headers of a signed delivery; empty where there is none.  Those of Svix have its name."""
    prefix = "webhook" if "webhook-id" in delivery.headers else "svix"
    return delivery.headers.get(f"{prefix}-{name}", "")


def _key(secret: bytes) -> bytes:
    """The bytes that a secret stands for."""
    prefix, encoded = secret[: len(_SECRET)], secret[len(_SECRET) :]
    try:
        key = base64.b64decode(encoded, validate=True) if prefix == _SECRET else b""
    except binascii.Error:
        key = b""
    if len(key) < _SHORTEST_SECRET:
        raise BadSignatureError("standard-webhooks: a secret is not whsec_ and the base64 of 24 bytes or more")
    return key


def _delivery_key(delivery: Delivery) -> str:
    """The id in the headers, which stays over re-sends; a hash of the body where there is none that we can keep."""
    kept = clean(_header(delivery, "id")).strip()
    return kept if 0 < len(kept) <= _LONGEST_ID else body_key(delivery.body)


def _tenant_keys(data: _Data, ours: str) -> tuple[str, ...]:
    """The sender's own word for the workspace, then the address of ours."""
    named = (data.tenant,) if data.tenant else ()
    if data.channel is Channel.EMAIL:
        return named + mailbox_keys(ours)
    number = _phone(ours)
    return named + ((number.value if number else ours,) if ours else ())


def _identities(data: _Data, lead: str) -> tuple[Identity, ...]:
    """The address on the message's own channel first, then whatever else names the lead."""
    member = (_member(data.linkedin_id), _page(data.linkedin_url))
    first: tuple[Identity | None, ...]
    match data.channel:
        case Channel.SMS:
            first = (_phone(lead),)
        case Channel.EMAIL:
            first = (_email(lead),)
        case Channel.LINKEDIN:
            # There it may be a name that several people have: only where nothing better is given.
            first = member if any(member) else (_page(lead) or _member(lead),)
        case _:
            assert_never(data.channel)
    found = (*first, _email(data.email), _phone(data.phone), *member)
    return tuple(dict.fromkeys(identity for identity in found if identity is not None))


def _phone(text: str | None) -> Identity | None:
    number = (text or "").strip()
    return Identity.phone(number) if _NUMBER.fullmatch(number) else None


def _email(text: str | None) -> Identity | None:
    address = (text or "").strip()
    return Identity.email(address) if _MAILBOX.fullmatch(address) else None


def _member(text: str | None) -> Identity | None:
    member = (text or "").strip()
    return Identity(IdentityKind.LINKEDIN, member) if member else None


def _page(text: str | None) -> Identity | None:
    return Identity.linkedin_profile(text) if text and "linkedin.com/" in text.lower() else None


def _person(data: _Data) -> Person:
    return Person(
        first_name=data.first_name,
        last_name=data.last_name,
        job_title=data.job_title,
        company=data.company,
        industry=data.industry,
        headcount=data.headcount,
    )


def _why_unusable(event: _Event, data: _Data, *, has_names: bool, has_text: bool) -> str | None:
    if event.type == _RECEIVED and data.channel is Channel.EMAIL and from_mail_system(data.sender):
        return "sent by a mail system"
    if not has_names:
        return "no telephone number, e-mail address or LinkedIn id names the contact"
    return None if has_text else "no words of their own"
