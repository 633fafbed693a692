"""GoHighLevel: text messages and e-mails of its conversations, brought by a marketplace app or by a workflow.

From GoHighLevel/highlevel-api-docs (webhook events, webhook authentication, message types) and, for what a workflow's
webhook action sends, public handlers of it.  An app's deliveries are signed and carry an id; a workflow's have neither.
The signed time is not checked: a delivery that is played back has the key of the first one and is a duplicate, and one
that is sent again hours later must not be lost.  X-WH-Signature, the RSA signature of old, is not accepted.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from leadjobs.channels import Id, Payload, body_key, clean, moment, needs_token, or_none, read_as, read_json
from leadjobs.channels.email_text import from_mail_system, html_to_text, own_words
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
from leadjobs.web.signatures import Secrets, is_signed_by

# Names of message types without their TYPE_, and the numbers that stand for them in a workflow's body.
_TEXT_MESSAGES = frozenset({"sms", "custom_sms", "custom_provider_sms", "2", "20", "22"})
_EMAILS = frozenset({"email", "custom_email", "custom_provider_email", "3", "21", "23"})
_STOPPED = frozenset({"active", "permanent"})  # said of a channel's "do not disturb"
_PLAIN = re.compile(r"[A-Za-z_]{1,50}")  # a name that may stand in a reason
_NUMBER = re.compile(r"\+?\(?[0-9](?:[ ().-]*[0-9]){2,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_IN_BRACKETS = re.compile(r"<([^<>@\s]+@[^<>@\s]+)>")
_MARKUP = re.compile(
    r"<(?:!doctype|html|body|div|p|br|span|font|table|blockquote|a|b|i)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
_LONGEST_ID, _LONGEST_ADDRESS = 200, 320  # what becomes part of a key is bounded


def _line(value: object) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return clean(str(value)).strip() if is_number or isinstance(value, str) else ""


def _word(value: object) -> str:
    word = _line(value)
    return word if len(word) <= _LONGEST_ID else ""


def _address(value: object) -> str:
    """The address or number in a field that holds one, one behind a name, or a list of them (then the first)."""
    text = _line(value[0] if isinstance(value, list) and value else value)
    bracketed = _IN_BRACKETS.search(text)
    address = bracketed[1] if bracketed else text.partition(",")[0].strip()
    return address if len(address) <= _LONGEST_ADDRESS else ""


def _object(value: object) -> object:
    return value if isinstance(value, dict) else {}


def _folded(value: object) -> dict[str, str]:
    """What the customer sends along, as ``messageid`` for "Message ID"; without placeholders that were not filled."""
    named = value.items() if isinstance(value, dict) else ()
    return {re.sub(r"[\W_]", "", name).lower(): line for name, item in named if "{{" not in (line := _line(item))}


# A reply is not lost because one of these is odd: what is of another type, or too long for a key, is "" or empty.
_Word = Annotated[str, BeforeValidator(_word)]
_Line = Annotated[str, BeforeValidator(_line)]
_Address = Annotated[str, BeforeValidator(_address)]


class _Event(Payload):
    """What every event of an app says."""

    type: Id
    location_id: _Word = Field(alias="locationId", default="")
    webhook_id: _Word = Field(alias="webhookId", default="")


class _AppMessage(_Event):
    """``InboundMessage`` and ``OutboundMessage``."""

    location_id: Id = Field(alias="locationId")
    contact_id: Id = Field(alias="contactId")
    message_id: _Word = Field(alias="messageId", default="")
    email_message_id: _Word = Field(alias="emailMessageId", default="")
    kind: _Word = Field(alias="messageType", default="")
    kind_name: _Word = Field(alias="messageTypeString", default="")
    direction: _Word = ""
    status: _Word = ""
    body: _Line = ""
    content_type: _Word = Field(alias="contentType", default="")
    subject: _Line = ""
    sender: _Address = Field(alias="from", default="")
    recipient: _Address = Field(alias="to", default="")
    date_added: object = Field(alias="dateAdded", default=None)


class _Setting(Payload):
    status: _Word = ""


class _Settings(Payload):
    sms: Annotated[_Setting, BeforeValidator(_object)] = Field(alias="SMS", default=_Setting())
    email: Annotated[_Setting, BeforeValidator(_object)] = Field(alias="Email", default=_Setting())


class _DndUpdate(_Event):
    """``ContactDndUpdate``: the whole contact, whose ``dateAdded`` is not the time of the change; ``timestamp`` is."""

    location_id: Id = Field(alias="locationId")
    id: Id
    dnd: object = None
    settings: Annotated[_Settings, BeforeValidator(_object)] = Field(alias="dndSettings", default=_Settings())
    email: _Address = ""
    phone: _Address = ""
    first_name: _Line = Field(alias="firstName", default="")
    last_name: _Line = Field(alias="lastName", default="")
    company: _Line = Field(alias="companyName", default="")
    timestamp: object = None


class _Location(Payload):
    id: Id


class _Workflow(Payload):
    id: _Word = ""


class _WorkflowMessage(Payload):
    type: _Word = ""
    direction: _Word = ""
    body: _Line = ""
    subject: _Line = ""


class _Run(Payload):
    """What a workflow sends: the contact, whose ``date_created`` is not the message's time, and what started it."""

    location: _Location
    contact_id: Id
    message: Annotated[_WorkflowMessage, BeforeValidator(_object)] = _WorkflowMessage()
    workflow: Annotated[_Workflow, BeforeValidator(_object)] = _Workflow()
    custom: Annotated[Mapping[str, str], BeforeValidator(_folded)] = Field(alias="customData", default_factory=dict)
    email: _Address = ""
    phone: _Address = ""
    first_name: _Line = ""
    last_name: _Line = ""
    company: _Line = Field(alias="company_name", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A message in the words of neither way."""

    location: str
    contact: str
    delivery_key: str
    message_key: str
    channel: Channel | None
    kind: str
    is_ours: bool
    text: str
    subject: str
    them: str
    us: str
    addresses: tuple[str, ...]
    sent_at: datetime | None
    person: Person


@dataclass(frozen=True, slots=True)
class GoHighLevel:
    """The adapter; ``public_keys`` are GoHighLevel's (base64), ``secrets`` the tokens that our workflows send along."""

    secrets: Secrets
    public_keys: tuple[str, ...] = ()
    source: ClassVar[str] = "gohighlevel"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if GoHighLevel signed the delivery or, where it is not signed at all, it carries our token.

        Raises:
            BadSignatureError: wrong or missing proof, or neither a secret nor a public key is set.
            SettingsError: a public key is none.
        """
        if not (self.secrets or self.public_keys) or "x-ghl-signature" not in delivery.headers:
            needs_token(self.source, self.secrets, delivery, "x-leadjobs-token")
        elif not is_signed_by(self.public_keys, delivery.headers["x-ghl-signature"].strip(), delivery.body):
            raise BadSignatureError("gohighlevel: X-GHL-Signature is not by one of the public keys that are set")

    def read(self, delivery: Delivery) -> Inbound | Outbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is nothing of GoHighLevel's, or a message lacks a field.
        """
        body = read_json(self.source, delivery.body)
        if "contact_id" in body and isinstance(body.get("location"), dict):
            return self._meaning(_from_workflow(read_as(self.source, _Run, body), delivery.body))
        event = read_as(self.source, _Event, body)
        if event.type in {"InboundMessage", "OutboundMessage"}:
            return self._meaning(_from_app(read_as(self.source, _AppMessage, body), delivery.body))
        key = event.webhook_id or body_key(delivery.body)
        if event.type == "ContactDndUpdate":
            return self._consent(read_as(self.source, _DndUpdate, body), key)
        return self._ignored(event.location_id, key, _named("not a message", event.type))

    def _meaning(self, message: _Message) -> Inbound | Outbound | Ignored:
        if message.channel is None:
            neither = _named("not a text message or an e-mail", message.kind)
            return self._ignored(message.location, message.delivery_key, neither)
        if reason := _why_unusable(message):
            return self._ignored(message.location, message.delivery_key, reason)
        told = Outbound if message.is_ours else Inbound
        return told(
            source=self.source,
            tenant_keys=(message.location,),
            delivery_key=message.delivery_key,
            message_key=message.message_key,
            channel=message.channel,
            identities=_identities(message.location, message.contact, message.addresses),
            text=message.text,
            subject=or_none(message.subject),
            sender=message.us if message.is_ours else message.them,
            recipient=message.them if message.is_ours else message.us,
            sent_at=message.sent_at,
            person=message.person,
        )

    def _consent(self, update: _DndUpdate, key: str) -> Inbound | Ignored:
        channel, consent = _told_by(update)
        if consent is None:
            return self._ignored(update.location_id, key, "do not disturb is neither on nor off")
        return Inbound(
            source=self.source,
            tenant_keys=(update.location_id,),
            delivery_key=key,
            message_key=key,
            channel=channel,
            identities=_identities(update.location_id, update.id, (update.phone, update.email)),
            text="",
            sender=update.phone if channel is Channel.SMS else update.email,
            recipient="",
            sent_at=moment(update.timestamp),
            person=_person(update),
            consent=consent,
        )

    def _ignored(self, location: str, key: str, reason: str) -> Ignored:
        return Ignored(source=self.source, tenant_keys=(location,) if location else (), delivery_key=key, reason=reason)


def _from_app(event: _AppMessage, raw: bytes) -> _Message:
    channel = _channel(event.kind) or _channel(event.kind_name)
    body, message_id = event.body, event.message_id or event.email_message_id
    # Either word will do: an official example of OutboundMessage says "inbound".
    is_ours = event.type == "OutboundMessage" or event.direction.lower() == "outbound"
    them, us = (event.recipient, event.sender) if is_ours else (event.sender, event.recipient)
    if message_id:
        # A message of ours is told of again when its status changes, and then without its text.
        delivery_key = f"{event.type}/{event.location_id}/{message_id}/{event.status}"
        message_key = f"{event.location_id}/{message_id}"
    else:
        added = _line(event.date_added)
        delivery_key = body_key(raw)
        message_key = _hash(event.location_id, event.contact_id, added, body) if added else delivery_key
    return _Message(
        location=event.location_id,
        contact=event.contact_id,
        delivery_key=event.webhook_id or delivery_key,
        message_key=message_key,
        channel=channel,
        kind=event.kind,
        is_ours=is_ours,
        text=_words(channel, body, event.content_type),
        subject=event.subject,
        them=them,
        us=us,
        addresses=(them,),
        sent_at=moment(event.date_added),
        person=Person(),
    )


def _from_workflow(run: _Run, raw: bytes) -> _Message:
    said, location = run.message, run.location.id
    channel = _channel(said.type) or (Channel.SMS if run.phone else None)
    body = said.body or run.custom.get("message", "")
    them = run.email if channel is Channel.EMAIL else run.phone
    if message_id := _word(run.custom.get("messageid")):
        key = f"{location}/{message_id}"
    elif (date := run.custom.get("date")) and (time := run.custom.get("time")):
        key = _hash(location, run.contact_id, run.workflow.id, date, time, " ".join(body.lower().split()))
    else:
        key = body_key(raw)
    return _Message(
        location=location,
        contact=run.contact_id,
        delivery_key=key,
        message_key=key,
        channel=channel,
        kind=said.type,
        is_ours=said.direction.lower() == "outbound",
        text=_words(channel, body),
        subject=said.subject,
        them=them,
        us="",
        addresses=(them, run.phone, run.email),
        sent_at=None,  # the customer's date and time name no zone
        person=_person(run),
    )


def _channel(kind: str) -> Channel | None:
    name = kind.lower().removeprefix("type_")
    return Channel.SMS if name in _TEXT_MESSAGES else Channel.EMAIL if name in _EMAILS else None


def _words(channel: Channel | None, body: str, content_type: str = "") -> str:
    """What the writer wrote; an e-mail's body is HTML more often than its type says so."""
    if channel is not Channel.EMAIL:
        return body.strip()
    return own_words(html_to_text(body) if "html" in content_type.lower() or _MARKUP.search(body) else body)


def _why_unusable(message: _Message) -> str | None:
    if message.is_ours:
        return None if message.text else "no text"
    if from_mail_system(message.them):
        return "sent by a mail system"
    return None if message.text else "no words of their own"


def _told_by(update: _DndUpdate) -> tuple[Channel, Consent | None]:
    """What the contact may no longer be sent; where no channel is named, ``dnd`` speaks of all.

    That nothing is blocked takes no request to stop back: it may never have been entered there.
    """
    for channel, setting in ((Channel.SMS, update.settings.sms), (Channel.EMAIL, update.settings.email)):
        if setting.status.lower() in _STOPPED:
            return channel, Consent.STOPPED
    channel = Channel.SMS if update.phone else Channel.EMAIL
    return channel, Consent.STOPPED if update.dnd is True else None


def _identities(location: str, contact: str, addresses: Iterable[str]) -> tuple[Identity, ...]:
    found = [Identity(IdentityKind.GOHIGHLEVEL_CONTACT, f"{location}/{contact}")]
    for address in addresses:
        if _EMAIL.fullmatch(address):
            found.append(Identity.email(address))
        elif _NUMBER.fullmatch(address):
            found.append(Identity.phone(address))
    return tuple(dict.fromkeys(found))


def _person(known: _Run | _DndUpdate) -> Person:
    return Person(
        first_name=or_none(known.first_name), last_name=or_none(known.last_name), company=or_none(known.company)
    )


def _named(reason: str, name: str) -> str:
    return f"{reason}: {name}" if _PLAIN.fullmatch(name) else reason


def _hash(*parts: str) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"
