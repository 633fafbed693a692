"""Postmark: e-mail that arrives at an inbound address of ours.

From Postmark's "Inbound webhook" pages.  It does not sign: the webhook's address carries a user and password (HTTP
basic authentication) or a token.  ``MessageID`` is Postmark's own id of the delivery, and stays over its ten re-sends;
the mail's own Message-ID is among the headers.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar

from pydantic import Field

from leadjobs.channels import Address, Id, Payload, Text, read_as, read_json
from leadjobs.channels.email_text import from_mail_system, html_to_text, own_words
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Channel, Delivery, Identity, Ignored, Inbound
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, basic_password, query_token

_LONGEST_KEY = 400  # of a sender's making, so longer than any honest Message-ID, and shorter than an index refuses


class _Header(Payload):
    name: Text = Field(alias="Name")
    value: Text = Field(alias="Value", default="")


class _From(Payload):
    email: Address = Field(alias="Email")


class _Mail(Payload):
    message_id: Id = Field(alias="MessageID")
    sender: _From = Field(alias="FromFull")
    recipient: Address = Field(alias="OriginalRecipient")
    subject: Text | None = Field(alias="Subject", default=None)
    date: Text | None = Field(alias="Date", default=None)
    stripped: Text | None = Field(alias="StrippedTextReply", default=None)
    text: Text | None = Field(alias="TextBody", default=None)
    html: Text | None = Field(alias="HtmlBody", default=None)
    headers: tuple[_Header, ...] = Field(alias="Headers", default=())

    def header(self, name: str) -> str | None:
        """The first header of this (lower case) name."""
        return next((header.value.strip() for header in self.headers if header.name.strip().lower() == name), None)


@dataclass(frozen=True, slots=True)
class Postmark:
    """The adapter; ``secrets`` are the passwords (any user name) or tokens in the webhook's address."""

    secrets: Secrets
    source: ClassVar[str] = "postmark"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if the password or the token in the address is ours.

        Raises:
            BadSignatureError: wrong or missing proof, or no secret is set.
        """
        if not self.secrets:
            raise BadSignatureError("postmark: no secret is set")
        given = (basic_password(delivery.headers), query_token(delivery.url))
        if not any(self.secrets.matches(proof) for proof in given if proof is not None):
            raise BadSignatureError("postmark: the password or the token in the address does not match")

    def read(self, delivery: Delivery) -> Inbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no inbound mail of Postmark's, or lacks a field.
        """
        mail = read_as(self.source, _Mail, read_json(self.source, delivery.body))
        tenant_keys = _tenant_keys(mail.recipient)
        text = _text(mail)
        if reason := _why_not_theirs(mail) or (None if text else "no words of their own"):
            return Ignored(source=self.source, tenant_keys=tenant_keys, delivery_key=mail.message_id, reason=reason)
        return Inbound(
            source=self.source,
            tenant_keys=tenant_keys,
            delivery_key=mail.message_id,
            message_key=_message_key(mail),
            channel=Channel.EMAIL,
            identities=(Identity.email(mail.sender.email),),
            text=text,
            subject=(mail.subject or "").strip() or None,
            sender=mail.sender.email,
            recipient=mail.recipient,
            sent_at=_moment(mail.date),
        )


def _tenant_keys(recipient: str) -> tuple[str, ...]:
    """The address without what follows its plus sign (Postmark's MailboxHash), and its domain."""
    mailbox, at, domain = recipient.lower().rpartition("@")
    if not (mailbox and at and domain):
        raise MalformedWebhookError("postmark: OriginalRecipient is not an e-mail address")
    return (f"{mailbox.partition('+')[0]}@{domain}", domain)


def _message_key(mail: _Mail) -> str:
    rfc_id = mail.header("message-id")
    return rfc_id if rfc_id and len(rfc_id) <= _LONGEST_KEY else mail.message_id


def _text(mail: _Mail) -> str:
    stripped, text, html = mail.stripped or "", mail.text or "", mail.html or ""
    return own_words(stripped) or own_words(text) or own_words(html_to_text(html))


def _why_not_theirs(mail: _Mail) -> str | None:
    if "@" not in mail.sender.email:
        return "the sender has no address"
    if from_mail_system(mail.sender.email):
        return "sent by a mail system"
    return "automated reply" if _is_automated(mail) else None


def _is_automated(mail: _Mail) -> bool:
    """True if a header says so: RFC 3834's Auto-Submitted, or what programs used before and beside it."""
    # Parameters and comments may follow the word.
    submitted = re.split(r"[\s;(]", (mail.header("auto-submitted") or "no").lower(), maxsplit=1)[0]
    autoreply = (mail.header("x-autoreply") or "no").lower()
    precedence = (mail.header("precedence") or "").lower().replace("-", "_")
    return submitted != "no" or autoreply != "no" or precedence == "auto_reply"


def _moment(text: str | None) -> datetime | None:
    """The time in UTC, or None where it cannot be read: mail programs write what they like."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # The standard library calls "-0000" naive; RFC 5322 calls it UTC of a place unknown.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
