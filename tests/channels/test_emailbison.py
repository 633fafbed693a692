"""EmailBison: replies in either envelope, and whose they are."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leadjobs.channels.emailbison import EmailBison
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Adapter, Channel, Delivery, Identity, IdentityKind, Ignored, Inbound
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
REPLIED = (SAMPLES / "emailbison_lead_replied.json").read_bytes()
UNTRACKED = (SAMPLES / "emailbison_untracked_reply_received.json").read_bytes()
SECRET = "test-emailbison-token"
ADAPTER: Adapter = EmailBison(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/emailbison"
INSTANCE = "https://send.acme-outreach.example"
TENANTS = (f"{INSTANCE}/14", "14")


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


def read(source: Delivery) -> Inbound:
    reply = ADAPTER.read(source)
    assert isinstance(reply, Inbound)
    return reply


def ignored(source: Delivery) -> Ignored:
    event = ADAPTER.read(source)
    assert isinstance(event, Ignored)
    return event


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


@pytest.mark.parametrize(
    ("url", "header"),
    [
        (URL, ""),
        (f"{URL}?token={SECRET[:-1]}X", ""),
        (f"{URL}?Token={SECRET}", ""),
        (f"{URL}#token={SECRET}", ""),
        (URL, SECRET),
        (URL, f"Basic {SECRET}"),
        (URL, f"Bearer {SECRET}x"),
        (URL, "Bearer é"),
    ],
)
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
        identities=(
            Identity(IdentityKind.EMAILBISON_LEAD, f"{INSTANCE}/88123"),
            Identity.email("maya.ortiz@brightsmile.example"),
        ),
        text="Yes, happy to talk. Could you call me Tuesday after 2pm?",
        subject="Re: Quick question about recall bookings",
        sender="maya.ortiz@brightsmile.example",
        recipient="sam@tryoutreach.example",
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        first_name="Maya",
        last_name="Ortiz",
        job_title="Practice manager",
        company="BrightSmile Dental",
    )


def test_an_untracked_reply_is_read() -> None:
    """Where EmailBison knows no lead, the sender's address is all there is."""
    reply = read(delivery(UNTRACKED))
    assert reply.identities == (Identity.email("frontdesk@brightsmile.example"),)
    assert (reply.text, reply.first_name) == ("Maya forwarded me this. I handle suppliers.", None)
    assert reply.delivery_key == f"{INSTANCE}/4402990/untracked_reply_received"


@pytest.mark.parametrize("wrap", ["data", "payload", "data.payload"])
def test_wrapped_envelopes_mean_the_same(wrap: str) -> None:
    """Relays that put the envelope into another one change nothing but the bytes."""
    event: Any = json.loads(REPLIED)
    for name in reversed(wrap.split(".")):
        event = {name: event}
    assert ADAPTER.read(delivery(json.dumps(event).encode())) == ADAPTER.read(delivery())


@pytest.mark.parametrize("kind", ["lead_replied", "Lead_Replied", " LEAD_REPLIED "])
def test_the_case_of_the_type_does_not_matter(kind: str) -> None:
    """Upper case in payloads, lower in the API: one event."""
    assert ADAPTER.read(changed("event.type", kind)) == ADAPTER.read(delivery())


def test_two_events_of_one_reply_are_two_deliveries_of_one_message() -> None:
    """``lead_interested`` comes beside ``lead_replied``: both are kept, the reply counts once."""
    replied, interested = read(delivery()), read(changed("event.type", "LEAD_INTERESTED"))
    assert replied.message_key == interested.message_key
    assert replied.delivery_key != interested.delivery_key


def test_ids_may_be_text_or_numbers() -> None:
    """An id that changes its type is the same id."""
    event = json.loads(REPLIED)
    event["event"]["workspace_id"], event["data"]["reply"]["id"], event["data"]["lead"]["id"] = "14", "4402917", "88123"
    assert ADAPTER.read(delivery(json.dumps(event).encode())) == ADAPTER.read(delivery())


def test_a_slash_at_the_end_of_the_instance_does_not_matter() -> None:
    """An instance is the same with and without it."""
    assert ADAPTER.read(changed("event.instance_url", f"{INSTANCE}/")) == ADAPTER.read(delivery())


def test_a_colleagues_answer_belongs_to_the_lead() -> None:
    """Who answers for the lead is the sender, and no name of the lead."""
    reply = read(changed("data.reply.from_email_address", "boss@brightsmile.example"))
    assert reply.sender == "boss@brightsmile.example"
    assert reply.identities == read(delivery()).identities


@pytest.mark.parametrize(
    "kind", ["email_bounced", "LEAD_UNSUBSCRIBED", "email_sent", "email_opened", "tag_attached", "something_new"]
)
def test_other_events_are_ignored(kind: str) -> None:
    """What is no reply is kept with its reason, under the reply's id where it names one."""
    event = ignored(changed("event.type", kind))
    assert (event.tenant_keys, event.reason) == (TENANTS, f"{kind.lower()} is not a reply")
    assert event.delivery_key == f"{INSTANCE}/4402917/{kind.lower()}"


def test_an_event_without_any_id_is_known_by_its_bytes() -> None:
    """Equal bytes, equal key."""
    event = json.loads(REPLIED)
    event["event"]["type"], event["data"] = "email_sent", {"scheduled_email": {"id": 1}}
    body = json.dumps(event).encode()
    assert ignored(delivery(body)).delivery_key == ignored(delivery(body)).delivery_key
    assert ignored(delivery(body)).delivery_key.startswith("sha256:")
    assert ignored(delivery(body + b" ")).delivery_key != ignored(delivery(body)).delivery_key


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("data.reply.automated_reply", True, "automated reply"),
        ("data.reply.automated_reply", 1, "automated reply"),
        ("data.reply.from_email_address", "MAILER-DAEMON@mx.example", "sent by a mail system"),
        ("data.reply.from_email_address", "postmaster@brightsmile.example", "sent by a mail system"),
        ("data.reply.from_email_address", "Sam@TryOutreach.example", "sent by our own mailbox"),
        ("data.reply.from_email_address", "nobody", "the sender has no address"),
        ("data.reply.text_body", "> only\n> quoted", None),
    ],
)
def test_what_no_person_wrote_is_ignored(path: str, value: object, reason: str | None) -> None:
    """Machines and our own mailboxes are no leads; a body of quotes alone falls back on the HTML."""
    event = ADAPTER.read(changed(path, value))
    assert (event.reason if isinstance(event, Ignored) else None) == reason


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
    event = json.loads(REPLIED)
    event["data"]["reply"] |= {"text_body": text, "html_body": html}
    assert read(delivery(json.dumps(event).encode())).text == expected


def test_a_reply_without_words_is_ignored() -> None:
    """Nothing of their own is nothing to score."""
    event = json.loads(REPLIED)
    event["data"]["reply"] |= {"text_body": "> Hi", "html_body": None}
    assert ignored(delivery(json.dumps(event).encode())).reason == "no words of their own"


NEEDED = [
    "event",
    "event.type",
    "event.instance_url",
    "event.workspace_id",
    "data",
    "data.reply",
    "data.reply.id",
    "data.reply.from_email_address",
]


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
    event = json.loads(REPLIED)
    del event["data"]["reply"]["primary_to_email_address"]
    assert read(delivery(json.dumps(event).encode())).recipient == "sam@tryoutreach.example"
    del event["data"]["sender_email"]
    assert "" == read(delivery(json.dumps(event).encode())).recipient


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-11-22T10:00:00.123456Z", datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)),
        ("2026-11-22T11:00:00+01:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        (1795341600, None),
        (None, None),
        (["x"], None),
    ],
)
def test_the_time_is_in_utc_or_unknown(value: object, moment: datetime | None) -> None:
    """A time without a zone, or none at all, is not worth losing a reply over."""
    assert read(changed("data.reply.date_received", value)).sent_at == moment


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b"\0", b"NaN"]
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    """Broken, too deep, too long or another kind of value: malformed, never an error of ours."""
    with pytest.raises(MalformedWebhookError, match=r"^emailbison: the body is not "):
        ADAPTER.read(delivery(body))


def test_a_byte_order_mark_is_no_harm() -> None:
    """Some relays write one."""
    assert ADAPTER.read(delivery(b"\xef\xbb\xbf" + REPLIED)) == ADAPTER.read(delivery())


def test_the_first_of_several_wrong_fields_is_named() -> None:
    """One message names one field: the first that is wanted."""
    with pytest.raises(MalformedWebhookError, match=r"^emailbison: event\.type is missing$"):
        ADAPTER.read(delivery(b'{"event": {}}'))


def test_unknown_fields_are_no_harm() -> None:
    """What EmailBison adds tomorrow is left alone."""
    event = copy.deepcopy(json.loads(REPLIED))
    event["new"] = event["data"]["new"] = event["data"]["reply"]["new"] = {"deep": [1, None]}
    assert ADAPTER.read(replace(delivery(), body=json.dumps(event).encode())) == ADAPTER.read(delivery())
