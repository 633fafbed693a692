"""GoHighLevel's history: keys, texts only, and conversations that must be searched for."""

import json

import pytest
from tests.channels.histories.apis import GOHIGHLEVEL, SAMPLES, gohighlevel_said

from leadjobs.errors import ProviderRefusedError
from leadjobs.leads.inbound import Channel, Delivery, Identity, IdentityKind, Inbound, Outbound
from leadjobs.testing.providers import ProvidersStandIn

LOCATION, CONTACT = "l1C08ntBrFjLS0elLIYU", "cI08i1Bls3iTB9bKgFJh"
MAYA = (Identity(IdentityKind.GOHIGHLEVEL_CONTACT, f"{LOCATION}/{CONTACT}"), Identity.phone("+447700900123"))
WORDS = "Yes call me tomorrow at 3"


def from_workflow(**fields: object) -> Delivery:
    event = json.loads((SAMPLES / "ghl_workflow_inbound_sms.json").read_bytes()) | fields
    return Delivery(source="gohighlevel", url="", headers={}, body=json.dumps(event).encode())


async def test_a_conversation_is_told_as_its_webhooks_would_tell_it(apis: ProvidersStandIn, apis_url: str) -> None:
    """The whole of a text of ours, and of one of theirs; the reply itself, which is in the list, is not told."""
    reply = gohighlevel_said(WORDS, 59, ours=False, id="tyW42xCD0HQpb3hhfLcx")
    said = [reply, gohighlevel_said("Who?", 2, ours=False), gohighlevel_said("Call you at 3?")]
    apis.answers[GOHIGHLEVEL.path] = {"messages": {"lastMessageId": "message-1", "nextPage": False, "messages": said}}

    ours, theirs = await GOHIGHLEVEL.history(apis_url).earlier(GOHIGHLEVEL.delivery(), time_left=10)

    assert [{"limit": "100"}] == apis.queries
    assert isinstance(ours, Outbound)
    assert isinstance(theirs, Inbound)
    assert ("Call you at 3?", Channel.SMS, f"{LOCATION}/message-1") == (ours.text, ours.channel, ours.message_key)
    assert ("+447700900456", "+447700900123") == (ours.sender, ours.recipient)
    assert MAYA == ours.identities == theirs.identities


async def test_a_text_has_the_key_that_its_webhook_gave_it(apis: ProvidersStandIn, apis_url: str) -> None:
    """The list's ``id`` is the webhook's ``messageId``: what both tell of is one message."""
    history = GOHIGHLEVEL.history(apis_url)
    apis.answers[GOHIGHLEVEL.path] = {"messages": [gohighlevel_said("Call you at 3?")]}
    event = history.adapter.read(GOHIGHLEVEL.delivery(type="OutboundMessage", messageId="message-1"))

    (told,) = await history.earlier(GOHIGHLEVEL.delivery(), time_left=10)

    assert isinstance(event, Outbound)
    assert event.message_key == told.message_key


@pytest.mark.parametrize("kind", ["TYPE_CAMPAIGN_SMS", "TYPE_CUSTOM_SMS", "TYPE_SMS_REVIEW_REQUEST"])
async def test_a_text_is_a_text_whoever_sent_it(apis: ProvidersStandIn, apis_url: str, kind: str) -> None:
    """What a campaign asked is what the lead answers."""
    apis.answers[GOHIGHLEVEL.path] = {"messages": [gohighlevel_said("Call you?", messageType=kind)]}

    (told,) = await GOHIGHLEVEL.history(apis_url).earlier(GOHIGHLEVEL.delivery(), time_left=10)

    assert ("Call you?", Channel.SMS) == (told.text, told.channel)


@pytest.mark.parametrize(
    "fields",
    [
        {"messageType": "TYPE_EMAIL"},
        {"messageType": "TYPE_CALL"},
        {"messageType": "TYPE_SMS_REACTION"},
        {"messageType": None},
        {"status": "scheduled"},
        {"status": "failed"},
        {"direction": None},
    ],
    ids=lambda fields: "-".join(f"{value}" for value in fields.values()),
)
async def test_what_is_no_text_or_never_arrived_is_not_told(
    apis: ProvidersStandIn, apis_url: str, fields: dict[str, object]
) -> None:
    """The lead answers nothing that it has not seen."""
    apis.answers[GOHIGHLEVEL.path] = {"messages": [gohighlevel_said("Hi", 1) | fields, gohighlevel_said("Hello", 2)]}

    told = await GOHIGHLEVEL.history(apis_url).earlier(GOHIGHLEVEL.delivery(), time_left=10)

    assert ["Hello"] == [message.text for message in told]


async def test_a_workflows_conversation_is_searched_for(apis: ProvidersStandIn, apis_url: str) -> None:
    """The reply, of which a workflow sends neither id nor time, is the newest of its words."""
    apis.answers["/conversations/search"] = {"conversations": [{"id": "fcanlLgpbQgQhderivVs"}], "total": 1}
    said = [gohighlevel_said(WORDS, number, ours=False) for number in (40, 2)]
    apis.answers[GOHIGHLEVEL.path] = {"messages": [*said, gohighlevel_said("Call you at 3?", 1)]}

    told = await GOHIGHLEVEL.history(apis_url).earlier(from_workflow(), time_left=10)

    assert {"locationId": LOCATION, "contactId": CONTACT, "limit": "1"} == apis.queries[0]
    assert ["Call you at 3?", WORDS] == [message.text for message in told]
    assert f"{LOCATION}/message-2" == told[1].message_key


@pytest.mark.parametrize("named", ["x" * 201, "", None, 7, ...], ids=["long", "empty", "null", "number", "none"])
async def test_a_conversation_that_is_not_named_well_is_searched_for(
    apis: ProvidersStandIn, apis_url: str, named: object
) -> None:
    """An app's delivery names it, as a rule."""
    apis.answers["/conversations/search"] = {"conversations": []}

    assert () == await GOHIGHLEVEL.history(apis_url).earlier(GOHIGHLEVEL.delivery(conversationId=named), time_left=10)
    assert ["/conversations/search"] == apis.asked


async def test_a_contact_without_a_conversation_has_no_history(apis: ProvidersStandIn, apis_url: str) -> None:
    """Nothing is found, so nothing more is asked."""
    apis.answers["/conversations/search"] = {"conversations": [], "total": 0}

    assert () == await GOHIGHLEVEL.history(apis_url).earlier(from_workflow(), time_left=10)
    assert ["/conversations/search"] == apis.asked


async def test_a_search_that_cannot_be_read_is_refused(apis: ProvidersStandIn, apis_url: str) -> None:
    """By the name of the field."""
    apis.answers["/conversations/search"] = {"conversations": [{"id": None}]}

    with pytest.raises(ProviderRefusedError, match=r"gohighlevel: conversations\[0\]\.id is null"):
        await GOHIGHLEVEL.history(apis_url).earlier(from_workflow(), time_left=10)
