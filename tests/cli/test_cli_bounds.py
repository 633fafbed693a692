"""What no database can keep, and what no terminal can print, is met at the edge: by a line, by no traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest
from tests.cli.conftest import LEADJOBS

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("tick", "--budget", "0"), "'--budget': Input should be greater than or equal to 1"),
        (("tick", "--budget", "-1"), "'--budget': Input should be greater than or equal to 1"),
        (("tick", "--budget", "nan"), "'--budget': Input should be"),
        (("tick", "--budget", "inf"), "'--budget': Input should be less than or equal to 86400"),
        (("enqueue", "GREET", "--delay", "nan"), "'--delay': Input should be"),
        (("enqueue", "GREET", "--delay", "inf"), "'--delay': Input should be"),
        (("enqueue", "GREET", "--delay", "1e300"), "'--delay': Input should be"),
        (("enqueue", "GREET", "--lane", "alone"), "'--lane': Value error, 'alone' is not one of 'live', 'backfill'"),
        (("holds", "pause", "GREET", "--minutes", "inf"), "'--minutes': Input should be"),
        (("jobs", "retry", "--since", "999999w"), "--since: '999999w' is over a thousand years"),
        (("prune", "--failed", "999999w"), "--failed: '999999w' is over a thousand years"),
        (("jobs", "retry", "--since", "yesterday"), "--since: 'yesterday' is no time: give 2026-11-28T16:00Z"),
        (("jobs", "retry", "--since", "2026-11-28T16:00"), "has no time zone: write 2026-11-28T16:00:00Z"),
        (("prune", "--failed", "30"), "--failed: '30' is no span of time"),
        (("jobs", "lst"), "No such command 'lst'. Did you mean 'list'? (see `leadjobs jobs --help`)"),
        (("jobs", "show"), "Missing argument 'ID'. (see `leadjobs jobs show --help`)"),
    ],
)
def test_what_cannot_be_taken_is_one_line_and_exit_code_2(cli: Cli, argv: tuple[str, ...], words: str) -> None:
    """It names the option, and nothing was done."""
    (line,) = cli(*argv, code=2).stderr.splitlines()
    assert line.startswith("leadjobs: ")
    assert words in line


def test_a_terminal_that_knows_few_letters_is_no_error(url: str) -> None:
    """Words for people lose a letter there; JSON for machines loses none."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO background_job (type, tenant, reason) VALUES ('GREET', 'Zoë', 'wartet …')")
    environment = os.environ | {"DATABASE_URL": url, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"}
    plain, for_machines = (
        subprocess.run([LEADJOBS, "jobs", "list", *more], capture_output=True, check=True, env=environment, timeout=60)
        for more in ((), ("--json",))
    )
    assert b"Zo? " in plain.stdout
    assert rb'"Zo\u00eb"' in for_machines.stdout


def test_a_user_without_a_name_is_known_by_the_number(url: str) -> None:
    """A container may run under any user id, and have no entry for it."""
    nameless = "import pwd; pwd.getpwuid = {}.__getitem__; from leadjobs.cli import main; main()"
    names = {"LOGNAME", "USER", "LNAME", "USERNAME"}
    environment = {name: value for name, value in os.environ.items() if name not in names} | {"DATABASE_URL": url}
    argv = [sys.executable, "-c", nameless, "holds", "pause", "GREET"]
    subprocess.run(argv, capture_output=True, check=True, env=environment, timeout=60)
    with psycopg.connect(url, autocommit=True) as connection:
        assert [(f"paused (by uid {os.getuid()})",)] == connection.execute("SELECT reason FROM job_hold").fetchall()


def test_a_time_that_python_has_no_year_for_is_shown_as_it_is_stored(cli: Cli, url: str) -> None:
    """Whoever wrote it, by SQL: no list breaks of it, nor does anything else that looks at the row."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO background_job (type, created_at, run_at) VALUES"
            " ('GREET', '-infinity', '-infinity'), ('GREET', now(), '12026-11-23 12:00Z');"
            " INSERT INTO job_hold (name, kind, reason, until) VALUES ('GREET', 'busy', '429', '12026-11-24 12:00Z')"
        )
    assert ["12026-11-23 12:00:00+00", "-infinity"] == [
        x["runAt"] for x in json.loads(cli("jobs", "list", "--json").stdout)
    ]
    assert "12026-11-23 12:00:00+00" in cli("jobs", "list").stdout
    assert "-infinity" in cli("jobs", "show", "1").stdout
    assert "2 jobs:" in cli("jobs", "cancel", "--type", "GREET").stdout
    assert "it is due at 12026-11-23 12:00:00+00 UTC" in cli("jobs", "why", "2").stdout
    assert "12026-11-24 12:00:00+00" in cli("holds", "list").stdout
