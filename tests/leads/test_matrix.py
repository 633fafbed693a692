"""What each source's deliveries are answered and what is kept of them: the table in docs/sources.md is made here.

LEADJOBS_WRITE_TABLE=1 ./dev test tests/leads/test_matrix.py     # writes it anew
"""

import base64
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.app import App
from leadjobs.demo.posts import Post, post
from leadjobs.demo.replies import SECRETS, Reply

Db = AsyncConnection[DictRow]
PAGE = Path(__file__).parents[2] / "docs/sources.md"
BASE = "https://ops.example.test"
TEXT = "Yes, call me on Tuesday. How much is it?"
CASES = ("fresh", "re-sent", "forged", "half", "echo", "opt-out")


def twilio_signed(call: Post, fields: Mapping[str, str]) -> Post:
    signed = call.url + "".join(name + fields[name] for name in sorted(fields))
    proof = hmac.new(SECRETS["twilio_secret"].encode(), signed.encode(), hashlib.sha1).digest()
    headers = {**call.headers, "X-Twilio-Signature": base64.b64encode(proof).decode()}
    return replace(call, headers=headers, body=urlencode(fields).encode())


def standard_signed(call: Post, payload: Mapping[str, Any]) -> Post:
    body, moment = json.dumps(payload).encode(), str(int(time.time()))
    key = base64.b64decode(SECRETS["standard_webhooks_secret"].removeprefix("whsec_"))
    proof = hmac.new(key, f"msg-echo.{moment}.".encode() + body, hashlib.sha256).digest()
    own = {"Webhook-Id": "msg-echo", "Webhook-Timestamp": moment}
    signature = f"v1,{base64.b64encode(proof).decode()}"
    return replace(call, headers={**call.headers, **own, "Webhook-Signature": signature}, body=body)


def with_json(change: Callable[[Any], object]) -> Callable[[Post], Post]:
    """The call with its JSON changed; for sources whose proof does not cover the body."""

    def changed(call: Post) -> Post:
        payload = json.loads(call.body)
        change(payload)
        return replace(call, body=json.dumps(payload).encode())

    return changed


def twilio_echo(call: Post) -> Post:
    fields = dict(parse_qsl(call.body.decode()))
    ours = {"From": fields["To"], "To": fields["From"], "MessageStatus": "delivered", "SmsStatus": "delivered"}
    return twilio_signed(call, fields | ours)


def emailbison_echo(payload: Any) -> None:
    payload["event"] |= {"type": "EMAIL_SENT", "name": "Email Sent"}
    del payload["data"]["reply"]


def ghl_echo(payload: Any) -> None:
    payload |= {"type": "OutboundMessage", "direction": "outbound", "webhookId": "echo", "messageId": "echo"}
    payload["from"], payload["to"] = payload["to"], payload["from"]


def unipile_echo(payload: Any) -> None:
    payload["sender"], payload["attendees"] = payload["attendees"][0], [payload["sender"]]
    payload |= {"is_sender": True, "message_id": "echo"}


def smartlead_echo(payload: Any) -> None:
    payload["event_type"] = "EMAIL_SENT"
    del payload["reply_message"]


def standard_echo(call: Post) -> Post:
    payload = json.loads(call.body)
    data = payload["data"]
    ours = {"id": "echo", "from": data["to"], "to": data["from"]}
    return standard_signed(call, payload | {"type": "message.sent", "data": data | ours})


@dataclass(frozen=True)
class Source:
    """How a source is forged, and what its own echo is; None where it never sends one."""

    forge: tuple[str, str]
    echo: Callable[[Post], Post] | None


SOURCES = {
    "twilio": Source(("X-Twilio-Signature", "AAAA"), twilio_echo),
    "gohighlevel": Source(("X-Leadjobs-Token", "guessed"), with_json(ghl_echo)),
    "unipile": Source(("Unipile-Auth", "guessed"), with_json(unipile_echo)),
    "smartlead": Source(("body", SECRETS["smartlead_secret"]), with_json(smartlead_echo)),
    "instantly": Source(
        ("X-Leadjobs-Token", "guessed"), with_json(lambda payload: payload.update(event_type="email_sent"))
    ),
    "emailbison": Source(("url", SECRETS["emailbison_secret"]), with_json(emailbison_echo)),
    "postmark": Source(("Authorization", "Basic Z3Vlc3NlZDpndWVzc2Vk"), None),
    "sendgrid": Source(("url", SECRETS["sendgrid_secret"]), None),
    "standard-webhooks": Source(("Webhook-Signature", "v1,AAAA"), standard_echo),
}


def forged(call: Post, place: str, what: str) -> Post:
    """The call without our secret: the wrong one in its place."""
    if place == "url":
        return replace(call, url=call.url.replace(what, "guessed"))
    if place == "body":
        return replace(call, body=call.body.replace(what.encode(), b"guessed"))
    return replace(call, headers={**call.headers, place: what})


def variant(case: str, name: str) -> Post | None:
    """The delivery of one case; None where the source never sends it."""
    text = "Please take me off your list." if case == "opt-out" else TEXT
    call, source = post(BASE, 1, Reply("Maya Ortiz", name, text, "Owner", "BrightSmile Dental")), SOURCES[name]
    match case:
        case "forged":
            return forged(call, *source.forge)
        case "half":
            return replace(call, body=call.body[: len(call.body) // 2])
        case "echo":
            return source.echo and source.echo(call)
        case _:
            return call


async def counted(db: Db) -> dict[str, int]:
    counts = {
        "event": "inbox_event",
        "lead": "lead",
        "message": "message WHERE direction = 'inbound'",
        "message of ours": "message WHERE direction = 'outbound'",
        "job": "background_job WHERE type LIKE '%INBOUND%'",
    }
    query = ", ".join(f'(SELECT count(*) FROM {table}) AS "{name}"' for name, table in counts.items())
    row = await (await db.execute(f"SELECT {query}")).fetchone()
    assert row is not None
    return dict(row)


async def told(app: App, db: Db, http: httpx.AsyncClient, case: str, name: str) -> str:
    """One cell: what is answered, and what was added."""
    call = variant(case, name)
    if call is None:
        return "never sent"
    if case == "re-sent":
        await http.post(call.url, headers=dict(call.headers), content=call.body)
    before = await counted(db)
    answer = await http.post(call.url, headers=dict(call.headers), content=call.body)
    after = await counted(db)
    added = ", ".join(f"{what}" for what in after if after[what] > before[what]) or "nothing"
    if case == "opt-out":
        await app.runner.run()
        row = await (await db.execute("SELECT opted_out_why, overall_score FROM lead")).fetchone()
        assert row is not None
        assert row["opted_out_why"].startswith("asked to stop")
        added += f"; then opted out, scored {row['overall_score']}"
    return f"{answer.status_code} `{said(answer)}`: {added}"


def said(answer: httpx.Response) -> str:
    if answer.headers["content-type"].startswith("text/xml"):
        return answer.text
    body = answer.json()
    return re.sub(r"unreadable: .*", "unreadable: …", body.get("status") or body["error"])


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("case", CASES)
async def test_the_table_of_sources_says_what_happens(app: App, workspace: int, db: Db, case: str, name: str) -> None:
    """Each source, each case: the answer over HTTP and the rows it left are those of the page."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.doors), base_url=BASE) as http:
        cell = await told(app, db, http, case, name)

    if os.environ.get("LEADJOBS_WRITE_TABLE"):
        _write(case, name, cell)
    assert _cells()[name, case] == cell


def _cells() -> dict[tuple[str, str], str]:
    """The table of the page."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", _table(), re.MULTILINE)
    return {(name, case): cell for name, cells in rows for case, cell in zip(CASES, cells.split(" | "), strict=True)}


def _table() -> str:
    _, found, rest = PAGE.read_text().partition("<!-- made by tests/leads/test_matrix.py -->\n")
    assert found
    return rest.partition("\n\n")[0]


def _write(case: str, name: str, cell: str) -> None:
    known = _cells() | {(name, case): cell}
    head = "| source | " + " | ".join(CASES) + " |\n" + "|---" * (len(CASES) + 1) + "|"
    lines = [f"| `{each}` | " + " | ".join(known.get((each, case), "?") for case in CASES) + " |" for each in SOURCES]
    PAGE.write_text(PAGE.read_text().replace(_table(), "\n".join([head, *lines])))
