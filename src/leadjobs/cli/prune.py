"""``leadjobs prune``: delete what was kept long enough, by hand."""

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from leadjobs.cli.context import database
from leadjobs.cli.moments import span
from leadjobs.cli.output import JsonFlag, console, print_json, say
from leadjobs.core.report import to_camel
from leadjobs.core.retention import Retention
from leadjobs.store.connection import connect
from leadjobs.store.pruning import Pruner, Window

SpanOption = Annotated[
    str, typer.Option(metavar="SPAN", help="Keep them so long: 90s, 30m, 2h, 7d, 4w, or never delete.")
]


def prune(
    succeeded: SpanOption = "30d",
    cancelled: SpanOption = "30d",
    failed: SpanOption = "90d",
    is_real: Annotated[bool, typer.Option("--apply/--dry-run", help="Delete them, or only count them.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete jobs that ended longer ago than these spans; without --apply only count them.

    Their dedupe keys are free again.  A runner with a retention does this by itself, some at a time.
    """
    retention = Retention(
        succeeded=_span(succeeded, "--succeeded"),
        cancelled=_span(cancelled, "--cancelled"),
        failed=_span(failed, "--failed"),
    )
    with database() as url:
        found = asyncio.run(_prune(url, retention, is_dry=not is_real))
    if as_json:
        names = ("looked_at", "succeeded", "cancelled", "failed")
        print_json({"applied": is_real, **{to_camel(name): sum(getattr(x, name) for x in found) for name in names}})
        return
    parts = ", ".join(f"{sum(asdict(x)[name] for x in found)} {name}" for name in ("succeeded", "cancelled", "failed"))
    console.print(f"{sum(x.pruned for x in found)} jobs {'are deleted' if is_real else 'would be deleted'}: {parts}.")
    if not is_real and any(x.pruned for x in found):
        console.print("Nothing was changed: say --apply to do it.")


async def _prune(url: str, retention: Retention, *, is_dry: bool) -> list[Window]:
    found: list[Window] = []
    async with connect(url) as connection:
        async for window in Pruner(connection, retention).prune_all(is_dry=is_dry):
            found.append(window)
            if len(found) % 20 == 0:
                say(f"{sum(x.pruned for x in found)} of {sum(x.looked_at for x in found)} jobs so far")
    return found


def _span(text: str, option: str) -> timedelta | None:
    return None if text == "never" else span(text, option=option)
