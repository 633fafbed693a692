"""The demo's replies: the providers' real payloads with the demo's people and words, signed as the providers sign.

The signing here is written apart from the verifying in ``channels/``, so that one cannot hide the other's mistake.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

TWILIO_SECRET = "demo-twilio-auth-token"  # noqa: S105  the demo's own, for its own server
EMAILBISON_SECRET = "demo-emailbison-token"  # noqa: S105
POSTMARK_SECRET = "demo-postmark-password"  # noqa: S105
ACCOUNT, NUMBER = "AC0123456789abcdef0123456789abcdef", "+447700900456"
INSTANCE, MAILBOX = "https://send.acme-outreach.example", "reply@in.acme-outreach.example"

SOURCES = (f"twilio={ACCOUNT}/{NUMBER}", f"emailbison={INSTANCE}/14", f"postmark={MAILBOX}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answers, and by which provider it comes."""

    name: str
    source: str
    text: str
    title: str = ""
    company: str = ""


REPLIES = (
    Reply(
        "Maya Ortiz",
        "emailbison",
        "Yes, happy to talk. Could you call me Tuesday after 2pm? We need this before the new year and I sign for it.",
        "Practice manager",
        "BrightSmile Dental",
    ),
    Reply("Tom Becker", "twilio", "How much is it per chair? We compare two vendors this week"),
    Reply(
        "Aisha Khan",
        "postmark",
        "Interesting, but we rejected the last vendor over price and our budget is blocked until "
        "spring. Your mail sat in my spam folder, sorry! Write me again in March.",
    ),
    Reply("Luis Romero", "twilio", "STOP"),
    Reply("Hanna Virtanen", "emailbison", "Please remove me from your mailing list.", "Owner", "Virtanen Hammas"),
    Reply("Priya Nair", "twilio", "Who is this?"),
    Reply("George Hill", "postmark", "We are a bakery, I think you have the wrong person."),
    Reply(
        "Chloe Martin",
        "emailbison",
        "Send me the contract, we want to start with all six practices on Monday.",
        "Operations director",
        "Dentalys Group",
    ),
)


@dataclass(frozen=True, slots=True)
class Post:
    """One webhook call, ready to send as often as wanted."""

    reply: Reply
    url: str
    headers: Mapping[str, str]
    body: bytes


def posts(base_url: str) -> list[Post]:
    """The calls that bring the demo's replies to the doors at this address."""
    return [post(base_url, number, reply) for number, reply in enumerate(REPLIES, start=1)]


def post(base_url: str, number: int, reply: Reply) -> Post:
    """The call that brings one reply; the number becomes part of the provider's ids, and names the reply."""
    makers = {"twilio": _twilio, "emailbison": _emailbison, "postmark": _postmark}
    return makers[reply.source](base_url, number, reply)


def _twilio(base_url: str, number: int, reply: Reply) -> Post:
    sid = f"SM{hashlib.sha256(reply.name.encode()).hexdigest()[:32]}"
    sender = f"+4477{90000000 + number}"
    params = _sample("twilio_inbound_sms") | {
        "Body": reply.text,
        "From": sender,
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
    }
    url = f"{base_url}/api/webhooks/twilio"
    signed = url + "".join(name + params[name] for name in sorted(params))
    signature = base64.b64encode(hmac.new(TWILIO_SECRET.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return Post(reply, url, headers, urlencode(params).encode())


def _emailbison(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("emailbison_lead_replied")
    first, last = reply.name.split()
    address = f"{first}.{last}@{reply.company.split()[0]}.example".lower()
    payload["data"]["reply"] |= {
        "id": 4402900 + number,
        "text_body": reply.text,
        "html_body": f"<div>{reply.text}</div>",
        "from_name": reply.name,
        "from_email_address": address,
    }
    payload["data"]["lead"] |= {
        "id": 88100 + number,
        "email": address,
        "first_name": first,
        "last_name": last,
        "title": reply.title,
        "company": reply.company,
    }
    url = f"{base_url}/api/webhooks/emailbison?token={EMAILBISON_SECRET}"
    return Post(reply, url, {"Content-Type": "application/json"}, json.dumps(payload).encode())


def _postmark(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("postmark_inbound")
    address = reply.name.replace(" ", ".").lower() + "@mail.example"
    payload |= {
        "FromName": reply.name,
        "From": address,
        "OriginalRecipient": MAILBOX,
        "MessageID": f"73e6d360-demo-{number}",
        "FromFull": {"Email": address, "Name": reply.name, "MailboxHash": ""},
        "StrippedTextReply": reply.text,
        "TextBody": f"{reply.text}\n\n> Hi",
        "HtmlBody": f"<p>{reply.text}</p>",
        "Headers": [{"Name": "Message-ID", "Value": f"<demo-{number}@mail.example>"}],
    }
    credentials = base64.b64encode(f"leadjobs:{POSTMARK_SECRET}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
    return Post(reply, f"{base_url}/api/webhooks/postmark", headers, json.dumps(payload).encode())


@cache
def _text(name: str) -> str:
    return files("leadjobs.demo").joinpath("samples", f"{name}.json").read_text(encoding="utf-8")


def _sample(name: str) -> dict[str, Any]:
    """A provider's payload as documented; a new copy each time."""
    payload: dict[str, Any] = json.loads(_text(name))
    return payload
