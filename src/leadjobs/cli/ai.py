"""``leadjobs ai``: what asking models cost, and which calls failed."""

import asyncio
from typing import Annotated

import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, console, print_json, print_table
from leadjobs.leads.ai.spend import Bill, By, FailedCall, Spend, Today, dollars, newest_failures, read_bill
from leadjobs.store.connection import connect


def ai(
    by: Annotated[By, typer.Option(help="What to sum up by.")] = By.WORKSPACE,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back, by the database's clock.")] = 30,
    workspace: Annotated[str | None, typer.Option(metavar="NAME", help="Only this workspace's calls.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="The newest calls that failed, instead.")] = False,
    most: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many of those.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """What asking models cost; with --errors, the newest calls that failed."""
    with database() as url:
        if errors:
            _show_failures(asyncio.run(_failures(url, days, workspace, most)), as_json=as_json)
        else:
            _show_bill(asyncio.run(_bill(url, by, days, workspace)), as_json=as_json)


async def _bill(url: str, by: By, days: int, workspace: str | None) -> Bill:
    async with connect(url) as connection:
        return await read_bill(connection, by, days=days, workspace=workspace)


async def _failures(url: str, days: int, workspace: str | None, most: int) -> list[FailedCall]:
    async with connect(url) as connection:
        return await newest_failures(connection, days=days, workspace=workspace, most=most)


def _show_bill(bill: Bill, *, as_json: bool) -> None:
    if as_json:
        print_json(bill)
        return
    counts = ("calls", "succeeded", "failed", "without end")
    tokens = ("tokens in", "cached", "tokens out", "reasoning")
    lines = [_line(each) for each in (*bill.lines, bill.total)]
    print_table((bill.by, *counts, *tokens, "USD", "p95 ms"), lines)
    if bill.today:
        console.print("\n[bold]Today (UTC), of the day's budget:[/]")
        print_table(("workspace", "unit", "used", "of that unknown", "cap"), [_day(each) for each in bill.today])


def _line(spend: Spend) -> tuple[object, ...]:
    """A row; an amount that is not all that can have been billed says so."""
    return (
        "all" if spend.name is None else spend.name,
        spend.calls,
        spend.succeeded,
        spend.failed,
        spend.without_end,
        spend.input_tokens,
        spend.cached_tokens,
        spend.output_tokens,
        spend.reasoning_tokens,
        f"{'' if spend.cost_complete else 'at least '}{spend.cost_usd}",
        spend.p95_latency_ms,
    )


def _day(today: Today) -> tuple[object, ...]:
    """A row; money in dollars."""
    is_money = today.unit == "usd_micros"
    used, unknown, cap = (dollars(x) if is_money else x for x in (today.used, today.unknown, today.cap))
    whose = f"{cap} (that of *)" if today.is_default else cap
    return (today.workspace, "USD" if is_money else today.unit, used, unknown, whose)


def _show_failures(calls: list[FailedCall], *, as_json: bool) -> None:
    if as_json:
        print_json(calls)
        return
    print_table(
        ("call", "when", "workspace", "feature", "model", "job", "error"),
        [
            (x.id, f"{x.created_at:%Y-%m-%d %H:%M:%S}", x.workspace, x.feature, x.model, x.job_id, x.error)
            for x in calls
        ],
    )
