"""``leadjobs workspaces``: who your tenants are and what scoring knows of them."""

import asyncio
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, answer, print_json, print_table
from leadjobs.errors import SettingsError

cli = typer.Typer(
    name="workspaces", help="Set up tenants: what they sell, to whom, by which accounts.", no_args_is_help=True
)


@cli.command("set")
def set_up(
    name: Annotated[str, typer.Argument(help="The workspace's name; made if there is none.")],
    icp: Annotated[str | None, typer.Option(help="The ideal customer profile, in words.")] = None,
    service: Annotated[str | None, typer.Option(help="What is sold, in words.")] = None,
    question: Annotated[list[str] | None, typer.Option(help="A qualification question; repeatable.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="SOURCE=TENANT_KEY, such as twilio=AC0123/+447700900456; repeatable.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a workspace or bring it up to date; what you leave out stays."""
    from leadjobs.leads.workspaces import Profile, Source, save_workspace

    profile = Profile(ideal_customer_profile=icp, service_description=service, qualification_questions=question or ())
    try:
        sources = [Source.parse(text) for text in source or ()]
    except ValueError as error:
        raise SettingsError(f"--source {error}") from None

    with database() as url:
        workspace_id = asyncio.run(save_workspace(url, name, profile, sources))
    answer(f"workspace {workspace_id}: {name}", {"id": workspace_id, "name": name}, as_json=as_json)


@cli.command("list")
def list_workspaces(as_json: JsonFlag = False) -> None:
    """All workspaces with their sources."""
    with database() as url:
        lines = asyncio.run(_read(url))
    if as_json:
        print_json(lines)
    else:
        rows = [(x.id, x.name, x.ideal_customer_profile, ", ".join(x.sources)) for x in lines]
        print_table(("id", "name", "ideal customer", "sources"), rows)


class _Line(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: int
    name: str
    ideal_customer_profile: str | None
    service_description: str | None
    sources: list[str]


async def _read(url: str) -> list[_Line]:
    from sqlalchemy import select

    from leadjobs.leads.sessions import Sessions
    from leadjobs.leads.tables import Workspace, WorkspaceSettings, WorkspaceSource

    sessions = Sessions(url, connections=1)
    profile = WorkspaceSettings.ideal_customer_profile, WorkspaceSettings.service_description
    query = select(Workspace.id, Workspace.name, *profile).outerjoin(
        WorkspaceSettings, WorkspaceSettings.workspace_id == Workspace.id
    )
    async with sessions() as session:
        found = (await session.execute(query.order_by(Workspace.id))).all()
        owned = (await session.scalars(select(WorkspaceSource).order_by(WorkspaceSource.source))).all()
    await sessions.close()
    return [
        _Line(
            id=row.id,
            name=row.name,
            ideal_customer_profile=row.ideal_customer_profile,
            service_description=row.service_description,
            sources=[f"{x.source}={x.tenant_key}" for x in owned if x.workspace_id == row.id],
        )
        for row in found
    ]
