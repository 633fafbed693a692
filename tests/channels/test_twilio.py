"""Twilio: whose signature it is, and what a text message says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from leadjobs.channels.twilio import Twilio
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Adapter, Channel, Consent, Delivery, Identity, Ignored, Inbound
from leadjobs.leads.post_process.opt_out import opt_out_in
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
INDEX: dict[str, Any] = json.loads((SAMPLES / "_index.json").read_text())["samples"]
TWILIO = sorted(name for name, about in INDEX.items() if about["provider"] == "twilio")
SECRET = "test-twilio-auth-token"
ADAPTER: Adapter = Twilio(Secrets.parse(SECRET))
URL = "https://ops.example.test/webhooks/twilio/sms"
ACCOUNT, MESSAGE = "AC0123456789abcdef0123456789abcdef", "SM1234567890abcdef1234567890abcdef"

Form = Mapping[str, str] | Sequence[tuple[str, str]]


def sample(name: str) -> dict[str, str]:
    form: dict[str, str] = json.loads((SAMPLES / name).read_bytes())
    return form


def sign(url: str, form: Form, secret: str = SECRET, digest: str = "sha1") -> str:
    """What Twilio's documentation says, written a second time: names in order, each followed by its value."""
    pairs = list(form.items()) if isinstance(form, Mapping) else list(form)
    text = url
    for name in sorted({name for name, _ in pairs}):
        for value in sorted({value for other, value in pairs if other == name}):
            text += name + value
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), getattr(hashlib, digest)).digest()).decode()


def delivery(form: Form, *, url: str = URL, signature: str | None = None, **headers: str) -> Delivery:
    if signature is not None:
        headers["x-twilio-signature"] = signature
    return Delivery(source="twilio", url=url, headers=headers, body=urlencode(form).encode())


def signed(form: Form, *, url: str = URL) -> Delivery:
    return delivery(form, url=url, signature=sign(url, form))


def vector(name: str) -> Delivery:
    auth = INDEX[name]["auth"]
    return delivery(sample(name), url=auth["url"], signature=auth["headers"]["X-Twilio-Signature"])


def inbound(**changes: str) -> Delivery:
    return delivery(sample("twilio_inbound_sms.json") | changes)


def without(*names: str) -> Delivery:
    return delivery({k: v for k, v in sample("twilio_inbound_sms.json").items() if k not in names})


@pytest.mark.parametrize("name", TWILIO)
def test_every_sample_verifies_and_our_own_signing_agrees(name: str) -> None:
    """The vectors, checked against Twilio's own validator when they were made, pass and are what we would sign."""
    genuine = vector(name)
    assert sign(genuine.url, sample(name)) == genuine.headers["x-twilio-signature"]
    ADAPTER.verify(genuine)


@pytest.mark.parametrize("name", TWILIO)
@pytest.mark.parametrize("secrets", ["other", "", None, "test-twilio-auth-toke", "test-twilio-auth-token2"])
def test_no_other_secret_verifies(name: str, secrets: str | None) -> None:
    """A wrong secret refuses, and so does none."""
    with pytest.raises(BadSignatureError):
        Twilio(Secrets.parse(secrets)).verify(vector(name))


@pytest.mark.parametrize("name", TWILIO)
@pytest.mark.parametrize("secrets", [f"new,{SECRET}", f"{SECRET}\n", f" {SECRET} \r\n,new"])
def test_the_previous_secret_and_stray_newlines_are_accepted(name: str, secrets: str) -> None:
    """A secret that is being changed, or was pasted with a newline, still verifies."""
    Twilio(Secrets.parse(secrets)).verify(vector(name))


@pytest.mark.parametrize("name", TWILIO)
def test_one_changed_byte_is_refused(name: str) -> None:
    """Every byte of the values is covered: none can be changed."""
    genuine = vector(name)
    for at in range(0, len(genuine.body), 7):
        changed = bytes([genuine.body[at] ^ 1])
        with pytest.raises(BadSignatureError):
            ADAPTER.verify(replace(genuine, body=genuine.body[:at] + changed + genuine.body[at + 1 :]))


@pytest.mark.parametrize("more", [("Extra", ""), ("Body", "again"), ("ZZZ", "1")])
def test_parameters_cannot_be_added(more: tuple[str, str]) -> None:
    """An added parameter changes what is signed, even where it is empty or repeats a name."""
    genuine = vector("twilio_inbound_sms.json")
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(replace(genuine, body=genuine.body + b"&" + urlencode([more]).encode()))


def test_parameters_we_do_not_know_are_signed_too() -> None:
    """Twilio adds parameters without notice: they are covered by the signature, and no reason to refuse."""
    form = sample("twilio_inbound_sms.json") | {"NewIn2027": "yes", "Empty": "", "Ümlaut": "ä & = + %"}
    ADAPTER.verify(signed(form))
    assert isinstance(ADAPTER.read(signed(form)), Inbound)


def test_repeated_parameters_are_signed_as_twilios_validator_does() -> None:
    """A name that comes several times counts with each different value once, in order."""
    form = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b"), ("Body", "hi")]
    expected = base64.b64encode(hmac.digest(SECRET.encode(), f"{URL}BodyhiMediaUrlaMediaUrlb".encode(), "sha1"))
    assert sign(URL, form) == expected.decode()
    ADAPTER.verify(signed(form))


def test_broken_bytes_are_not_what_they_would_be_shown_as() -> None:
    """A signature over the replacement character does not cover bytes that are no UTF-8."""
    genuine = signed({"Body": "\ufffd"})
    ADAPTER.verify(genuine)
    for broken in (b"Body=%FF", b"Body=\xff"):
        with pytest.raises(BadSignatureError):
            ADAPTER.verify(replace(genuine, body=broken))


@pytest.mark.parametrize("header", ["", "x", "zTzgf9mBn8vDwprudBw1BGClLW", "é", "zTzgf9mBn8vDwprudBw1BGClLWo= "])
def test_a_malformed_signature_is_refused(header: str) -> None:
    """A header that is no signature is refused, not an error of ours."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(replace(vector("twilio_inbound_sms.json"), headers={"x-twilio-signature": header}))


def test_a_missing_signature_is_refused() -> None:
    """No header, no proof."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(replace(vector("twilio_inbound_sms.json"), headers={}))


@pytest.mark.parametrize(
    ("signed_url", "our_url"),
    [
        ("https://ops.example.test/hook", "https://ops.example.test:443/hook"),
        ("https://ops.example.test:443/hook", "https://ops.example.test/hook"),
        ("http://ops.example.test:80/hook?a=1", "http://ops.example.test/hook?a=1"),
        ("https://ops.example.test/hook", "https://ops.example.test:8443/hook"),
        ("https://user:pass@ops.example.test/hook", "https://user:pass@ops.example.test:443/hook"),
        ("https://[::1]:443/hook", "https://[::1]/hook"),
        ("https://ops.example.test/hook?", "https://ops.example.test/hook?"),
    ],
)
def test_the_address_verifies_with_and_without_its_port(signed_url: str, our_url: str) -> None:
    """Twilio signs with the port or without it; its own validator tries both, and so do we."""
    form = sample("twilio_inbound_sms.json")
    ADAPTER.verify(delivery(form, url=our_url, signature=sign(signed_url, form)))


@pytest.mark.parametrize(
    "url",
    [
        "http://ops.example.test/webhooks/twilio/sms",
        "https://evil.example.test/webhooks/twilio/sms",
        "https://ops.example.test/webhooks/twilio/sms?x=1",
        "https://ops.example.test/webhooks/twilio/sms/",
        "https://ops.example.test:99999/webhooks/twilio/sms",
        "https://[broken/webhooks/twilio/sms",
        "",
    ],
)
def test_another_address_is_refused(url: str) -> None:
    """The signature covers scheme, host, path and query."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(replace(vector("twilio_inbound_sms.json"), url=url))


def test_shared_keys_sign_with_sha256() -> None:
    """The settings header names the algorithm; an unknown one is refused."""
    form = sample("twilio_inbound_sms.json")
    new = delivery(form, signature=sign(URL, form, digest="sha256"))
    settings = "x-twilio-webhooks-signature-settings"
    ADAPTER.verify(replace(new, headers={**new.headers, settings: "key=webhooks_1, algorithm=HMAC_SHA256"}))
    for wrong in ("", "key=webhooks_1", "algorithm=HMAC_SHA1", "algorithm=none", "algorithm=MD5"):
        with pytest.raises(BadSignatureError):
            ADAPTER.verify(replace(new, headers={**new.headers, settings: wrong}))
    for unknown in ("algorithm=none", "algorithm=MD5"):
        with pytest.raises(BadSignatureError, match="algorithm"):
            ADAPTER.verify(replace(signed(form), headers={**signed(form).headers, settings: unknown}))


def test_a_text_message_is_read() -> None:
    """The sample is one reply, with everything that Twilio says of it."""
    assert ADAPTER.read(vector("twilio_inbound_sms.json")) == Inbound(
        source="twilio",
        tenant_keys=(f"{ACCOUNT}/+447700900456", ACCOUNT),
        delivery_key=MESSAGE,
        message_key=MESSAGE,
        channel=Channel.SMS,
        identities=(Identity.phone("+447700900123"),),
        text="Yes call me tomorrow at 3",
        sender="+447700900123",
        recipient="+447700900456",
    )


@pytest.mark.parametrize(
    ("name", "key", "tenants", "reason"),
    [
        (
            "twilio_message_status_delivered.json",
            f"{MESSAGE}/delivered",
            (f"{ACCOUNT}/+447700900456", ACCOUNT),
            "status of a message we sent: delivered",
        ),
        (
            "twilio_message_status_undelivered.json",
            f"{MESSAGE}/undelivered",
            (f"{ACCOUNT}/+447700900456", ACCOUNT),
            "status of a message we sent: undelivered",
        ),
        ("twilio_call_status_completed.json", None, (ACCOUNT,), "not a message from a person"),
        ("twilio_recording_status.json", None, (ACCOUNT,), "not a message from a person"),
    ],
)
def test_other_events_are_ignored(name: str, key: str | None, tenants: tuple[str, ...], reason: str) -> None:
    """Statuses and calls are no replies; they are kept with their reason, under a key of their own."""
    event = vector(name)
    key = key or f"sha256:{hashlib.sha256(event.body).hexdigest()}"
    assert ADAPTER.read(event) == Ignored(source="twilio", tenant_keys=tenants, delivery_key=key, reason=reason)


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "To", "Body"])
def test_half_a_message_names_the_field(name: str) -> None:
    """A received message without a field that we need is malformed, and says which."""
    with pytest.raises(MalformedWebhookError, match=rf"^twilio: {name} is missing$"):
        ADAPTER.read(without(name))


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "To"])
def test_an_empty_field_is_named_too(name: str) -> None:
    """An id or a number that is there but empty is as good as missing."""
    with pytest.raises(MalformedWebhookError, match=rf"^twilio: {name} is empty$"):
        ADAPTER.read(inbound(**{name: " "}))


def test_a_message_without_its_state_is_still_read() -> None:
    """SmsStatus is old: what has an id, a sender and a text is a message; what says it was sent is none."""
    assert isinstance(ADAPTER.read(without("SmsStatus")), Inbound)
    assert isinstance(ADAPTER.read(inbound(SmsStatus="sent")), Ignored)
    assert isinstance(ADAPTER.read(without("SmsStatus", "Body")), Ignored)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"MessageSid": "SM1"}', b"\xff\xfe", b"Body=%ff", b"&&&", b"\0"])
def test_what_is_no_form_of_twilios_is_malformed(body: bytes) -> None:
    """JSON, broken UTF-8 and emptiness are not read as anything."""
    with pytest.raises(MalformedWebhookError, match=r"^twilio: "):
        ADAPTER.read(replace(inbound(), body=body))
    if body.endswith((b"\xfe", b"%ff")):
        with pytest.raises(MalformedWebhookError, match=r"^twilio: the body is not UTF-8$"):
            ADAPTER.read(replace(inbound(), body=inbound().body + b"&" + body))


@pytest.mark.parametrize(
    ("kind", "consent"),
    [("STOP", Consent.STOPPED), ("stop", Consent.STOPPED), ("START", Consent.STARTED), ("HELP", None), ("", None)],
)
def test_advanced_opt_out_is_told(kind: str, consent: Consent | None) -> None:
    """What Twilio itself understood as consent is handed on."""
    reply = ADAPTER.read(inbound(OptOutType=kind, Body="whatever"))
    assert isinstance(reply, Inbound)
    assert reply.consent == consent


def test_help_is_no_opt_out() -> None:
    """Who asks for help is answered by Twilio, and has not asked to be left alone."""
    reply = ADAPTER.read(inbound(OptOutType="HELP", Body="HELP"))
    assert isinstance(reply, Inbound)
    assert (reply.text, reply.consent, opt_out_in(reply.text, Channel.SMS)) == ("HELP", None, None)


def test_a_text_with_a_picture_is_read() -> None:
    """The picture is not fetched; the words count."""
    reply = ADAPTER.read(
        inbound(NumMedia="1", MediaUrl0="https://api.twilio.example/m", MediaContentType0="image/jpeg")
    )
    assert isinstance(reply, Inbound)
    assert reply.text == "Yes call me tomorrow at 3"


def test_a_stop_without_text_is_not_lost() -> None:
    """A request to stop counts even where nothing was written."""
    reply = ADAPTER.read(inbound(OptOutType="STOP", Body=""))
    assert isinstance(reply, Inbound)
    assert (reply.consent, reply.text) == (Consent.STOPPED, "")


@pytest.mark.parametrize(
    ("body", "count", "reason"),
    [
        ("", "2", "no text (2 media files)"),
        (" \n", "1", "no text (1 media file)"),
        ("", "0", "no text"),
        ("\0", "", "no text"),
        ("", "many", "no text"),
    ],
)
def test_a_message_without_text_is_ignored(body: str, count: str, reason: str) -> None:
    """A picture alone cannot be scored; the record says what came."""
    ignored = ADAPTER.read(inbound(Body=body, NumMedia=count))
    assert isinstance(ignored, Ignored)
    assert (ignored.reason, ignored.delivery_key) == (reason, MESSAGE)


@pytest.mark.parametrize(
    "sender", ["whatsapp:+447700900123", "ACMEBANK", "2FA4U", "rcs:agent", "+", "12", "+44 x", "1" * 16]
)
def test_a_sender_without_a_number_is_ignored(sender: str) -> None:
    """Names and other networks are not telephone numbers; reduced to digits, they would all be one lead."""
    ignored = ADAPTER.read(inbound(From=sender))
    assert isinstance(ignored, Ignored)
    assert ignored.reason == "the sender is not a telephone number"


def test_nul_characters_are_dropped() -> None:
    """PostgreSQL cannot keep them."""
    reply = ADAPTER.read(inbound(Body="Yes\0 please\0", To="+4477009\x0000456"))
    assert isinstance(reply, Inbound)
    assert (reply.text, reply.recipient) == ("Yes please", "+447700900456")
