"""SendGrid: e-mail that arrives at a host of ours (Inbound Parse).

From Twilio SendGrid's "Inbound Email Parse Webhook" pages.  A delivery is a form (``multipart/form-data``): the mail
taken apart, or, where "POST the raw, full MIME message" is ticked, its bytes in the field ``email``.  It has no id of
its own, so the mail's Message-ID serves; the envelope says where it was sent, headers such as To are the sender's to
write.  The webhook's address carries a token, or a user and password; SendGrid's signatures are not looked at.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.parser import HeaderParser
from email.utils import parseaddr
from typing import ClassVar

from pydantic import Field, Json

from leadjobs.channels import Address, Payload, Text, body_key, clean, moment, needs_token, or_none, read_as
from leadjobs.channels.email_text import (
    Header,
    html_to_text,
    mailbox_keys,
    message_id,
    own_words,
    why_no_reply,
)
from leadjobs.errors import MalformedWebhookError
from leadjobs.leads.inbound import Channel, Delivery, Identity, Ignored, Inbound
from leadjobs.leads.post_process.opt_out import request_in
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Secrets, basic_password

# What anybody can mail to us must not cost seconds.
_MOST_PARTS = 1_000
_MOST_OF_A_MAIL = 200_000  # where headers and text are looked for: they come before the attachments
_MOST_NESTED = 20  # parts within parts, each of which makes the mail parser slower
_NESTING = re.compile(rb"content-type:\s*(?:multipart|message)/", re.IGNORECASE)
_LONGEST_CHARSET = 40
# Python's own, which no mail is written in: one takes quadratic time, others warn of bytes that they do not like.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape"})


class _Envelope(Payload):
    to: tuple[Address, ...] = Field(min_length=1)


class _Form(Payload):
    """The fields that are read; in their texts nothing is decoded but the characters."""

    envelope: Json[_Envelope]
    sender: Text = Field(alias="from")
    subject: Text = ""
    headers: Text = ""
    text: Text = ""
    html: Text = ""


class _Sender(Payload):
    address: Address = Field(alias="from")


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail, however it was taken apart."""

    recipient: str
    sender: str
    subject: str
    text: str
    html: str
    header: Header

    def key(self) -> str:
        """Its own Message-ID, else a hash of what stays the same when it is sent again."""
        parts = (self.recipient, self.sender, self.subject, self.text, self.html, self.header("date"))
        return message_id(self.header) or body_key(json.dumps(parts).encode())


@dataclass(frozen=True, slots=True)
class SendGrid:
    """The adapter; ``secrets`` are the tokens, or passwords of any user, in the webhook's address."""

    secrets: Secrets
    source: ClassVar[str] = "sendgrid"
    thanks: ClassVar[Answer | None] = None

    def verify(self, delivery: Delivery) -> None:
        """Return if the token or the password in the address is ours.

        Raises:
            BadSignatureError: wrong or missing proof, or no secret is set.
        """
        password = basic_password(delivery.headers)
        if password is None or not self.secrets.matches(password):
            needs_token(self.source, self.secrets, delivery)

    def read(self, delivery: Delivery) -> Inbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is no form of SendGrid's, lacks a field, or is a mail with too many parts.
        """
        mail = _mail(_fields(delivery))
        tenant_keys = mailbox_keys(mail.recipient)
        if not tenant_keys:
            raise MalformedWebhookError("sendgrid: envelope.to[0] is not an e-mail address")
        message_key = mail.key()
        # One mail to two addresses of ours comes twice, perhaps for two workspaces; and two senders may share an id.
        delivery_key = f"{mail.recipient.lower()}/{body_key(mail.sender.lower().encode())}/{message_key}"
        text = own_words(mail.text) or own_words(html_to_text(mail.html)) or request_in(mail.subject)
        if reason := why_no_reply(mail.sender, mail.header) or (None if text else "no words of their own"):
            return Ignored(source=self.source, tenant_keys=tenant_keys, delivery_key=delivery_key, reason=reason)
        return Inbound(
            source=self.source,
            tenant_keys=tenant_keys,
            delivery_key=delivery_key,
            message_key=message_key,
            channel=Channel.EMAIL,
            identities=(Identity.email(mail.sender),),
            text=text,
            subject=or_none(mail.subject),
            sender=mail.sender,
            recipient=mail.recipient,
            sent_at=moment(mail.header("date")),
        )


class _Collector:
    """What the form's parser calls as it goes: keeps fields, the first of each name, and passes over files."""

    def __init__(self) -> None:
        self.is_whole = False
        self._fields: dict[str, bytearray] = {}
        self._parts = 0
        self._name, self._value, self._disposition = b"", b"", b""
        self._field: bytearray | None = None

    @property
    def fields(self) -> Mapping[str, bytes]:
        return {name: bytes(value) for name, value in self._fields.items()}

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise MalformedWebhookError(f"sendgrid: the form has over {_MOST_PARTS} parts")
        self._disposition, self._field = b"", None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def on_headers_finished(self) -> None:
        _, options = _options(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self._fields and b"filename" not in options:
            self._field = self._fields[name] = bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is not None:
            self._field += data[start:end]

    def on_end(self) -> None:
        self.is_whole = True


def _options(header: str | bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """A header's value and its parameters."""
    from python_multipart.multipart import parse_options_header  # noqa: PLC0415  # see _fields

    return parse_options_header(header)


def _fields(delivery: Delivery) -> Mapping[str, bytes]:
    """The fields of the form that the body is."""
    # Not at the top: who is sent no mail by SendGrid need not wait for it.
    from python_multipart.exceptions import FormParserError  # noqa: PLC0415
    from python_multipart.multipart import MultipartParser  # noqa: PLC0415

    collector = _Collector()
    try:
        _, options = _options(delivery.headers.get("content-type", ""))
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": collector.on_part_begin,
                "on_header_field": collector.on_header_field,
                "on_header_value": collector.on_header_value,
                "on_header_end": collector.on_header_end,
                "on_headers_finished": collector.on_headers_finished,
                "on_part_data": collector.on_part_data,
                "on_end": collector.on_end,
            },
        )
        parser.write(delivery.body)
    except (FormParserError, KeyError, UnicodeEncodeError):
        raise MalformedWebhookError("sendgrid: the body is not a multipart form") from None
    if not collector.is_whole:
        raise MalformedWebhookError("sendgrid: the form has no end")
    return collector.fields


def _mail(fields: Mapping[str, bytes]) -> _Mail:
    charsets = _charsets(fields.get("charsets", b""))
    form = read_as("sendgrid", _Form, {name: _decoded(raw, charsets.get(name)) for name, raw in fields.items()})
    if "email" in fields:
        message = _message(fields["email"])
        text, html = _text_of(message, "text/plain"), _text_of(message, "text/html")
    else:
        message, text, html = HeaderParser().parsestr(form.headers[:_MOST_OF_A_MAIL]), form.text, form.html
    return _Mail(
        recipient=form.envelope.to[0],
        sender=read_as("sendgrid", _Sender, {"from": _address(form.sender)}).address,
        subject=form.subject,
        text=clean(text),
        html=clean(html),
        header=_header_of(message),
    )


def _charsets(raw: bytes) -> Mapping[str, object]:
    """The character set of each field, as SendGrid says; nothing where that cannot be read."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _decoded(raw: bytes, charset: object) -> str:
    """The text in its character set, or in UTF-8 where nobody knows that; bytes that do not fit are replaced."""
    try:
        if isinstance(charset, str) and len(charset) <= _LONGEST_CHARSET and _is_for_mail(charset):
            return raw.decode(charset, "replace")
    except (LookupError, ValueError):  # unknown, or no character set
        pass
    return raw.decode("utf-8", "replace")


def _is_for_mail(charset: str) -> bool:
    return codecs.lookup(charset).name not in _NO_CHARSETS


def _address(sender: str) -> str:
    """The address in a From header; empty where it has none."""
    try:
        return parseaddr(sender)[1]
    except RecursionError:  # comments in comments in comments
        return ""


def _message(raw: bytes) -> Message:
    start = raw[:_MOST_OF_A_MAIL]
    if len(_NESTING.findall(start)) > _MOST_NESTED:
        raise MalformedWebhookError("sendgrid: the mail has too many parts within parts")
    return message_from_bytes(start)


def _text_of(message: Message, kind: str) -> str:
    """All of this kind that the mail shows, leaving out attachments and mails that it forwards as such."""
    found = (part for part in _shown(message) if part.get_content_type() == kind)
    return "\n".join(_decoded(bytes(part.get_payload(decode=True)), part.get_content_charset()) for part in found)


def _shown(message: Message) -> Iterator[Message]:
    if not message.is_multipart():
        if message.get_content_disposition() != "attachment":
            yield message
    elif message.get_content_maintype() == "multipart":
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _shown(part)


def _header_of(message: Message) -> Header:
    def header(name: str) -> str | None:
        value = message[name]
        return None if value is None else clean(str(value)).strip()

    return header
