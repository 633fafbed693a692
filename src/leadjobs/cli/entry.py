"""``leadjobs``: migrate, run, look, act."""

import asyncio
import getpass
import json
import os
import signal
import sys
import threading
from datetime import timedelta
from io import TextIOWrapper
from typing import Annotated, Any, Literal

import psycopg
import typer

from leadjobs.cli import (
    ai,
    backfill,
    budget,
    demo,
    doctor,
    effects,
    holds,
    invocation,
    jobs,
    leads,
    prune,
    schedules,
    server,
    tokens,
    webhook,
    workspaces,
)
from leadjobs.cli.context import DEFAULT_APP, AppOption, database, load_runner
from leadjobs.cli.moments import A_CENTURY
from leadjobs.cli.output import JsonFlag, answer, end_with_error, print_json
from leadjobs.core.job import Lane, OnConflict
from leadjobs.enqueue import enqueue as enqueue_job
from leadjobs.errors import EnqueueError, LeadjobsError, StoreError
from leadjobs.store.connection import connect, schema_wanted

cli = typer.Typer(
    name="leadjobs",
    help="Background jobs for serverless Python on Postgres, and a lead pipeline on top.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (
    jobs.cli,
    holds.cli,
    schedules.cli,
    effects.cli,
    budget.cli,
    workspaces.cli,
    webhook.cli,
    leads.cli,
    backfill.cli,
    tokens.cli,
):
    cli.add_typer(group)
for command in (
    invocation.tick,
    invocation.work,
    prune.prune,
    ai.ai,
    doctor.doctor,
    demo.demo,
    server.serve,
    server.dev,
):
    cli.command()(command)

LEAVE_WITHIN = 10.0  # seconds for whatever is to be done at the end of the process


@cli.command()
def migrate(
    engine_only: Annotated[bool, typer.Option("--engine-only", help="Only the job tables; no leads.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring the database's schema to this release.  Run it before you deploy; twice does no harm."""
    from leadjobs.app import MIGRATIONS
    from leadjobs.store.migrate import migrate as bring_up

    with database(for_migrations=True) as url:
        applied = bring_up(url, *(() if engine_only else MIGRATIONS[1:]))
    words = f"applied: {', '.join(applied)}" if applied else "the schema is up to date"
    answer(words, {"applied": applied}, as_json=as_json)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI description of all doors."""
    from leadjobs.openapi import openapi as document

    print_json(document())


@cli.command()
def enqueue(
    type_name: Annotated[str, typer.Argument(metavar="TYPE")],
    payload: Annotated[str, typer.Option(help="A JSON object.")] = "{}",
    tenant: Annotated[str, typer.Option(help="Whose job it is.")] = "",
    dedupe_key: Annotated[str | None, typer.Option(help="At most one job with this key.")] = None,
    delay: Annotated[float, typer.Option(min=0, max=A_CENTURY.total_seconds(), help="Seconds to wait first.")] = 0.0,
    lane: Annotated[
        Literal["live", "backfill"] | None, typer.Option(help="How urgent; the type's own where not given.")
    ] = None,
    on_conflict: Annotated[OnConflict, typer.Option(help="What to do when the key is held.")] = OnConflict.IGNORE,
    app: AppOption = DEFAULT_APP,
    as_json: JsonFlag = False,
) -> None:
    """Add a job.  Its payload is checked against its type, which must be one that the app knows."""
    options: dict[str, Any] = {"tenant": tenant, "dedupe_key": dedupe_key, "on_conflict": on_conflict}
    options |= {"lane": lane and Lane(lane), "delay": timedelta(seconds=delay)}
    with database() as url:
        registry = load_runner(app).registry
        if type_name not in registry:
            raise EnqueueError(f"no handler for {type_name}; the app knows {', '.join(registry.type_names) or 'none'}")
        job = registry[type_name].type.job(_object(payload), **options)

        async def add() -> Any:
            async with connect(url) as connection:
                return await enqueue_job(connection, job)

        added = asyncio.run(add())
    answer(f"job {added.job_id}: {added.verdict}", {"jobId": added.job_id, "verdict": added.verdict}, as_json=as_json)


def _object(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise EnqueueError(f"--payload is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise EnqueueError("--payload is not a JSON object, such as '{\"lead_id\": 7}'")
    return value


def main() -> None:
    """Run the command line; an error of ours is one line that says what to do, and exit code 1; of usage, 2."""
    _settle_in()
    try:
        with schema_wanted():
            code = cli(standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = "" if context is None else f" (see `{context.command_path} --help`)"
        if told := error.format_message():  # where no command was given, its help is printed already
            end_with_error(told + hint, error_code=None, exit_code=error.exit_code)
        sys.exit(error.exit_code)
    except LeadjobsError as error:
        end_with_error(str(error), error_code=error.code, exit_code=1)
    except Exception as error:
        said = getattr(error, "orig", error)  # SQLAlchemy wraps the driver's error
        if not isinstance(said, psycopg.Error):
            raise
        end_with_error(f"the database says: {said}", error_code=StoreError.code, exit_code=1)
    _leave_soon(code or 0)
    sys.exit(code)


def _leave_soon(code: int) -> None:
    """End the process, also where a thread of a handler's would not end, and at once where somebody asks."""
    leaving = threading.Timer(LEAVE_WITHIN, os._exit, (code,))
    leaving.daemon = True
    leaving.start()
    for number in invocation.SIGNALS:
        signal.signal(number, lambda number, _: os._exit(128 + number))


def _settle_in() -> None:
    """Be content with what a container has: a terminal that knows few letters, a user id without a name."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid {os.getuid()}"  # where getpass looks first
