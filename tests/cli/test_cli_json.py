"""With --json every command prints one document, in one spelling of keys and of instants."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.cli.conftest import JOBS
from typer.main import get_command
from typer.testing import CliRunner

from leadjobs.cli.entry import cli as leadjobs

NO_JSON = {"serve", "dev"}  # they end when they are stopped, and have nothing to tell
ELSEWHERE = {"work", "demo", "webhook check", "backfill pause", "backfill resume", "backfill cancel"}  # tests/leads
THEIR_OWN = {"payload", "receipt", "result"}  # what is in these is the user's

SCENE = """
INSERT INTO background_job (type, tenant, state, payload, reason, lease_no, attempts, finished_at)
VALUES ('GREET', 'acme', 'FAILED', '{"first_name": "Ada"}', 'nobody knows', 2, 1, now()),
       ('GREET', 'acme', 'FAILED', '{}', 'gave up', 2, 1, now());
INSERT INTO job_effect (job_id, generation, name, tag, lease_no, state)
VALUES (1, 1, 'sms', 'lj-1-1-0-sms', 1, 'intended'), (1, 1, 'call', 'lj-1-1-0-call', 1, 'intended');
INSERT INTO job_attempt (job_id, generation, lease_no, ended_as, ended_at) VALUES (1, 1, 1, 'failed', now());
INSERT INTO job_limit (name, types, max_running) VALUES ('twilio', '{GREET}', 2);
INSERT INTO job_schedule (name, cron, tz, type, since, noted_at)
VALUES ('old', '0 3 * * *', 'UTC', 'GREET', now(), now());
INSERT INTO workspace (id, name) VALUES (1, 'Acme');
INSERT INTO lead (id, workspace_id) VALUES (1, 1);
"""
COMMANDS = """
migrate
doctor
workspaces set Acme --source twilio=AC1/+44
workspaces list
tick
jobs list
jobs show 1
jobs why 1
jobs dead
effects list
effects send-again 1 sms
effects mark-sent 1 call
jobs retry 2
jobs cancel 2
jobs delete 2
enqueue GREET
holds pause GREET --minutes 5
holds list
holds release GREET
holds limits
schedules pause nightly
schedules list
schedules resume nightly
schedules run nightly
schedules remove old
budget set acme tokens 50
budget list
budget unset acme tokens
leads list
leads show 1
backfill plan
backfill start
backfill list
tokens create crm --workspace Acme
tokens list
tokens revoke 1
webhook replay
prune
ai
ai --errors
openapi
"""


def names(command: Any, path: str = "") -> Iterator[str]:
    """All commands below one."""
    for name, each in command.commands.items():
        yield from names(each, f"{path}{name} ") if hasattr(each, "commands") else [f"{path}{name}"]


def parts(value: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Each key and value, however deep, but for what is a user's own."""
    if isinstance(value, list):
        value = {str(place): each for place, each in enumerate(value)}
    for name, each in value.items():
        yield name, each
        if isinstance(each, dict | list) and name not in THEIR_OWN:
            yield from parts(each, *path, name)


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    (tmp_path / "jsonjobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LEADJOBS_APP", "jsonjobs:runner")

    def run(line: str) -> Any:
        done = CliRunner().invoke(leadjobs, [*line.split(), *(() if line == "openapi" else ("--json",))])
        assert done.exception is None, (line, done.exception)
        return json.loads(done.stdout)

    return run


def test_every_command_prints_json_in_one_spelling(url: str, run: Callable[..., Any]) -> None:
    """camelCase, as the HTTP API has it, and instants of UTC that end in Z."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCENE)
    lines = COMMANDS.strip().splitlines()
    told = {line: run(line) for line in lines}
    tried = {name for name in names(get_command(leadjobs)) if any(f"{line} ".startswith(f"{name} ") for line in lines)}
    assert NO_JSON | ELSEWHERE == set(names(get_command(leadjobs))) - tried
    for line, document in told.items():
        if line == "openapi":
            continue
        for key, value in parts(document):
            assert re.fullmatch(r"\d+|[a-z][a-zA-Z0-9]*", key), (line, key)
            if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[ T]", value):
                assert re.fullmatch(r"\S{10}T\S+Z", value), (line, key, value)
    assert {"first_name": "Ada"} == told["jobs show 1"]["payload"]


def test_what_can_be_done_is_done_and_each_refusal_is_told(cli: Callable[..., Any], url: str) -> None:
    """One job that is not there keeps no other from being deleted; the exit code says that not all was done."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCENE)
        connection.execute("INSERT INTO background_job (type) VALUES ('GREET')")
    done = cli("jobs", "delete", "1", "999", "3", code=1)
    assert "job 1 is deleted" in done.stdout
    assert "leadjobs: there is no job 999 (LJ303)\nleadjobs: job 3 is PENDING: cancel it first" in done.stderr
    told = json.loads(cli("jobs", "delete", "7", "2", "--json", code=1).stdout)
    refused = {"jobId": 7, "error": "there is no job 7", "code": "LJ303"}
    assert {"action": "delete", "done": [2], "refused": [refused]} == told
