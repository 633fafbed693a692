"""Twilio: text messages that people send to our numbers.

From Twilio's "Webhook request" and "Validating requests" pages and the ``RequestValidator`` of its Python package
(9.13), which is not imported because that takes a third of a second.  Bodies are URL-encoded forms; Twilio adds
parameters without notice and signs them all.  JSON bodies (``bodySHA256``) are not sent for messages and not accepted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from leadjobs.channels import Id, Payload, Text, body_key, read_as
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Channel, Consent, Delivery, Identity, Ignored, Inbound
from leadjobs.web.delivery import Answer
from leadjobs.web.signatures import Algorithm, Secrets, hmac_base64, to_bytes

_RECEIVED = frozenset({"received", "receiving"})
_ALGORITHMS: Mapping[str, Algorithm] = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_CONSENTS: Mapping[str, Consent] = {"STOP": Consent.STOPPED, "START": Consent.STARTED}
# A number or a short code.  "ACME" and "whatsapp:+44..." are senders too, and reducing those to digits would make one
# lead of them all.
_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_NUMBER_OF_FILES = re.compile(r"[1-9][0-9]?")


class _Event(Payload):
    """What every webhook of Twilio says."""

    account_sid: Id = Field(alias="AccountSid")


class _Status(_Event):
    """News about a message that we sent."""

    message_sid: Id = Field(alias="MessageSid")
    message_status: Id = Field(alias="MessageStatus")
    sender: Text = Field(alias="From", default="")


class _Message(_Event):
    """A message that a person sent."""

    message_sid: Id = Field(alias="MessageSid")
    sender: Id = Field(alias="From")
    recipient: Id = Field(alias="To")
    body: Text = Field(alias="Body")
    media: Text = Field(alias="NumMedia", default="0")
    opt_out_type: Text = Field(alias="OptOutType", default="")


@dataclass(frozen=True, slots=True)
class Twilio:
    """The adapter; ``secrets`` are auth tokens of the account (or the secrets of its shared keys)."""

    secrets: Secrets
    source: ClassVar[str] = "twilio"
    thanks: ClassVar[Answer | None] = Answer(200, "thanks", b"<Response/>", "text/xml")

    def verify(self, delivery: Delivery) -> None:
        """Return if Twilio signed this address with these parameters.

        Raises:
            BadSignatureError: wrong or missing signature, an unknown algorithm, or no secret is set.
        """
        if not self.secrets:
            raise BadSignatureError("twilio: no secret is set")
        given = delivery.headers.get("x-twilio-signature", "")
        algorithm = _algorithm(delivery.headers)
        parameters = _signed_parameters(delivery.body)
        genuine = False
        for address in _addresses(delivery.url):
            sign = partial(hmac_base64, message=to_bytes(address) + parameters, algorithm=algorithm)
            genuine |= self.secrets.accepts(given, sign)
        if not genuine:
            raise BadSignatureError("twilio: X-Twilio-Signature does not match")

    def read(self, delivery: Delivery) -> Inbound | Ignored:
        """Say what a verified delivery means.

        Raises:
            MalformedWebhookError: it is not a form of Twilio's, or an inbound message lacks a field.
        """
        form = _form(delivery.body)
        event = read_as(self.source, _Event, form)
        if "MessageStatus" in form:
            return self._status(read_as(self.source, _Status, form))
        if _is_inbound(form):
            return self._message(read_as(self.source, _Message, form))
        return Ignored(
            source=self.source,
            tenant_keys=(event.account_sid,),
            delivery_key=body_key(delivery.body),
            reason="not a message from a person",
        )

    def _status(self, status: _Status) -> Ignored:
        # Of a message that we sent, the number of ours is the sender.
        ours = (f"{status.account_sid}/{status.sender}",) if status.sender else ()
        return Ignored(
            source=self.source,
            tenant_keys=(*ours, status.account_sid),
            delivery_key=f"{status.message_sid}/{status.message_status}",
            reason=f"status of a message we sent: {status.message_status}",
        )

    def _message(self, message: _Message) -> Inbound | Ignored:
        tenant_keys = (f"{message.account_sid}/{message.recipient}", message.account_sid)
        text, consent = message.body.strip(), _CONSENTS.get(message.opt_out_type.strip().upper())
        if reason := _why_unusable(message, has_text=bool(text or consent)):
            return Ignored(source=self.source, tenant_keys=tenant_keys, delivery_key=message.message_sid, reason=reason)
        return Inbound(
            source=self.source,
            tenant_keys=tenant_keys,
            delivery_key=message.message_sid,
            message_key=message.message_sid,
            channel=Channel.SMS,
            identities=(Identity.phone(message.sender),),
            text=text,
            sender=message.sender,
            recipient=message.recipient,
            consent=consent,
        )


def _algorithm(headers: Mapping[str, str]) -> Algorithm:
    """SHA-1, unless the header that comes with shared keys (``key=...,algorithm=...``) says otherwise."""
    settings = headers.get("x-twilio-webhooks-signature-settings", "")
    parts = (part.strip().partition("=") for part in settings.split(","))
    named = next((value.strip() for name, _, value in parts if name.strip() == "algorithm"), "") or "HMAC_SHA1"
    if algorithm := _ALGORITHMS.get(named.upper()):
        return algorithm
    raise BadSignatureError("twilio: X-Twilio-Webhooks-Signature-Settings names an algorithm we do not know")


def _addresses(url: str) -> set[str]:
    """The address as it is, without a port, and with one: Twilio signs now this, now that, and accepts all."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return {url}
    host = parts.netloc.removesuffix(f":{port}")
    with_port = f"{host}:{port or (443 if parts.scheme == 'https' else 80)}"
    return {url, parts._replace(netloc=host).geturl(), parts._replace(netloc=with_port).geturl()}


def _signed_parameters(body: bytes) -> bytes:
    """Names and values in order of name, then value, each pair once: what Twilio's own validator signs."""
    # Bytes that are not UTF-8 go through unharmed, so that they fail (or pass) as what they are.
    text = body.decode("utf-8", "surrogateescape")
    pairs = sorted(set(parse_qsl(text, keep_blank_values=True, errors="surrogateescape")))
    return "".join(name + value for name, value in pairs).encode("utf-8", "surrogateescape")


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedWebhookError("twilio: the body is not UTF-8") from error
    return dict(pairs)


def _is_inbound(form: Mapping[str, str]) -> bool:
    status = form.get("SmsStatus")
    return status in _RECEIVED or (status is None and {"MessageSid", "From", "Body"} <= form.keys())


def _why_unusable(message: _Message, *, has_text: bool) -> str | None:
    if not _NUMBER.fullmatch(message.sender):
        return "the sender is not a telephone number"
    if has_text:
        return None
    count = message.media.strip()
    if not _NUMBER_OF_FILES.fullmatch(count):
        return "no text"
    return f"no text ({count} media {'file' if count == '1' else 'files'})"
