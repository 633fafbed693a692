"""GoHighLevel's messages of a conversation: the texts that we sent before they answered, and their earlier ones.

From GoHighLevel's highlevel-api-docs (apps/conversations.json, "get-messages" and "search-conversation") and the models
of its highlevel-api-sdk: ``GET /conversations/{conversationId}/messages`` with a bearer token and ``Version``, newest
first; a message's ``id`` is the ``messageId`` of its webhook.  The documentation has ``messages`` hold the list; public
code that reads real answers finds an object there that holds it.  What a workflow sends does not name the conversation,
so that is searched for by location and contact.

E-mails are left out: the list has the id of their thread, and their webhooks the id of the mail.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from leadjobs.channels import Id, Payload, read_json
from leadjobs.channels.histories import Api, ApiHistory, Plain, as_body
from leadjobs.leads.inbound import Adapter, IdentityKind, Inbound

API_URL: Final = "https://services.leadconnectorhq.com"

_VERSION = "2021-04-15"
_PAGE = 100  # over twice what is told, for calls and events are among them
_LONGEST_ID = 200
# Every way in which a person gets a text message; a reaction is none.
_TEXTS = frozenset(
    {
        "TYPE_SMS",
        "TYPE_CAMPAIGN_SMS",
        "TYPE_CAMPAIGN_MANUAL_SMS",
        "TYPE_CUSTOM_SMS",
        "TYPE_CUSTOM_PROVIDER_SMS",
        "TYPE_SMS_NO_SHOW_REQUEST",
        "TYPE_SMS_REVIEW_REQUEST",
    }
)
_DIRECTIONS = frozenset({"inbound", "outbound"})
_NEVER_ARRIVED = frozenset({"scheduled", "failed", "undelivered"})


def _inner(value: object) -> object:
    return value.get("messages") if isinstance(value, dict) else value


class _Message(Payload):
    id: Id
    kind: Plain = Field(alias="messageType", default=None)
    direction: Plain = None
    status: Plain = None
    body: Plain = None
    date_added: Plain = Field(alias="dateAdded", default=None)


class _Messages(Payload):
    messages: Annotated[tuple[_Message, ...], BeforeValidator(_inner)]


class _Conversation(Payload):
    id: Id


class _Conversations(Payload):
    conversations: tuple[_Conversation, ...]


def gohighlevel_history(adapter: Adapter, *, api_key: str, url: str = API_URL) -> ApiHistory:
    """The history of a location's conversations; ``api_key`` is a token of its private integration.

    Raises:
        SettingsError: the key cannot be one.
    """
    api = Api(
        adapter.source,
        url,
        api_key=api_key,
        headers=lambda key: {"authorization": f"Bearer {key}", "version": _VERSION},
    )
    return ApiHistory(adapter, api, _ask)


async def _ask(api: Api, reply: Inbound, body: bytes) -> tuple[bytes, ...]:
    (location,) = reply.tenant_keys
    names = {identity.kind: identity.value for identity in reply.identities}
    contact = names[IdentityKind.GOHIGHLEVEL_CONTACT].removeprefix(f"{location}/")
    conversation = _named(read_json(api.source, body).get("conversationId")) or await _found(api, location, contact)
    if conversation is None:
        return ()
    answer = await api.get("conversations", conversation, "messages", model=_Messages, limit=str(_PAGE))
    return tuple(
        as_body(
            type="OutboundMessage" if said.direction == "outbound" else "InboundMessage",
            locationId=location,
            contactId=contact,
            messageId=said.id,
            messageType="SMS",
            direction=said.direction,
            body=said.body,
            dateAdded=said.date_added,
            **_ends(reply, said),
        )
        for said in answer.messages
        if said.kind in _TEXTS and said.direction in _DIRECTIONS and said.status not in _NEVER_ARRIVED
    )


async def _found(api: Api, location: str, contact: str) -> str | None:
    """The contact's conversation; None where there is none."""
    answer = await api.get(
        "conversations", "search", model=_Conversations, locationId=location, contactId=contact, limit="1"
    )
    return next((conversation.id for conversation in answer.conversations), None)


def _named(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) and len(value) <= _LONGEST_ID else None


def _ends(reply: Inbound, said: _Message) -> Mapping[str, str]:
    """Who writes to whom: the reply's ends, the other way round for what we sent."""
    is_ours = said.direction == "outbound"
    return {"from": reply.recipient if is_ours else reply.sender, "to": reply.sender if is_ours else reply.recipient}
