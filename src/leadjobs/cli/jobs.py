"""``leadjobs jobs``: look at jobs, retry and cancel them."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer

from leadjobs.cli.context import database
from leadjobs.cli.effects import print_effects
from leadjobs.cli.output import JsonFlag, console, print_json, print_table
from leadjobs.core.job import JobId, State
from leadjobs.store.connection import connect
from leadjobs.store.desk import Desk, JobSheet

T = TypeVar("T")
Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="Job ids.")]

cli = typer.Typer(name="jobs", help="Look at jobs, retry and cancel them.", no_args_is_help=True)


def _at_desk(do: Callable[[Desk], Awaitable[T]]) -> T:
    async def at_desk() -> T:
        async with connect(url) as connection:
            return await do(Desk(connection))

    with database() as url:
        return asyncio.run(at_desk())


@cli.command("list")
def list_jobs(
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Only these.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """The newest jobs, with why each is where it is."""
    lines = _at_desk(lambda desk: desk.list_jobs(state=state, type_name=type_name, tenant=tenant, most=most))
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    print_table(
        ("id", "type", "tenant", "state", "attempts", "runs / ended", "why"),
        [
            (x.id, x.type, x.tenant, x.state, x.attempts, f"{x.finished_at or x.run_at:%Y-%m-%d %H:%M:%S}", x.reason)
            for x in lines
        ],
    )


@cli.command()
def show(job_id: Annotated[int, typer.Argument(metavar="ID")], as_json: JsonFlag = False) -> None:
    """Everything about one job, what went wrong in its runs, and what it changed outside."""
    sheet: JobSheet = _at_desk(lambda desk: desk.show(JobId(job_id)))
    if as_json:
        print_json(asdict(sheet))
        return
    print_table(("what", "value"), [item for item in asdict(sheet).items() if item[0] not in {"history", "effects"}])
    if sheet.history:
        console.print("\n[bold]What went wrong[/], newest first:")
        rows = [
            (f"{x.ended_at:%Y-%m-%d %H:%M:%S}", x.generation, x.ended_as, x.error_type, x.error) for x in sheet.history
        ]
        print_table(("when", "generation", "ended as", "error", "message"), rows)
    if sheet.effects:
        console.print("\n[bold]What it changed outside[/], newest first:")
        print_effects(sheet.effects)


@cli.command()
def retry(ids: Ids) -> None:
    """Make jobs due now, with all their attempts."""

    async def retry_all(desk: Desk) -> None:
        for job_id in ids:
            await desk.retry(JobId(job_id), by=getpass.getuser())
            console.print(f"job {job_id} is due now")

    _at_desk(retry_all)


@cli.command()
def cancel(ids: Ids) -> None:
    """Cancel jobs that have not ended; `retry` brings them back."""

    async def cancel_all(desk: Desk) -> None:
        for job_id in ids:
            await desk.cancel(JobId(job_id), by=getpass.getuser())
            console.print(f"job {job_id} is cancelled")

    _at_desk(cancel_all)
