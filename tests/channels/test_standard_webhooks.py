"""Standard Webhooks: the specification's signatures, and our contract for anything else."""

import base64
import contextlib
import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channels.reader import reader, reasons

from leadjobs.channels.standard_webhooks import StandardWebhooks
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads import inbound
from leadjobs.leads.inbound import Channel, Consent, Delivery, Identity, IdentityKind, Ignored, Inbound, Outbound
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
BODY = (SAMPLES / "standardwebhooks_generic.json").read_bytes()
INDEX: dict[str, Any] = json.loads((SAMPLES / "_index.json").read_text())
AUTH: dict[str, Any] = INDEX["samples"]["standardwebhooks_generic.json"]["auth"]
SECRET: str = AUTH["secret"]
NOW: int = INDEX["test_time_unix"]
ID, SIGNATURE = AUTH["headers"]["webhook-id"], AUTH["headers"]["webhook-signature"]
URL = "https://ops.example.test/api/webhooks/standard-webhooks"


def adapter(setting: str | None = SECRET, *, now: float = NOW) -> StandardWebhooks:
    return StandardWebhooks(Secrets.parse(setting), now=lambda: now)


ADAPTER: inbound.Adapter = adapter()


def delivery(body: bytes = BODY, **headers: str) -> Delivery:
    """The sample with its headers; ``webhook_id="..."`` sets one, ``webhook_id=""`` removes it."""
    given = AUTH["headers"] | {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in given.items() if value}
    return Delivery(source="standard-webhooks", url=URL, headers=kept, body=body)


def sign(name: str, timestamp: object, body: bytes, secret: str = SECRET) -> str:
    """What the specification says, written a second time."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{name}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signed(name: str = ID, timestamp: object = NOW, body: bytes = BODY) -> Delivery:
    signature = sign(name, timestamp, body)
    return delivery(body, webhook_id=name, webhook_timestamp=str(timestamp), webhook_signature=signature)


def event(kind: str = "message.received", **data: Any) -> Delivery:
    """The sample with another type and fields set in its data; ``...`` removes one, ``from_`` is ``from``."""
    body = json.loads(BODY)
    named = {"from" if name == "from_" else name: value for name, value in data.items()}
    body["type"] = kind
    body["data"] = {name: value for name, value in (body["data"] | named).items() if value is not ...}
    return delivery(json.dumps(body).encode())


def mail(kind: str = "message.received", **data: Any) -> Delivery:
    addresses = {"from_": "Maya@Brightsmile.example", "to": "sam+x@Acme.example"}
    return event(kind, **({"channel": "email", "text": "Yes.\n\n> Hi"} | addresses | data))


read = reader(ADAPTER, Inbound)
reason = reasons(ADAPTER)


@pytest.mark.parametrize("setting", [SECRET, f"whsec_{'bmV3' * 8},{SECRET}", f"{SECRET}\n", f" {SECRET} \r\n"])
def test_the_sample_verifies_and_our_own_signing_agrees(setting: str) -> None:
    """The vector passes with the current secret or the previous one, under both families of headers."""
    assert sign(ID, NOW, BODY) == SIGNATURE
    adapter(setting).verify(delivery())
    adapter(setting).verify(replace(delivery(), headers=AUTH["svix_headers"]))


OTHER = "whsec_" + base64.b64encode(b"another secret of some length").decode()


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (f"{OTHER},{OTHER}", "no v1 signature in webhook-signature matches"),
        *((x, "no secret is set") for x in ("", ",")),
    ],
)
def test_no_other_secret_verifies(setting: str, problem: str) -> None:
    """A well-formed secret that did not sign refuses, and so does none, which those who run us are told."""
    with pytest.raises(BadSignatureError, match=rf"^standard-webhooks: {problem}$"):
        adapter(setting).verify(delivery())


BARE, STRAY = SECRET.removeprefix("whsec_"), f"{SECRET[:20]}-{SECRET[20:]}"


@pytest.mark.parametrize(
    "setting",
    [
        BARE,
        SECRET.upper(),
        SECRET.rstrip("="),
        "whsec_c2hvcnQ=",
        STRAY,
        "whsec_é",
        f"{SECRET},x",
        f"x,{SECRET}",
    ],
)
def test_a_secret_of_another_form_refuses_and_says_so(setting: str) -> None:
    """It can sign nothing, or next to nothing: found at the first delivery, not when somebody forges one."""
    with pytest.raises(BadSignatureError, match=r"^standard-webhooks: a secret is not whsec_ and the base64 of 24 "):
        adapter(setting).verify(delivery())


def test_a_delivery_without_an_id_is_refused_though_signed() -> None:
    """What cannot be told from a re-send is not taken."""
    with pytest.raises(BadSignatureError, match=r"^standard-webhooks: webhook-id is missing$"):
        ADAPTER.verify(replace(delivery(), headers={**signed("").headers, "webhook-id": ""}))


def test_an_empty_key_signs_nothing() -> None:
    """Anybody could make a signature with no key at all."""
    forged = base64.b64encode(hmac.new(b"", f"{ID}.{NOW}.".encode() + BODY, hashlib.sha256).digest()).decode()
    with pytest.raises(BadSignatureError):
        adapter("whsec_").verify(delivery(webhook_signature=f"v1,{forged}"))


@pytest.mark.parametrize("others", ["v1,AAAA", "v1a,AAAA", "nonsense", " v1 v1, , \t"])
def test_one_of_several_signatures_is_enough(others: str) -> None:
    """While a sender changes its secret it signs with both; entries of other kinds are skipped."""
    for header in (f"{others} {SIGNATURE}", f"{SIGNATURE} {others}"):
        ADAPTER.verify(delivery(webhook_signature=header))


PROOF = SIGNATURE.removeprefix("v1,")


@pytest.mark.parametrize(
    "header",
    ["", "v1", "v1,", PROOF, f"v2,{PROOF}", f"v1a,{PROOF}", f"v1={PROOF}", SIGNATURE[:-1], f"{SIGNATURE},x", "v1,é"],
)
def test_an_altered_signature_is_refused(header: str) -> None:
    """A missing one, another version, one character more or less: no proof."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(webhook_signature=header))


@pytest.mark.parametrize(
    "altered",
    [
        delivery(BODY + b" "),
        delivery(BODY.replace(b"900123", b"900124")),
        delivery(webhook_id=f"{ID}x"),
        delivery(webhook_timestamp=str(NOW + 1)),
        delivery(webhook_timestamp=f"0{NOW}"),
        delivery(webhook_id="", svix_id=ID),
        replace(delivery(), headers={}),
    ],
)
def test_what_is_signed_cannot_be_altered(altered: Delivery) -> None:
    """The signature covers id, time and body, and the headers of the two families do not mix."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(altered)


@pytest.mark.parametrize("off", [-301, 301, -1_000_000, 1_000_000])
def test_a_genuine_delivery_cannot_be_played_again_later(off: int) -> None:
    """Within five minutes it is fresh, for clocks differ; later, or earlier, it is refused."""
    for fresh in (-300, 300):
        adapter(now=NOW + fresh).verify(delivery())
    with pytest.raises(BadSignatureError, match="webhook-timestamp is missing, or more than five minutes off"):
        adapter(now=NOW + off).verify(delivery())


@pytest.mark.parametrize("timestamp", ["now", "-1", "1e9", f" {NOW}", f"{NOW}.0", "9" * 5000, "١٧٩٥٣٤١٦٠٠"])
def test_a_time_of_another_form_is_refused_though_signed(timestamp: str) -> None:
    """Whole seconds are what the specification has."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(signed(timestamp=timestamp))


def test_thousands_of_signatures_cost_one() -> None:
    """A large body is hashed once for each secret, however many signatures a stranger lists."""
    begun = time.process_time()
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(b"x" * 4_000_000, webhook_signature="v1,AAAA " * 5000))
    assert time.process_time() - begun < 2


def test_where_no_clock_is_given_now_is_now() -> None:
    """The machine's own time."""
    StandardWebhooks(Secrets.parse(SECRET)).verify(signed(timestamp=int(time.time())))


def test_a_text_message_is_read() -> None:
    """The sample is one reply, with everything that it says."""
    assert ADAPTER.read(delivery()) == Inbound(
        source="standard-webhooks",
        tenant_keys=("+447700900456",),
        delivery_key=ID,
        message_key="in_01KAMPLE",
        channel=Channel.SMS,
        identities=(Identity.phone("+447700900123"),),
        text="Yes call me tomorrow at 3",
        sender="+447700900123",
        recipient="+447700900456",
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
    )


def test_everything_that_may_be_told_is_read() -> None:
    """Names, more identities, a subject and the workspace's own name, as the documentation lists them."""
    reply = read(
        mail(
            tenant="acme",
            subject=" Re: Hi ",
            firstName="Maya",
            lastName="Ortiz",
            jobTitle="Owner",
            company="BrightSmile",
            industry="Dental",
            headcount=12,
            email="maya@home.example",
            phone="+44 7700 900123",
            linkedinId="ACoAAB",
            linkedinUrl="https://www.linkedin.com/in/maya/",
        )
    )
    assert reply.tenant_keys == ("acme", "sam@acme.example", "acme.example")
    assert reply.identities == (
        Identity.email("maya@brightsmile.example"),
        Identity.email("maya@home.example"),
        Identity.phone("+447700900123"),
        Identity(IdentityKind.LINKEDIN, "ACoAAB"),
        Identity.linkedin_profile("linkedin.com/in/maya"),
    )
    who = inbound.Person(first_name="Maya", last_name="Ortiz", job_title="Owner")
    assert reply.person == replace(who, company="BrightSmile", industry="Dental", headcount="12")
    assert (reply.channel, reply.text, reply.subject) == (Channel.EMAIL, "Yes.", "Re: Hi")


def test_what_was_sent_is_kept_for_the_lead_it_went_to() -> None:
    """In ``message.sent`` the lead is whom we wrote to, and the workspace is named by who wrote."""
    sent = ADAPTER.read(event("message.sent", from_="+44 7700 900456", to="+447700900123"))
    assert isinstance(sent, Outbound)
    assert (sent.identities, sent.tenant_keys) == ((Identity.phone("+447700900123"),), ("+447700900456",))
    assert (sent.sender, sent.recipient) == ("+44 7700 900456", "+447700900123")
    assert reason(event("message.sent", text="")) == "no words of their own"


@pytest.mark.parametrize(
    ("kind", "consent"),
    [
        ("contact.unsubscribed", Consent.STOPPED),
        ("contact.resubscribed", Consent.STARTED),
        ("contact.bounced", Consent.BOUNCED),
    ],
)
def test_news_of_a_contact_has_no_words(kind: str, consent: Consent) -> None:
    """Only the consent counts, and it is another record than the message it may have come by."""
    news = read(mail(kind, text="please stop", to=...))
    assert (news.consent, news.text, news.recipient) == (consent, "", "")
    assert news.identities == (Identity.email("maya@brightsmile.example"),)
    assert news.message_key == f"{kind}/in_01KAMPLE"
    assert news.tenant_keys == ()


@pytest.mark.parametrize("kind", ["message.read", "MESSAGE.RECEIVED", "invoice.paid"])
def test_unknown_types_are_ignored(kind: str) -> None:
    """Types are open: what is not ours may have any data."""
    meaning = ADAPTER.read(delivery(json.dumps({"type": kind, "data": 5}).encode()))
    assert meaning == Ignored(
        source="standard-webhooks", tenant_keys=(), delivery_key=ID, reason=f"{kind} is not known"
    )


@pytest.mark.parametrize(
    ("data", "identities"),
    [
        ({"from_": "ACoAAB", "channel": "linkedin"}, (Identity(IdentityKind.LINKEDIN, "ACoAAB"),)),
        (
            {"from_": "https://linkedin.com/in/maya?x=1", "channel": "linkedin"},
            (Identity.linkedin_profile("linkedin.com/in/maya"),),
        ),
        (
            {"from_": "Maya Ortiz", "channel": "linkedin", "linkedinId": "ACoAAB"},
            (Identity(IdentityKind.LINKEDIN, "ACoAAB"),),
        ),
        ({"from_": "+44 (0)7700-900.123"}, (Identity.phone("+4407700900123"),)),
        ({"phone": "07700 900 123"}, (Identity.phone("+447700900123"), Identity.phone("07700900123"))),
        ({"phone": "+447700900123", "email": "nobody", "linkedinUrl": "in/maya"}, (Identity.phone("+447700900123"),)),
        ({"from_": "ACME", "email": "m@x.example"}, (Identity.email("m@x.example"),)),
        ({"from_": ..., "linkedinId": "ACoAAB"}, (Identity(IdentityKind.LINKEDIN, "ACoAAB"),)),
    ],
)
def test_a_lead_is_named_by_what_can_name_one(data: dict[str, Any], identities: tuple[Identity, ...]) -> None:
    """The channel's own address first; what is no number, address or page of a member is left out."""
    assert read(event(**data)).identities == identities


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (event(from_="ACME"), "no telephone number, e-mail address or LinkedIn id names the contact"),
        (event(from_=""), "no telephone number, e-mail address or LinkedIn id names the contact"),
        (mail(from_="Maya <m@x.example>"), "no telephone number, e-mail address or LinkedIn id names the contact"),
        (mail(from_="MAILER-DAEMON@mx.example"), "sent by a mail system"),
        (mail(text="> Hi"), "no words of their own"),
        (event(text=" \n"), "no words of their own"),
        (event(text=...), "no words of their own"),
        (event(text={"x": 1}), "no words of their own"),
    ],
)
def test_what_cannot_be_used_is_ignored(source: Delivery, expected: str) -> None:
    """Nobody to name, a machine, or nothing said: kept with the reason, and for its workspace."""
    assert reason(source) == expected
    assert ADAPTER.read(source).tenant_keys


def test_html_stands_in_for_text() -> None:
    """Where there is no text the HTML is shown, of a mail without its history."""
    assert read(event(text=None, html="<b>Yes</b>")).text == "Yes"
    assert read(mail(text=None, html="Yes<blockquote>Hi</blockquote>")).text == "Yes"


@pytest.mark.parametrize("odd", [["x"], {"x": 1}, 1.5, True, None, "", "\0", "x" * 5000])
def test_an_odd_detail_does_not_lose_the_reply(odd: object) -> None:
    """Details are left out where they are not what they should be."""
    names = ("tenant", "firstName", "jobTitle", "headcount", "email", "phone", "linkedinId", "linkedinUrl")
    details: dict[str, Any] = dict.fromkeys(names, odd)
    assert read(event(**details)) == read(delivery())
    assert read(delivery(BODY.replace(b'"2026-11-22T10:00:00.000000Z"', json.dumps(odd).encode()))).sent_at is None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"id": ...}, r"data\.id is missing"),
        ({"id": None}, r"data\.id is null"),
        ({"id": "x" * 201}, r"data\.id should have at most 200"),
        ({"channel": ...}, r"data\.channel is missing"),
        ({"channel": "fax"}, r"data\.channel should be 'sms', 'email' or 'linkedin'"),
        ({"from_": 447700900123}, r"data\.from should be a valid string"),
        ({"to": ["x"]}, r"data\.to should be a valid string"),
    ],
)
def test_half_an_event_names_the_field(data: dict[str, Any], problem: str) -> None:
    """Who writes to our contract is told what is wrong with the delivery."""
    with pytest.raises(MalformedWebhookError, match=rf"^standard-webhooks: {problem}"):
        ADAPTER.read(event(**data))
    assert reason(event("other", **data)) == "other is not known"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b'{"type": ""}', b'{"type": "message.sent"}'])
def test_what_is_no_event_is_malformed(body: bytes) -> None:
    """Anything else than an object with a type, and data for ours."""
    with pytest.raises(MalformedWebhookError, match=r"^standard-webhooks: "):
        ADAPTER.read(delivery(body))


@pytest.mark.parametrize(
    ("name", "key"),
    [("msg_1", "msg_1"), (" msg 2 ", "msg 2"), ("ü\0", "ü"), ("", None), ("\0", None), ("x" * 201, None)],
)
def test_the_id_in_the_headers_names_the_delivery(name: str, key: str | None) -> None:
    """It stays over re-sends; where it is missing, as when read again, or cannot be kept, the body's hash does."""
    hashed = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    for headers in ({"webhook-id": name}, {"svix-id": name}):
        assert (key or hashed) == ADAPTER.read(replace(delivery(), headers=headers)).delivery_key


@given(st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_data_is_read_or_malformed(value: object) -> None:
    """No JSON makes reading raise anything but MalformedWebhookError."""
    data = {"id": "1", "channel": "email", "from": value, "tenant": value, "text": value}
    with contextlib.suppress(MalformedWebhookError):
        ADAPTER.read(delivery(json.dumps({"type": "message.received", "data": data}).encode()))
