"""The demo's replies as webhook calls: the providers' real payloads, the demo's people and words, signed as they sign.

The signing here is written apart from the verifying in ``channels/``, so that one cannot hide the other's mistake.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from leadjobs.demo.replies import MAILBOX, REPLIES, SECRETS, Reply


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
    return _MAKERS[reply.source](base_url, number, reply)


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
    signature = base64.b64encode(
        hmac.new(SECRETS["twilio_secret"].encode(), signed.encode(), hashlib.sha1).digest()
    ).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return Post(reply, url, headers, urlencode(params).encode())


def _emailbison(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("emailbison_lead_replied")
    first, last = reply.name.split()
    address = _address_of(reply)
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
    url = f"{base_url}/api/webhooks/emailbison?token={SECRETS['emailbison_secret']}"
    return _json_post(reply, url, payload)


def _postmark(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("postmark_inbound")
    address = f"{_slug(reply.name)}@mail.example"
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
    credentials = base64.b64encode(f"leadjobs:{SECRETS['postmark_secret']}".encode()).decode()
    return _json_post(reply, f"{base_url}/api/webhooks/postmark", payload, Authorization=f"Basic {credentials}")


def _gohighlevel(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("ghl_inbound_message_sms") | {
        "body": reply.text,
        "contactId": f"contact-demo-{number}",
        "from": f"+4477{90000000 + number}",
        "messageId": f"message-demo-{number}",
        "webhookId": f"webhook-demo-{number}",
    }
    token = SECRETS["gohighlevel_secret"]
    return _json_post(reply, f"{base_url}/api/webhooks/gohighlevel", payload, **{"X-Leadjobs-Token": token})


def _unipile(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("unipile_message_received") | {
        "message": reply.text,
        "message_id": f"message-demo-{number}",
        "chat_id": f"chat-demo-{number}",
    }
    payload["sender"] |= {
        "attendee_name": reply.name,
        "attendee_provider_id": f"ACoAADemo{number}",
        "attendee_profile_url": f"https://www.linkedin.com/in/ACoAADemo{number}",
    }
    secret = SECRETS["unipile_secret"]
    return _json_post(reply, f"{base_url}/api/webhooks/unipile", payload, **{"Unipile-Auth": secret})


def _smartlead(base_url: str, number: int, reply: Reply) -> Post:
    address = _address_of(reply)
    payload = _sample("smartlead_email_reply") | {
        "sl_email_lead_id": str(1482956 + number),
        "sl_lead_email": address,
        "to_email": address,
        "to_name": reply.name,
        "leadCorrespondence": {"targetLeadEmail": address, "replyReceivedFrom": address},
        "message_id": f"<reply-demo-{number}@mail.example>",
        "secret_key": SECRETS["smartlead_secret"],
    }
    payload["reply_message"] |= {
        "message_id": payload["message_id"],
        "text": reply.text,
        "html": f"<div>{reply.text}</div>",
    }
    payload["sent_message"] |= {"message_id": f"<sent-demo-{number}@mail.example>"}
    return _json_post(reply, f"{base_url}/api/webhooks/smartlead?tenant=acme", payload)


def _instantly(base_url: str, number: int, reply: Reply) -> Post:
    first, last = reply.name.split()
    payload = _sample("instantly_reply_received") | {
        "lead_email": _address_of(reply),
        "email_id": f"019aa1b2-demo-{number}",
        "reply_text": f"{reply.text}\n\nOn Fri, 20 Nov 2026 at 09:12, Sam wrote:\n> Hi",
        "reply_html": f"<div>{reply.text}</div>",
        "reply_text_snippet": reply.text,
        "firstName": first,
        "lastName": last,
        "companyName": reply.company,
        "jobTitle": reply.title,
    }
    token = SECRETS["instantly_secret"]
    return _json_post(reply, f"{base_url}/api/webhooks/instantly", payload, **{"X-Leadjobs-Token": token})


def _sendgrid(base_url: str, number: int, reply: Reply) -> Post:
    address = f"{_slug(reply.name)}@mail.example"
    fields = _sample("sendgrid_inbound_parse") | {
        "headers": f"Message-ID: <demo-{number}@mail.example>\n",
        "from": f"{reply.name} <{address}>",
        "to": MAILBOX,
        "envelope": json.dumps({"to": [MAILBOX], "from": address}),
        "text": reply.text,
        "html": f"<p>{reply.text}</p>",
    }
    mark = f"demo-boundary-{number}"
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    url = f"{base_url}/api/webhooks/sendgrid?token={SECRETS['sendgrid_secret']}"
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    return Post(reply, url, headers, f"{''.join(parts)}--{mark}--\r\n".encode())


def _standard_webhooks(base_url: str, number: int, reply: Reply) -> Post:
    payload = _sample("standardwebhooks_generic")
    payload["data"] |= {"id": f"in-demo-{number}", "from": f"+4477{90000000 + number}", "text": reply.text}
    unsigned = _json_post(reply, f"{base_url}/api/webhooks/standard-webhooks", payload)
    id_, timestamp = f"msg-demo-{number}", str(int(time.time()))
    key = base64.b64decode(SECRETS["standard_webhooks_secret"].removeprefix("whsec_"))
    signed = f"{id_}.{timestamp}.".encode() + unsigned.body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    own = {"Webhook-Id": id_, "Webhook-Timestamp": timestamp, "Webhook-Signature": f"v1,{signature}"}
    return replace(unsigned, headers={**unsigned.headers, **own})


_MAKERS: Mapping[str, Callable[[str, int, Reply], Post]] = {
    "twilio": _twilio,
    "gohighlevel": _gohighlevel,
    "unipile": _unipile,
    "smartlead": _smartlead,
    "instantly": _instantly,
    "emailbison": _emailbison,
    "postmark": _postmark,
    "sendgrid": _sendgrid,
    "standard-webhooks": _standard_webhooks,
}


def _address_of(reply: Reply) -> str:
    """The address of somebody at a company; at a mail provider where they have none."""
    return f"{_slug(reply.name)}@{(reply.company or 'mail').split()[0].lower()}.example"


def _slug(name: str) -> str:
    return name.replace(" ", ".").lower()


@cache
def _text(name: str) -> str:
    return files("leadjobs.demo").joinpath("samples", f"{name}.json").read_text(encoding="utf-8")


def _json_post(reply: Reply, url: str, payload: dict[str, Any], **headers: str) -> Post:
    return Post(reply, url, {"Content-Type": "application/json", **headers}, json.dumps(payload).encode())


def _sample(name: str) -> dict[str, Any]:
    """A provider's payload as documented; a new copy each time."""
    payload: dict[str, Any] = json.loads(_text(name))
    return payload
