"""Strange requests at all doors: damaged deliveries, forged ones, re-sent ones, and requests that are none of these.

    ./dev fuzz [REQUESTS] [SEED]       100,000 where not given; says what was answered, exits 1 if a rule was broken

In process, on a real PostgreSQL that is thrown away.  The rules: no answer is a 5xx; what does not prove that it knows
the secret is never taken; what is sent again is a duplicate; phrases that come again and again hold nobody up; and in
the end each inbound message has one job.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import psycopg
from tests.fuzz.repeats import alarm, repeats

from leadjobs.app import MIGRATIONS, App
from leadjobs.demo.posts import Post, post
from leadjobs.demo.replies import REPLIES, SECRETS, SOURCES
from leadjobs.leads.workspaces import Profile, Source, save_workspace
from leadjobs.settings import read_settings
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate

BASE = "https://ops.example.test"
AT_ONCE = 8
ONE_REPEATS = 6  # of so many requests, one by one: else nobody could say which of them took long
SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
BODIES = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json")) if path.name != "_index.json"]
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 2**70, -(2**62), 1795341600, 1795341600000, "", " ", "\0", "x" * 3000, "\ud800", "é" * 50,
    [], [None], {}, {"a": {"b": []}}, "2999-01-01T00:00:00Z", "STOP", "<b>x</b>", "' OR 1=1 --", "%00", "../..",
)  # fmt: skip
PATHS = ("cron", "webhooks/twilio", "webhooks/", "webhooks/%00", "webhooks/x/y", "health", "health/ready", "zz")
SCORES = ("4", "3+", "3%2B", "2+", "1+", "unscored", "disqualified", "", "5", "x", "%00", "4&score=3")


@dataclass
class Tally:
    """What was answered, and which rules were broken."""

    answers: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def note(self, kind: str, answer: httpx.Response) -> None:
        self.answers[f"{kind}: {answer.status_code}"] += 1
        if answer.status_code >= 500:
            self.broken.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
        if kind == "forged" and answer.status_code < 400:
            self.broken.append(f"a forged delivery was answered {answer.status_code}")


class Fuzz:
    """One run of strange requests; the same seed makes the same ones."""

    def __init__(self, http: httpx.AsyncClient, seed: int) -> None:
        self._http, self._dice, self.tally = http, random.Random(seed), Tally()
        self._kinds: Mapping[str, Callable[[], Any]] = {
            "damaged": self._damaged,
            "forged": self._forged,
            "re-sent": self._resent,
            "none": self._none,
            "leads": self._leads,
        }

    async def run(self, requests: int) -> None:
        """Send so many, a few at once."""
        kinds = list(self._kinds)
        for begin in range(0, requests, AT_ONCE):
            batch = self._dice.choices(kinds, (5, 3, 2, 1, 1), k=min(AT_ONCE, requests - begin))
            await asyncio.gather(*(self._kinds[kind]() for kind in batch))
        for _ in range(requests // ONE_REPEATS):
            await self._repeats()

    async def _send(self, kind: str, call: Post, method: str = "POST") -> httpx.Response:
        request = self._http.build_request(method, call.url, headers=_plain(call.headers), content=call.body)
        answer = await self._http.send(request)
        self.tally.note(kind, answer)
        return answer

    def _genuine(self) -> Post:
        """A reply of somebody, by any source."""
        number = self._dice.randrange(10**6)
        reply = self._dice.choice(REPLIES)
        return post(BASE, number, replace(reply, text=f"{reply.text} ({number})"))

    async def _damaged(self) -> None:
        """A genuine sender's odd body: kept or ignored, never an error."""
        call = self._genuine()
        await self._send("damaged", _signed(replace(call, body=self._damage(call.body))))

    async def _forged(self) -> None:
        """A good body without a good proof."""
        call = self._genuine()
        marks = {name: self._odd_header() for name in call.headers if name != "Content-Type"}
        headers = {**call.headers, **marks}
        url = f"{call.url.partition('?')[0]}?token={self._dice.choice(('', 'x', 'null', '%00'))}"
        body = call.body.replace(SECRETS["smartlead_secret"].encode(), b"guessed")
        await self._send("forged", replace(call, url=url, headers=headers, body=body))

    async def _resent(self) -> None:
        """The same delivery twice."""
        call = self._genuine()
        first = await self._send("first", call)
        again = await self._send("re-sent", call)
        if call.reply.source != "twilio" and (first.status_code, again.json().get("status")) != (200, "duplicate"):
            self.tally.broken.append(f"{call.reply.source} sent again: {again.text[:200]}")

    async def _repeats(self) -> None:
        """A reply whose phrases come again and again: it is answered soon."""
        reply = replace(self._dice.choice(REPLIES), text=repeats(self._dice))
        try:
            with alarm():
                answer = await self._send("repeats", post(BASE, self._dice.randrange(10**6), reply))
        except TimeoutError as late:
            self.tally.broken.append(f"{reply.source}, of {reply.text[:100]!r}: {late}")
        else:
            if answer.status_code >= 500:
                self.tally.broken.append(f"{reply.source}, of {reply.text[:100]!r}: {answer.status_code}")

    async def _none(self) -> None:
        """No delivery at all."""
        path = self._dice.choice(
            ("cron", "webhooks/twilio", "webhooks/", "webhooks/%00", "webhooks/x/y", "health", "zz")
        )
        body = self._dice.choice((b"", b"{", *BODIES, b"\xff\xfe", b"a=" + b"%" * 50))
        headers = {
            "Content-Type": self._dice.choice(("application/json", "text/plain", "multipart/form-data", "", "x")),
            "Authorization": self._odd_header(),
        }
        method = self._dice.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"))
        await self._send("none", Post(REPLIES[0], f"{BASE}/api/{path}", headers, body), method)

    async def _leads(self) -> None:
        """The leads door, with a token that opens it or not."""
        path = self._dice.choice(("", "/1", "/0", "/-1", "/99999999999999999999", "/x", "/1/2", "/%00"))
        query = self._dice.choice(
            (f"?score={self._dice.choice(SCORES)}", "?limit=0", "?limit=9e9", "?cursor=e30", "?x=1", "")
        )
        token = self._dice.choice((self._http.headers["x-fuzz-token"], "ljt_" + "x" * 43, "", "x"))
        headers = {"Authorization": f"Bearer {token}"}
        await self._send("leads", Post(REPLIES[0], f"{BASE}/api/leads{path}{query}", headers, b""), "GET")

    def _odd_header(self) -> str:
        return self._dice.choice(("", "x", "v1,", "v1,AAAA", "t=1,v0=00", "Bearer x", "Basic Og==", "é", "A" * 2000))

    def _damage(self, body: bytes) -> bytes:
        """Some bytes or some fields changed, or another provider's body."""
        match self._dice.randrange(4):
            case 0:
                at = self._dice.randrange(len(body))
                return body[:at] + bytes([self._dice.randrange(256)]) + body[at + self._dice.randrange(3) :]
            case 1:
                return body[: self._dice.randrange(len(body))]
            case 2:
                return self._dice.choice(BODIES)
            case _:
                return self._damage_fields(body)

    def _damage_fields(self, body: bytes) -> bytes:
        try:
            event = json.loads(body)
        except ValueError:
            fields = dict(parse_qsl(body.decode(errors="replace"))) or {"x": "y"}
            fields[self._dice.choice(sorted(fields))] = str(self._dice.choice(ODD)).encode(errors="replace").decode()
            return urlencode(fields).encode()
        for _ in range(self._dice.randrange(1, 4)):
            at = event
            while (name := self._dice.choice(sorted(at))) and isinstance(at[name], dict) and at[name]:
                at = at[name]
            at[name] = self._dice.choice(ODD)
        return json.dumps(event).encode()


def _plain(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]


def _signed(call: Post) -> Post:
    """The call with the proof of a sender who knows the secret, whatever its body is by now."""
    match call.reply.source:
        case "twilio":
            pairs = sorted(set(parse_qsl(call.body.decode("utf-8", "surrogateescape"), True, errors="surrogateescape")))
            signed = call.url.encode() + "".join(n + v for n, v in pairs).encode("utf-8", "surrogateescape")
            proof = hmac.new(SECRETS["twilio_secret"].encode(), signed, hashlib.sha1).digest()
            return replace(call, headers={**call.headers, "X-Twilio-Signature": base64.b64encode(proof).decode()})
        case "standard-webhooks":
            id_, moment = call.headers["Webhook-Id"], call.headers["Webhook-Timestamp"]
            key = base64.b64decode(SECRETS["standard_webhooks_secret"].removeprefix("whsec_"))
            proof = hmac.new(key, f"{id_}.{moment}.".encode() + call.body, hashlib.sha256).digest()
            signature = f"v1,{base64.b64encode(proof).decode()}"
            return replace(call, headers={**call.headers, "Webhook-Signature": signature})
        case "smartlead":
            return replace(call, url=f"{call.url}&token={SECRETS['smartlead_secret']}")
        case _:
            return call


async def fuzz(url: str, requests: int, seed: int) -> Tally:
    """Send so many strange requests to the doors on this migrated, empty database."""
    await save_workspace(url, "Fuzz", Profile(), [Source.parse(text) for text in SOURCES])
    token = "ljt_" + "f" * 43
    settings = read_settings(database_url=url, cron_secret="fuzz", public_url=None, openai_api_key=None, **SECRETS)
    with psycopg.connect(url, autocommit=True) as connection:
        hashed = hashlib.sha256(token.encode()).hexdigest()
        connection.execute(
            "INSERT INTO api_token (name, workspace_id, role, token_hash)"
            " SELECT 'fuzz', id, 'reader', %s FROM workspace",
            [hashed],
        )
        doors = httpx.ASGITransport(App(lambda: settings).doors, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=doors, headers={"x-fuzz-token": token}, timeout=60) as http:
            run = Fuzz(http, seed)
            await run.run(requests)
        query = """
            SELECT count(*) FILTER (WHERE jobs <> 1) FROM (
                SELECT count(job.id) AS jobs FROM message
                  LEFT JOIN background_job AS job ON job.dedupe_key = 'message:' || message.id
                 WHERE direction = 'inbound' GROUP BY message.id) AS each
        """
        (unequal,) = connection.execute(query).fetchone() or (None,)
        if unequal != 0:
            run.tally.broken.append(f"{unequal} inbound messages have no job, or more than one")
    return run.tally


def main() -> None:
    """Run it, say what was answered, and leave with 1 if a rule was broken."""
    given = [int(text) for text in sys.argv[1:]]
    requests, seed = (*given, *(100_000, 1)[len(given) :])
    logging.disable()
    begun = time.monotonic()
    with EmbeddedPostgres(ephemeral=True) as server:
        migrate(server.url, *MIGRATIONS[1:])
        tally = asyncio.run(fuzz(server.url, requests, seed))
    for what, count in sorted(tally.answers.items()):
        print(f"{count:>8}  {what}")
    print(
        f"{sum(tally.answers.values())} requests in {time.monotonic() - begun:.0f} s, {len(tally.broken)} rules broken"
    )
    print("\n".join(tally.broken[:20]))
    sys.exit(1 if tally.broken else 0)


if __name__ == "__main__":
    main()
