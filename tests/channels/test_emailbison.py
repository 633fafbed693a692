"""EmailBison: replies in either envelope, and whose they are."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.channels.reader import reader

from leadjobs.channels.emailbison import EmailBison
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import (
    Adapter,
    Channel,
    Consent,
    Delivery,
    Identity,
    Ignored,
    Inbound,
    Outbound,
    Person,
    Sent,
)
from leadjobs.leads.inbound import IdentityKind as Kind
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
REPLIED = (SAMPLES / "emailbison_lead_replied.json").read_bytes()
UNTRACKED = (SAMPLES / "emailbison_untracked_reply_received.json").read_bytes()
SECRET = "test-emailbison-token"
ADAPTER: Adapter = EmailBison(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/emailbison"
INSTANCE = "https://send.acme-outreach.example"
TENANTS = (f"{INSTANCE}/14", "14")
MAYA = (Identity(Kind.EMAILBISON_LEAD, f"{INSTANCE}/88123"), Identity.email("maya.ortiz@brightsmile.example"))
WHO = Person(first_name="Maya", last_name="Ortiz", job_title="Practice manager", company="BrightSmile Dental")
SENT = Sent(
    message_key=f"{INSTANCE}/sent/990017",
    text="Hi Maya, ...",
    subject="Quick question about recall bookings",
    sent_at=datetime(2026, 11, 20, 9, 12, 3, tzinfo=UTC),
)


def delivery(body: bytes = REPLIED, *, url: str = URL, **headers: str) -> Delivery:
    return Delivery(source="emailbison", url=url, headers=headers, body=body)


def changed(path: str, value: object, body: bytes = REPLIED) -> Delivery:
    """The sample with one field set; ``...`` removes it."""
    event = json.loads(body)
    *parents, name = path.split(".")
    at = event
    for parent in parents:
        at = at[parent]
    if value is ...:
        del at[name]
    else:
        at[name] = value
    return delivery(json.dumps(event).encode())


def other(kind: str, *without: str, **data: object) -> Delivery:
    """Another event with the sample's data, but for the parts it does not have."""
    event = json.loads(REPLIED)
    event["event"]["type"] = kind
    event["data"] = {name: part for name, part in (event["data"] | data).items() if name not in without}
    return delivery(json.dumps(event).encode())


read = reader(ADAPTER, Inbound)
ignored = reader(ADAPTER, Ignored)


@pytest.mark.parametrize("genuine", [delivery(url=f"{URL}?token={SECRET}"), delivery(authorization=f"Bearer {SECRET}")])
def test_the_token_verifies_in_the_address_and_in_the_header(genuine: Delivery) -> None:
    """Either place will do, with the current secret or the previous one, and a stray newline in the setting."""
    for setting in (SECRET, f"new,{SECRET}", f"{SECRET}\n", f" {SECRET} , old"):
        EmailBison(Secrets.parse(setting)).verify(genuine)


@pytest.mark.parametrize("setting", ["other", "", None, ",", SECRET[:-1], f"{SECRET}x"])
def test_no_other_secret_verifies(setting: str | None) -> None:
    """A wrong secret refuses, and so does none, even an empty token."""
    adapter = EmailBison(Secrets.parse(setting))
    for url in (f"{URL}?token={SECRET}", f"{URL}?token=", f"{URL}?token=None", URL):
        with pytest.raises(BadSignatureError):
            adapter.verify(delivery(url=url, authorization="Bearer "))


@pytest.mark.parametrize("url", [URL, f"{URL}?token={SECRET[:-1]}X", f"{URL}?Token={SECRET}", f"{URL}#token={SECRET}"])
@pytest.mark.parametrize("header", ["", SECRET, f"Basic {SECRET}", f"Bearer {SECRET}x", "Bearer é"])
def test_a_missing_or_altered_token_is_refused(url: str, header: str) -> None:
    """One changed character, another name, another scheme: no proof."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(url=url, authorization=header))


def test_a_leads_reply_is_read() -> None:
    """The sample is one reply of the lead, with what EmailBison knows of the person."""
    assert ADAPTER.read(delivery()) == Inbound(
        source="emailbison",
        tenant_keys=TENANTS,
        delivery_key=f"{INSTANCE}/4402917/lead_replied",
        message_key=f"{INSTANCE}/4402917",
        channel=Channel.EMAIL,
        identities=MAYA,
        text="Yes, happy to talk. Could you call me Tuesday after 2pm?",
        subject="Re: Quick question about recall bookings",
        sender="maya.ortiz@brightsmile.example",
        recipient="sam@tryoutreach.example",
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        person=WHO,
        answers=SENT,
    )


def test_an_untracked_reply_is_read() -> None:
    """Where EmailBison knows no lead, the sender's address is all there is."""
    reply = read(delivery(UNTRACKED))
    assert reply.identities == (Identity.email("frontdesk@brightsmile.example"),)
    assert (reply.text, reply.person) == ("Maya forwarded me this. I handle suppliers.", Person())
    assert reply.answers is None
    assert reply.delivery_key == f"{INSTANCE}/4402990/untracked_reply_received"


@pytest.mark.parametrize("wrap", ["data", "payload", "data.payload"])
def test_wrapped_envelopes_mean_the_same(wrap: str) -> None:
    """Relays that put the envelope into another one change nothing but the bytes."""
    event: Any = json.loads(REPLIED)
    for name in reversed(wrap.split(".")):
        event = {name: event}
    assert ADAPTER.read(delivery(json.dumps(event).encode())) == ADAPTER.read(delivery())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event.type", " Lead_Replied "),
        ("event.instance_url", f"{INSTANCE}/"),
        ("event.workspace_id", "14"),
        ("data.lead.id", "88123"),
        ("data.scheduled_email.id", "990017"),
    ],
)
def test_spelling_does_not_matter(path: str, value: str) -> None:
    """The case of a type, a slash at the end of an address, an id as text or as a number: one event."""
    assert ADAPTER.read(changed(path, value)) == ADAPTER.read(delivery())


def test_two_events_of_one_reply_are_two_deliveries_of_one_message() -> None:
    """``lead_interested`` comes beside ``lead_replied``: both are kept, the reply counts once."""
    replied, interested = read(delivery()), read(changed("event.type", "LEAD_INTERESTED"))
    assert replied.message_key == interested.message_key
    assert replied.delivery_key != interested.delivery_key


def test_a_colleagues_answer_belongs_to_the_lead() -> None:
    """Who answers for the lead is the sender, and no name of the lead."""
    reply = read(changed("data.reply.from_email_address", "boss@brightsmile.example"))
    assert reply.sender == "boss@brightsmile.example"
    assert reply.identities == read(delivery()).identities


def test_what_a_campaign_sent_is_kept() -> None:
    """It makes no job; the reply that answers it carries the same message."""
    assert ADAPTER.read(other("EMAIL_SENT", "reply")) == Outbound(
        source="emailbison",
        tenant_keys=TENANTS,
        delivery_key=f"{INSTANCE}/sent/990017/email_sent",
        message_key=SENT.message_key,
        channel=Channel.EMAIL,
        identities=MAYA,
        text=SENT.text,
        subject=SENT.subject,
        sender="sam@tryoutreach.example",
        recipient="maya.ortiz@brightsmile.example",
        sent_at=SENT.sent_at,
        person=WHO,
    )


def by_hand(**changes: object) -> Delivery:
    ours = {"from_email_address": "sam@tryoutreach.example", "primary_to_email_address": "maya@home.example"}
    mail = {**json.loads(REPLIED)["data"]["reply"], **ours, "id": 4402918, "text_body": "Tuesday it is.\n\n> Yes"}
    return other("manual_email_sent", "campaign_event", reply=mail | changes)


def test_what_was_sent_by_hand_is_kept() -> None:
    """A mail of ours from the master inbox, of the lead it went to: without the lead's own words below it."""
    sent = ADAPTER.read(by_hand())
    assert isinstance(sent, Outbound)
    assert (sent.message_key, sent.delivery_key) == (f"{INSTANCE}/4402918", f"{INSTANCE}/4402918/manual_email_sent")
    assert (sent.text, sent.identities, sent.person) == ("Tuesday it is.", MAYA, WHO)
    assert (sent.sender, sent.recipient) == ("sam@tryoutreach.example", "maya@home.example")
    assert sent.sent_at == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_mail_by_hand_to_somebody_new_names_them() -> None:
    """Without a lead the recipient's address is all there is; without that, nothing is."""
    sent = ADAPTER.read(changed("data.lead", None, by_hand().body))
    assert isinstance(sent, Outbound)
    assert sent.identities == (Identity.email("maya@home.example"),)
    to_nobody = changed("data.lead", None, by_hand(primary_to_email_address=None).body)
    assert ignored(to_nobody).reason == "the recipient has no address"


def test_without_words_there_is_nothing_to_keep() -> None:
    """Quotes alone cannot be scored, and what was sent without a text cannot be shown."""
    reply = json.loads(REPLIED)["data"]["reply"] | {"text_body": "> Hi", "html_body": None}
    assert ignored(other("lead_replied", reply=reply)).reason == "no words of their own"
    assert ignored(by_hand(text_body="> Hi", html_body=None)).reason == "no text"
    assert ignored(other("email_sent", scheduled_email={"id": 5})).reason == "no text"


NOTICE = {"id": 7, "from_email_address": "mailer-daemon@mx.example"}


@pytest.mark.parametrize(
    ("source", "consent", "key"),
    [
        (other("LEAD_UNSUBSCRIBED", "reply"), Consent.STOPPED, f"{INSTANCE}/event/5571001/lead_unsubscribed"),
        (other("email_bounced", reply=NOTICE), Consent.BOUNCED, f"{INSTANCE}/7/email_bounced"),
    ],
)
def test_an_unsubscribe_and_a_bounce_are_told(source: Delivery, consent: Consent, key: str) -> None:
    """Neither has words; each is of the lead, and no other record than itself."""
    assert read(source) == replace(
        read(delivery()),
        delivery_key=key,
        message_key=key,
        text="",
        subject=None,
        sent_at=datetime(2026, 11, 22, 10, 0, 4, tzinfo=UTC),
        consent=consent,
        answers=None,
    )


def test_a_bounce_has_the_time_of_its_notice() -> None:
    """Where the notice has one; and news without any id is known by its bytes."""
    assert read(other("email_bounced")).sent_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    bare = other("lead_unsubscribed", "reply", "campaign_event", "sender_email")
    assert read(bare).delivery_key.startswith("sha256:")
    assert (read(bare).recipient, read(bare).sent_at) == ("", None)


@pytest.mark.parametrize("kind", ["email_opened", "lead_first_contacted", "Tag_Attached", "something_new"])
def test_other_events_are_ignored(kind: str) -> None:
    """What is no message is kept with its reason, under the id of what it names: a reply, or itself."""
    event = ignored(other(kind))
    assert (event.tenant_keys, event.reason) == (TENANTS, f"{kind.lower()} is no message")
    assert event.delivery_key == f"{INSTANCE}/4402917/{kind.lower()}"
    assert ignored(other(kind, "reply")).delivery_key == f"{INSTANCE}/event/5571001/{kind.lower()}"


@pytest.mark.parametrize("data", [{"reply": 5, "campaign_event": {"id": None}}, 5, None])
def test_an_event_without_any_id_is_known_by_its_bytes(data: object) -> None:
    """Equal bytes, equal key."""
    body = changed("data", data, other("tag_removed").body).body
    assert ignored(delivery(body)).delivery_key == ignored(delivery(body)).delivery_key
    assert ignored(delivery(body)).delivery_key.startswith("sha256:")
    assert ignored(delivery(body + b" ")).delivery_key != ignored(delivery(body)).delivery_key


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", None), ("email_body", "<p> </p>"), ("email_body", ["x"]), ("sent_at", None), ("sent_at", "soon")],
)
def test_a_reply_need_not_carry_what_it_answers(name: str, value: object) -> None:
    """Without an id, a text or a time our mail cannot be shown in its place; the reply can."""
    for odd in (changed(f"data.scheduled_email.{name}", value), changed("data.scheduled_email", value)):
        assert read(odd) == replace(read(delivery()), answers=None)


@pytest.mark.parametrize("odd", [5, ["x"], {"x": 1}, True])
def test_odd_details_do_not_lose_a_reply(odd: object) -> None:
    """Names, the subject and the sending mailbox are left out where they are not what they should be."""
    event = json.loads(REPLIED)
    event["data"]["lead"] |= dict.fromkeys(("first_name", "last_name", "title", "company"), odd)
    event["data"]["reply"]["email_subject"] = event["data"]["sender_email"] = odd
    assert read(delivery(json.dumps(event).encode())) == replace(read(delivery()), subject=None, person=Person())


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("data.reply.automated_reply", True, "automated reply"),
        ("data.reply.from_email_address", "MAILER-DAEMON@mx.example", "sent by a mail system"),
        ("data.reply.from_email_address", "Sam@TryOutreach.example", "sent by our own mailbox"),
        ("data.reply.from_email_address", "nobody", "the sender has no address"),
    ],
)
def test_what_no_person_wrote_is_ignored(path: str, value: object, reason: str) -> None:
    """Machines and our own mailboxes are no leads."""
    assert ignored(changed(path, value)).reason == reason


@pytest.mark.parametrize(
    ("text", "html", "expected"),
    [
        ("Yes.\r\n\r\nOn Sun, Nov 22, 2026 at 10:00 AM Sam <s@x.example> wrote:\r\n> Hi", "<p>no</p>", "Yes."),
        (None, "<p>Yes &amp; no</p><blockquote>Hi Maya</blockquote>", "Yes & no"),
        ("", "<div>Sure<br>Maya</div><script>x()</script>", "Sure\nMaya"),
        ("> Hi", "<div>Below</div>", "Below"),
        ("Yes\0", None, "Yes"),
        ("half \ud83d pair", None, "half ? pair"),
    ],
)
def test_the_text_is_what_they_wrote(text: str | None, html: str | None, expected: str) -> None:
    """Plain text first, else the HTML; without history, markup and what cannot be stored."""
    reply = json.loads(REPLIED)["data"]["reply"] | {"text_body": text, "html_body": html}
    assert read(other("lead_replied", reply=reply)).text == expected


NEEDED = [f"event{name}" for name in ("", ".type", ".instance_url", ".workspace_id")]
NEEDED += [f"data{name}" for name in ("", ".reply", ".reply.id", ".reply.from_email_address")]


@pytest.mark.parametrize("path", NEEDED)
def test_half_an_event_names_the_field(path: str) -> None:
    """A needed field that is missing or null is named."""
    with pytest.raises(MalformedWebhookError, match=rf"^emailbison: {path} is missing$"):
        ADAPTER.read(changed(path, ...))
    with pytest.raises(MalformedWebhookError, match=rf"^emailbison: {path} is (null|missing)$"):
        ADAPTER.read(changed(path, None))


@pytest.mark.parametrize("path", [*NEEDED, "data.lead", "data.lead.id", "data.lead.email", "data.reply.text_body"])
@pytest.mark.parametrize("value", [["x"], True, 1.5])
def test_the_wrong_type_names_the_field(path: str, value: object) -> None:
    """A list, a truth value or a fraction is neither an id nor a text; the value itself is not repeated."""
    with pytest.raises(MalformedWebhookError, match=rf"^emailbison: {path} ") as caught:
        ADAPTER.read(changed(path, value))
    assert "'x'" not in str(caught.value)


@pytest.mark.parametrize("path", ["event.instance_url", "data.reply.id", "data.reply.from_email_address"])
def test_a_field_too_long_for_a_key_is_named(path: str) -> None:
    """What the database's index could not hold is refused before it gets there."""
    with pytest.raises(MalformedWebhookError, match=rf"^emailbison: {path} should have at most"):
        ADAPTER.read(changed(path, "x" * 5000))


def test_a_lead_that_is_missing_is_not_needed() -> None:
    """A reply without its lead is still a reply, of whoever wrote it."""
    reply = read(changed("data.lead", ...))
    assert reply.identities == (Identity.email("maya.ortiz@brightsmile.example"),)
    assert read(changed("data.lead.email", None)).identities == read(delivery()).identities[:1]


def test_the_recipient_may_be_the_sending_mailbox() -> None:
    """Where the reply names no recipient, the mailbox that wrote first is it; without both it stays empty."""
    bare = changed("data.reply.primary_to_email_address", ...)
    assert read(bare).recipient == "sam@tryoutreach.example"
    assert "" == read(changed("data.sender_email", ..., bare.body)).recipient


@pytest.mark.parametrize("value", ["2026-11-22T11:00:00+01:00", 1795341600, 1795341600000])
def test_the_time_is_in_utc(value: object) -> None:
    """Whatever EmailBison writes it in."""
    assert read(changed("data.reply.date_received", value)) == read(delivery())


@pytest.mark.parametrize("value", ["2026-11-22T10:00:00", "0001-01-01T00:00:00+14:00", "yesterday", "", None, ["x"]])
def test_an_unreadable_time_is_unknown(value: object) -> None:
    """A time without a zone, or none at all, is not worth losing a reply over."""
    assert read(changed("data.reply.date_received", value)).sent_at is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b"\0", b"NaN"]
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    """Broken, too deep, too long or another kind of value: malformed, never an error of ours."""
    with pytest.raises(MalformedWebhookError, match=r"^emailbison: the body is not "):
        ADAPTER.read(delivery(body))


def test_the_first_of_several_wrong_fields_is_named() -> None:
    """One message names one field: the first that is wanted."""
    with pytest.raises(MalformedWebhookError, match=r"^emailbison: event\.type is missing$"):
        ADAPTER.read(delivery(b'{"event": {}}'))


def test_unknown_fields_are_no_harm() -> None:
    """What EmailBison adds tomorrow is left alone, and so is the byte order mark of a relay."""
    event = json.loads(REPLIED)
    event["new"] = event["data"]["new"] = event["data"]["reply"]["new"] = {"deep": [1, None]}
    assert ADAPTER.read(delivery(b"\xef\xbb\xbf" + json.dumps(event).encode())) == ADAPTER.read(delivery())
