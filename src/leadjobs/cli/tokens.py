"""``leadjobs tokens``: who may read leads over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, answer, console, print_json, print_table, say
from leadjobs.leads.views import Role

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")

cli = typer.Typer(name="tokens", help="Make and revoke API tokens, which open /api/leads.", no_args_is_help=True)


@cli.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    workspace: Annotated[str, typer.Option(help="The workspace whose leads it shows.")],
    role: Annotated[Role, typer.Option(help="What it is for.")] = Role.READER,
    as_json: JsonFlag = False,
) -> None:
    """Make a token and print it, this once: it is not kept."""
    from leadjobs.leads.directory import workspace_named
    from leadjobs.leads.tokens import make_token

    async def make(session: "AsyncSession") -> tuple[int, str]:
        return await make_token(session, name, await workspace_named(session, workspace), role)

    token_id, token = _in_session(make)
    if as_json:
        print_json({"id": token_id, "name": name, "workspace": workspace, "role": role, "token": token})
    else:
        say(f"token {token_id} for {workspace}; it is shown this once")
        console.print(token, markup=False, highlight=False, soft_wrap=True, emoji=False)


@cli.command("list")
def list_tokens(as_json: JsonFlag = False) -> None:
    """All tokens, revoked ones too; never the tokens themselves."""
    from leadjobs.leads import tokens

    lines = _in_session(tokens.list_tokens)
    if as_json:
        print_json(lines)
    else:
        rows = [(x.id, x.name, x.workspace, x.role, x.created_at, x.revoked_at) for x in lines]
        print_table(("id", "name", "workspace", "role", "created", "revoked"), rows)


@cli.command()
def revoke(token_id: Annotated[int, typer.Argument(metavar="ID")], as_json: JsonFlag = False) -> None:
    """Shut a token out from now on; twice does no harm."""
    from leadjobs.leads.tokens import revoke_token

    async def shut_out(session: "AsyncSession") -> None:
        await revoke_token(session, token_id)

    _in_session(shut_out)
    answer(f"token {token_id} is revoked", {"id": token_id, "isRevoked": True}, as_json=as_json)


def _in_session(do: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Do something in a transaction of its own."""
    from leadjobs.leads.directory import our_errors
    from leadjobs.leads.sessions import Sessions

    async def run() -> T:
        sessions = Sessions(url, connections=1)
        try:
            with our_errors():
                async with sessions() as session:
                    done = await do(session)
                    await session.commit()
        finally:
            await sessions.close()
        return done

    with database() as url:
        return asyncio.run(run())
