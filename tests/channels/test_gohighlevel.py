"""GoHighLevel: messages of an app and of a workflow, who proves them, and what "do not disturb" says."""

import base64
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.channels.reader import reader

from leadjobs.channels.gohighlevel import GoHighLevel
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Channel, Consent, Identity, IdentityKind, Ignored, Inbound, Outbound, Person
from leadjobs.web.delivery import Answer, Delivery
from leadjobs.web.signatures import Secrets
from leadjobs.web.webhooks import webhooks_door

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
APP = (SAMPLES / "ghl_inbound_message_sms.json").read_bytes()
WORKFLOW = (SAMPLES / "ghl_workflow_inbound_sms.json").read_bytes()
PUBLIC = "MCowBQYDK2VwAyEAekS8etenLaufg8S6RwH1MvRTENVJE2/DAzsKl7yDmrI="
REAL = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg="
SIGNED = "mgOLbD2Ogch3dRkeXZs4FAHS9jZ3p1y4w1+Iz5FxzQDQdBOHc4qbzoR1qy++TSzIuz28qAbCnLQBSC6QJMXCAQ=="
TOKEN = "test-ghl-token"
URL = "https://ops.example.test/api/webhooks/gohighlevel"
LOCATION, CONTACT = "l1C08ntBrFjLS0elLIYU", "cI08i1Bls3iTB9bKgFJh"
WEBHOOK = "3f1d1a6c-7a6b-4a5e-8c6d-2b1a0f9e8d7c"
NUMBERED = Identity(IdentityKind.GOHIGHLEVEL_CONTACT, f"{LOCATION}/{CONTACT}")
PHONE, EMAIL = Identity.phone("+447700900123"), Identity.email("maya.ortiz@brightsmile.example")
AN_EMAIL: dict[str, Any] = (
    {"messageType": "Email", "messageTypeString": "TYPE_EMAIL", "messageId": ..., "emailMessageId": "sddfDSF3G56GHG"}
    | {"from": "Maya Ortiz <Maya.Ortiz@BrightSmile.example>", "to": ["sam@tryoutreach.example", "else@x.example"]}
    | {"subject": "Re: bookings", "body": "<div>Yes, call me.<br></div><blockquote>Hi Maya</blockquote>"}
)
A_DND: dict[str, Any] = (
    {"type": "ContactDndUpdate", "locationId": LOCATION, "id": CONTACT, "dateAdded": "2021-11-26T12:41:02.193Z"}
    | {"firstName": "Maya", "lastName": "Ortiz", "companyName": "BrightSmile Dental", "webhookId": WEBHOOK}
    | {"email": "maya.ortiz@brightsmile.example", "phone": "+447700900123", "dnd": True, "timestamp": 1795341600}
    | {"dndSettings": {"SMS": {"status": "inactive"}, "Call": {"status": "active"}, "Email": {"status": "active"}}}
)


def ghl(setting: str | None = TOKEN, *keys: str) -> GoHighLevel:
    return GoHighLevel(Secrets.parse(setting), keys)


def delivery(body: bytes = APP, *, url: str = URL, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(source="gohighlevel", url=url, headers=named, body=body)


def signed(signature: str = SIGNED, body: bytes = APP, **headers: str) -> Delivery:
    return delivery(body, x_ghl_signature=signature, **headers)


def changed(sample: bytes, fields: dict[str, Any] | None = None, /, **more: Any) -> Delivery:
    """A sample with fields set: objects are merged, ``...`` removes."""
    event = json.loads(sample)
    for name, value in ((fields or {}) | more).items():
        event[name] = event[name] | value if isinstance(value, dict) and isinstance(event.get(name), dict) else value
    return delivery(json.dumps({name: value for name, value in event.items() if value is not ...}).encode())


app, workflow, dnd = (partial(changed, sample) for sample in (APP, WORKFLOW, json.dumps(A_DND).encode()))
read, sent, ignored = reader(ghl(), Inbound), reader(ghl(), Outbound), reader(ghl(), Ignored)


@pytest.mark.parametrize("keys", [(PUBLIC,), (REAL, PUBLIC), (PUBLIC, REAL)])
def test_an_apps_signature_verifies(keys: tuple[str, ...]) -> None:
    """With the current public key or the previous one, and without any secret."""
    ghl(None, *keys).verify(signed())
    ghl(TOKEN, *keys).verify(signed(f" {SIGNED}\n"))


@pytest.mark.parametrize(
    "genuine",
    [
        delivery(WORKFLOW, x_leadjobs_token=TOKEN),
        delivery(WORKFLOW, url=f"{URL}?token={TOKEN}"),
        delivery(WORKFLOW, authorization=f"Bearer {TOKEN}"),
    ],
)
def test_a_workflows_token_verifies(genuine: Delivery) -> None:
    """In its header or the usual places, with the current secret or the previous one, and stray white space."""
    for setting in (TOKEN, f"new,{TOKEN}", f"{TOKEN}\n", f" {TOKEN} , old"):
        ghl(setting).verify(genuine)
        ghl(setting, PUBLIC).verify(genuine)


FORGED = [signed(proof) for proof in (SIGNED[:-4] + "AAA=", "", "é", "eA==")]
FORGED += [signed(body=APP + b" "), signed(body=WORKFLOW), delivery(x_wh_signature=SIGNED), delivery()]
FORGED += [delivery(x_leadjobs_token=token) for token in ("", TOKEN[:-1], f"{TOKEN}x")]


@pytest.mark.parametrize("forged", FORGED)
def test_a_wrong_or_missing_proof_is_refused(forged: Delivery) -> None:
    """One changed character, another body, the RSA header of old, no token."""
    with pytest.raises(BadSignatureError):
        ghl(TOKEN, PUBLIC).verify(forged)


def test_a_signature_alone_decides() -> None:
    """Where one is given and is not by our keys, a right token does not help; without a key none is right."""
    for adapter in (ghl(TOKEN, REAL), ghl(TOKEN)):
        with pytest.raises(BadSignatureError, match="X-GHL-Signature"):
            adapter.verify(signed(x_leadjobs_token=TOKEN))


@pytest.mark.parametrize("setting", ["", None, ","])
def test_without_a_secret_nothing_verifies(setting: str | None) -> None:
    """Neither a secret nor a key: refused, whatever is given.  With a key alone, what is unsigned is."""
    for given in (signed(), delivery(x_leadjobs_token=""), delivery(url=f"{URL}?token=")):
        with pytest.raises(BadSignatureError, match=r"^gohighlevel: no secret is set$"):
            ghl(setting).verify(given)
    with pytest.raises(BadSignatureError, match=r"^gohighlevel: no secret is set$"):
        ghl(setting, PUBLIC).verify(delivery(x_leadjobs_token=""))


@pytest.mark.parametrize("key", ["no key", "", base64.b64encode(b"x" * 44).decode()])
async def test_a_public_key_that_is_none_is_ours_to_fix(key: str) -> None:
    """The door answers 500 with the code, so the provider may send again and somebody is alarmed; no key is shown."""
    adapter = ghl(None, key)

    async def receive(delivery: Delivery) -> Answer:
        adapter.verify(delivery)
        return Answer(200, "kept")

    door = httpx.ASGITransport(app=webhooks_door(receive))
    async with httpx.AsyncClient(transport=door, base_url="https://ops.example.test") as http:
        answer = await http.post(URL, content=APP, headers={"X-GHL-Signature": SIGNED})
    assert (500, "LJ100") == (answer.status_code, answer.json()["code"])
    assert answer.json()["error"].startswith("a public key is not ")


def test_a_text_message_is_read() -> None:
    """The app's sample is one message of the lead."""
    assert ghl().read(delivery()) == Inbound(
        source="gohighlevel",
        tenant_keys=(LOCATION,),
        delivery_key=WEBHOOK,
        message_key=f"{LOCATION}/tyW42xCD0HQpb3hhfLcx",
        channel=Channel.SMS,
        identities=(NUMBERED, PHONE),
        text="Yes call me tomorrow at 3",
        sender="+447700900123",
        recipient="+447700900456",
        sent_at=datetime(2026, 11, 22, 10, 0, 0, 750000, UTC),
    )


def test_an_e_mail_is_read() -> None:
    """Its body is HTML, its sender has a name before the address, and it is known by its own id."""
    reply = read(app(AN_EMAIL))
    assert (reply.channel, reply.text, reply.subject) == (Channel.EMAIL, "Yes, call me.", "Re: bookings")
    assert (reply.sender, reply.recipient) == ("Maya.Ortiz@BrightSmile.example", "sam@tryoutreach.example")
    assert reply.identities == (NUMBERED, EMAIL)
    assert reply.message_key == f"{LOCATION}/sddfDSF3G56GHG"


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("Yes &amp; no", "text/html", "Yes & no"),
        ("Yes<br>no", "text/plain", "Yes\nno"),
        ("Yes\n\nOn 22 Nov 2026 Sam <a@x.example> wrote:\n> Hi", ..., "Yes"),
        ("a < b\n\nc > d", None, "a < b\n\nc > d"),
        ("<p>Yes</p>", ["x"], "Yes"),
    ],
)
def test_the_text_of_an_e_mail_is_what_they_wrote(body: str, content_type: object, expected: str) -> None:
    """HTML is known by its type or by its marks; history is cut in both."""
    assert read(app(AN_EMAIL, body=body, contentType=content_type)).text == expected


@pytest.mark.parametrize(
    ("kind", "name", "channel"),
    [
        ("SMS", ..., Channel.SMS),
        ("Custom", "TYPE_CUSTOM_PROVIDER_SMS", Channel.SMS),
        ("TYPE_CUSTOM_EMAIL", ..., Channel.EMAIL),
        (..., "TYPE_EMAIL", Channel.EMAIL),
    ],
)
def test_the_message_type_has_several_spellings(kind: object, name: object, channel: Channel) -> None:
    """Short, long, and those of an SMS or e-mail provider of the customer's own."""
    assert read(app(messageType=kind, messageTypeString=name)).channel is channel


@pytest.mark.parametrize(
    "fields", [{"type": "OutboundMessage"}, {"direction": "Outbound"}, {"type": "OutboundMessage", "direction": "x"}]
)
def test_our_own_messages_are_kept_as_ours(fields: dict[str, Any]) -> None:
    """Type or direction will do, for an official example has them apart; the lead is whom it went to."""
    ours = sent(app(fields | {"from": "+447700900456", "to": "+447700900123", "source": "workflow"}))
    assert (ours.identities, ours.sender, ours.recipient) == ((NUMBERED, PHONE), "+447700900456", "+447700900123")
    ours = sent(workflow(message={"direction": "outbound"}, company_name="BrightSmile Dental"))
    assert (ours.recipient, ours.person.company) == ("+447700900123", "BrightSmile Dental")


def test_several_deliveries_of_one_message_are_told_apart() -> None:
    """The webhook's id is the delivery's; without one, news of a status does not hide the text that follows."""
    again = read(app(webhookId="another"))
    assert (again.message_key, again.delivery_key) == (read(app()).message_key, "another")
    status = ignored(app(type="OutboundMessage", body=..., status="sent", webhookId=...))
    assert status.delivery_key == f"OutboundMessage/{LOCATION}/tyW42xCD0HQpb3hhfLcx/sent"
    assert status.reason == "no text"
    assert sent(app(type="OutboundMessage", webhookId=...)).delivery_key != status.delivery_key


def test_a_message_without_an_id_is_known_by_what_it_is() -> None:
    """As in the official example: contact, time and words; without a time, by the delivery's bytes."""
    told = [read(app(fields, messageId=...)) for fields in ({}, {"webhookId": "2"}, {"timestamp": "later"})]
    assert len({one.message_key for one in told}) == 1
    assert {one.delivery_key for one in told} == {WEBHOOK, "2"}
    others: list[dict[str, Any]] = [{"body": "No"}, {"dateAdded": "2026-11-22T10:00:01.750Z"}, {"contactId": "x"}]
    others += [{"locationId": "x"}, {"dateAdded": None}, {"dateAdded": None, "timestamp": "later"}]
    keys = {read(app(fields, messageId=...)).message_key for fields in others} | {told[0].message_key}
    assert len(keys) == len(others) + 1
    assert read(app(messageId=..., webhookId=...)).delivery_key.startswith("sha256:")


def test_a_workflows_text_message_is_read() -> None:
    """Its sample names the contact whole; the contact's own age is not the message's time."""
    told = ghl().read(delivery(WORKFLOW))
    assert isinstance(told, Inbound)
    assert told == Inbound(
        source="gohighlevel",
        tenant_keys=(LOCATION,),
        delivery_key=told.message_key,
        message_key=told.delivery_key,
        channel=Channel.SMS,
        identities=(NUMBERED, PHONE, EMAIL),
        text="Yes call me tomorrow at 3",
        sender="+447700900123",
        recipient="",
        sent_at=None,
        person=Person(first_name="Maya", last_name="Ortiz"),
    )
    assert told.delivery_key.startswith("sha256:")


@pytest.mark.parametrize("name", ["Message ID", "messageId", "message_id", "MESSAGE-ID"])
def test_a_workflow_may_send_the_messages_id(name: str) -> None:
    """Then that is the key, the same as the app's; not if it was never filled in, or one message would be all."""
    told = read(workflow(customData={name: "tyW42xCD0HQpb3hhfLcx"}))
    assert told.message_key == told.delivery_key == read(app()).message_key
    assert read(workflow(customData={name: "{{message.id}}"})).message_key == read(workflow()).message_key


def test_a_workflows_date_and_time_tell_messages_apart() -> None:
    """Without an id: who, when and what, whatever else of the contact has changed since."""
    key = read(workflow()).delivery_key
    same = [workflow(tags="new"), workflow(message={"body": "  YES call me\ntomorrow at 3"}), workflow(email=None)]
    assert {read(one).delivery_key for one in same} == {key}
    others = [workflow(customData={"Time": "10:01 AM"}), workflow(customData={"Date": "23 Nov 2026"})]
    others += [workflow(contact_id="x"), workflow(location={"id": "x"}), workflow(workflow={"id": "x"})]
    others += [workflow(message={"body": "No"}), workflow(customData={"Message ID": "1"})]
    assert len({read(one).delivery_key for one in others} | {key}) == len(others) + 1


@pytest.mark.parametrize("custom", [..., None, [], {"Time": ""}, {"Date": None}, {"Time": "{{right_now.time}}"}])
def test_a_workflow_that_sends_neither_is_known_by_its_bytes(custom: object) -> None:
    """Equal bytes, equal key; a placeholder that was not filled is no time, or all messages would share it."""
    keys = [read(workflow(customData=custom, tags=tags)).delivery_key for tags in ("a", "a", "b")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"message": {"type": 3, "body": "<p>Yes</p><blockquote>Hi</blockquote>"}}, Channel.EMAIL),
        ({"message": {"type": "Email", "body": "Yes\n> Hi"}, "phone": None}, Channel.EMAIL),
        ({"message": {"type": 99, "body": "Yes"}}, Channel.SMS),
        ({"message": {"type": None, "body": "Yes"}}, Channel.SMS),
        ({"message": None, "customData": {"Message": "Yes"}}, Channel.SMS),
    ],
)
def test_a_workflow_brings_both_channels(fields: dict[str, Any], channel: Channel) -> None:
    """By the message's number or name; else a text message, where the contact has a telephone."""
    told = read(workflow(**fields))
    assert (told.channel, told.text) == (channel, "Yes")
    assert told.sender == ("maya.ortiz@brightsmile.example" if channel is Channel.EMAIL else "+447700900123")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (app(messageType="CALL", messageTypeString=...), "not a text message or an e-mail: CALL"),
        (app(messageType="Live_Chat", messageTypeString=None), "not a text message or an e-mail: Live_Chat"),
        (app(messageType="Call me: 077", messageTypeString=...), "not a text message or an e-mail"),
        (app(type="ContactCreate", webhookId=...), "not a message: ContactCreate"),
        (app(type="Maya Ortiz"), "not a message"),
        (app(body=None), "no words of their own"),
        (app(AN_EMAIL, body="<blockquote>Hi</blockquote>"), "no words of their own"),
        (app(AN_EMAIL, **{"from": "Mail <MAILER-DAEMON@x.example>"}), "sent by a mail system"),
        (workflow(message={"body": ""}, customData={"Message": None}), "no words of their own"),
        (workflow(message={"type": 19}, phone=""), "not a text message or an e-mail"),
        (dnd(dnd=None, dndSettings=None), "do not disturb is neither on nor off"),
    ],
)
def test_what_is_no_message_is_ignored(told: Delivery, reason: str) -> None:
    """Kept with a reason that names no person; the tenant and the delivery are still known."""
    assert ignored(told).reason == reason
    assert (ignored(told).tenant_keys, bool(ignored(told).delivery_key)) == ((LOCATION,), True)


def test_do_not_disturb_is_an_opt_out() -> None:
    """The official example, with a channel that is blocked; the contact's age is not the time of it."""
    assert ghl().read(dnd()) == Inbound(
        source="gohighlevel",
        tenant_keys=(LOCATION,),
        delivery_key=WEBHOOK,
        message_key=WEBHOOK,
        channel=Channel.EMAIL,
        identities=(NUMBERED, PHONE, EMAIL),
        text="",
        sender="maya.ortiz@brightsmile.example",
        recipient="",
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        person=Person(first_name="Maya", last_name="Ortiz", company="BrightSmile Dental"),
        consent=Consent.STOPPED,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"dnd": False, "dndSettings": {"SMS": {"status": "permanent"}}}, (Channel.SMS, Consent.STOPPED)),
        ({"dnd": True, "dndSettings": None}, (Channel.SMS, Consent.STOPPED)),
        ({"dnd": True, "dndSettings": None, "phone": None}, (Channel.EMAIL, Consent.STOPPED)),
        ({"dnd": "yes", "dndSettings": {"SMS": "x", "Email": {"status": "Active"}}}, (Channel.EMAIL, Consent.STOPPED)),
    ],
)
def test_do_not_disturb_speaks_of_a_channel_or_of_all(fields: dict[str, Any], expected: object) -> None:
    """One blocked channel is enough."""
    told = read(dnd(**fields))
    assert (told.channel, told.consent) == expected


@pytest.mark.parametrize(
    ("told", "attribute", "expected"),
    [
        (app(dateAdded=1795341600), "sent_at", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        (app(dateAdded=["x"]), "sent_at", None),
        (app(body="Yes\0 \ud83d"), "text", "Yes ?"),
        (app(body=3), "text", "3"),
        (app({"from": 447700900123}), "identities", (NUMBERED, Identity.phone("447700900123"))),
        (app({"from": "ACME", "to": None}), "identities", (NUMBERED,)),
        (app({"from": [], "to": {}}), "recipient", ""),
        (app({"from": "x" * 400 + "@x.example"}), "sender", ""),
        (app(webhookId="x" * 201), "delivery_key", f"InboundMessage/{LOCATION}/tyW42xCD0HQpb3hhfLcx/delivered"),
        (app(contact_id="x", location="Leeds"), "identities", (NUMBERED, PHONE)),
        (app(AN_EMAIL, subject=["x"]), "subject", None),
        (app(AN_EMAIL, to="a@x.example, b@x.example"), "recipient", "a@x.example"),
        (workflow(workflow="x", message={"subject": 1}), "text", "Yes call me tomorrow at 3"),
        (workflow(phone="(813) 555-0147"), "identities", (NUMBERED, Identity.phone("8135550147"), EMAIL)),
        (workflow(first_name=None, last_name=["x"], company_name=" "), "person", Person()),
    ],
)
def test_odd_fields_do_not_lose_a_reply(told: Delivery, attribute: str, expected: object) -> None:
    """What is not needed may be missing, null or of the wrong type."""
    assert getattr(read(told), attribute) == expected


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (app(type=...), "type is missing"),
        (app(locationId=...), "locationId is missing"),
        (app(contactId=None), "contactId is null"),
        (app(contactId="x" * 201), "contactId should have at most"),
        (workflow(contact_id=None), "contact_id is null"),
        (workflow(location={"id": ""}), "location.id is empty"),
        (dnd(id=...), "id is missing"),
        (delivery(b"{}"), "type is missing"),
        (delivery(b"[]"), "the body is not a JSON object"),
        (delivery(b"\xff"), "the body is not UTF-8"),
    ],
)
def test_half_an_event_names_the_field(body: Delivery, problem: str) -> None:
    """What is needed and missing is named; no value is repeated."""
    with pytest.raises(MalformedWebhookError, match=rf"^gohighlevel: {problem}") as caught:
        ghl().read(body)
    assert "'x'" not in str(caught.value)
