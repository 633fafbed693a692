"""``leadjobs leads``: who replied lately, what they scored, and everything about one of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, console, print_json, print_table
from leadjobs.leads.views import LeadDetail, LeadPage, LeadView, ScoreFilter

if TYPE_CHECKING:
    from leadjobs.leads.directory import Directory

T = TypeVar("T")

cli = typer.Typer(name="leads", help="Who replied lately, what they scored, and why.", no_args_is_help=True)


@cli.command("list")
def list_leads(
    workspace: Annotated[str | None, typer.Option(help="Only this workspace's.")] = None,
    score: Annotated[ScoreFilter | None, typer.Option(help="Only these; 1+ includes the disqualified.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """The leads of newest activity, with their scores; addresses and numbers are masked."""

    async def page(directory: "Directory") -> LeadPage:
        return await directory.page(score, limit=most)

    lines = _in_directory(page, workspace).leads
    if as_json:
        print_json(lines)
        return
    print_table(
        ("id", "workspace", "name", "company", "channel", "fit", "intent", "overall", "reasoning"),
        [
            (
                line.id,
                line.workspace_id,
                _name(line),
                line.company,
                line.channel,
                line.fit_score,
                line.intent_score,
                line.overall_score,
                line.score_reasoning,
            )
            for line in lines
        ],
    )


@cli.command()
def show(lead_id: Annotated[int, typer.Argument(metavar="ID")], as_json: JsonFlag = False) -> None:
    """Everything about one lead: who it is, what was said, what it scored; nothing is masked."""

    async def look(directory: "Directory") -> LeadDetail:
        return await directory.lead(lead_id)

    lead = _in_directory(look)
    if as_json:
        print_json(lead)
        return
    single = lead.model_dump(exclude={"identities", "conversation", "scores", "drafts", "facts", "enrichments"})
    facts = [("name", _name(lead)), *((name.replace("_", " "), value) for name, value in single.items())]
    print_table(("what", "value"), [(name, value) for name, value in facts if value is not None])
    _section("Identities", ("kind", "value"), [(x.kind, x.value) for x in lead.identities])
    said = [(x.sent_at, x.direction, x.channel, x.sentiment, x.subject, x.text) for x in lead.conversation]
    _section("Conversation", ("at", "direction", "channel", "sentiment", "subject", "text"), said)
    scores = [(x.scored_at, x.overall_score, x.is_applied, x.model, x.score_reasoning) for x in lead.scores]
    _section("Scores", ("at", "overall", "applied", "model", "reasoning"), scores)
    _section("Drafts", ("for message", "text"), [(x.message_id, x.text) for x in lead.drafts])
    _section("Facts", ("kind", "value", "from"), [(x.kind, x.value, x.origin) for x in lead.facts])
    asked = [(x.asked_at, x.kind, x.status, x.error) for x in lead.enrichments]
    _section("Enrichments", ("at", "kind", "status", "error"), asked)


def _section(title: str, columns: tuple[str, ...], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        console.print(f"\n[bold]{title}[/]")
        print_table(columns, rows)


def _name(lead: LeadView) -> str | None:
    return " ".join(filter(None, (lead.first_name, lead.last_name))) or None


def _in_directory(look: "Callable[[Directory], Awaitable[T]]", workspace: str | None = None) -> T:
    """Look at all leads, or at a workspace's."""
    from leadjobs.leads.directory import Directory, reading, workspace_named
    from leadjobs.leads.sessions import Sessions

    async def run() -> T:
        sessions = Sessions(url, connections=1)
        try:
            async with reading(sessions) as session:
                workspace_id = None if workspace is None else await workspace_named(session, workspace)
                return await look(Directory(session, workspace_id))
        finally:
            await sessions.close()

    with database() as url:
        return asyncio.run(run())
