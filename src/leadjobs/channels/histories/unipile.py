"""Unipile's messages of a chat: what we wrote before they answered, over its API v1.

From developer.unipile.com (docs "Retrieving messages", "Message object", "API usage"; reference
chatscontroller_listchatmessages) and the schemas of its unipile-node-sdk: ``GET /api/v1/chats/{chat_id}/messages`` with
``X-API-KEY``, newest first.  A message's ``id`` is the ``message_id`` of its webhook.

Deliveries of v2 are left alone (where its API keeps ids is not documented), and so are chats of more than two: what
somebody else there wrote is not the lead's.
"""

from typing import Annotated, Final

from pydantic import BeforeValidator

from leadjobs.channels import Id, Payload, read_json
from leadjobs.channels.histories import Api, ApiHistory, Plain, as_body
from leadjobs.leads.inbound import Adapter, IdentityKind, Inbound

_NEW_V1: Final = "message_received"
_PAGE = 100  # over twice what is told, for events and files are among them


def _is_true(value: object) -> bool:
    return value in (1, "1", "true")  # in JSON, true is 1 to Python


_Truth = Annotated[bool, BeforeValidator(_is_true)]


class _Message(Payload):
    id: Id
    text: Plain = None
    sender_id: Plain = None
    timestamp: Plain = None
    is_sender: Plain = None
    is_event: _Truth = False
    deleted: _Truth = False
    hidden: _Truth = False


class _Messages(Payload):
    items: tuple[_Message, ...]


def unipile_history(adapter: Adapter, *, api_key: str, url: str) -> ApiHistory:
    """The history of Unipile's chats; ``url`` is the DSN of the account, as ``https://api1.unipile.com:13111``.

    Raises:
        SettingsError: the address or the key cannot be one.
    """
    api = Api(adapter.source, url, api_key=api_key, headers=lambda key: {"x-api-key": key})
    return ApiHistory(adapter, api, _ask)


async def _ask(api: Api, reply: Inbound, body: bytes) -> tuple[bytes, ...]:
    names = {identity.kind: identity.value for identity in reply.identities}
    lead, chat = names.get(IdentityKind.LINKEDIN), names.get(IdentityKind.UNIPILE_CHAT)
    if lead is None or chat is None or read_json(api.source, body).get("event") != _NEW_V1:
        return ()
    (account,) = reply.tenant_keys
    chat = chat.removeprefix(f"{account}/")
    answer = await api.get("api", "v1", "chats", chat, "messages", model=_Messages, limit=str(_PAGE))
    return tuple(
        as_body(
            event=_NEW_V1,
            account_id=account,
            account_type="LINKEDIN",
            chat_id=chat,
            message_id=said.id,
            message=said.text if isinstance(said.text, str) else None,
            timestamp=said.timestamp,
            is_sender=said.is_sender,
            sender={"attendee_provider_id": said.sender_id},
            attendees=[{"attendee_provider_id": lead}],
            account_info={"user_id": reply.recipient},
        )
        for said in answer.items
        if said.is_sender in {0, 1} and not (said.is_event or said.deleted or said.hidden)
    )
