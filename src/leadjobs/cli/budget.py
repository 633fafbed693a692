"""``leadjobs budget``: who may spend how much in a day, what is used, and what waits for it."""

from collections.abc import Sequence
from typing import Annotated

import typer

from leadjobs.cli.context import at_desk
from leadjobs.cli.output import JsonFlag, answer, console, print_json, print_table
from leadjobs.store.budget_desk import BudgetDesk, BudgetLine, BudgetWait

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="'*' is each tenant that has no cap of its own.")]
Unit = Annotated[str, typer.Argument(metavar="UNIT", help="Such as tokens.")]

cli = typer.Typer(name="budget", help="Who may spend how much in a day.", no_args_is_help=True)


@cli.command("list")
def list_budgets(as_json: JsonFlag = False) -> None:
    """All caps, what is used of today (UTC), and what waits for more."""

    async def look(desk: BudgetDesk) -> tuple[Sequence[BudgetLine], Sequence[BudgetWait]]:
        return await desk.list_budgets(), await desk.list_waiting()

    budgets, waiting = at_desk(BudgetDesk, look)
    if as_json:
        print_json({"budgets": budgets, "waiting": waiting})
        return
    print_table(
        ("tenant", "unit", "cap", "used today", "of that unknown"),
        [(x.tenant, x.unit, _cap(x), x.used, x.unknown) for x in budgets],
    )
    if waiting:
        console.print("\n[bold]What waits:[/]")
        rows = [(x.type, x.tenant, x.jobs or "all", x.until, x.reason) for x in waiting]
        print_table(("type", "tenant", "jobs", "until", "why"), rows)


def _cap(line: BudgetLine) -> object:
    return f"{line.cap} (that of *)" if line.is_default else line.cap


def _freed(count: int) -> str:
    return f"; what waited for it is due now ({count})" if count else ""


@cli.command("set")
def set_budget(
    tenant: Tenant,
    unit: Unit,
    amount: Annotated[int, typer.Argument(metavar="AMOUNT", min=0, max=10**18, help="A day.")],
    as_json: JsonFlag = False,
) -> None:
    """Set a tenant's cap; what waits for its budget is due now."""
    freed = at_desk(BudgetDesk, lambda desk: desk.set_cap(tenant, unit, amount))
    words = f"{tenant or 'no tenant'}: {amount} {unit} a day{_freed(freed)}"
    answer(words, {"tenant": tenant, "unit": unit, "cap": amount, "freed": freed}, as_json=as_json)


@cli.command("unset")
def unset_budget(tenant: Tenant, unit: Unit, as_json: JsonFlag = False) -> None:
    """Take a tenant's own cap away; what waits for its budget is due now."""
    freed = at_desk(BudgetDesk, lambda desk: desk.unset_cap(tenant, unit))
    words = f"{tenant or 'no tenant'}: no cap of its own in {unit}{_freed(freed)}"
    answer(words, {"tenant": tenant, "unit": unit, "cap": None, "freed": freed}, as_json=as_json)
