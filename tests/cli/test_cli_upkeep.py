"""Schedules, dead letters and pruning from the command line: for people, and with JSON for scripts."""

import json
import subprocess
from collections.abc import Callable

import psycopg
import pytest

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

FAILED = """
INSERT INTO background_job (type, tenant, state, reason, created_at, finished_at)
SELECT 'GREET', 't' || n % 2, 'FAILED', 'gave up: no lead ' || n, now() - interval '3 hours', now() - interval '2 hours'
  FROM generate_series(1, 12) AS n
"""


def test_a_tick_says_what_it_did_and_leaves_out_what_it_did_not(cli: Cli, url: str) -> None:
    """For people a table without noughts; for scripts all of it, always."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO background_job (type, tenant) VALUES ('NEWER', ''), ('OTHER', '')")
    lines = [line.split(maxsplit=1) for line in cli("tick").stdout.splitlines()]
    told = {name: value.strip() for name, value in lines}
    assert ("drained", "NEWER, OTHER") == (told["stopped"], told["unknownTypes"])
    assert not {"tooLong", "claimed", "failed"} & told.keys()
    both = {"unknownTypes": ["NEWER", "OTHER"], "tooLong": [], "claimed": 0}
    assert both.items() <= json.loads(cli("tick", "--json").stdout).items()


def test_schedules_are_listed_paused_resumed_and_run(cli: Cli) -> None:
    """What a runner has declared; a run out of turn adds a job and moves no tick."""
    cli("tick")
    (line,) = json.loads(cli("schedules", "list", "--json").stdout)
    assert ("nightly", "0 3 * * *", "Europe/Berlin", "GREET", "acme") == tuple(
        line[key] for key in ("name", "cron", "tz", "type", "tenant")
    )
    assert (None, None, True) == (line["lastTick"], line["pausedAt"], line["nextTick"] is not None)
    cli("schedules", "pause", "nightly")
    assert "paused by" in cli("schedules", "list").stdout
    assert "inserted" == json.loads(cli("schedules", "run", "nightly", "--json").stdout)["verdict"]
    cli("schedules", "resume", "nightly")
    (line,) = json.loads(cli("schedules", "list", "--json").stdout)
    assert (None, None) == (line["lastTick"], line["pausedAt"])
    assert 1 == json.loads(cli("tick", "--json").stdout)["succeeded"]
    assert "no schedule weekly" in cli("schedules", "pause", "weekly", code=1).stderr
    assert "no schedule weekly; it knows nightly" in cli("schedules", "run", "weekly", code=1).stderr


def test_a_schedule_that_no_code_declares_can_be_taken_off_the_list(cli: Cli, url: str) -> None:
    """One that the app still has cannot: it would be there again with the next tick."""
    cli("tick")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE job_schedule SET name = 'nightly-2025'")
    cli("tick")
    assert "the app still declares schedule nightly: " in cli("schedules", "remove", "nightly", code=1).stderr
    assert "schedule nightly-2025 is removed" in cli("schedules", "remove", "nightly-2025").stdout
    assert ["nightly"] == [line["name"] for line in json.loads(cli("schedules", "list", "--json").stdout)]
    assert "no schedule nightly-2025" in cli("schedules", "remove", "nightly-2025", code=1).stderr


def test_dead_letters_are_shown_and_then_exactly_those_retried(cli: Cli, url: str) -> None:
    """Without --apply nothing changes; with it, what is shown is done, and said."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FAILED)
        assert "gave up: no lead #" in cli("jobs", "dead").stdout
        (group,) = json.loads(cli("jobs", "dead", "--json").stdout)
        assert (12, 2, [12, 11, 10]) == (group["jobs"], group["tenants"], group["ids"])

        shown = cli("jobs", "retry", "--reason", "no lead #", "--since", "1d", "--tenant", "t0")
        assert "6 jobs:" in shown.stdout
        assert "Nothing was changed: say --apply" in shown.stdout
        looked = json.loads(cli("jobs", "retry", "--tenant", "t0", "--before", "3h", "--json").stdout)
        assert (0, None) == (looked["jobs"], looked["acted"])

        done = cli("jobs", "retry", "--tenant", "t0", "--limit", "4", "--apply")
        assert "the newest; there are more" in done.stdout
        assert "4 of 4 are due now." in done.stdout
        assert "retry: 4 of 4" in done.stderr
        told = json.loads(cli("jobs", "cancel", "--state", "PENDING", "--apply", "--json").stdout)
        assert ({"done": 4, "skipped": 0, "refused": 0, "unknown": 0, "of": 4}, [12, 10, 8, 6]) == (
            told["acted"],
            told["ids"],
        )
        cli("jobs", "delete", "--state", "CANCELLED", "--apply")
        cli("jobs", "delete", "1")
        left = connection.execute("SELECT state, count(*) FROM background_job GROUP BY state").fetchall()
        assert [("FAILED", 7)] == left


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("jobs", "retry"), "give ids, or a filter such as --state FAILED"),
        (("jobs", "retry", "7", "--type", "GREET"), "give either ids, which are acted on at once, or a filter"),
        (("jobs", "delete", "--type", "GREET"), "delete needs a --state: SUCCEEDED, FAILED or CANCELLED"),
    ],
)
def test_misuse_says_what_to_give(cli: Cli, argv: tuple[str, ...], words: str) -> None:
    """In a line, with exit code 2."""
    assert words in " ".join(cli(*argv, code=2).stderr.split())


def test_old_jobs_are_counted_and_then_deleted(cli: Cli, url: str) -> None:
    """A dry run by default; with --apply the same are deleted."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FAILED)
        assert "0 jobs would be deleted" in cli("prune").stdout
        dry = cli("prune", "--failed", "1h", "--dry-run").stdout
        assert "12 jobs would be deleted: 0 succeeded, 0 cancelled, 12 failed." in dry
        assert "say --apply" in dry
        assert 12 == json.loads(cli("prune", "--failed", "1h", "--apply", "--json").stdout)["failed"]
        assert "0 jobs would be deleted" in cli("prune", "--failed", "1h", "--succeeded", "never").stdout


def test_holds_are_named_as_they_are_listed_and_the_longer_stands(cli: Cli) -> None:
    """A tenant's hold is let go of by its name in the list; who pauses for less than stands is told how."""
    cli("holds", "pause", "GREET", "--tenant", "7", "--reason", "the customer asked")
    (hold,) = json.loads(cli("holds", "list", "--json").stdout)
    told = cli("holds", "pause", hold["name"], "--minutes", "5").stdout
    assert "GREET@7 stays held until it is released, which is longer: the customer asked (by " in told
    assert "to hold it for less, release it first" in told
    assert "GREET@7 is free" in cli("holds", "release", hold["name"]).stdout
    assert "GREET@7 is paused until 2" in cli("holds", "pause", hold["name"], "--minutes", "5").stdout
