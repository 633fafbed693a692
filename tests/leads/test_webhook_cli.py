"""``leadjobs webhook``: what an operator asks about a delivery."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from leadjobs.app import App
from leadjobs.cli.webhook import cli
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES, SOURCES, Reply
from leadjobs.errors import LeadjobsError
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.workspaces import Profile, Source, set_up_workspace
from leadjobs.settings import Settings
from leadjobs.web.delivery import Delivery

BASE = "https://ops.example.test"


@pytest.fixture(autouse=True)
def configured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line finds the tests' settings."""
    monkeypatch.setenv("DATABASE_URL", settings.need_database_url())
    monkeypatch.setattr("leadjobs.app.App.settings", settings)


def run(*argv: str, code: int = 0, stdin: bytes = b"") -> Result:
    result = CliRunner().invoke(cli, argv, input=stdin, env={"COLUMNS": "300"})
    assert code == result.exit_code, (result.output, result.exception)
    return result


def proof(reply: Reply) -> tuple[list[str], bytes]:
    """The options that tell how a delivery came, and its body."""
    call = post(BASE, 1, reply)
    headers = [option for name, value in call.headers.items() for option in ("--header", f"{name}: {value}")]
    return [*headers, "--url", call.url], call.body


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.source)
def test_a_genuine_delivery_is_said_to_be_one_and_what_it_means(reply: Reply, tmp_path: Path) -> None:
    """From a file or standard input, as a table or JSON; exit code 0."""
    options, body = proof(reply)
    (tmp_path / "body").write_bytes(body)

    found: dict[str, Any] = json.loads(run("check", reply.source, str(tmp_path / "body"), *options, "--json").stdout)

    assert ("yes", "inbound", reply.text) == (found["genuine"], found["means"], found["text"])
    assert "tenantKeys" in found
    shown = run("check", reply.source, "-", *options, stdin=body).stdout
    assert "inbound" in shown
    assert "Person(" not in shown


def test_what_is_not_genuine_or_not_readable_is_exit_code_1() -> None:
    """Each with its reason; a forgery is still read, for that is what one looks for."""
    options, body = proof(REPLIES[0])
    forged = json.loads(run("check", "emailbison", "-", "--json", code=1, stdin=body).stdout)
    half = json.loads(run("check", "emailbison", "-", *options, "--json", code=1, stdin=body[:100]).stdout)

    assert (True, "inbound") == (forged["genuine"].startswith("no: emailbison: no token"), forged["means"])
    assert ("yes", "emailbison: the body is not JSON") == (half["genuine"], half["unreadable"])


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["check", "nobody", "-"], "no source is called 'nobody'; there are clay, emailbison, "),
        (["check", "twilio", "no-such-file"], "no-such-file: No such file or directory"),
        (["check", "twilio", "-", "--header", "x"], "--header 'x' is not 'Name: value'"),
    ],
)
def test_what_is_mistyped_is_said(argv: list[str], cause: str) -> None:
    """One line that names the fix."""
    error = run(*argv, code=1).exception

    assert isinstance(error, LeadjobsError)
    assert cause in str(error)


async def test_a_replay_is_dry_until_it_is_to_be_applied(app: App, sessions: Sessions) -> None:
    """First what would be, then what is; then nothing is left to do."""
    call = post(BASE, 1, REPLIES[1])
    headers = {name.lower(): value for name, value in call.headers.items()}
    await app.inbox.receive(Delivery(source="twilio", url=call.url, headers=headers, body=call.body))
    async with sessions() as session:
        await set_up_workspace(session, "Acme", Profile(), [Source.parse(text) for text in SOURCES])
        await session.commit()

    dry = (await asyncio.to_thread(run, "replay")).stdout
    done = json.loads((await asyncio.to_thread(run, "replay", "--apply", "--json")).stdout)
    after = (await asyncio.to_thread(run, "replay", "--apply")).stdout

    assert "1 of 1 would be kept as messages now." in dry
    assert "Nothing was changed: say --apply to do it." in dry
    assert [("twilio", "kept")] == [(each["source"], each["isNow"]) for each in done]
    assert "0 of 0 are kept" in after
