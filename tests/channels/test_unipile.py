"""Unipile: LinkedIn messages of both versions, whose they are, and our own that come back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.channels.reader import reader

from leadjobs.channels.unipile import Unipile
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import (
    Adapter,
    Channel,
    Delivery,
    Identity,
    IdentityKind,
    Ignored,
    Inbound,
    Outbound,
    Person,
)
from leadjobs.web.signatures import Secrets, hmac_hex

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
V1 = (SAMPLES / "unipile_message_received.json").read_bytes()
V2 = (SAMPLES / "unipile_v2_message_new.json").read_bytes()
SIGNED = "t=1795341600,v0=9814dc7545cf1ba52be8d3da7f04683d647c80d353b097c04524b0ac456e225f"
NOW = 1795341600
TOKEN, SECRET = "test-unipile-secret", "test-unipile-v2-secret"
URL = "https://ops.example.test/api/webhooks/unipile"
ACCOUNT, CHAT = "dfXlh46vQYCsMbVarumWlg", "dfXlh46vQYCsMbVarumWlg/R8J-xM9WX7eoHLp6gSVtWQ"
US, THEM = "ACoAAAcDMMQBODyLwZrRcgYhrkCafURGqva0U4E", "ACoAABQ1MvABx9y-example"
MAYA = (
    Identity(IdentityKind.LINKEDIN, THEM),
    Identity(IdentityKind.LINKEDIN_PROFILE, f"linkedin.com/in/{THEM.lower()}"),
)
CHAT_OF_TWO = Identity(IdentityKind.UNIPILE_CHAT, CHAT)
SAM_AND_MAYA: dict[str, Any] = json.loads(V1)
AS_SAM = {"sender": SAM_AND_MAYA["attendees"][0], "attendees": [SAM_AND_MAYA["sender"]], "is_sender": True}
ALEX = {"attendee_provider_id": "ACoAA-alex", "attendee_name": "Alex Lim"}


def unipile(setting: str | None = f"{TOKEN},{SECRET}", now: float = NOW) -> Adapter:
    return Unipile(Secrets.parse(setting), now=lambda: now)


def delivery(body: bytes = V1, *, url: str = URL, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(source="unipile", url=url, headers=named, body=body)


def signed(header: str = SIGNED, body: bytes = V2, **headers: str) -> Delivery:
    return delivery(body, unipile_signature=header, **headers)


def v1(**fields: object) -> Delivery:
    """The sample of v1 with fields set; ``...`` removes one."""
    event = json.loads(V1) | fields
    return delivery(json.dumps({name: value for name, value in event.items() if value is not ...}).encode())


def v2(payload: dict[str, object] | None = None, **fields: object) -> Delivery:
    """The sample of v2 with fields of its payload, and of itself, set; ``...`` removes one."""
    event = json.loads(V2) | fields
    told = event["payload"] | (payload or {})
    event["payload"] = {name: value for name, value in told.items() if value is not ...}
    return delivery(json.dumps({name: value for name, value in event.items() if value is not ...}).encode())


read = reader(unipile(), Inbound)
sent = reader(unipile(), Outbound)
ignored = reader(unipile(), Ignored)


@pytest.mark.parametrize(
    "genuine",
    [
        delivery(unipile_auth=TOKEN),
        delivery(x_unipile_secret=f"{TOKEN}\n"),
        delivery(authorization=f"Bearer {TOKEN}"),
        delivery(url=f"{URL}?token={TOKEN}"),
        delivery(unipile_auth="stale", x_unipile_secret=TOKEN),
    ],
)
def test_the_header_we_chose_verifies(genuine: Delivery) -> None:
    """Either header name or the usual places, with the current secret or the previous one, and stray white space."""
    for setting in (TOKEN, f"new,{TOKEN}", f"{TOKEN}\n", f" {TOKEN} , old"):
        unipile(setting).verify(genuine)


@pytest.mark.parametrize("setting", [SECRET, f"new,{SECRET}", f"{SECRET}\n"])
def test_a_signature_of_v2_verifies(setting: str) -> None:
    """The sample's own signature, within five minutes on either side, whatever tokens come with it."""
    for now in (NOW - 300, NOW, NOW + 300):
        unipile(setting, now).verify(signed())
    unipile(setting).verify(signed(unipile_auth="no token of ours"))


def test_one_of_several_signatures_is_enough() -> None:
    """While Unipile changes its secret it may sign with both; order and spaces do not matter."""
    good = SIGNED.partition(",")[2]
    unipile().verify(signed(f"t={NOW}, v0={'0' * 64}, {good}"))
    unipile().verify(signed(f"{good},v0=,v1=x,t={NOW}"))


@pytest.mark.parametrize(
    "forged",
    [
        signed(SIGNED[:-1] + "0"),
        signed(SIGNED.replace("v0=", "v1=")),
        signed(SIGNED.upper()),
        signed(body=V2 + b" "),
        signed(body=V1),
        signed(SIGNED.replace("t=1795341600", "t=1795341601")),
        signed(SIGNED.replace("t=1795341600,", "")),
        signed(SIGNED.replace("t=1795341600", "t=٣")),
        signed(SIGNED.replace("t=1795341600", "t=now")),
        signed("t=1795341600,v0="),
        signed("t=1795341600"),
        signed(""),
        signed("é=\ud800,,=,t"),
        delivery(unipile_auth=TOKEN[:-1]),
        delivery(unipile_auth=""),
        delivery(unipile_signature_=TOKEN),
        delivery(),
    ],
)
def test_a_wrong_or_missing_proof_is_refused(forged: Delivery) -> None:
    """One changed character, another body, another time, no time, no signature, no token."""
    with pytest.raises(BadSignatureError):
        unipile().verify(forged)


@pytest.mark.parametrize("now", [NOW - 301, NOW + 301, NOW + 10**9])
def test_an_old_signature_is_refused(now: float) -> None:
    """Over five minutes away, on either side, it may be a delivery played back."""
    with pytest.raises(BadSignatureError, match="over five minutes"):
        unipile(now=now).verify(signed())


def test_a_signature_alone_decides() -> None:
    """Where one is given and wrong, a right token does not help."""
    with pytest.raises(BadSignatureError, match="does not match"):
        unipile().verify(signed(SIGNED[:-1] + "0", unipile_auth=TOKEN))


@pytest.mark.parametrize("setting", ["", None, ","])
def test_without_a_secret_nothing_verifies(setting: str | None) -> None:
    """Not even an empty token, or a signature made with an empty secret."""
    empty = hmac_hex(b"", f"{NOW}.".encode() + V2, "sha256").decode()
    for given in (delivery(unipile_auth=""), delivery(url=f"{URL}?token="), signed(), signed(f"t={NOW},v0={empty}")):
        with pytest.raises(BadSignatureError, match=r"^unipile: no secret is set$"):
            unipile(setting).verify(given)


def test_a_reply_is_read() -> None:
    """The sample of v1 is one message of the lead."""
    assert unipile().read(delivery()) == Inbound(
        source="unipile",
        tenant_keys=(ACCOUNT,),
        delivery_key=f"{ACCOUNT}/message_received/ykmhfXlRW0W_cqReJYrfBw",
        message_key=f"{ACCOUNT}/ykmhfXlRW0W_cqReJYrfBw",
        channel=Channel.LINKEDIN,
        identities=(*MAYA, CHAT_OF_TWO),
        text="Thanks for reaching out - what does it cost?",
        sender=THEM,
        recipient=US,
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        person=Person(first_name="Maya", last_name="Ortiz"),
    )


def test_a_reply_in_v2_is_read() -> None:
    """Its payload may name nobody: then the chat stands for the lead."""
    assert unipile().read(delivery(V2)) == Inbound(
        source="unipile",
        tenant_keys=("acc_1234567890",),
        delivery_key="acc_1234567890/message.new/msg_01KAMPLE0000000000000001",
        message_key="acc_1234567890/msg_01KAMPLE0000000000000001",
        channel=Channel.LINKEDIN,
        identities=(Identity(IdentityKind.UNIPILE_CHAT, "acc_1234567890/chat_01KAMPLE"),),
        text="Thanks for reaching out - what does it cost?",
        sender="",
        recipient="acc_1234567890",
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
    )


def test_v2_may_name_the_sender() -> None:
    """Its message object does: by id, or as a whole user."""
    page = "https://www.linkedin.com/in/maya-ortiz/"
    user = {"id": THEM, "display_name": "Maya Ortiz", "profile_url": page, "object": "User"}
    reply = read(v2({"sender_id": THEM, "sender": user, "provider": "linkedin"}))
    assert reply.identities[:2] == (MAYA[0], Identity(IdentityKind.LINKEDIN_PROFILE, "linkedin.com/in/maya-ortiz"))
    assert reply.identities[2].kind is IdentityKind.UNIPILE_CHAT
    assert (reply.sender, reply.person) == (THEM, Person(first_name="Maya", last_name="Ortiz"))
    assert read(v2({"sender_id": THEM})).identities[0] == MAYA[0]


def test_the_account_of_v2_stands_in_the_event_or_in_the_payload() -> None:
    """The documentation puts it into the event, the sample into the payload; the event's wins."""
    assert read(v2({"account_id": ...}, account_id="acc_1")).tenant_keys == ("acc_1",)
    assert read(v2({"account_id": "acc_2"}, account_id="acc_1")).tenant_keys == ("acc_1",)
    with pytest.raises(MalformedWebhookError, match=r"^unipile: account_id is missing$"):
        unipile().read(v2({"account_id": ...}))


OWN = [
    AS_SAM,
    AS_SAM | {"is_sender": 1},
    AS_SAM | {"is_sender": False},
    AS_SAM | {"is_sender": ...},
    AS_SAM | {"account_info": None},
    AS_SAM | {"account_info": {"user_id": "another id of ours"}},
    AS_SAM | {"attendees": [*AS_SAM["attendees"], AS_SAM["sender"]]},
]


@pytest.mark.parametrize("fields", OWN)
def test_our_own_words_are_kept_as_ours(fields: dict[str, object]) -> None:
    """They arrive as ``message_received`` too, and belong to the lead they went to."""
    ours = sent(v1(**fields))
    assert ours.identities == (*MAYA, CHAT_OF_TWO)
    assert (ours.recipient, ours.person) == (THEM, Person(first_name="Maya", last_name="Ortiz"))
    assert ours.sender in {US, ACCOUNT, "another id of ours"}


@pytest.mark.parametrize(
    "fields",
    [
        AS_SAM | {"attendees": []},
        AS_SAM | {"attendees": None},
        AS_SAM | {"attendees": [SAM_AND_MAYA["sender"], ALEX]},
        AS_SAM | {"is_group": True},
    ],
)
def test_our_own_words_to_nobody_named_or_to_many_belong_to_the_chat(fields: dict[str, object]) -> None:
    """No single other person: the chat is all that names who got them."""
    ours = sent(v1(**fields))
    assert (ours.identities, ours.recipient, ours.person) == ((CHAT_OF_TWO,), "", Person())


def test_our_own_words_in_v2_belong_to_the_chat() -> None:
    """The sender is us, so the sender names no lead."""
    ours = sent(v2({"is_sender": True, "sender_id": US, "sender": {"id": US, "display_name": "Sam Reid"}}))
    assert ours.identities == (Identity(IdentityKind.UNIPILE_CHAT, "acc_1234567890/chat_01KAMPLE"),)
    assert (ours.person, ours.recipient) == (Person(), "")


@pytest.mark.parametrize("fields", [{"attendees": [*SAM_AND_MAYA["attendees"], ALEX]}, {"is_group": True}])
def test_the_chat_of_a_group_names_nobody(fields: dict[str, object]) -> None:
    """Else everybody in it would be one lead."""
    assert read(v1(**fields)).identities == MAYA


@pytest.mark.parametrize(
    "told",
    [
        v1(account_info=None, is_sender=None),
        v1(account_info=..., is_sender=...),
        v1(sender=None, is_sender="perhaps"),
        v2({"is_sender": None}),
        v2({"is_sender": ...}),
    ],
)
def test_what_may_be_ours_is_not_taken_for_theirs(told: Delivery) -> None:
    """Our own words must not be scored as the lead's: where nothing says whose they are, they are ignored."""
    assert ignored(told).reason == "nothing says who wrote it"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (v1(event="message_reaction", reaction=":)"), "message_reaction is not a new message"),
        (v1(event="message_read"), "message_read is not a new message"),
        (v1(event="message_edited"), "message_edited is not a new message"),
        (v1(event="message_deleted"), "message_deleted is not a new message"),
        (v1(event="message_delivered"), "message_delivered is not a new message"),
        (v1(event="new_relation", message_id=...), "new_relation is not a new message"),
        (v1(event="maya.ortiz@brightsmile.example"), "this is not a new message"),
        (v2(type="message.update"), "message.update is not a new message"),
        (v2(type="account.status.errored", payload=None), "account.status.errored is not a new message"),
        (delivery(b'{"AccountStatus": {"account_id": "a", "message": "OK"}}'), "news of an account"),
        (v1(account_type="WHATSAPP"), "not LinkedIn"),
        (v2({"provider": "whatsapp"}), "not LinkedIn"),
        (v1(is_event=1), "an event of the chat"),
        (v2({"is_event": True}), "an event of the chat"),
        (v1(message=""), "no text"),
        (v1(message=None, attachments=[{"type": "img"}]), "no text (1 file)"),
        (v1(message=" \n", attachments={"type": "img"}), "no text (1 file)"),
        (v2({"text": ..., "attachments": [{}, {}]}), "no text (2 files)"),
        (v1(message=None, **AS_SAM), "no text"),
        (v1(sender=None, chat_id=None), "nothing names the lead"),
        (v1(sender={"attendee_name": "Maya"}, is_group=True), "nothing names the lead"),
    ],
)
def test_what_is_no_message_is_ignored(told: Delivery, reason: str) -> None:
    """Other events, other networks, files alone, and nobody's words: kept with the reason, which names no person."""
    assert ignored(told).reason == reason


def test_other_events_are_told_apart() -> None:
    """Two events of one message are two deliveries; an event without any id is known by its bytes."""
    told = [v1(), v1(event="message_read"), v1(event="message_edited"), v1(event="message_read", message_id="x")]
    told += [v2(), v2(type="message.update"), v2(type="message.update", id="evt_2")]
    told += [v1(event="x", message_id=..., chat_id=chat) for chat in "ab"]
    told += [v2({"chat_id": chat}, type="message.update", id=...) for chat in "ab"]
    keys = [unipile().read(one).delivery_key for one in told]
    assert len(set(keys)) == len(told)
    assert keys == [unipile().read(one).delivery_key for one in told]
    assert ignored(v1(event="message_read")).tenant_keys == (ACCOUNT,)


def test_a_message_keeps_its_key() -> None:
    """Whatever changes beside it, and whether its id is a number: one message of one account."""
    assert read(v1(message_id=7, timestamp=None, webhook_name="new", is_sender=0)).message_key == f"{ACCOUNT}/7"
    assert read(v1(message_id="7")).message_key == read(v1(message_id=7)).message_key
    assert read(v1(account_id="other")).message_key != read(v1()).message_key


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({"timestamp": 1795341600000}, "sent_at", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ({"timestamp": "yesterday"}, "sent_at", None),
        ({"timestamp": ["x"]}, "sent_at", None),
        ({"message": "Yes\0 \ud83d"}, "text", "Yes ?"),
        ({"subject": "An offer"}, "subject", "An offer"),
        ({"subject": ["x"]}, "subject", None),
        ({"sender": SAM_AND_MAYA["sender"] | {"attendee_name": "Maya"}}, "person", Person(first_name="Maya")),
        ({"sender": SAM_AND_MAYA["sender"] | {"attendee_name": 7}}, "person", Person()),
        ({"sender": SAM_AND_MAYA["sender"] | {"attendee_profile_url": "x"}}, "identities", (MAYA[0], CHAT_OF_TWO)),
        (
            {"sender": SAM_AND_MAYA["sender"] | {"attendee_profile_url": "linkedin.com/" + "x" * 500}},
            "identities",
            (MAYA[0], CHAT_OF_TWO),
        ),
        ({"sender": {"attendee_provider_id": "x" * 201}}, "identities", (CHAT_OF_TWO,)),
        ({"sender": {"attendee_provider_id": "12\0"}}, "sender", "12"),
        ({"sender": {"attendee_provider_id": 12}}, "identities", (Identity(IdentityKind.LINKEDIN, "12"), CHAT_OF_TWO)),
        ({"sender": "Maya", "is_sender": False}, "identities", (CHAT_OF_TWO,)),
        ({"attendees": "Sam"}, "identities", (*MAYA, CHAT_OF_TWO)),
        ({"attendees": [None, 1, {}]}, "identities", (*MAYA, CHAT_OF_TWO)),
        ({"account_info": []}, "recipient", ACCOUNT),
        ({"account_type": None, "is_event": "no"}, "sender", THEM),
        ({"chat_id": {"id": 1}, "unknown": {"deep": [1]}}, "identities", MAYA),
    ],
)
def test_odd_fields_do_not_lose_a_reply(fields: dict[str, object], attribute: str, expected: object) -> None:
    """What is not needed may be missing, null or of the wrong type."""
    assert getattr(read(v1(**fields)), attribute) == expected


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (v1(account_id=...), "account_id is missing"),
        (v1(account_id=None), "account_id is null"),
        (v1(account_id="x" * 201), "account_id should have at most"),
        (v1(message_id=[]), "message_id should be a valid string"),
        (v1(message=["x"]), "message should be a valid string"),
        (v1(event=...), "event is missing"),
        (v1(event=True), "event should be a valid string"),
        (v2({"id": ...}), "payload.id is missing"),
        (v2({"text": 7}), "payload.text should be a valid string"),
        (v2(type=None), "type is null"),
        (delivery(b'{"type": "message.new"}'), "payload is missing"),
        (delivery(b'{"type": "message.new", "payload": []}'), "payload should be"),
        (delivery(b"{}"), "event is missing"),
        (delivery(b"[]"), "the body is not a JSON object"),
        (delivery(b"message=hi"), "the body is not JSON"),
        (delivery(b"\xff"), "the body is not UTF-8"),
    ],
)
def test_half_an_event_names_the_field(body: Delivery, problem: str) -> None:
    """What is needed and missing is named; no value is repeated."""
    with pytest.raises(MalformedWebhookError, match=rf"^unipile: {problem}") as caught:
        unipile().read(body)
    assert "'x'" not in str(caught.value)


def test_no_content_type_is_needed() -> None:
    """Webhooks made through Unipile's API come without one; what is read is the body."""
    assert read(delivery(content_type="text/plain")) == read(delivery())
