"""API tokens, from the command line that makes them to the door that they open."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.leads.reader import identity, keep, lead, message, reader, token_for
from typer import Typer
from typer.testing import CliRunner, Result

from leadjobs.cli import leads, tokens
from leadjobs.errors import SchemaBehindError, StoreError
from leadjobs.leads.directory import UnknownWorkspaceError
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Workspace
from leadjobs.leads.tokens import UnknownTokenError
from leadjobs.leads.views import LeadNotFoundError

Db = AsyncConnection[DictRow]
Cli = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command on the test's database, as from a shell: in no event loop."""
    monkeypatch.setenv("DATABASE_URL", url)

    async def run(cli: Typer, *argv: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, cli, argv)

    return run


async def test_a_token_is_shown_once_and_opens_its_workspace(
    run: Cli, sessions: Sessions, workspace: int, db: Db
) -> None:
    """Only its hash is kept; the token stands alone on standard output, for a script to take."""
    (ours,) = await keep(sessions, lead(workspace))
    made = await run(tokens.cli, "create", "the CRM", "--workspace", "Acme")
    assert (0, "") == (made.exit_code, made.stderr.replace("· token 1 for Acme; it is shown this once\n", ""))
    token = made.stdout.removesuffix("\n")

    assert re.fullmatch(r"ljt_[A-Za-z0-9_-]{43}", token)
    (row,) = await (await db.execute("SELECT * FROM api_token")).fetchall()
    assert (sha256(token.encode()).hexdigest(), "reader") == (row["token_hash"], row["role"])
    assert token not in str(row.values())
    async with reader(sessions, token) as http:
        assert [ours.id] == [each["id"] for each in (await http.get("/api/leads")).json()["leads"]]
    assert token not in (await run(tokens.cli, "list", "--json")).stdout


async def test_tokens_are_told_apart_by_workspace_and_role(run: Cli, sessions: Sessions, workspace: int) -> None:
    """Two of the same name are two tokens; an operator's reads as a reader's does."""
    (other,) = await keep(sessions, Workspace(name="Other"))
    first = json.loads((await run(tokens.cli, "create", "n8n", "--workspace", "Acme", "--json")).stdout)
    argv = ("create", "n8n", "--workspace", "Other", "--role", "operator", "--json")
    second = json.loads((await run(tokens.cli, *argv)).stdout)
    (theirs,) = await keep(sessions, lead(other.id))

    assert ["id", "name", "workspace", "role", "token"] == list(first)
    assert first["token"] != second["token"]
    listed = json.loads((await run(tokens.cli, "list", "--json")).stdout)
    assert [(first["id"], "Acme", "reader", None), (second["id"], "Other", "operator", None)] == [
        (each["id"], each["workspace"], each["role"], each["revokedAt"]) for each in listed
    ]
    assert "n8n" in (await run(tokens.cli, "list")).stdout
    async with reader(sessions, second["token"]) as http:
        assert [theirs.id] == [each["id"] for each in (await http.get("/api/leads")).json()["leads"]]


async def test_a_revoked_token_stays_on_record(run: Cli, sessions: Sessions, workspace: int) -> None:
    """It opens nothing from then on; revoked again, it was revoked when it was."""
    token = (await run(tokens.cli, "create", "old laptop", "--workspace", "Acme")).stdout.strip()
    assert "token 1 is revoked\n" == (await run(tokens.cli, "revoke", "1")).stdout
    async with reader(sessions, token) as http:
        assert 401 == (await http.get("/api/leads")).status_code
    once = (await run(tokens.cli, "list", "--json")).stdout
    await run(tokens.cli, "revoke", "1")

    assert once == (await run(tokens.cli, "list", "--json")).stdout
    assert json.loads(once)[0]["revokedAt"] is not None


@pytest.mark.parametrize(
    ("cli", "argv", "error", "words"),
    [
        (tokens.cli, ("create", "x", "--workspace", "Acne"), UnknownWorkspaceError, "see `leadjobs workspaces list`"),
        (tokens.cli, ("revoke", "4711"), UnknownTokenError, "there is no API token 4711"),
        (tokens.cli, ("revoke", "9" * 30), UnknownTokenError, "see `leadjobs tokens list`"),
        (leads.cli, ("list", "--workspace", "Acne"), UnknownWorkspaceError, "there is no workspace 'Acne'"),
        (leads.cli, ("show", "4711"), LeadNotFoundError, "there is no lead with this id"),
        (leads.cli, ("show", "9" * 30), LeadNotFoundError, "there is no lead with this id"),
    ],
)
@pytest.mark.usefixtures("workspace")
async def test_misuse_says_what_to_do(
    run: Cli, cli: Typer, argv: tuple[str, ...], error: type[Exception], words: str
) -> None:
    """An error of ours, which the command line prints as one line; nothing is made."""
    failed = await run(cli, *argv)
    assert (1, error) == (failed.exit_code, type(failed.exception))
    assert words in str(failed.exception)
    assert [] == json.loads((await run(tokens.cli, "list", "--json")).stdout)


@pytest.mark.parametrize(
    ("cli", "argv"),
    [
        (tokens.cli, ("create", "x")),
        (tokens.cli, ("create", "x", "--workspace", "Acme", "--role", "admin")),
        (tokens.cli, ("revoke", "one")),
        (leads.cli, ("list", "--score", "5")),
        (leads.cli, ("list", "--limit", "0")),
    ],
)
async def test_what_the_options_cannot_be_is_told_with_what_they_can(
    run: Cli, workspace: int, cli: Typer, argv: tuple[str, ...]
) -> None:
    """Usage errors end with 2, as everywhere."""
    assert 2 == (await run(cli, *argv)).exit_code


async def test_a_database_without_tables_says_to_migrate(
    run: Cli, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is not there says so."""
    monkeypatch.setenv("DATABASE_URL", empty_url)
    for cli in (tokens.cli, leads.cli):
        failed = (await run(cli, "list")).exception
        assert isinstance(failed, SchemaBehindError)
        assert "run `leadjobs migrate`" in str(failed)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@/nowhere?host=/tmp/no-such-folder")
    for cli in (tokens.cli, leads.cli):
        assert isinstance((await run(cli, "list")).exception, StoreError)


async def test_the_command_line_lists_all_workspaces_or_one(run: Cli, sessions: Sessions, workspace: int) -> None:
    """With the door's filters and the door's words."""
    (other,) = await keep(sessions, Workspace(name="Other"))
    await keep(
        sessions,
        lead(workspace, 1, first_name="Maya", last_name="Ortiz", overall_score=4),
        lead(workspace, 2, first_name="Ben", overall_score=2),
        lead(other.id, 3, first_name="Ada", overall_score=4),
    )

    async def names(*argv: str) -> list[str]:
        return [each["firstName"] for each in json.loads((await run(leads.cli, "list", "--json", *argv)).stdout)]

    assert ["Maya", "Ben", "Ada"] == await names()
    assert ["Maya", "Ben"] == await names("--workspace", "Acme")
    assert ["Maya", "Ada"] == await names("--score", "3+")
    assert ["Maya"] == await names("--limit", "1")
    table = (await run(leads.cli, "list")).stdout
    assert "Maya Ortiz" in table


async def test_the_command_line_shows_everything_about_one(run: Cli, sessions: Sessions, workspace: int) -> None:
    """Its JSON is the door's; its tables leave out what is not known."""
    (maya,) = await keep(sessions, lead(workspace, first_name="Maya", company="Bright [bold] Smile"))
    await keep(sessions, identity(maya, "email", "maya@brightsmile.example"))
    await keep(sessions, message(maya, 1, body="Call me"))
    async with reader(sessions, await token_for(sessions, workspace)) as http:
        sheet = (await http.get(f"/api/leads/{maya.id}")).json()

    assert sheet == json.loads((await run(leads.cli, "show", str(maya.id), "--json")).stdout)
    shown = (await run(leads.cli, "show", str(maya.id))).stdout
    for words in ("maya@brightsmile.example", "Call me", "Bright [bold] Smile", "Conversation"):
        assert words in shown
    assert "Drafts" not in shown
