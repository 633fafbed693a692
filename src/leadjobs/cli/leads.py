"""``leadjobs leads``: who replied lately, and their scores."""

import asyncio
from typing import Annotated

import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, print_json, print_table
from leadjobs.leads.views import LeadView


def leads(
    most: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """The leads that replied last, with their scores."""
    with database() as url:
        lines = asyncio.run(_read(url, most))
    if as_json:
        print_json([line.model_dump(by_alias=True, mode="json") for line in lines])
        return
    print_table(
        ("id", "workspace", "name", "company", "fit", "intent", "overall", "reasoning"),
        [
            (
                line.id,
                line.workspace_id,
                " ".join(filter(None, (line.first_name, line.last_name))) or None,
                line.company,
                line.fit_score,
                line.intent_score,
                line.overall_score,
                line.score_reasoning,
            )
            for line in lines
        ],
    )


async def _read(url: str, most: int) -> list[LeadView]:
    from sqlalchemy import select

    from leadjobs.leads.sessions import Sessions
    from leadjobs.leads.tables import Lead

    sessions = Sessions(url, connections=1)
    async with sessions() as session:
        newest = select(Lead).order_by(Lead.last_inbound_at.desc().nulls_last(), Lead.id.desc()).limit(most)
        found = [LeadView.model_validate(lead, from_attributes=True) for lead in await session.scalars(newest)]
    await sessions.close()
    return found
