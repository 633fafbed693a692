"""``leadjobs jobs``: look at jobs, retry, cancel and delete them, one by one or as a filter finds them."""

import getpass
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import psycopg
import typer

from leadjobs.cli.context import DEFAULT_APP, AppOption, at_desk, database, load_runner
from leadjobs.cli.dead_letters import Given, act, check, print_groups
from leadjobs.cli.effects import print_effects
from leadjobs.cli.output import JsonFlag, answer, console, print_error, print_json, print_table
from leadjobs.core.job import JobId, State
from leadjobs.errors import EffectUnknownError, StoreError
from leadjobs.store.dead_letters import NEWEST, Action, BulkDesk, Look
from leadjobs.store.desk import Desk, JobSheet
from leadjobs.store.holds import HoldDesk

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="Job ids; or else a filter.")]
StateOption = Annotated[State | None, typer.Option(help="Only these.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Only these.")]
TenantOption = Annotated[str | None, typer.Option(help="Only this tenant's.")]
ReasonOption = Annotated[
    str | None, typer.Option(help="Only those whose reason has this in it; # stands for anything, as `dead` shows it.")
]
SinceOption = Annotated[
    str | None, typer.Option(help="Only those that ended (or, unfinished, were added) since 2026-11-28T16:00Z, or 2h.")
]
BeforeOption = Annotated[str | None, typer.Option(help="Only those that did so until then: an instant, or 2h ago.")]
MostOption = Annotated[int, typer.Option("--limit", help="At most so many, the newest.", min=1, max=100_000)]
ApplyFlag = Annotated[bool, typer.Option("--apply", help="Do it; without, only show what would be done.")]

cli = typer.Typer(name="jobs", help="Look at jobs; retry, cancel and delete them.", no_args_is_help=True)


@cli.command("list")
def list_jobs(
    state: StateOption = None,
    type_name: TypeOption = None,
    tenant: TenantOption = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """The newest jobs, with why each is where it is, or how far it is while it runs."""
    lines = at_desk(BulkDesk, lambda desk: desk.list_jobs(state=state, type_name=type_name, tenant=tenant, most=most))
    if as_json:
        print_json(lines)
        return
    print_table(
        ("id", "type", "tenant", "state", "attempts", "runs / ended", "why"),
        [
            (
                x.id,
                x.type,
                x.tenant,
                x.state,
                x.attempts,
                f"{x.finished_at or x.run_at:%Y-%m-%d %H:%M:%S}",
                x.progress or x.reason,
            )
            for x in lines
        ],
    )


@cli.command()
def show(job_id: Annotated[int, typer.Argument(metavar="ID")], as_json: JsonFlag = False) -> None:
    """Everything about one job, what went wrong in its runs, and what it changed outside."""
    sheet: JobSheet = at_desk(BulkDesk, lambda desk: desk.show(JobId(job_id)))
    if as_json:
        print_json(sheet)
        return
    told = [(field.name, getattr(sheet, field.name)) for field in fields(sheet)]
    print_table(("what", "value"), [item for item in told if item[0] not in {"history", "effects"}])
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
def why(
    job_id: Annotated[int, typer.Argument(metavar="ID")], app: AppOption = DEFAULT_APP, as_json: JsonFlag = False
) -> None:
    """Why a job is where it is: what keeps it, most lasting first."""
    with database():
        registry = load_runner(app).registry
    reasons = at_desk(HoldDesk, lambda desk: desk.why(JobId(job_id), registry))
    words = "\n".join(f"· {reason}" for reason in reasons)
    answer(words, {"jobId": job_id, "why": reasons}, as_json=as_json)


@cli.command()
def dead(
    type_name: TypeOption = None,
    tenant: TenantOption = None,
    most: Annotated[int, typer.Option("--limit", help="Look at so many of the newest.", min=1, max=100_000)] = NEWEST,
    as_json: JsonFlag = False,
) -> None:
    """The dead letters: jobs that ended FAILED, by type and reason, the newest first."""
    look: Look = at_desk(BulkDesk, lambda desk: desk.dead(type_name=type_name, tenant=tenant, most=most))
    if as_json:
        print_json(look.groups)
        return
    print_groups(look.groups)
    if look.is_cut:
        console.print(f"\nThese are the newest {most}; there are more.")


@cli.command()
def retry(
    ids: Ids = None,
    state: StateOption = None,
    type_name: TypeOption = None,
    tenant: TenantOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    most: MostOption = 1000,
    is_real: ApplyFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Make jobs due now, with all their attempts: those with these ids, or all that a filter finds.

    A filter without --state means FAILED ones.  Without --apply it only shows what it finds.
    """

    async def one(desk: Desk, job_id: JobId) -> str:
        await desk.retry(job_id, by=getpass.getuser())
        return "is due now"

    given = Given(state=state, type_name=type_name, tenant=tenant, reason=reason, since=since, before=before)
    _act(Action.RETRY, ids or [], one, given, most=most, is_real=is_real, as_json=as_json)


@cli.command()
def cancel(
    ids: Ids = None,
    state: StateOption = None,
    type_name: TypeOption = None,
    tenant: TenantOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    most: MostOption = 1000,
    is_real: ApplyFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Cancel jobs that have not ended: those with these ids, or all that a filter finds; `retry` brings them back.

    A filter without --state means PENDING and RUNNING ones.  Without --apply it only shows what it finds.
    """

    async def one(desk: Desk, job_id: JobId) -> str:
        await desk.cancel(job_id, by=getpass.getuser())
        return "is cancelled"

    given = Given(state=state, type_name=type_name, tenant=tenant, reason=reason, since=since, before=before)
    _act(Action.CANCEL, ids or [], one, given, most=most, is_real=is_real, as_json=as_json)


@cli.command()
def delete(
    ids: Ids = None,
    state: StateOption = None,
    type_name: TypeOption = None,
    tenant: TenantOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    most: MostOption = 1000,
    is_real: ApplyFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete jobs that have ended, for good: those with these ids, or all that a filter finds.

    Their dedupe keys are free again.  A filter must name a --state.  Without --apply it only shows what it finds.
    """

    async def one(desk: Desk, job_id: JobId) -> str:
        await desk.delete(job_id)
        return "is deleted"

    given = Given(state=state, type_name=type_name, tenant=tenant, reason=reason, since=since, before=before)
    _act(Action.DELETE, ids or [], one, given, most=most, is_real=is_real, as_json=as_json)


def _act(
    action: Action,
    ids: Sequence[int],
    one: Callable[[Desk, JobId], Awaitable[str]],
    given: Given,
    *,
    most: int,
    is_real: bool,
    as_json: bool,
) -> None:
    check(ids, given, is_real=is_real)
    if not ids:
        return at_desk(BulkDesk, lambda desk: act(desk, action, given, most=most, is_real=is_real, as_json=as_json))
    told: Told = at_desk(BulkDesk, lambda desk: _act_on_each(desk, ids, one, is_quiet=as_json))
    if as_json:
        print_json({"action": action, "done": told.done, "refused": told.refused})
    if told.refused:
        raise typer.Exit(1)
    return None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A job that was left as it is, and why."""

    job_id: int
    error: str
    code: str


@dataclass(frozen=True, slots=True)
class Told:
    """What became of jobs that were named one by one."""

    done: list[int]
    refused: list[Refusal]


async def _act_on_each(
    desk: BulkDesk, ids: Sequence[int], one: Callable[[Desk, JobId], Awaitable[str]], *, is_quiet: bool
) -> Told:
    """Do it to all to whom it can be done; a job that is refused holds up no other."""
    told = Told([], [])
    for job_id in ids:
        try:
            words = await one(desk, JobId(job_id))
        except (StoreError, EffectUnknownError, psycopg.IntegrityError) as error:
            refusal = Refusal(job_id, str(error), getattr(error, "code", StoreError.code))
            told.refused.append(refusal)
            if not is_quiet:
                print_error(refusal.error, refusal.code)
        else:
            told.done.append(job_id)
            if not is_quiet:
                console.print(f"job {job_id} {words}")
    return told
