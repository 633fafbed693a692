"""Postmark: e-mail that arrives at an inbound address of ours.

From Postmark's "Inbound webhook" pages.  It does not sign: the webhook's address carries a user and password (HTTP
basic authentication) or a token.  ``MessageID`` is Postmark's own id of the delivery, and stays over its ten re-sends;
the mail's own Message-ID is among the headers.
"""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from leadjobs.channels import Address, Id, Payload, Text, moment, or_none, read_as, read_json
from leadjobs.channels.email_text import html_to_text, mailbox_keys, message_id, own_words, why_no_reply
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Channel, Delivery, Identity, Ignored, Inbound
from leadjobs.leads.post_process.opt_out import request_in
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, basic_password, query_token


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
    date: object = Field(alias="Date", default=None)
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
        tenant_keys = mailbox_keys(mail.recipient)
        if not tenant_keys:
            raise MalformedWebhookError("postmark: OriginalRecipient is not an e-mail address")
        text = _text(mail)
        if reason := why_no_reply(mail.sender.email, mail.header) or (None if text else "no words of their own"):
            return Ignored(source=self.source, tenant_keys=tenant_keys, delivery_key=mail.message_id, reason=reason)
        return Inbound(
            source=self.source,
            tenant_keys=tenant_keys,
            delivery_key=mail.message_id,
            message_key=message_id(mail.header) or mail.message_id,
            channel=Channel.EMAIL,
            identities=(Identity.email(mail.sender.email),),
            text=text,
            subject=or_none(mail.subject),
            sender=mail.sender.email,
            recipient=mail.recipient,
            sent_at=moment(mail.date),
        )


def _text(mail: _Mail) -> str:
    stripped, text, html = mail.stripped or "", mail.text or "", mail.html or ""
    return own_words(stripped) or own_words(text) or own_words(html_to_text(html)) or request_in(mail.subject)
