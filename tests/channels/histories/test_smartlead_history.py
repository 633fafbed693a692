"""SmartLead's history: keys, own words, and what mail systems answered."""

import pytest
from tests.channels.histories.apis import SMARTLEAD, smartlead_said

from leadjobs.leads.inbound import Identity, IdentityKind, Inbound, Outbound
from leadjobs.testing.providers import ProvidersStandIn

MAYA = (Identity(IdentityKind.SMARTLEAD_LEAD, "1482956"), Identity.email("maya.ortiz@brightsmile.example"))


async def test_a_campaign_is_told_as_its_webhooks_would_tell_it(apis: ProvidersStandIn, apis_url: str) -> None:
    """The whole of a mail of ours, and of one of theirs; the reply itself, which is in the list, is not told."""
    reply = smartlead_said("Yes", 59, ours=False, message_id="<CAJ9x+reply-77@mail.brightsmile.example>")
    apis.answers[SMARTLEAD.path] = {
        "history": [smartlead_said("Hi Maya"), smartlead_said("Who?", 2, ours=False), reply],
        "from": "sam@tryoutreach.example",
        "to": "maya.ortiz@brightsmile.example",
    }

    ours, theirs = await SMARTLEAD.history(apis_url).earlier(SMARTLEAD.delivery(), time_left=10)

    assert isinstance(ours, Outbound)
    assert isinstance(theirs, Inbound)
    assert ("Hi Maya", "Quick question") == (ours.text, ours.subject)
    assert ("sam@tryoutreach.example", "maya.ortiz@brightsmile.example") == (ours.sender, ours.recipient)
    keys = ["sent/mail-1@tryoutreach.example", "reply/mail-2@tryoutreach.example"]
    assert keys == [ours.message_key, theirs.message_key]
    assert MAYA == ours.identities == theirs.identities


async def test_a_mail_has_the_key_that_its_webhook_gave_it(apis: ProvidersStandIn, apis_url: str) -> None:
    """The mail that the reply's delivery carries is in the history, too, and is one message."""
    history = SMARTLEAD.history(apis_url)
    sent = smartlead_said("Hi Maya, ...", message_id="<18f3c2.sent@tryoutreach.example>")
    apis.answers[SMARTLEAD.path] = {"history": [sent]}
    reply = history.adapter.read(SMARTLEAD.delivery())

    (told,) = await history.earlier(SMARTLEAD.delivery(), time_left=10)

    assert isinstance(reply, Inbound)
    assert reply.answers is not None
    assert reply.answers.message_key == told.message_key


async def test_quoted_history_is_cut_from_both_sides(apis: ProvidersStandIn, apis_url: str) -> None:
    """Only what each wrote is told: our own opt-out line must not come back as the lead's."""
    quoted = "<div>{}</div><blockquote>Reply STOP to unsubscribe</blockquote>"
    apis.answers[SMARTLEAD.path] = {
        "history": [
            smartlead_said("", 1, email_body=quoted.format("Following up")),
            smartlead_said("", 2, ours=False, email_body=quoted.format("Not now")),
        ]
    }

    told = await SMARTLEAD.history(apis_url).earlier(SMARTLEAD.delivery(), time_left=10)

    assert ["Following up", "Not now"] == [message.text for message in told]


@pytest.mark.parametrize(
    "fields", [{"from": "Mail Delivery <mailer-daemon@googlemail.com>"}, {"type": "NOTE"}, {"type": "sent"}]
)
async def test_what_mail_systems_answered_and_unknown_types_are_not_told(
    apis: ProvidersStandIn, apis_url: str, fields: dict[str, object]
) -> None:
    """SmartLead calls a bounce a reply, too."""
    said = smartlead_said("Address not found", ours=False) | fields
    apis.answers[SMARTLEAD.path] = {"history": [said]}

    assert () == await SMARTLEAD.history(apis_url).earlier(SMARTLEAD.delivery(), time_left=10)


@pytest.mark.parametrize(
    "fields", [{"campaign_id": None}, {"sl_email_lead_id": ...}, {"event_type": "LEAD_UNSUBSCRIBED"}]
)
async def test_without_campaign_or_lead_or_words_nobody_is_asked(
    apis: ProvidersStandIn, apis_url: str, fields: dict[str, object]
) -> None:
    """Both are needed to ask; and news without words answer nothing."""
    assert () == await SMARTLEAD.history(apis_url).earlier(SMARTLEAD.delivery(**fields), time_left=10)
    assert [] == apis.asked


async def test_a_reply_without_an_id_is_known_by_its_words_and_time(apis: ProvidersStandIn, apis_url: str) -> None:
    """The history has a Message-ID where the delivery had none: it is not told as an earlier message."""
    words = "Yes, happy to talk. Could you call me Tuesday after 2pm?"
    itself = smartlead_said(words, 59, ours=False, time="2026-11-22T09:59:59.400Z")
    before = [smartlead_said("Hi"), smartlead_said(words, 3, ours=False)]
    soon = smartlead_said("And my number?", 58, ours=False, time="2026-11-22T10:00:20Z")
    again = smartlead_said(words, 57, ours=False, time="2026-11-22T10:05:00Z")
    apis.answers[SMARTLEAD.path] = {"history": [*before, itself, soon, again]}
    delivery = SMARTLEAD.delivery(message_id=..., reply_message={"text": words, "time": "2026-11-22T10:00:00Z"})

    told = await SMARTLEAD.history(apis_url).earlier(delivery, time_left=10)

    assert ["Hi", words] == [message.text for message in told]
    assert "reply/mail-3@tryoutreach.example" == told[1].message_key


async def test_half_a_character_in_an_address_loses_no_mail(apis: ProvidersStandIn, apis_url: str) -> None:
    """PostgreSQL cannot keep one, and the adapter need not see it."""
    said = smartlead_said("Hi", ours=False) | {"from": "Maya <maya\ud83d@brightsmile.example>"}
    apis.answers[SMARTLEAD.path] = {"history": [said]}

    (told,) = await SMARTLEAD.history(apis_url).earlier(SMARTLEAD.delivery(), time_left=10)

    assert "maya?@brightsmile.example" == told.sender
