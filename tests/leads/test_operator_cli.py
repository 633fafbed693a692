"""``leadjobs effects`` and ``leadjobs budget``, as an operator uses them."""

import json
import re
from typing import Any

import psycopg
import pytest
from typer import Typer
from typer.testing import CliRunner

from leadjobs.cli import budget, effects, jobs
from leadjobs.errors import StoreError

SCENE = """
INSERT INTO background_job (type, tenant, state, reason, lease_no, attempts)
VALUES ('SEND', 'acme', 'FAILED', 'nobody knows', 2, 1);
INSERT INTO job_effect (job_id, generation, name, tag, lease_no, state, receipt, told_by, answered_at)
VALUES (1, 1, 'sms', 'lj-1-1-0-sms', 1, 'intended', NULL, NULL, NULL),
       (1, 1, 'call', 'lj-1-1-0-call', 1, 'accepted', '{"sid": 4}', 'send', now());
"""


class Operator:
    """Types commands on the test's database, where a job has failed for an SMS that nobody knows the end of."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, group: Typer, *argv: str) -> str:
        done = CliRunner().invoke(group, argv, env={"DATABASE_URL": self.url, "COLUMNS": "200"})
        if done.exception is not None:
            raise done.exception
        return done.stdout

    def job(self) -> tuple[Any, ...] | None:
        with psycopg.connect(self.url) as connection:
            return connection.execute("SELECT state, generation FROM background_job WHERE id = 1").fetchone()


@pytest.fixture
def operator(url: str) -> Operator:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCENE)
    return Operator(url)


def test_what_is_unknown_is_listed_and_marked_as_sent(operator: Operator) -> None:
    """The list, the job's sheet, the refused retry; then the job is due in its generation; nothing is unknown."""
    (unknown,) = json.loads(operator(effects.cli, "list", "--unknown", "--json"))
    assert (1, "sms", "lj-1-1-0-sms", True) == (
        *(unknown[key] for key in ("jobId", "name", "tag")),
        unknown["isUnknown"],
    )
    assert re.search(r"sms +unknown", operator(effects.cli, "list"))
    shown = operator(jobs.cli, "show", "1")
    assert "What it changed outside" in shown
    assert '{"sid": 4}' in shown
    assert 2 == len(json.loads(operator(jobs.cli, "show", "1", "--json"))["effects"])
    with pytest.raises(SystemExit):
        operator(jobs.cli, "retry", "1")

    assert "job 1: sms was sent; it is due now" in operator(
        effects.cli, "mark-sent", "1", "sms", "--receipt", '{"sid": 9}'
    )

    assert ("PENDING", 1) == operator.job()
    assert [] == json.loads(operator(effects.cli, "list", "--unknown", "--json"))
    assert {"sid": 9} == json.loads(operator(effects.cli, "list", "--json"))[1]["receipt"]


def test_what_is_unknown_may_be_sent_again(operator: Operator) -> None:
    """In the same generation; then a retry by hand is allowed, and begins another."""
    assert "job 1: sms may be sent; it is due now" in operator(effects.cli, "send-again", "1", "sms")
    assert ("PENDING", 1) == operator.job()
    operator(jobs.cli, "retry", "1")
    assert ("PENDING", 2) == operator.job()
    assert "left as it is" in operator(effects.cli, "send-again", "1", "sms", "--generation", "1")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("mark-sent", "1", "sms", "--receipt", "{"), "--receipt is not JSON"),
        (("mark-sent", "1", "fax"), "job 1 has no effect fax"),
        (
            ("send-again", "1", "call"),
            "call of job 1 was sent: to do all of the job again, say `leadjobs jobs retry 1`",
        ),
    ],
)
def test_what_does_not_fit_says_what_to_do(operator: Operator, argv: tuple[str, ...], words: str) -> None:
    """And changes nothing."""
    with pytest.raises(StoreError, match=re.escape(words)):
        operator(effects.cli, *argv)
    assert ("FAILED", 1) == operator.job()


def test_budgets_are_set_listed_and_taken_away(operator: Operator) -> None:
    """Caps, what is used, what of it is unknown, and what waits; setting a cap lets go of it."""
    with psycopg.connect(operator.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO job_budget_day VALUES ('acme', 'tokens', CAST(now() AT TIME ZONE 'UTC' AS date), 30);"
            "INSERT INTO job_spend (job_id, lease_no, generation, tenant, day, unit, what, reserved)"
            " VALUES (1, 1, 1, 'acme', CAST(now() AT TIME ZONE 'UTC' AS date), 'tokens', 'test', 10);"
            "UPDATE background_job SET state = 'PENDING', run_at = now() + interval '1 hour', reason = 'over budget: 5'"
        )
    assert "*: 50 tokens a day" in operator(budget.cli, "set", "*", "tokens", "50")

    with psycopg.connect(operator.url, autocommit=True) as connection:
        connection.execute("UPDATE background_job SET reason = 'over budget: 5'")
    listed = json.loads(operator(budget.cli, "list", "--json"))
    acme = {"tenant": "acme", "unit": "tokens", "cap": 50, "isDefault": True, "used": 30, "unknown": 10}
    assert [acme] == [line for line in listed["budgets"] if line["tenant"] == "acme"]
    assert [("SEND", "acme", 1)] == [(x["type"], x["tenant"], x["jobs"]) for x in listed["waiting"]]
    assert "50 (that of *)" in operator(budget.cli, "list")

    assert "what waited for it is due now (1)" in operator(budget.cli, "set", "acme", "tokens", "60")
    assert [] == json.loads(operator(budget.cli, "list", "--json"))["waiting"]
    assert "no cap of its own" in operator(budget.cli, "unset", "acme", "tokens")
    with pytest.raises(StoreError, match="see `leadjobs budget list`"):
        operator(budget.cli, "unset", "acme", "tokens")


def test_how_far_a_job_is_and_what_came_of_it_are_shown(operator: Operator) -> None:
    """In the list while it runs; on its sheet, also as JSON, with its result."""
    with psycopg.connect(operator.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO background_job (type, state, lease_no, lease_until) VALUES ('READ', 'RUNNING', 5, now());"
            ' INSERT INTO job_result VALUES (2, 1, 5, \'{"done": 3, "total": 12}\', now(), \'{"pages": 3}\')'
        )
    assert "3 of 12 (25 %)" in operator(jobs.cli, "list")
    assert "3 of 12 (25 %)" in (shown := operator(jobs.cli, "show", "2"))
    assert '{"pages": 3}' in shown
    told = json.loads(operator(jobs.cli, "show", "2", "--json"))
    assert ({"done": 3, "total": 12, "note": None}, {"pages": 3}) == (told["progress"], told["result"])
    assert "3 of 12" not in operator(jobs.cli, "list", "--state", "FAILED")
