"""``leadjobs backfill``, as an operator uses it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.leads.backfill.stage import ADD
from typer.testing import CliRunner, Result

from leadjobs.cli.backfill import cli
from leadjobs.errors import LeadjobsError

LEADJOBS = Path(sys.executable).parent / "leadjobs"


class Operator:
    """Types commands on the test's database."""

    def __init__(self, url: str) -> None:
        self._env = {"DATABASE_URL": url, "LEADJOBS_AI_MODEL": "gpt-6-luna", "COLUMNS": "200"}

    def __call__(self, *argv: str, **environment: str) -> str:
        done = self.result(*argv, **environment)
        if done.exception is not None:
            raise done.exception
        return re.sub(r"\s+", " ", done.output)

    def result(self, *argv: str, **environment: str) -> Result:
        return CliRunner().invoke(cli, argv, env=self._env | environment)

    def lines(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.result("list", "--json").stdout)
        return found


@pytest.fixture
def operator(url: str) -> Operator:
    """At a workspace with three leads."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO workspace (id, name) VALUES (1, 'Acme')")
        connection.execute(ADD, {"workspace": 1, "count": 3, "words": "Call me", "score": None})
    return Operator(url)


def test_a_backfill_is_planned_then_started_and_ended(operator: Operator) -> None:
    """A dry run changes nothing; --apply starts; pause, resume, cancel say what they did."""
    planned = json.loads(operator.result("plan", "--workspace", "Acme", "--json").stdout)
    assert (3, 3, 0) == (planned["leads"], planned["toScore"], planned["disqualified"])
    assert "to be scored 3" in operator("plan")
    dry = operator("start", "--per-minute", "2")
    assert "minutes, at 2 leads a minute 2" in dry
    assert "Nothing was started: say --apply to do it." in dry
    assert [] == operator.lines()

    assert "backfill 1 is running" in operator("start", "--workspace", "Acme", "--max-usd", "1.5", "--apply")
    (line,) = operator.lines()
    assert ("Acme", "running", 60, 1_500_000) == (
        line["workspace"],
        line["state"],
        line["leadsPerMinute"],
        line["maxUsdMicros"],
    )
    assert "backfill 1 is paused" in operator("pause", "1")
    assert "backfill 1 is running" in operator("resume", "1", "--max-usd", "2", "--per-minute", "30")
    (line,) = operator.lines()
    assert ("running", 30, 2_000_000) == (line["state"], line["leadsPerMinute"], line["maxUsdMicros"])
    assert "1 Acme unscored running 30 0 0 0 $0.00 $2.00 -" in operator("list")
    assert {"id": 1, "state": "paused"} == json.loads(operator.result("pause", "1", "--json").stdout)
    assert {"id": 1, "state": "running"} == json.loads(operator.result("resume", "1", "--json").stdout)
    assert "backfill 1 is cancelled, with 0 jobs that waited" in operator("cancel", "1")
    started = json.loads(operator.result("start", "--apply", "--json").stdout)
    assert (2, 3) == (started["backfillId"], started["plan"]["toScore"])
    cancelled = {"id": 2, "state": "cancelled", "cancelledJobs": 0}
    assert cancelled == json.loads(operator.result("cancel", "2", "--json").stdout)


def test_two_starts_at_once_give_one_backfill(operator: Operator, url: str) -> None:
    """Two operators, each in a process of their own: one of them is told that there is one already."""
    environment = os.environ | {"DATABASE_URL": url, "LEADJOBS_AI_MODEL": "gpt-6-luna"}
    argv = [str(LEADJOBS), "backfill", "start", "--rescore", "--apply"]
    both = [subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = "".join(each.communicate(timeout=60)[1] for each in both)
    assert [0, 1] == sorted(each.returncode for each in both)
    assert "backfill 1 is running over all workspaces: pause or cancel it" in " ".join(said.split())
    assert 1 == len(operator.lines())


def test_without_leads_to_score_nothing_is_started(operator: Operator, url: str) -> None:
    """It says so."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE lead SET overall_score = 2")
    assert "Nothing was started: there is no lead to score." in operator("start", "--apply")
    assert [] == operator.lines()


@pytest.mark.parametrize(
    ("argv", "environment", "words"),
    [
        (("plan", "--workspace", "Nobody"), {}, "there is no workspace 'Nobody'"),
        (("start", "--apply", "--max-usd", "0.001"), {}, "one lead may cost $0.0"),
        (("start", "--apply"), {"LEADJOBS_AI_MODEL": "my-own"}, "the prices of my-own are not known"),
        (("resume", "7"), {}, "there is no backfill 7"),
        (("cancel", "7"), {}, "there is no backfill 7"),
    ],
)
def test_misuse_names_the_fix(
    operator: Operator, argv: tuple[str, ...], environment: dict[str, str], words: str
) -> None:
    """An error of ours, which the command line prints as one line."""
    with pytest.raises(LeadjobsError, match=re.escape(words)):
        operator(*argv, **environment)
    assert [] == operator.lines()


@pytest.mark.parametrize("argv", [("start", "--per-minute", "0"), ("start", "--max-usd", "nan"), ("pause", "first")])
def test_what_is_no_number_is_refused(operator: Operator, argv: tuple[str, ...]) -> None:
    """Before anything is looked at."""
    assert 2 == operator.result(*argv).exit_code
