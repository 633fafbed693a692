"""Unipile's history: keys, whose a message is, and the chats that are left alone."""

import json

import pytest
from tests.channels.histories.apis import SAMPLES, THEM, UNIPILE, US, unipile_said

from leadjobs.leads.inbound import Channel, Delivery, Identity, IdentityKind, Inbound, Outbound
from leadjobs.testing.providers import ProvidersStandIn

ACCOUNT = "dfXlh46vQYCsMbVarumWlg"


async def test_a_chat_is_told_as_its_webhooks_would_tell_it(apis: ProvidersStandIn, apis_url: str) -> None:
    """The whole of a message of ours, and of one of theirs; the reply itself, which is in the list, is not told."""
    reply = unipile_said("Thanks", 59, ours=False, id="ykmhfXlRW0W_cqReJYrfBw", timestamp="2026-11-22T10:00:00.000Z")
    apis.answers[UNIPILE.path] = {
        "object": "MessageList",
        "items": [reply, unipile_said("Who is this?", 2, ours=False), unipile_said("Hi Maya")],
        "cursor": None,
    }

    ours, theirs = await UNIPILE.history(apis_url).earlier(UNIPILE.delivery(), time_left=10)

    assert [{"limit": "100"}] == apis.queries
    assert isinstance(ours, Outbound)
    assert isinstance(theirs, Inbound)
    assert ("Hi Maya", US, THEM, f"{ACCOUNT}/message-1") == (ours.text, ours.sender, ours.recipient, ours.message_key)
    assert (f"{ACCOUNT}/message-2", Channel.LINKEDIN) == (theirs.message_key, theirs.channel)
    lead = (
        Identity(IdentityKind.LINKEDIN, THEM),
        Identity(IdentityKind.UNIPILE_CHAT, f"{ACCOUNT}/R8J-xM9WX7eoHLp6gSVtWQ"),
    )
    assert lead == ours.identities == theirs.identities


async def test_a_message_has_the_key_that_its_webhook_gave_it(apis: ProvidersStandIn, apis_url: str) -> None:
    """The list's ``id`` is the webhook's ``message_id``: what both tell of is one message."""
    history = UNIPILE.history(apis_url)
    apis.answers[UNIPILE.path] = {"items": [unipile_said("Hi Maya")]}
    echo = history.adapter.read(UNIPILE.delivery(message_id="message-1", message="Hi Maya", is_sender=True))

    (told,) = await history.earlier(UNIPILE.delivery(), time_left=10)

    assert isinstance(echo, Outbound)
    assert echo.message_key == told.message_key


@pytest.mark.parametrize(
    "fields", [{"is_event": 1}, {"deleted": 1}, {"hidden": True}, {"is_sender": None}, {"text": 7}]
)
async def test_events_deleted_and_hidden_messages_are_not_told(
    apis: ProvidersStandIn, apis_url: str, fields: dict[str, object]
) -> None:
    """A reaction is hidden; what was taken back was not said; and what nobody wrote is nobody's."""
    apis.answers[UNIPILE.path] = {"items": [unipile_said("Hi", 1) | fields, unipile_said("Hello", 2)]}

    told = await UNIPILE.history(apis_url).earlier(UNIPILE.delivery(), time_left=10)

    assert ["Hello"] == [message.text for message in told]


@pytest.mark.parametrize(
    "fields",
    [
        {"chat_id": ...},
        {"is_group": True},
        {"attendees": [{"attendee_provider_id": US}, {"attendee_provider_id": "ACoAA-alex"}]},
        {"sender": {}},
    ],
    ids=["no chat", "a group", "three people", "no sender"],
)
async def test_chats_of_more_than_two_or_without_a_name_are_not_asked_for(
    apis: ProvidersStandIn, apis_url: str, fields: dict[str, object]
) -> None:
    """Somebody else's STOP in a group must not opt out the lead."""
    assert () == await UNIPILE.history(apis_url).earlier(UNIPILE.delivery(**fields), time_left=10)
    assert [] == apis.asked


async def test_deliveries_of_v2_are_left_alone(apis: ProvidersStandIn, apis_url: str) -> None:
    """Which ids its API knows is not documented."""
    history = UNIPILE.history(apis_url)
    event = json.loads((SAMPLES / "unipile_v2_message_new.json").read_bytes())
    event["payload"]["sender_id"] = THEM
    delivery = Delivery(source="unipile", url="", headers={}, body=json.dumps(event).encode())
    reply = history.adapter.read(delivery)
    assert isinstance(reply, Inbound)
    assert {IdentityKind.LINKEDIN, IdentityKind.UNIPILE_CHAT} <= {identity.kind for identity in reply.identities}

    assert () == await history.earlier(delivery, time_left=10)
    assert [] == apis.asked


def test_the_dsn_is_an_address_with_or_without_its_scheme() -> None:
    """Unipile shows it as ``api1.unipile.com:13111``."""
    assert UNIPILE.history("api1.unipile.com:13111") is not None
    assert UNIPILE.history(" https://api1.unipile.com:13111/\n") is not None
