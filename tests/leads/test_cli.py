"""The command line, as people and scripts use it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.engine.pooled import PSYCOPG

from leadjobs.app import MIGRATIONS
from leadjobs.demo.stand_in import judge
from leadjobs.testing.openai import OpenAIStandIn
from leadjobs.testing.serve import serve

LEADJOBS = Path(sys.executable).parent / "leadjobs"
JOBS = """
from leadjobs import Done, GiveUp, Job, Outcome, Registry, Runner, handler
import os

@handler("GREET", payload=dict, timeout=5)
async def greet(job: Job[dict]) -> Outcome:
    return Done(f"hello {job.payload['name']}") if "name" in job.payload else GiveUp("nobody to greet")

runner = Runner(os.environ["DATABASE_URL"], Registry(greet))
"""

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(url: str, tmp_path: Path) -> Cli:
    """Runs leadjobs on the test's database, with a small app of its own in the folder."""
    (tmp_path / "myjobs.py").write_text(JOBS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEADJOBS_", "OPENAI", "CRON"))}
    base = clean | {"DATABASE_URL": url, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def run(*argv: str, code: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [LEADJOBS, *argv], capture_output=True, text=True, check=False, env=base | environment, timeout=60
        )
        assert code == done.returncode, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_a_job_s_life_from_the_command_line(cli: Cli) -> None:
    """enqueue, tick, list, show, retry, cancel: what an operator does, with JSON for scripts."""
    app = {"LEADJOBS_APP": "myjobs:runner"}
    first = json.loads(
        cli("enqueue", "GREET", "--payload", '{"name": "Ada"}', "--dedupe-key", "a", "--json", **app).stdout
    )
    again = json.loads(
        cli("enqueue", "GREET", "--payload", '{"name": "Bob"}', "--dedupe-key", "a", "--json", **app).stdout
    )
    assert ("inserted", "ignored", first["jobId"]) == (first["verdict"], again["verdict"], again["jobId"])
    cli("enqueue", "GREET", "--delay", "3600", **app)
    cli("enqueue", "GREET", **app)

    report = json.loads(cli("tick", "--json", **app).stdout)
    assert (2, 1, 1, 0) == (report["claimed"], report["succeeded"], report["failed"], report["due"])
    listed = json.loads(cli("jobs", "list", "--json").stdout)
    assert ["FAILED", "PENDING", "SUCCEEDED"] == [job["state"] for job in listed]
    shown = cli("jobs", "show", str(listed[0]["id"])).stdout
    assert "gave up: nobody to greet" in shown
    assert "What went wrong" in shown

    cli("jobs", "retry", str(listed[0]["id"]))
    cli("jobs", "cancel", str(listed[1]["id"]))
    cli("jobs", "cancel", str(listed[1]["id"]), code=1)
    states = {job["id"]: job["state"] for job in json.loads(cli("jobs", "list", "--json").stdout)}
    assert ["PENDING", "CANCELLED", "SUCCEEDED"] == [states[job["id"]] for job in listed]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("enqueue", "NOPE"), "no handler for NOPE; the app knows GREET"),
        (("enqueue", "GREET", "--payload", "{"), "--payload is not JSON"),
        (("enqueue", "GREET", "--payload", "[1]"), "--payload is not a JSON object"),
        (("jobs", "show", "4711"), "there is no job 4711"),
        (("tick", "--app", "nowhere:runner"), "No module named 'nowhere'"),
        (("tick", "--app", "myjobs"), "give MODULE:ATTRIBUTE"),
        (("workspaces", "set", "Acme", "--source", "twilio"), "is not SOURCE=TENANT_KEY"),
    ],
)
def test_misuse_is_one_line_that_says_what_to_do(cli: Cli, argv: tuple[str, ...], words: str) -> None:
    """No traceback: the error names what was wrong, and the exit code is 1."""
    done = cli(*argv, code=1, LEADJOBS_APP="myjobs:runner")
    assert words in " ".join(done.stderr.split())


def test_a_database_without_tables_says_to_migrate(cli: Cli, empty_url: str) -> None:
    """The commonest first mistake has its fix in the message; migrating twice does no harm."""
    assert "run `leadjobs migrate`" in cli("jobs", "list", code=1, DATABASE_URL=empty_url).stderr
    expected = sorted(path.stem for folder in MIGRATIONS for path in folder.glob("[0-9]*.py"))
    assert expected == json.loads(cli("migrate", "--json", DATABASE_URL=empty_url).stdout)["applied"]
    assert "up to date" in cli("migrate", DATABASE_URL=empty_url).stdout


def test_the_doctor_names_what_must_be_done(cli: Cli, empty_url: str) -> None:
    """A stray newline, a missing secret, an old model, a missing migration: each with its fix; exit 1 if it matters."""
    done = cli("doctor", "--json", code=1, DATABASE_URL=empty_url, CRON_SECRET="secret\n")
    findings: dict[str, dict[str, Any]] = {each["what"]: each for each in json.loads(done.stdout)}
    assert "white space around it" in findings["CRON_SECRET"]["found"]
    assert "secret" not in findings["CRON_SECRET"]["found"].replace("CRON_SECRET", "")
    assert ("FAIL", True) == (findings["schema"]["grade"], "leadjobs migrate" in findings["schema"]["found"])
    assert "is switched off on 2026-12-11" in findings["scoring model"]["found"]

    done = cli("doctor", OPENAI_API_KEY="sk-x", LEADJOBS_TWILIO_SECRET="a,b")
    assert "Nothing must be done." in done.stdout
    assert "2 values are accepted" in done.stdout


def test_the_doctor_is_content_with_the_engine_alone(cli: Cli, empty_url: str) -> None:
    """Who has no leads needs none of their tables; a lead half that is behind is something else."""
    cli("migrate", "--engine-only", DATABASE_URL=empty_url)
    app = {"DATABASE_URL": empty_url, "LEADJOBS_APP": "myjobs:runner"}
    (schema,) = [x for x in json.loads(cli("doctor", "--json", **app).stdout) if x["what"] == "schema"]
    assert ("warn", True) == (schema["grade"], "the lead half's tables are not there" in schema["found"])
    cli("migrate", DATABASE_URL=empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("UPDATE leadjobs_version SET version_num = '1001_leads' WHERE version_num LIKE '1%'")
    assert "1002_every_channel missing" in cli("doctor", code=1, **app).stdout


def test_a_workspace_is_set_up_and_brought_up_to_date(cli: Cli) -> None:
    """What is left out stays; a source belongs to one workspace."""
    cli(
        "workspaces", "set", "Acme", "--icp", "Dentists", "--source", "twilio=AC1/+44", "--question", "How many chairs?"
    )
    cli("workspaces", "set", "Acme", "--service", "Recalls")
    cli("workspaces", "set", "Other", "--source", "twilio=AC1/+44", code=1)
    (acme,) = json.loads(cli("workspaces", "list", "--json").stdout)
    assert ("Dentists", "Recalls", ["twilio=AC1/+44"]) == (
        acme["idealCustomerProfile"],
        acme["serviceDescription"],
        acme["sources"],
    )


@pytest.mark.parametrize(
    "is_away", [pytest.param(True, marks=pytest.mark.direct("ends the worker's connections")), False]
)
def test_work_runs_jobs_until_it_is_told_to_stop(url: str, tmp_path: Path, *, is_away: bool) -> None:
    """A resident runner finds a job enqueued while it idles.  After SIGTERM it ends soon and cleanly; where the
    database goes away, with 1, so that it is started anew.
    """
    (tmp_path / "myjobs.py").write_text(JOBS)
    environment = os.environ | {"DATABASE_URL": url, "PYTHONPATH": str(tmp_path), "LEADJOBS_APP": "myjobs:runner"}
    with (
        psycopg.connect(url, autocommit=True, **PSYCOPG) as connection,
        subprocess.Popen([LEADJOBS, "work", "--json"], env=environment, stdout=subprocess.PIPE, text=True) as worker,
        ExitStack() as at_the_end,
    ):
        at_the_end.callback(worker.kill)  # whatever fails here, nobody else would tell it to stop
        connection.execute("""INSERT INTO background_job (type, payload) VALUES ('GREET', '{"name": "Ada"}')""")
        for _ in range(2000):
            if connection.execute("SELECT 1 FROM background_job WHERE state = 'SUCCEEDED'").fetchone():
                break
            connection.execute("SELECT pg_sleep(0.01)")
        if is_away:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'leadjobs'"
            )
        else:
            worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=15)
    expected = (1, "database") if is_away else (0, "asked")
    assert (expected, 1) == ((worker.returncode, json.loads(output)["stopped"]), json.loads(output)["succeeded"])


def test_the_demo_scores_every_lead_and_doubles_nothing() -> None:
    """./dev demo --json: exit code 0, all leads scored, nothing doubled, the mission's names in the JSON."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    done = subprocess.run(
        [LEADJOBS, "demo", "--json"], capture_output=True, text=True, check=True, env=environment, timeout=120
    )
    result = json.loads(done.stdout)
    assert (True, 0, "stand-in", True) == (result["ok"], result["doubled"], result["ai"], result["refusedForgery"])
    assert {"email", "sms", "linkedin", "smartlead", "instantly"} == {lead["channel"] for lead in result["leads"]}
    assert 9 == len(result["leads"])
    for lead in result["leads"]:
        assert {"fitScore", "intentScore", "overallScore", "scoreReasoning", "scoredAt"} <= set(lead)
        assert lead["overallScore"] in range(1, 5)
    drafted = {lead["lead"] for lead in result["leads"] if lead["draft"]}
    assert {"Luis Romero", "Hanna Virtanen", "George Hill"} == {x["lead"] for x in result["leads"]} - drafted
    assert "STAND-IN" in done.stderr


def test_the_demo_asks_openai_where_there_is_a_key() -> None:
    """With OPENAI_API_KEY the same demo speaks to the address that the SDK would: here, a server with another key."""
    asked = OpenAIStandIn(answer=judge, api_key="sk-yours")
    with serve(asked) as url:
        environment = os.environ | {"OPENAI_API_KEY": "sk-yours\n", "OPENAI_BASE_URL": f"{url}/v1"}
        done = subprocess.run(
            [LEADJOBS, "demo", "--json"], capture_output=True, text=True, check=True, env=environment, timeout=120
        )
    result = json.loads(done.stdout)
    assert (True, "openai") == (result["ok"], result["ai"])
    # Scores and sentiments of seven, drafts for six: the two that opted out cost nothing, the wrong person no draft.
    assert 20 == len(asked.calls)
    assert "STAND-IN" not in done.stderr
