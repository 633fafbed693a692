"""``leadjobs backfill``: score many leads again, slowly, for so much money and no more."""

import asyncio
import getpass
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, answer, console, print_json, print_table
from leadjobs.settings import read_settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from leadjobs.leads.scoring.backfill import Scope
    from leadjobs.leads.scoring.backfill_desk import Plan

T = TypeVar("T")

PER_MINUTE = 60
MICROS = 1_000_000

Id = Annotated[int, typer.Argument(metavar="ID", help="See `leadjobs backfill list`.")]
WorkspaceOption = Annotated[str | None, typer.Option("--workspace", help="Only this workspace's leads.")]
RescoreFlag = Annotated[bool, typer.Option("--rescore", help="Also leads that have a score.")]

cli = typer.Typer(
    name="backfill", help="Score many leads again, in the low lane, bounded by rate and spend.", no_args_is_help=True
)


@cli.command()
def plan(workspace: WorkspaceOption = None, is_rescore: RescoreFlag = False, as_json: JsonFlag = False) -> None:
    """What a backfill would do and cost.  Nothing is changed."""
    found = _in_session(lambda session: _plan(session, workspace, is_rescore=is_rescore))[1]
    if as_json:
        print_json(found)
    else:
        _print_plan(found, PER_MINUTE)


@cli.command()
def start(
    workspace: WorkspaceOption = None,
    is_rescore: RescoreFlag = False,
    per_minute: Annotated[
        int, typer.Option(help="Leads enqueued within a minute at most.", min=1, max=1000)
    ] = PER_MINUTE,
    max_usd: Annotated[float, typer.Option(help="Dollars that all of it may cost.", min=0, max=1e6)] = 5.0,
    is_real: Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would be done.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what a backfill would do and cost; with --apply, start it."""
    from leadjobs.leads.scoring.backfill import Limits
    from leadjobs.leads.scoring.backfill_desk import start as start_backfill

    limits = Limits(leads_per_minute=per_minute, max_usd_micros=_micros(max_usd))

    async def do(session: "AsyncSession") -> tuple["Plan", int | None]:
        scope, found = await _plan(session, workspace, is_rescore=is_rescore)
        if not is_real or found.to_score == 0:
            return found, None
        return found, await start_backfill(session, scope, limits, model=_model(), by=getpass.getuser())

    found, backfill_id = _in_session(do)
    if as_json:
        print_json({"plan": found, "backfillId": backfill_id})
        return
    _print_plan(found, per_minute)
    if found.to_score == 0:
        console.print("\nNothing was started: there is no lead to score.")
    elif backfill_id is None:
        console.print("\nNothing was started: say --apply to do it.")
    else:
        console.print(f"\nbackfill {backfill_id} is running; see `leadjobs backfill list`")


@cli.command("list")
def list_backfills(as_json: JsonFlag = False) -> None:
    """The newest backfills, with what their jobs have come to."""
    from leadjobs.leads.scoring.backfill_desk import newest_backfills
    from leadjobs.leads.scoring.costs import usd

    lines = _in_session(newest_backfills)
    if as_json:
        print_json(lines)
        return
    print_table(
        ("id", "workspace", "leads", "state", "a minute", "enqueued", "not ended", "failed", "spent", "of", "why"),
        [
            (
                x.id,
                x.workspace or "all",
                "all" if x.is_rescore else "unscored",
                x.state,
                x.leads_per_minute,
                x.enqueued,
                x.unended,
                x.failed,
                usd(x.cost_usd_micros) + (f" + {x.calls_of_unknown_cost} unknown" if x.calls_of_unknown_cost else ""),
                usd(x.max_usd_micros),
                x.reason,
            )
            for x in lines
        ],
    )


@cli.command()
def pause(backfill_id: Id, as_json: JsonFlag = False) -> None:
    """Enqueue no further page; what is enqueued goes on."""
    from leadjobs.leads.scoring.backfill import BackfillId
    from leadjobs.leads.scoring.backfill_desk import pause as pause_backfill

    _in_session(lambda session: pause_backfill(session, BackfillId(backfill_id), by=getpass.getuser()))
    answer(f"backfill {backfill_id} is paused", {"id": backfill_id, "state": "paused"}, as_json=as_json)


@cli.command()
def resume(
    backfill_id: Id,
    max_usd: Annotated[
        float | None, typer.Option(help="Dollars that all of it may cost, what is spent included.", min=0, max=1e6)
    ] = None,
    per_minute: Annotated[int | None, typer.Option(help="Leads within a minute at most.", min=1, max=1000)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Let it go on where it stands; also changes the limits of one that runs."""
    from leadjobs.leads.scoring.backfill import BackfillId
    from leadjobs.leads.scoring.backfill_desk import resume as resume_backfill

    _in_session(
        lambda session: resume_backfill(
            session,
            BackfillId(backfill_id),
            model=_model(),
            max_usd_micros=None if max_usd is None else _micros(max_usd),
            leads_per_minute=per_minute,
        )
    )
    answer(f"backfill {backfill_id} is running", {"id": backfill_id, "state": "running"}, as_json=as_json)


@cli.command()
def cancel(backfill_id: Id, as_json: JsonFlag = False) -> None:
    """End it and cancel its jobs that wait; those that run are let run."""
    from leadjobs.leads.scoring.backfill import BackfillId
    from leadjobs.leads.scoring.backfill_desk import cancel as cancel_backfill

    jobs = _in_session(lambda session: cancel_backfill(session, BackfillId(backfill_id), by=getpass.getuser()))
    words = f"backfill {backfill_id} is cancelled, with {jobs} jobs that waited"
    answer(words, {"id": backfill_id, "state": "cancelled", "cancelledJobs": jobs}, as_json=as_json)


async def _plan(session: "AsyncSession", workspace: str | None, *, is_rescore: bool) -> "tuple[Scope, Plan]":
    from leadjobs.leads.directory import workspace_named
    from leadjobs.leads.scoring.backfill import Scope
    from leadjobs.leads.scoring.backfill_desk import plan as plan_backfill

    workspace_id = None if workspace is None else await workspace_named(session, workspace)
    scope = Scope(workspace_id=workspace_id, is_rescore=is_rescore)
    return scope, await plan_backfill(session, scope, _model())


def _print_plan(found: "Plan", per_minute: int) -> None:
    from leadjobs.leads.scoring.costs import usd

    print_table(
        ("what", "value"),
        [
            ("leads", found.leads),
            ("with inbound words", found.with_inbound_words),
            ("of these unscored", found.unscored),
            ("to be scored", found.to_score),
            ("of these disqualified, at no cost", found.disqualified),
            ("estimated cost", usd(found.estimated_usd_micros)),
            ("worst case", f"{usd(found.worst_usd_micros)} ({usd(found.worst_lead_usd_micros)} a lead)"),
            (f"minutes, at {per_minute} leads a minute", math.ceil(found.to_score / per_minute)),
        ],
    )


def _model() -> str:
    return read_settings().ai_model


def _micros(dollars: float) -> int:
    return round(dollars * MICROS)


def _in_session(do: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Do it in a transaction of its own."""
    from leadjobs.leads.directory import our_errors
    from leadjobs.leads.sessions import Sessions

    async def run() -> T:
        sessions = Sessions(url, connections=1)
        try:
            with our_errors():
                async with sessions() as session, session.begin():
                    return await do(session)
        finally:
            await sessions.close()

    with database() as url:
        return asyncio.run(run())
