"""Used wrongly, a command says what is wrong and what to do, in a line or two, and never with a traceback."""

import json
import os
import subprocess
from collections.abc import Callable

import pytest
from tests.cli.conftest import LEADJOBS

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
NOWHERE = "postgresql://nobody@127.0.0.1:1/x"


def misused(*argv: str, **environment: str) -> str:
    """What a command says that exits with 1."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEADJOBS_", "OPENAI", "CRON"))}
    done = subprocess.run(
        [LEADJOBS, *argv],
        capture_output=True,
        text=True,
        check=False,
        env=clean | {"COLUMNS": "200"} | environment,
        timeout=60,
    )
    assert (1, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", [("migrate",), ("workspaces", "list"), ("jobs", "list"), ("tick",)])
def test_without_a_database_each_command_says_so(command: tuple[str, ...]) -> None:
    """Be it asked by SQLAlchemy or by psycopg."""
    assert "Connection refused" in misused(*command, DATABASE_URL=NOWHERE)
    told = misused(*command, DATABASE_URL="nonsense")
    assert "leadjobs: DATABASE_URL: begin it with postgresql:// (LJ100)" == told.strip()


@pytest.mark.parametrize("command", [("workspaces", "list"), ("jobs", "list")])
def test_without_tables_each_command_says_how_to_get_them(command: tuple[str, ...], empty_url: str) -> None:
    """It is the first thing that a newcomer sees."""
    assert "run `leadjobs migrate` (LJ302)" in misused(*command, DATABASE_URL=empty_url)


@pytest.mark.parametrize("app", [":runner", ".myjobs:runner", "myjobs", "nowhere:runner"])
def test_an_app_that_cannot_be_named_so_is_named(app: str) -> None:
    """A module of no name, and a relative one, too."""
    assert f"leadjobs: --app {app}: " in misused("tick", "--app", app, DATABASE_URL=NOWHERE)


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (("jobs", "show", "7"), 1, {"error": "there is no job 7", "code": "LJ303"}),
        (("jobs", "show", "99999999999999999999"), 1, {"code": "LJ300"}),
        (("jobs", "show"), 2, {"error": "Missing argument 'ID'. (see `leadjobs jobs show --help`)", "code": None}),
    ],
)
def test_where_json_is_asked_for_an_error_is_json(
    cli: Cli, argv: tuple[str, ...], code: int, told: dict[str, str | None]
) -> None:
    """On standard output, where a script reads, with the exit code as ever."""
    done = cli(*argv, "--json", code=code)
    assert "" == done.stderr
    assert told.items() <= json.loads(done.stdout).items()
