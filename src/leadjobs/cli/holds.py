"""``leadjobs holds``: pause types, resources and tenants, let go of them; look at limits."""

import getpass
from datetime import timedelta
from typing import Annotated

import typer

from leadjobs.cli.context import at_desk
from leadjobs.cli.moments import A_CENTURY
from leadjobs.cli.output import JsonFlag, answer, print_json, print_table
from leadjobs.store.holds import HoldDesk, hold_name

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A job type, a resource, or '*' for everything; NAME@TENANT for one.")
]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's jobs.")]

cli = typer.Typer(name="holds", help="What waits, and what is limited: pause, let go, look.", no_args_is_help=True)


@cli.command("list")
def list_holds(as_json: JsonFlag = False) -> None:
    """What is held back at the moment, why, and until when."""
    lines = at_desk(HoldDesk, lambda desk: desk.holds())
    if as_json:
        print_json(lines)
        return
    rows = [(x.name, x.kind, x.until and f"{x.until:%Y-%m-%d %H:%M:%S}", x.reason) for x in lines]
    print_table(("name", "kind", "until", "why"), rows)


@cli.command()
def limits(as_json: JsonFlag = False) -> None:
    """Limits as runners declared them, and what runs under each."""
    lines = at_desk(HoldDesk, lambda desk: desk.limits())
    if as_json:
        print_json(lines)
        return
    rows = [(x.name, " ".join(x.types), x.running, x.max_running, x.rate and f"{x.rate:.3g}/s") for x in lines]
    print_table(("name", "types", "running", "at most", "rate"), rows)


@cli.command()
def pause(
    name: Name,
    tenant: Tenant = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, max=A_CENTURY / timedelta(minutes=1), help="For so long; without, until released."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for those who look.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Let nothing of a name start, at once and for every runner; what runs goes on."""
    why = f"{reason or 'paused'} (by {getpass.getuser()})"
    span = None if minutes is None else timedelta(minutes=minutes)
    line = at_desk(HoldDesk, lambda desk: desk.pause(name, tenant=tenant, span=span, reason=why))
    until = "until it is released" if line.until is None else f"until {line.until:%Y-%m-%d %H:%M:%S %Z}"
    words = f"{line.name} is paused {until}"
    if line.reason != why:
        words = f"{line.name} stays held {until}, which is longer: {line.reason}; to hold it for less, release it first"
    answer(words, line, as_json=as_json)


@cli.command()
def release(name: Name, tenant: Tenant = None, as_json: JsonFlag = False) -> None:
    """Let go of what is held by a name, whoever put it there."""
    at_desk(HoldDesk, lambda desk: desk.release(name, tenant=tenant))
    freed = hold_name(name, tenant)
    answer(f"{freed} is free", {"name": freed, "isHeld": False}, as_json=as_json)
