"""What the tests of the histories share: each provider's reply, its way to ask, and an answer as it documents one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadjobs.channels.gohighlevel import GoHighLevel
from leadjobs.channels.histories import ApiHistory
from leadjobs.channels.histories.gohighlevel import gohighlevel_history
from leadjobs.channels.histories.smartlead import smartlead_history
from leadjobs.channels.histories.unipile import unipile_history
from leadjobs.channels.smartlead import SmartLead
from leadjobs.channels.unipile import Unipile
from leadjobs.leads.inbound import Delivery
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[2] / "samples/webhooks"
KEY = "provider-key"
NONE = Secrets(())
US, THEM = "ACoAAAcDMMQBODyLwZrRcgYhrkCafURGqva0U4E", "ACoAABQ1MvABx9y-example"


@dataclass(frozen=True)
class Provider:
    """A provider: the sample of its reply, and how its history is asked for."""

    source: str
    sample: str
    path: str
    field: str
    make: Callable[..., ApiHistory]
    said: Callable[..., dict[str, Any]]

    def history(self, url: str, api_key: str = KEY) -> ApiHistory:
        return self.make(url=url, api_key=api_key)

    def delivery(self, **fields: object) -> Delivery:
        """The sample, as it was kept, with fields set; ``...`` removes one."""
        event = json.loads((SAMPLES / self.sample).read_bytes()) | fields
        body = json.dumps({name: value for name, value in event.items() if value is not ...}).encode()
        address = f"https://ops.example.test/api/webhooks/{self.source}"
        return Delivery(source=self.source, url=address, headers={"content-type": "application/json"}, body=body)


def unipile_said(text: object, number: int = 1, *, ours: bool = True, **fields: object) -> dict[str, Any]:
    """A message of Unipile's list, so many minutes after nine on the day of the reply (at ten)."""
    known = {
        "object": "Message",
        "id": f"message-{number}",
        "account_id": "dfXlh46vQYCsMbVarumWlg",
        "chat_id": "R8J-xM9WX7eoHLp6gSVtWQ",
        "sender_id": US if ours else THEM,
        "text": text,
        "timestamp": f"2026-11-22T09:{number % 60:02}:{number // 60:02}.000Z",
        "is_sender": int(ours),
        "attachments": [],
        "is_event": 0,
        "deleted": 0,
        "hidden": 0,
    }
    return known | fields


def smartlead_said(text: object, number: int = 1, *, ours: bool = True, **fields: object) -> dict[str, Any]:
    """A mail of SmartLead's history."""
    known = {
        "stats_id": f"stats-{number}",
        "from": "sam@tryoutreach.example" if ours else "Maya Ortiz <maya.ortiz@brightsmile.example>",
        "type": "SENT" if ours else "REPLY",
        "message_id": f"<mail-{number}@tryoutreach.example>",
        "time": f"2026-11-22T09:{number % 60:02}:{number // 60:02}.000Z",
        "email_body": f"<div>{text}</div>",
        "subject": "Quick question",
        "email_seq_number": str(number),
        "open_count": 1,
    }
    return known | fields


def gohighlevel_said(text: object, number: int = 1, *, ours: bool = True, **fields: object) -> dict[str, Any]:
    """A message of GoHighLevel's list."""
    known = {
        "id": f"message-{number}",
        "type": 2,
        "messageType": "TYPE_SMS",
        "locationId": "l1C08ntBrFjLS0elLIYU",
        "contactId": "cI08i1Bls3iTB9bKgFJh",
        "conversationId": "fcanlLgpbQgQhderivVs",
        "dateAdded": f"2026-11-22T09:{number % 60:02}:{number // 60:02}.000Z",
        "body": text,
        "direction": "outbound" if ours else "inbound",
        "status": "delivered",
        "contentType": "text/plain",
    }
    return known | fields


UNIPILE = Provider(
    "unipile",
    "unipile_message_received.json",
    "/api/v1/chats/R8J-xM9WX7eoHLp6gSVtWQ/messages",
    "items",
    lambda **given: unipile_history(Unipile(NONE), **given),
    unipile_said,
)
SMARTLEAD = Provider(
    "smartlead",
    "smartlead_email_reply.json",
    "/api/v1/campaigns/9181/leads/1482956/message-history",
    "history",
    lambda **given: smartlead_history(SmartLead(NONE), **given),
    smartlead_said,
)
GOHIGHLEVEL = Provider(
    "gohighlevel",
    "ghl_inbound_message_sms.json",
    "/conversations/fcanlLgpbQgQhderivVs/messages",
    "messages",
    lambda **given: gohighlevel_history(GoHighLevel(NONE), **given),
    gohighlevel_said,
)
PROVIDERS = (UNIPILE, SMARTLEAD, GOHIGHLEVEL)
