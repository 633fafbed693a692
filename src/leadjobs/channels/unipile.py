"""Unipile: LinkedIn messages of connected accounts, in the shapes of its API v1 and v2.

From developer.unipile.com (v1: "New messages", "Webhooks overview"; v2: "Configure a webhook", "Event types") and the
message object of its unipile-python, which v2 says is the payload.  v1 does not sign: whoever makes the webhook gives
it a header.  v2 signs, as public handlers of it agree.  What our own user writes, here or on a telephone, comes in the
same event as what they receive.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from leadjobs.channels import Id, Payload, Text, body_key, clean, moment, needs_token, or_none, read_as, read_json
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Channel, Delivery, Identity, IdentityKind, Ignored, Inbound, Outbound, Person
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, hmac_hex, is_fresh

_NEW_V1, _NEW_V2 = "message_received", "message.new"
_PLAIN = re.compile(r"[A-Za-z_.]{1,50}")  # a name that may stand in a reason
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_LONGEST_ID, _LONGEST_PAGE = 200, 500  # what becomes part of a key is bounded


def _word(value: object) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    word = clean(str(value)).strip() if is_number or isinstance(value, str) else ""
    return word if len(word) <= _LONGEST_ID else ""


def _line(value: object) -> str:
    return " ".join(clean(value).split()) if isinstance(value, str) else ""


def _truth(value: object) -> bool | None:
    return _TRUTHS.get(str(value).lower()) if isinstance(value, bool | int | str) else None


def _object(value: object) -> object:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> object:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# A reply is not lost because one of these is odd: what is of another type is "", None or empty.
_Word = Annotated[str, BeforeValidator(_word)]
_Line = Annotated[str, BeforeValidator(_line)]
_Truth = Annotated[bool | None, BeforeValidator(_truth)]


class _Member(Payload):
    """A person of a chat, in the words of v1 and of v2."""

    id: _Word = Field(validation_alias=AliasChoices("attendee_provider_id", "id"), default="")
    name: _Line = Field(validation_alias=AliasChoices("attendee_name", "display_name"), default="")
    page: _Line = Field(validation_alias=AliasChoices("attendee_profile_url", "profile_url"), default="")


class _Account(Payload):
    user_id: _Word = ""


class _Said(Payload):
    """What both versions call by one name."""

    chat_id: _Word = ""
    timestamp: object = None
    attachments: object = None
    is_sender: _Truth = None
    is_event: _Truth = None


class _MessageV1(_Said):
    """The body of v1's ``message_received``."""

    account_id: Id
    message_id: Id
    message: Text | None = None
    subject: _Line = ""
    network: _Line = Field(alias="account_type", default="")
    account: Annotated[_Account, BeforeValidator(_object)] = Field(alias="account_info", default=_Account())
    sender: Annotated[_Member, BeforeValidator(_object)] = _Member()
    attendees: Annotated[tuple[_Member, ...], BeforeValidator(_objects)] = ()
    is_group: _Truth = None


class _PayloadV2(_Said):
    """The payload of v2's ``message.new``."""

    id: Id
    account_id: _Word = ""
    text: Text | None = None
    network: _Line = Field(alias="provider", default="")
    sender: Annotated[_Member, BeforeValidator(_object)] = _Member()
    sender_id: _Word = ""


class _EventV1(Payload):
    """What every event of v1 says."""

    event: Id
    account_id: _Word = ""
    message_id: _Word = ""


class _EventV2(Payload):
    """What every event of v2 says."""

    type: Id
    id: _Word = ""
    account_id: _Word = ""


class _MessageV2(_EventV2):
    payload: _PayloadV2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A message in the words of neither version; "" and None are not known."""

    event: str
    account: str
    id: str
    network: str
    is_event: bool
    is_ours: bool | None
    lead: _Member | None
    us: str
    chat: str
    text: str
    files: int
    subject: str | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unipile:
    """The adapter; ``secrets`` are the values of v1's header, tokens in the address, and the signing secrets of v2."""

    secrets: Secrets
    now: Callable[[], float] = time.time
    source: ClassVar[str] = "unipile"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if the delivery is signed with our secret or, where it is not signed at all, carries it.

        Raises:
            BadSignatureError: wrong, stale or missing proof, or no secret is set.
        """
        if not self.secrets or "unipile-signature" not in delivery.headers:
            needs_token(self.source, self.secrets, delivery, "unipile-auth", "x-unipile-secret")
        else:
            self._check_signature(delivery.headers["unipile-signature"], delivery.body)

    def _check_signature(self, header: str, body: bytes) -> None:
        entries = [entry.strip().partition("=")[::2] for entry in header.split(",")]
        signed_at = next((value for name, value in entries if name == "t"), "")
        if not is_fresh(signed_at, self.now()):
            raise BadSignatureError("unipile: unipile-signature has no time, or one over five minutes away")
        sign = partial(hmac_hex, message=f"{signed_at}.".encode() + body, algorithm="sha256")
        if not any(self.secrets.accepts(proof, sign) for name, proof in entries if name == "v0"):
            raise BadSignatureError("unipile: unipile-signature does not match")

    def read(self, delivery: Delivery) -> Inbound | Outbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no event of Unipile's, or a message lacks a field.
        """
        body = read_json(self.source, delivery.body)
        if "AccountStatus" in body:
            return self._ignored("", body_key(delivery.body), "news of an account")
        if "event" not in body and "type" in body:
            v2 = read_as(self.source, _EventV2, body)
            if v2.type == _NEW_V2:
                return self._meaning(_from_v2(read_as(self.source, _MessageV2, body)))
            return self._other(v2.type, v2.account_id, v2.id or body_key(delivery.body))
        v1 = read_as(self.source, _EventV1, body)
        if v1.event == _NEW_V1:
            return self._meaning(_from_v1(read_as(self.source, _MessageV1, body)))
        return self._other(v1.event, v1.account_id, v1.message_id or body_key(delivery.body))

    def _meaning(self, message: _Message) -> Inbound | Outbound | Ignored:
        key, identities = f"{message.account}/{message.event}/{message.id}", _identities(message)
        if reason := _why_unusable(message) or (None if identities else "nothing names the lead"):
            return self._ignored(message.account, key, reason)
        them = message.lead.id if message.lead else ""
        told = Outbound if message.is_ours else Inbound
        return told(
            source=self.source,
            tenant_keys=(message.account,),
            delivery_key=key,
            message_key=f"{message.account}/{message.id}",
            channel=Channel.LINKEDIN,
            identities=identities,
            text=message.text,
            subject=message.subject,
            sender=message.us if message.is_ours else them,
            recipient=them if message.is_ours else message.us,
            sent_at=message.sent_at,
            person=_person(message.lead),
        )

    def _other(self, event: str, account: str, name: str) -> Ignored:
        plain = event if _PLAIN.fullmatch(event) else "this"
        return self._ignored(account, f"{account}/{event}/{name}", f"{plain} is not a new message")

    def _ignored(self, account: str, key: str, reason: str) -> Ignored:
        return Ignored(source=self.source, tenant_keys=(account,) if account else (), delivery_key=key, reason=reason)


def _from_v1(said: _MessageV1) -> _Message:
    us, is_ours = said.account.user_id, said.is_sender
    if us and said.sender.id and not is_ours:
        is_ours = us == said.sender.id
    others = {attendee.id: attendee for attendee in said.attendees if attendee.id != said.sender.id}
    is_pair = not said.is_group and len(others) <= 1
    lead = said.sender if not is_ours else next(iter(others.values()), None) if is_pair else None
    return _Message(
        event=_NEW_V1,
        account=said.account_id,
        id=said.message_id,
        network=said.network,
        is_event=bool(said.is_event),
        is_ours=is_ours,
        lead=lead,
        us=us or said.account_id,
        chat=said.chat_id if is_pair or lead is None else "",
        text=(said.message or "").strip(),
        files=_count(said.attachments),
        subject=or_none(said.subject),
        sent_at=moment(said.timestamp),
    )


def _from_v2(event: _MessageV2) -> _Message:
    said = event.payload
    account = event.account_id or said.account_id
    if not account:
        raise MalformedWebhookError("unipile: account_id is missing")
    sender = said.sender.model_copy(update={"id": said.sender.id or said.sender_id})
    return _Message(
        event=_NEW_V2,
        account=account,
        id=said.id,
        network=said.network,
        is_event=bool(said.is_event),
        is_ours=said.is_sender,
        lead=None if said.is_sender else sender,
        us=account,
        chat=said.chat_id,  # v2 does not say whether it is a group's
        text=(said.text or "").strip(),
        files=_count(said.attachments),
        subject=None,
        sent_at=moment(said.timestamp),
    )


def _why_unusable(message: _Message) -> str | None:
    if message.network and message.network.upper() != "LINKEDIN":
        return "not LinkedIn"
    if message.is_event:
        return "an event of the chat"
    if message.is_ours is None:
        return "nothing says who wrote it"
    if message.text:
        return None
    files = message.files
    return f"no text ({files} {'file' if files == 1 else 'files'})" if files else "no text"


def _identities(message: _Message) -> tuple[Identity, ...]:
    lead, found = message.lead, []
    if lead and lead.id:
        found.append(Identity(IdentityKind.LINKEDIN, lead.id))
    if lead and len(lead.page) <= _LONGEST_PAGE:
        page = Identity.linkedin_profile(lead.page)
        found += [page] if page.value.startswith("linkedin.com/") else []
    if message.chat:
        found.append(Identity(IdentityKind.UNIPILE_CHAT, f"{message.account}/{message.chat}"))
    return tuple(found)


def _person(lead: _Member | None) -> Person:
    first, _, last = (lead.name if lead else "").partition(" ")
    return Person(first_name=or_none(first), last_name=or_none(last))


def _count(attachments: object) -> int:
    """How many files there are: v1's documentation shows one as an object of its own."""
    return len(attachments) if isinstance(attachments, list) else int(isinstance(attachments, dict))
