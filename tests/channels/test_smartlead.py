"""SmartLead: replies in both documented shapes, what was sent, unsubscribes and bounces."""

import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.channels.reader import reader

from leadjobs.channels.smartlead import SmartLead
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads import inbound
from leadjobs.leads.inbound import Adapter, Consent, Delivery, Identity, Ignored, Inbound, Outbound, Person, Sent
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
REPLY = (SAMPLES / "smartlead_email_reply.json").read_bytes()
SAMPLE: dict[str, Any] = json.loads(REPLY)
SECRET: str = SAMPLE["secret_key"]
ADAPTER: Adapter = SmartLead(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/smartlead"
US, THEM = "sam@tryoutreach.example", "maya.ortiz@brightsmile.example"
LEAD = (Identity(inbound.IdentityKind.SMARTLEAD_LEAD, "1482956"), Identity.email(THEM))
MAYA = Person(first_name="Maya", last_name="Ortiz")
TEXT = "Yes, happy to talk. Could you call me Tuesday after 2pm?"
# The shape of api.smartlead.ai/core/webhooks, a captured EMAIL_SENT and a captured LEAD_UNSUBSCRIBED, with our values.
NESTED: dict[str, Any] = json.loads("""{
    "event": "EMAIL_REPLIED", "timestamp": "2026-11-22T10:00:00Z", "campaign_id": 9181, "lead_id": 1482956,
    "email_account_id": 456, "sequence_number": 2,
    "lead": {"email": "maya.ortiz@brightsmile.example", "first_name": "Maya", "last_name": "Ortiz",
             "company_name": "BrightSmile Dental", "custom_fields": {"job_title": "Practice manager"}},
    "email": {"subject": "Quick question", "message_id": "abc123@smartlead.example"},
    "reply": {"subject": "Re: Quick question", "body": "Yes, tell me more.", "received_at": "2026-11-22T09:59:58Z"}}""")
SENT: dict[str, Any] = json.loads("""{
    "event_type": "EMAIL_SENT", "campaign_id": 9181, "sl_email_lead_id": "1482956", "sequence_number": 2,
    "from_email": "sam@tryoutreach.example", "to_email": "maya.ortiz@brightsmile.example", "to_name": "Maya Ortiz",
    "time_sent": "2026-11-20T09:12:00+00:00", "message_id": "18f3c2.sent@tryoutreach.example",
    "custom_subject": "Quick question about recall bookings", "custom_email_message": "<div>Hi Maya, ...</div>"}""")
UNSUBSCRIBED: dict[str, Any] = json.loads("""{
    "event_type": "LEAD_UNSUBSCRIBED", "event_timestamp": "2026-11-23T14:46:19.940Z", "campaign_id": 9181,
    "lead_email": "maya.ortiz@brightsmile.example", "to_email": "maya.ortiz@brightsmile.example",
    "from_email": "sam@tryoutreach.example", "unsubscribed_client_id_map": {}}""")


def delivery(body: bytes = REPLY, *, url: str = URL, **headers: str) -> Delivery:
    return Delivery(source="smartlead", url=url, headers=headers, body=body)


def changed(changes: dict[str, Any], event: dict[str, Any] | None = None, *, url: str = URL) -> Delivery:
    """The sample, or another event, with some fields set; ``...`` removes one."""
    body = (SAMPLE if event is None else event) | changes
    return delivery(json.dumps({name: value for name, value in body.items() if value is not ...}).encode(), url=url)


read = reader(ADAPTER, Inbound)
sent = reader(ADAPTER, Outbound)
ignored = reader(ADAPTER, Ignored)


@pytest.mark.parametrize(
    "genuine",
    [
        delivery(),
        delivery(b"no JSON", url=f"{URL}?token={SECRET}"),
        delivery(b"{}", authorization=f"Bearer {SECRET}"),
        delivery(b"[]", **{"x-smartlead-secret": SECRET}),
        delivery(b"{}", **{"x-smartlead-signature": f"sha256={hmac.digest(SECRET.encode(), b'{}', 'sha256').hex()}"}),
        delivery(b"\xff", **{"x-smartlead-signature": hmac.digest(SECRET.encode(), b"\xff", "sha256").hex()}),
    ],
)
def test_any_one_proof_will_do(genuine: Delivery) -> None:
    """The body's own secret, its signature, or a token: with the current secret or the previous one."""
    for setting in (SECRET, f"new,{SECRET}", f"{SECRET}\n", f" {SECRET} , old"):
        SmartLead(Secrets.parse(setting)).verify(genuine)


@pytest.mark.parametrize("setting", ["other", "", None, "None", ",", SECRET[:-1], f"{SECRET}x"])
def test_no_other_secret_verifies(setting: str | None) -> None:
    """A wrong secret refuses, and so does none, even where the body's is empty."""
    adapter = SmartLead(Secrets.parse(setting))
    for body in (REPLY, b'{"secret_key": ""}', b'{"secret_key": null}', b"{}"):
        with pytest.raises(BadSignatureError, match="token" if adapter.secrets else "^smartlead: no secret is set$"):
            adapter.verify(delivery(body, url=f"{URL}?token=", authorization="Bearer "))


ALTERED = [f"{SECRET}x", SECRET[:-1], SECRET.upper(), "", None, 1, [SECRET], {"secret_key": SECRET}, True]
BODIES = [json.dumps({"secret_key": given}).encode() for given in ALTERED]


@pytest.mark.parametrize("body", [*BODIES, b"", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_a_body_without_proof_is_refused(body: bytes) -> None:
    """One changed character, another type, no JSON, another body's signature: no proof, and no error of ours."""
    signature = hmac.digest(SECRET.encode(), body + b"x", "sha256").hex()
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(body, **{"x-smartlead-signature": f"sha256={signature}"}))


def test_a_reply_is_read() -> None:
    """The sample is one reply of the lead, with the mail of ours that it answers."""
    assert Inbound(
        source="smartlead",
        tenant_keys=("webhook/48213", "campaign/9181"),
        delivery_key=f"email_reply/{THEM}/reply/CAJ9x+reply-77@mail.brightsmile.example",
        message_key="reply/CAJ9x+reply-77@mail.brightsmile.example",
        channel=inbound.Channel.EMAIL,
        identities=LEAD,
        text=TEXT,
        subject="Re: Quick question about recall bookings",
        sender=THEM,
        recipient=US,
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        person=MAYA,
        answers=Sent(
            message_key="sent/18f3c2.sent@tryoutreach.example",
            text="Hi Maya, ...",
            sent_at=datetime(2026, 11, 20, 9, 12, tzinfo=UTC),
        ),
    ) == ADAPTER.read(delivery())


def test_the_nested_shape_is_read() -> None:
    """What api.smartlead.ai shows means the same, and says more of the person."""
    reply = read(changed({}, NESTED))
    assert LEAD == reply.identities
    assert ("Yes, tell me more.", "Re: Quick question") == (reply.text, reply.subject)
    assert (THEM, "", datetime(2026, 11, 22, 9, 59, 58, tzinfo=UTC)) == (reply.sender, reply.recipient, reply.sent_at)
    expected = Person(first_name="Maya", last_name="Ortiz", job_title="Practice manager", company="BrightSmile Dental")
    assert expected == reply.person
    assert (("campaign/9181",), None) == (reply.tenant_keys, reply.answers)
    unclear = {"reply": NESTED["reply"] | {"received_at": "yesterday"}}
    assert datetime(2026, 11, 22, 10, tzinfo=UTC) == read(changed(unclear, NESTED)).sent_at


def test_the_nested_shape_may_name_its_event_as_the_flat_one_does() -> None:
    """One page has ``event``, another ``event_type`` and the lead's id inside; both are one event."""
    lead = {"id": 1482956, **NESTED["lead"]}
    other = NESTED | {"event": ..., "lead_id": ..., "event_type": "EMAIL_REPLIED", "lead": lead}
    assert ADAPTER.read(changed({}, NESTED)) == ADAPTER.read(changed({}, other))
    assert read(delivery()) == read(changed({"event": "x", "lead": "x", "reply": ["x"], "timestamp": {}}))


@pytest.mark.parametrize("without", ["preview_text", "reply_body"])
def test_the_old_names_are_read(without: str) -> None:
    """What SmartLead calls deprecated stands in for what is missing; the reply is the same one."""
    old = {"reply_message": None, "event_timestamp": ..., "sent_message": ..., "sl_lead_email": None, without: ...}
    expected, found = read(delivery()), read(changed(old))
    assert (expected.message_key, expected.text, expected.sent_at) == (found.message_key, found.text, found.sent_at)
    assert found.identities == LEAD
    assert ("Hi Maya, ...", None) == (found.answers and (found.answers.text, found.answers.sent_at))


@pytest.mark.parametrize("kind", ["EMAIL_REPLY", "email_reply", " Email_Reply ", "EMAIL_REPLIED"])
def test_both_spellings_in_any_case_are_one_message(kind: str) -> None:
    """The pages spell the event in two ways."""
    assert read(delivery()).message_key == read(changed({"event_type": kind})).message_key
    key = f"{kind.strip().lower()}/{THEM}/{read(delivery()).message_key}"
    assert key == read(changed({"event_type": kind})).delivery_key


def test_one_message_id_of_two_leads_is_two_deliveries() -> None:
    """Some mailers give all their mails the same."""
    ada = {"sl_lead_email": "ada@y.example", "sl_email_lead_id": "7"}
    assert read(delivery()).delivery_key != read(changed(ada)).delivery_key


def test_two_replies_to_one_mail_are_two_messages() -> None:
    """They share ``stats_id``, and have a Message-ID each."""
    message = SAMPLE["reply_message"] | {"message_id": "<second@mail.brightsmile.example>"}
    second = read(changed({"reply_message": message}))
    assert second.message_key != read(delivery()).message_key
    assert second.delivery_key != read(delivery()).delivery_key
    assert second.answers == read(delivery()).answers


WITHOUT_ID: list[object] = [..., None, "", "<>", {"id": 1}, True, "x" * 5000]


@pytest.mark.parametrize("message_id", WITHOUT_ID, ids=range(len(WITHOUT_ID)))
def test_a_reply_without_an_id_is_known_by_what_it_says(message_id: object) -> None:
    """The same again is the same; another text, or another time, is another reply of the thread."""

    def key(text: str = "Yes.", time: str | None = "2026-11-22T10:00:00Z", **fields: object) -> str:
        message = {"text": text, "time": time} | ({} if message_id is ... else {"message_id": message_id})
        return read(changed({"message_id": message_id, "reply_message": message, **fields})).message_key

    assert key().startswith("reply/sha256:")
    assert key() == key(webhook_id=2, campaign_name="renamed")
    timed = [key(time=None), key(time=None, event_timestamp=7), key(time="2026-11-22T10:05:00Z")]
    assert 6 == len({key(), key(text="No."), key(campaign_id=2), *timed})


def test_a_colleagues_answer_belongs_to_the_lead() -> None:
    """Who answers for the lead is the sender, and neither a name of the lead nor its person."""
    boss = "boss@brightsmile.example"
    their = {"leadCorrespondence": {"targetLeadEmail": THEM, "replyReceivedFrom": boss}, "to_email": boss}
    reply = read(changed({**their, "to_name": "The Boss"}))
    assert (boss, LEAD, Person()) == (reply.sender, reply.identities, reply.person)
    assert LEAD == read(changed({**their, "sl_lead_email": ...})).identities
    assert boss == read(changed({**their, "leadCorrespondence": None})).sender


def test_the_event_of_a_sent_mail_is_what_the_reply_carries() -> None:
    """The campaign's mail is one message, whether its own event tells of it or the reply to it."""
    mail = sent(changed({}, SENT))
    assert mail == Outbound(
        source="smartlead",
        tenant_keys=("campaign/9181",),
        delivery_key="email_sent/sent/18f3c2.sent@tryoutreach.example",
        message_key="sent/18f3c2.sent@tryoutreach.example",
        channel=inbound.Channel.EMAIL,
        identities=LEAD,
        text="Hi Maya, ...",
        subject="Quick question about recall bookings",
        sender=US,
        recipient=THEM,
        sent_at=datetime(2026, 11, 20, 9, 12, tzinfo=UTC),
        person=MAYA,
    )
    answers = read(delivery()).answers
    assert answers is not None
    assert (mail.message_key, mail.text, mail.sent_at) == (answers.message_key, answers.text, answers.sent_at)


def test_a_sent_mail_without_its_id_is_known_by_what_both_events_say() -> None:
    """By ``stats_id``, else by its step in the campaign."""
    for same, other in (({"stats_id": "a"}, {"stats_id": "b"}), ({"stats_id": ...}, {"sequence_number": 3})):
        answers = read(changed({"sent_message": {"text": "Hi Maya"}, **same})).answers
        assert answers is not None
        assert answers.message_key == sent(changed({"message_id": ..., **same}, SENT)).message_key
        assert answers.message_key != sent(changed({"message_id": ..., **same, **other}, SENT)).message_key


def test_a_first_mail_is_a_sent_mail() -> None:
    """``FIRST_EMAIL_SENT`` comes beside ``EMAIL_SENT``: two deliveries of one message."""
    first = sent(changed({"event_type": "FIRST_EMAIL_SENT"}, SENT))
    assert first.message_key == sent(changed({}, SENT)).message_key
    assert first.delivery_key != sent(changed({}, SENT)).delivery_key


def test_no_reply_passes_for_a_mail_of_ours() -> None:
    """Whoever answers chooses the Message-ID, and may choose ours: it is still another message."""
    message = SAMPLE["reply_message"] | {"message_id": SAMPLE["sent_message"]["message_id"]}
    reply = read(changed({"reply_message": message}))
    assert reply.answers is not None
    assert reply.message_key != reply.answers.message_key


@pytest.mark.parametrize("kind", ["LEAD_UNSUBSCRIBED", "lead_unsubscribed", "EMAIL_UNSUBSCRIBED"])
def test_an_unsubscribed_lead_is_news(kind: str) -> None:
    """As captured: without the lead's number, with a time in another spelling, and without words."""
    news = read(changed({"event_type": kind}, UNSUBSCRIBED))
    assert (Consent.STOPPED, "", LEAD[1:]) == (news.consent, news.text, news.identities)
    assert (THEM, US) == (news.sender, news.recipient)
    assert datetime(2026, 11, 23, 14, 46, 19, 940_000, UTC) == news.sent_at
    assert news.message_key == read(changed({"is_sender_originated_bounce": True}, UNSUBSCRIBED)).message_key
    assert news.message_key != read(changed({"event_timestamp": "2026-11-24T00:00:00Z"}, UNSUBSCRIBED)).message_key


def test_an_unsubscribe_without_a_time_is_known_by_its_bytes() -> None:
    """As api.smartlead.ai shows it: nothing in it tells one from the next but the bytes."""
    bare = {"event_type": "LEAD_UNSUBSCRIBED", "lead_email": THEM, "campaign_id": 1}
    assert read(changed({}, bare)).delivery_key == read(changed({}, bare)).delivery_key
    assert read(changed({}, bare)).message_key != read(changed({"lead_name": "Maya"}, bare)).message_key
    assert read(changed({}, bare)).sent_at is None


@pytest.mark.parametrize("kind", ["EMAIL_BOUNCE", "EMAIL_BOUNCED"])
def test_a_bounce_is_news(kind: str) -> None:
    """Nothing arrives at the lead; unless the bounce was our own mailbox's fault, which says nothing of the lead."""
    bounce = SENT | {
        "event_type": kind,
        "event_timestamp": "2026-11-20T09:12:00+00:00",
        "bounce_message": {"message_id": "<b@mx.example>", "text": "not found", "time": "2026-11-20T09:12:05Z"},
        "is_sender_originated_bounce": False,
    }
    news = read(changed({}, bounce))
    assert (Consent.BOUNCED, "", LEAD, None) == (news.consent, news.text, news.identities, news.answers)
    assert datetime(2026, 11, 20, 9, 12, 5, tzinfo=UTC) == news.sent_at
    assert (
        "bounced because of our own mailbox" == ignored(changed({"is_sender_originated_bounce": True}, bounce)).reason
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_type": "EMAIL_OPEN"}, "email_open is no message"),
        ({"event_type": "email_link_click"}, "email_link_click is no message"),
        ({"event_type": "LEAD_CATEGORY_UPDATED"}, "lead_category_updated is no message"),
        ({"event_type": "UNTRACKED_REPLIES"}, "untracked_replies is no message"),
        ({"event_type": "maya@brightsmile.example"}, "an unknown type of event"),
        ({"reply_message": {"text": "> Hi"}, "preview_text": "", "reply_body": None}, "no words of their own"),
        ({"leadCorrespondence": {"replyReceivedFrom": "MAILER-DAEMON@mx.example"}}, "sent by a mail system"),
        ({"leadCorrespondence": {"replyReceivedFrom": "Sam@TryOutreach.example"}}, "sent by our own mailbox"),
        ({"event_type": "EMAIL_SENT", "sent_message": {}, "sent_message_body": ""}, "email_sent without its text"),
    ],
)
def test_what_is_no_message_is_ignored(changes: dict[str, Any], expected: str) -> None:
    """Kept with its reason, in which nothing personal stands, under keys that a re-send has too."""
    event = ignored(changed(changes))
    assert (expected, ("webhook/48213", "campaign/9181")) == (event.reason, event.tenant_keys)
    assert event == ignored(changed(changes))


def test_events_without_a_message_are_told_apart_by_mail_and_time() -> None:
    """Two opens of one mail are two deliveries; one that is sent again, even spelled otherwise, is one."""
    opened = {"event_type": "EMAIL_OPEN", "webhook_id": ...}
    others = ({"new": 1}, {"event_timestamp": "2026-11-22T11:00:00Z"}, {"stats_id": "other"})
    keys = [ignored(changed(opened | more)).delivery_key for more in ({}, *others)]
    assert keys[0] == keys[1]
    assert 3 == len(set(keys))


def test_the_workspace_is_named_by_the_address_first() -> None:
    """What the customer put into the address, then the client, the webhook and the campaign, as far as known."""
    named = changed({"client_id": 7}, url=f"{URL}?token=x&tenant=acme%20uk")
    assert ("acme uk", "client/7", "webhook/48213", "campaign/9181") == read(named).tenant_keys
    for odd in ("", "%00", "a" * 300, "%20"):
        assert ("webhook/48213", "campaign/9181") == read(delivery(url=f"{URL}?tenant={odd}")).tenant_keys
    assert () == read(changed({"webhook_id": None, "campaign_id": [1], "tenant": "forged"})).tenant_keys


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"text": "Yes.\n\nOn Fri, 20 Nov 2026 at 09:12, Sam wrote:\n> Hi"}, "Yes."),
        ({"text": None, "html": "<p>Yes</p><blockquote>Hi</blockquote>"}, "Yes"),
        ({"text": "> Hi", "html": "<div>Below</div>"}, "Below"),
        ({"text": "<div>Yes<br>No</div>"}, "Yes\nNo"),
        ({"html": "plain\n> Hi\nwords, 1 < 2 <maya@x.example>"}, "plain\nwords, 1 < 2 <maya@x.example>"),
        ({"text": "Yes\0, half \ud83d pair"}, "Yes, half ? pair"),
        ({"text": ["x"], "html": "<p>Yes</p>"}, "Yes"),
    ],
)
def test_the_text_is_what_they_wrote(message: dict[str, Any], expected: str) -> None:
    """Text first, else the HTML, whichever field holds it; without history and what cannot be stored."""
    assert expected == read(changed({"reply_message": message, "preview_text": ..., "reply_body": ...})).text


HARMLESS = sorted(SAMPLE.keys() - {"event_type", "secret_key"})


@pytest.mark.parametrize("odd", [None, 7, True, ["x"], {"x": [None]}, "", "\0", "x" * 5000, [[[[]]]], 1e400, -1])
@pytest.mark.parametrize("name", HARMLESS)
def test_one_odd_field_loses_no_reply(name: str, odd: object) -> None:
    """Whatever a field holds, the reply is read, and its lead is still found by another."""
    reply = read(changed({name: odd}))
    assert TEXT == reply.text
    assert set(reply.identities) & set(LEAD)
    assert all(len(key.encode()) < 2700 and "\0" not in key for key in (reply.message_key, reply.delivery_key))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", r"event_type is missing"),
        (b'{"event_type": null}', r"event_type is missing"),
        (b'{"event_type": ["EMAIL_REPLY"]}', r"event_type should be a valid string"),
        (b'{"event_type": "EMAIL_REPLY", "reply_body": "Yes"}', r"neither sl_lead_email nor to_email is an address"),
        (b'{"event": "EMAIL_REPLIED", "lead": {"email": "x"}, "reply": {"body": "Yes"}}', r"neither sl_lead_email"),
        (b"[]", r"the body is not a JSON object"),
        (b"\xff", r"the body is not UTF-8"),
        (b"[" * 100_000, r"the body is not JSON"),
    ],
)
def test_what_is_no_event_is_malformed(body: bytes, message: str) -> None:
    """The error names what is wrong, and repeats no value."""
    with pytest.raises(MalformedWebhookError, match=rf"^smartlead: {message}"):
        ADAPTER.read(delivery(body))


def test_a_lead_may_be_known_by_its_number_alone() -> None:
    """No address is not nobody."""
    nobody = {"sl_lead_email": "nobody", "to_email": "", "leadCorrespondence": None}
    assert LEAD[:1] == read(changed(nobody)).identities


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"to_name": "Maya van der Berg"}, Person(first_name="Maya", last_name="van der Berg")),
        ({"to_name": "Maya"}, Person(first_name="Maya")),
        ({"to_name": "--"}, Person()),
        ({"to_name": THEM}, Person()),
        ({"to_email": "MAYA.Ortiz@brightsmile.example"}, MAYA),
        ({"first_name": "May", "company_name": "--"}, Person(first_name="May")),
    ],
)
def test_what_is_known_of_the_person(changes: dict[str, Any], expected: Person) -> None:
    """A name in one piece is parted; an address and dashes are none."""
    assert expected == read(changed(changes)).person
