"""The doors over HTTP (ASGI): who may, what is answered, and what a webhook may never do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import SecretStr

from leadjobs.app import App
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES
from leadjobs.errors import SettingsError
from leadjobs.settings import Settings
from leadjobs.testing.openai import OpenAIStandIn

Db = AsyncConnection[DictRow]
BASE = "https://ops.example.test"
CRON = "test-cron-secret"


def client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app.doors), base_url=BASE)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/cron", "/api/cron/", "/api/cron/background-jobs"])
async def test_the_cron_door_answers_with_camel_case_counters(app: App, workspace: int, method: str, path: str) -> None:
    """GET and POST drain the queue and say what was done, how old the oldest due job is, and when a job last ended."""
    async with client(app) as http:
        answer = await http.request(method, path, headers=bearer(CRON))

    assert 200 == answer.status_code
    report = answer.json()
    assert ("drained", 0, 0) == (report["stopped"], report["claimed"], report["due"])
    assert {"oldestDueSeconds", "sinceCompletionSeconds", "unknownTypes", "handedBack"} <= set(report)


@pytest.mark.parametrize(
    ("configured", "given"),
    [
        (CRON, {}),
        (CRON, bearer("wrong")),
        (CRON, bearer("")),
        (CRON, {"Authorization": CRON}),
        (CRON, {"Authorization": f"Basic {CRON}"}),
        (None, {}),
        (None, bearer("")),
        ("  ", bearer("  ")),
        (None, bearer("None")),
    ],
)
async def test_the_cron_door_fails_closed(settings: Settings, configured: str | None, given: dict[str, str]) -> None:
    """Wrong, missing, or unset secret: 401, and nothing is run."""
    kept = settings.model_dump() | {"cron_secret": configured, "openai_api_key": "sk-test"}
    app = App(lambda: Settings(**kept))
    async with client(app) as http:
        answer = await http.get("/api/cron", headers=given)

    assert (401, {"error": "unauthorized", "code": "LJ402"}) == (answer.status_code, answer.json())
    assert "runner" not in app.__dict__


async def test_the_previous_cron_secret_is_accepted_while_senders_change_over(settings: Settings) -> None:
    """Two secrets, one with a stray newline: both open the door."""
    changed = {"cron_secret": "new,er\n", "cron_secret_previous": " old ", "openai_api_key": "sk-test"}
    app = App(lambda: Settings(**(settings.model_dump() | changed)))
    async with client(app) as http:
        assert [200, 200, 401] == [
            (await http.get("/api/cron", headers=bearer(secret))).status_code for secret in ("new,er", "old", "new")
        ]


async def test_a_database_that_is_away_is_a_503_that_says_to_try_again(settings: Settings) -> None:
    """Neither door hides an outage behind a 200, and neither tells where the database is."""
    url = "postgresql://nobody@/nowhere?host=/tmp/no-such-folder"
    app = App(lambda: settings.model_copy(update={"database_url": url}))
    call = post(BASE, 1, REPLIES[0])
    async with client(app) as http:
        cron = await http.get("/api/cron", headers=bearer(CRON))
        webhook = await http.post(call.url, headers=dict(call.headers), content=call.body)
        ready = await http.get("/api/health/ready")

    for answer in (cron, webhook):
        assert (503, "60") == (answer.status_code, answer.headers["retry-after"])
        assert "no-such-folder" not in answer.text
    assert (503, "unhealthy") == (ready.status_code, ready.json()["status"])


async def test_a_missing_setting_is_an_answer_and_not_a_crash(settings: Settings) -> None:
    """Without DATABASE_URL the function starts and says what to set."""
    app = App(lambda: settings.model_copy(update={"database_url": None}))
    async with client(app) as http:
        answer = await http.get("/api/cron", headers=bearer(CRON))

    assert 500 == answer.status_code
    assert "DATABASE_URL is not set" in answer.json()["error"]


@pytest.mark.parametrize("reply", REPLIES[:3], ids=lambda reply: reply.source)
async def test_a_signed_webhook_is_answered_200_and_a_forged_one_401(
    app: App, workspace: int, db: Db, reply: Any
) -> None:
    """Each source over HTTP: genuine, re-sent, forged in the body or the proof."""
    call = post(BASE, 1, reply)
    async with client(app) as http:
        genuine = await http.post(call.url, headers=dict(call.headers), content=call.body)
        again = await http.post(call.url, headers=dict(call.headers), content=call.body)
        bare = await http.post(call.url.partition("?")[0], content=call.body)
        tampered = await http.post(call.url, headers=dict(call.headers), content=call.body.replace(b"a", b"e", 1))

    assert [200, 200, 401] == [genuine.status_code, again.status_code, bare.status_code]
    assert ("twilio" == reply.source) == (tampered.status_code == 401)  # only Twilio signs the body
    assert ("text/xml" in genuine.headers["content-type"]) == ("twilio" == reply.source)


async def test_a_webhook_of_no_known_source_is_404_and_get_explains(app: App) -> None:
    """An unknown path is no secret, and no delivery."""
    async with client(app) as http:
        assert 404 == (await http.post("/api/webhooks/nobody", content=b"{}")).status_code
        assert 200 == (await http.get("/api/webhooks/twilio")).status_code
        assert 405 == (await http.delete("/api/webhooks/twilio")).status_code


async def test_a_body_over_the_limit_is_refused_before_it_is_parsed(app: App, workspace: int, db: Db) -> None:
    """5 MB and a byte: 413, whatever the length header claims, and nothing is kept."""

    async def chunks() -> Any:
        for _ in range(6):
            yield b"x" * 1024 * 1024

    call = post(BASE, 1, REPLIES[0])
    async with client(app) as http:
        answer = await http.post(call.url, headers=dict(call.headers), content=chunks())
    row = await (await db.execute("SELECT count(*) AS n FROM inbox_event")).fetchone()
    assert (413, {"n": 0}) == (answer.status_code, row)


_watching: list[str] = []
_is_on = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _is_on and event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"}:
        _watching.append(f"{event} {args[-1]!r}")


@pytest.fixture
def outside_calls() -> Iterator[list[str]]:
    """Whatever Python code in this process tries to reach; libpq's own connection to the database is not Python's."""
    global _is_on  # noqa: PLW0603  an audit hook cannot be taken out again
    sys.addaudithook(_audit)
    _watching.clear()
    _is_on = True
    yield _watching
    _is_on = False


async def test_a_webhook_calls_nobody(
    app: App, workspace: int, openai: OpenAIStandIn, outside_calls: list[str]
) -> None:
    """No model and no provider is called from a webhook: not one connection is tried while one is answered."""
    async with client(app) as http:
        for number, reply in enumerate(REPLIES, start=1):
            call = post(BASE, number, reply)
            assert 200 == (await http.post(call.url, headers=dict(call.headers), content=call.body)).status_code

    assert ([], []) == (outside_calls, openai.calls)


def test_a_webhook_loads_no_sdk_and_no_sqlalchemy(url: str) -> None:
    """After a delivery was answered, the process has loaded no client of anything but the database."""
    code = """
import asyncio, sys
from leadjobs.app import app
from leadjobs.web.delivery import Delivery
body = b'{"event": {"type": "LEAD_REPLIED", "instance_url": "x", "workspace_id": 1}, "data": {"reply": {"id": 1, '
body += b'"from_email_address": "a@b.example", "text_body": "hi"}}}'
delivery = Delivery(source="emailbison", url="https://x/?token=t", headers={}, body=body)
print(asyncio.run(app.inbox.receive(delivery)).what)
print([m for m in "openai httpx httpx2 tenacity sqlalchemy alembic".split() if m in sys.modules])
"""
    environment = os.environ | {"DATABASE_URL": url, "LEADJOBS_EMAILBISON_SECRET": "t"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ["ignored: no workspace has this source", "[]"] == done.stdout.splitlines()


async def test_health_is_up_without_a_database_and_ready_with_a_healthy_one(app: App, workspace: int, db: Db) -> None:
    """Liveness asks nothing; readiness looks at the schema and at whether due work moves."""
    async with client(app) as http:
        assert {"status": "ok"} == (await http.get("/api/health")).json()
        assert "ok" == (await http.get("/api/health/ready")).json()["status"]
        await db.execute(
            "INSERT INTO background_job (type, run_at) VALUES ('SMS_INBOUND_POST_PROCESS', now() - interval '1 hour')"
        )
        late = await http.get("/api/health/ready")
        assert (503, 1) == (late.status_code, late.json()["due"])
        assert "is the cron calling?" in late.text
        await db.execute("DROP TABLE leadjobs_version")
        behind = await http.get("/api/health/ready")
        assert "run `leadjobs migrate`" in behind.text


def test_histories_are_asked_only_with_a_key(settings: Settings) -> None:
    """Each provider's memory needs its own key, and Unipile's its address too."""
    none = {"unipile_api_key": None, "unipile_api_url": None, "smartlead_api_key": None, "gohighlevel_api_key": None}
    some, half = {"smartlead_api_key": SecretStr("s")}, {"unipile_api_key": SecretStr("u")}
    all_ = some | half | {"unipile_api_url": "https://api1.example:13111", "gohighlevel_api_key": SecretStr("g")}

    def asked(update: dict[str, Any]) -> list[str]:
        app = App(lambda: settings.model_copy(update=none | update))
        return sorted(app._histories())

    assert ([], ["smartlead"], ["gohighlevel", "smartlead", "unipile"]) == (asked({}), asked(some), asked(all_))
    with pytest.raises(SettingsError, match="LEADJOBS_UNIPILE_API_URL together"):
        asked(half)
