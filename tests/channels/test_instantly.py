"""Instantly: replies, what was sent, unsubscribes and bounces, and the labels that are none of these."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.channels.reader import reader

from leadjobs.channels.instantly import Instantly
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
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
REPLY = (SAMPLES / "instantly_reply_received.json").read_bytes()
AUTO_REPLY = (SAMPLES / "instantly_auto_reply_received.json").read_bytes()
SAMPLE: dict[str, Any] = json.loads(REPLY)
INDEX: dict[str, Any] = json.loads((SAMPLES / "_index.json").read_bytes())["samples"]
HEADERS: dict[str, str] = INDEX["instantly_reply_received.json"]["auth"]["headers"]
SECRET = HEADERS["x-leadjobs-token"]
ADAPTER: Adapter = Instantly(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/instantly"
US, THEM = "sam@tryoutreach.example", "maya.ortiz@brightsmile.example"
LEAD = (Identity.email(THEM),)
WORKSPACE = SAMPLE["workspace"]
OCCURRENCE = f"{SAMPLE['email_id']}/2026-11-22T10:00:00.000Z"
MAYA = Person(first_name="Maya", last_name="Ortiz", company="BrightSmile Dental")
NO_REPLY = {name: ... for name in SAMPLE if name.startswith("reply_") or name == "unibox_url"}
SENT = {"event_type": "email_sent", "timestamp": "2026-11-20T09:12:00.000Z", **NO_REPLY}


def delivery(body: bytes = REPLY, *, url: str = URL, **headers: str) -> Delivery:
    return Delivery(source="instantly", url=url, headers=headers, body=body)


def changed(changes: dict[str, Any], *, url: str = URL) -> Delivery:
    """The sample with some fields set; ``...`` removes one."""
    body = {name: value for name, value in (SAMPLE | changes).items() if value is not ...}
    return delivery(json.dumps(body).encode(), url=url)


read = reader(ADAPTER, Inbound)
sent = reader(ADAPTER, Outbound)
ignored = reader(ADAPTER, Ignored)


@pytest.mark.parametrize(
    "genuine",
    [
        delivery(REPLY, **HEADERS),
        delivery(REPLY, **{"x-instantly-secret": f" {SECRET} "}),
        delivery(authorization=f"Bearer {SECRET}"),
        delivery(b"\xff", url=f"{URL}?token={SECRET}"),
    ],
)
def test_the_token_verifies_wherever_it_is(genuine: Delivery) -> None:
    """Any place will do, with the current secret or the previous one, and a stray newline in the setting."""
    for setting in (SECRET, f"new,{SECRET}", f"{SECRET}\n", f" {SECRET} , old"):
        Instantly(Secrets.parse(setting)).verify(genuine)


@pytest.mark.parametrize("setting", ["other", "", None, ",", SECRET[:-1], f"{SECRET}x"])
def test_no_other_secret_verifies(setting: str | None) -> None:
    """A wrong secret refuses, and so does none, even an empty token."""
    adapter = Instantly(Secrets.parse(setting))
    for headers in (HEADERS, {"x-leadjobs-token": ""}, {"x-instantly-secret": "None"}, {}):
        with pytest.raises(BadSignatureError, match="token" if adapter.secrets else "^instantly: no secret is set$"):
            adapter.verify(delivery(REPLY, url=f"{URL}?token=", authorization="Bearer ", **headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-leadjobs-token": SECRET[:-1]},
        {"x-leadjobs-token": f"{SECRET}é"},
        {"x-token": SECRET},
        {"authorization": SECRET},
    ],
)
def test_an_altered_token_is_refused(headers: dict[str, str]) -> None:
    """One changed character, another name, another scheme: no proof."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(REPLY, **headers))


def test_a_reply_is_read() -> None:
    """The sample is one reply of the lead, with the mail of ours that it answers, and what the lead's columns say."""
    answers = read(delivery()).answers
    assert answers is not None
    assert Inbound(
        source="instantly",
        tenant_keys=(WORKSPACE,),
        delivery_key=f"reply_received/{OCCURRENCE}",
        message_key=f"reply/{OCCURRENCE}",
        channel=Channel.EMAIL,
        identities=LEAD,
        text="Yes, happy to talk. Could you call me Tuesday after 2pm?\n\nMaya",
        subject="Re: Quick question about recall bookings",
        sender=THEM,
        recipient=US,
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        person=MAYA,
        answers=Sent(
            message_key=answers.message_key, text="Hi Maya, ...", subject="Quick question about recall bookings"
        ),
    ) == ADAPTER.read(delivery())


def test_two_replies_of_a_thread_are_two_messages() -> None:
    """They share ``email_id``, and have a time each; the mail of ours is the same one."""
    second = read(changed({"timestamp": "2026-11-22T10:00:01.000Z", "is_first": False}))
    assert second.message_key != read(delivery()).message_key
    assert second.delivery_key != read(delivery()).delivery_key
    assert second.answers == read(delivery()).answers


def test_one_reply_told_twice_is_one_message() -> None:
    """Whatever else changes in the body, what Instantly keeps is the reply's key."""
    again = read(changed({"campaign_name": "renamed", "unibox_url": ..., "new": {"deep": [None]}, "is_first": None}))
    assert read(delivery()) == again


@pytest.mark.parametrize("missing", [..., None, "", 1.5, ["x"], "x" * 5000, True])
def test_a_reply_without_a_time_is_known_by_its_bytes(missing: object) -> None:
    """Never by the time of its arrival: the same again is the same, another text is another reply."""
    once = read(changed({"timestamp": missing}))
    assert once == read(changed({"timestamp": missing}))
    assert once.sent_at is None
    assert once.message_key.startswith("reply/sha256:")
    assert once.message_key != read(changed({"timestamp": missing, "reply_text": "No."})).message_key


def test_a_reply_without_an_email_id_is_known_by_its_lead_and_time() -> None:
    """What stays: who, in which campaign, when."""
    without: dict[str, Any] = {"email_id": None}
    keys = {read(changed(without | more)).message_key for more in ({}, {"step": 3}, {"timestamp": 1795341600})}
    assert 2 == len(keys)
    assert 2 == len(keys - {read(changed(without | {"lead_email": "lee@x.example"})).message_key})


@pytest.mark.parametrize("kind", ["reply_received", "REPLY_RECEIVED", " Reply_Received "])
def test_the_case_of_the_type_does_not_matter(kind: str) -> None:
    """Documented in lower case; another is the same."""
    assert ADAPTER.read(delivery()) == ADAPTER.read(changed({"event_type": kind}))


def test_the_event_of_a_sent_mail_is_what_the_reply_carries() -> None:
    """The campaign's mail is one message, whether its own event tells of it or the reply to it."""
    answers = read(delivery()).answers
    assert answers is not None
    assert sent(changed(SENT)) == Outbound(
        source="instantly",
        tenant_keys=(WORKSPACE,),
        delivery_key=f"email_sent/{SAMPLE['email_id']}/2026-11-20T09:12:00.000Z",
        message_key=answers.message_key,
        channel=Channel.EMAIL,
        identities=LEAD,
        text=answers.text,
        subject=answers.subject,
        sender=US,
        recipient=THEM,
        sent_at=datetime(2026, 11, 20, 9, 12, tzinfo=UTC),
        person=MAYA,
    )
    same = {"email_id": "other", "variant": None, "step": "2", "lead_email": THEM.upper(), "email_text": None}
    assert answers.message_key == sent(changed(SENT | same)).message_key
    assert "Hi Maya, ..." == sent(changed(SENT | same)).text


@pytest.mark.parametrize("other", [{"step": 3}, {"campaign_id": "other"}, {"lead_email": "lee@brightsmile.example"}])
def test_each_step_of_a_campaign_to_a_lead_is_a_mail(other: dict[str, Any]) -> None:
    """The next step, another campaign, another lead: another mail."""
    assert sent(changed(SENT)).message_key != sent(changed(SENT | other)).message_key


def test_a_sent_mail_without_its_step_is_known_by_its_text() -> None:
    """A mail written by hand has no step."""
    by_hand = SENT | {"step": None}
    answers = read(changed({"step": None})).answers
    assert answers is not None
    assert answers.message_key == sent(changed(by_hand)).message_key
    assert answers.message_key != sent(changed(by_hand | {"email_text": "Bye"})).message_key


def test_a_reply_need_not_carry_our_mail() -> None:
    """What is not there is not made up."""
    assert read(changed({"email_text": None, "email_html": ...})).answers is None


@pytest.mark.parametrize(
    ("kind", "consent"), [("lead_unsubscribed", Consent.STOPPED), ("EMAIL_BOUNCED", Consent.BOUNCED)]
)
def test_an_unsubscribe_and_a_bounce_are_news(kind: str, consent: Consent) -> None:
    """Without words, even where the event carries some, and beside the reply that it may follow."""
    news = read(changed({"event_type": kind}))
    assert (consent, "", None, LEAD) == (news.consent, news.text, news.answers, news.identities)
    assert (THEM, US, "Quick question about recall bookings") == (news.sender, news.recipient, news.subject)
    assert f"{consent}/{OCCURRENCE}" == news.message_key
    bare = {"event_type": kind, "timestamp": "2026-11-22T10:00:00Z", "lead_email": THEM, "workspace": WORKSPACE}
    assert LEAD == read(delivery(json.dumps(bare).encode())).identities


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_type": "lead_interested"}, "label lead_interested"),
        ({"event_type": "lead_neutral"}, "label lead_neutral"),
        ({"event_type": "lead_meeting_booked"}, "label lead_meeting_booked"),
        ({"event_type": "Ask Maya"}, "a label of the workspace's own, or an unknown type of event"),
        ({"event_type": "lead_out_of_office"}, "automated reply"),
        ({"event_type": "email_opened"}, "email_opened is no message"),
        ({"event_type": "link_clicked"}, "link_clicked is no message"),
        ({"event_type": "account_error", "lead_email": ..., "email_id": ...}, "account_error is no message"),
        ({"event_type": "campaign_completed", "lead_email": None}, "campaign_completed is no message"),
        ({"reply_text": "> Hi", "reply_html": "<blockquote>Hi</blockquote>"}, "no words of their own"),
        (SENT | {"email_text": "", "email_html": None}, "email_sent without its text"),
    ],
)
def test_what_is_no_message_is_ignored(changes: dict[str, Any], expected: str) -> None:
    """Kept with its reason, in which nothing personal stands, under a key that a re-send has too."""
    event = ignored(changed(changes))
    assert (expected, (WORKSPACE,)) == (event.reason, event.tenant_keys)
    assert event == ignored(changed(changes | {"campaign_name": "renamed"}))


def test_an_automated_reply_is_ignored() -> None:
    """The sample is one."""
    event = ignored(delivery(AUTO_REPLY))
    assert "automated reply" == event.reason
    assert f"auto_reply_received/{SAMPLE['email_id']}/2026-11-22T10:00:05.000Z" == event.delivery_key


def test_the_workspace_is_instantlys_then_the_addresss() -> None:
    """What Instantly says is tried first, then what the customer put into the address."""
    assert (WORKSPACE, "acme uk") == read(delivery(url=f"{URL}?token=x&tenant=acme%20uk")).tenant_keys
    assert ("acme",) == read(changed({"workspace": None, "tenant": "forged"}, url=f"{URL}?tenant=acme")).tenant_keys
    for odd in ("", "%00", "a" * 300, "%20"):
        assert () == read(changed({"workspace": ["x"], "tenant": "forged"}, url=f"{URL}?tenant={odd}")).tenant_keys


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"reply_text": "Yes.\r\n\r\nOn Sun, 22 Nov 2026 Sam <s@x.example> wrote:\r\n> Hi"}, "Yes."),
        ({"reply_html": "<p>Yes &amp; no</p><blockquote>Hi</blockquote>"}, "Yes & no"),
        ({"reply_text": "> Hi", "reply_html": "<div>Below</div>"}, "Below"),
        ({"reply_text": ["x"], "reply_html": "<div>Yes</div>"}, "Yes"),
        ({"reply_text_snippet": "Yes, happy to"}, "Yes, happy to"),
        ({"reply_text": "Yes\0, half \ud83d pair"}, "Yes, half ? pair"),
    ],
)
def test_the_text_is_what_they_wrote(reply: dict[str, Any], expected: str) -> None:
    """Text first, else the HTML, and the preview only where there is nothing else."""
    assert expected == read(changed({"reply_text": None, "reply_html": None, "reply_text_snippet": None} | reply)).text


def test_a_preview_does_not_stand_in_for_a_reply_of_quotes() -> None:
    """A preview of quoted lines would be our own words."""
    assert "no words of their own" == ignored(changed({"reply_text": "> Hi", "reply_html": None})).reason


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"first_name": "May", "Last Name": "Ortez", "company": "BS"},
            Person(first_name="May", last_name="Ortez", company="BS"),
        ),
        ({"jobTitle": " Owner ", "title": "Dr"}, Person(job_title="Owner")),
        ({"title": "Owner", "Industry": "Dental"}, Person(job_title="Owner", industry="Dental")),
        ({"# Employees": 12}, Person(headcount="12")),
        ({"company_size": "11-50", "employees": ""}, Person(headcount="11-50")),
        ({"firstName": ["x"], "lastName": True, "companyName": {"x": 1}, "jobTitle": None, "industry": "\0"}, Person()),
        ({"firstName2": "Sam", "my first name": "Sam"}, Person()),
    ],
)
def test_the_leads_columns_are_read_in_any_spelling(columns: dict[str, Any], expected: Person) -> None:
    """People name their columns as they like, and fill them with anything."""
    without = {"firstName": ..., "lastName": ..., "companyName": ...}
    assert expected == read(changed(without | columns)).person


HARMLESS = sorted(SAMPLE.keys() - {"event_type", "lead_email", "reply_text"})


@pytest.mark.parametrize("odd", [None, 7, True, ["x"], {"x": [None]}, "", "\0", "x" * 5000, 1e400, -1])
@pytest.mark.parametrize("name", HARMLESS)
def test_one_odd_field_loses_no_reply(name: str, odd: object) -> None:
    """Whatever a field holds, the reply is read, under keys that can be kept."""
    reply = read(changed({name: odd}))
    assert (read(delivery()).text, LEAD) == (reply.text, reply.identities)
    assert all(len(key.encode()) < 2700 and "\0" not in key for key in (reply.message_key, reply.delivery_key))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"type": "reply_received", "contact_email": "maya@x.example"}', "event_type is missing"),
        (b'{"event_type": null}', "event_type is null"),
        (b'{"event_type": ["reply_received"]}', "event_type should be a valid string"),
        (b'{"event_type": "reply_received", "reply_text": "Yes"}', "lead_email is missing, or no address"),
        (b'{"event_type": "lead_unsubscribed", "lead_email": "nobody"}', "lead_email is missing, or no address"),
        (b"[]", "the body is not a JSON object"),
        (b"\xff", "the body is not UTF-8"),
        (b"[" * 100_000, "the body is not JSON"),
    ],
)
def test_what_is_no_event_is_malformed(body: bytes, message: str) -> None:
    """The error names what is wrong and repeats no value; a shape that Instantly never sent is none of its events."""
    with pytest.raises(MalformedWebhookError, match=rf"^instantly: {message}"):
        ADAPTER.read(delivery(body))
