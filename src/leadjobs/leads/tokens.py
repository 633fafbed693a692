"""API tokens: who may read a workspace's leads over HTTP.

A token is 256 random bits.  Only its SHA-256 is kept: a slow hash protects what people choose, which can be guessed,
and nobody guesses 256 bits.  It is looked up by that hash, in a unique index: how long that takes may tell something
about the hashes that are kept, but nobody can choose a token by the beginning of its hash and come closer to another.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.errors import LeadjobsError
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.tables import ApiToken, Workspace
from leadjobs.leads.views import MAX_ID, Role, TokenView

PREFIX: Final = "ljt_"  # so that people and secret scanners know one when they see it
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class UnknownTokenError(LeadjobsError):
    """There is no API token with this id."""

    code = "LJ602"
    fault = "caller"


async def make_token(session: AsyncSession, name: str, workspace_id: WorkspaceId, role: Role) -> tuple[int, str]:
    """A new token and its id.  This is the only time that the token can be seen."""
    token = PREFIX + token_urlsafe(32)
    kept = ApiToken(name=name, workspace_id=workspace_id, role=role, token_hash=_hash(token))
    session.add(kept)
    await session.flush()
    return kept.id, token


async def workspace_of(session: AsyncSession, token: str) -> WorkspaceId | None:
    """The workspace whose leads the token's bearer may read, whatever its role; None for no token and a revoked one."""
    found = select(ApiToken.workspace_id).where(ApiToken.token_hash == _hash(token), ApiToken.revoked_at.is_(None))
    workspace_id = await session.scalar(found)
    return None if workspace_id is None else WorkspaceId(workspace_id)


async def list_tokens(session: AsyncSession) -> Sequence[TokenView]:
    """All tokens, oldest first, revoked ones too."""
    columns = ApiToken.id, ApiToken.name, Workspace.name.label("workspace"), ApiToken.role
    times = ApiToken.created_at, ApiToken.revoked_at
    every = select(*columns, *times).join(Workspace, Workspace.id == ApiToken.workspace_id).order_by(ApiToken.id)
    return [TokenView.model_validate(row) for row in await session.execute(every)]


async def revoke_token(session: AsyncSession, token_id: int) -> None:
    """The token opens nothing any more; one that was revoked before stays revoked since then.

    Raises:
        UnknownTokenError: there is none with this id.
    """
    since = func.coalesce(ApiToken.revoked_at, func.now())
    revoked = update(ApiToken).where(ApiToken.id == token_id).values(revoked_at=since).returning(ApiToken.id)
    if not 0 < token_id <= MAX_ID or await session.scalar(revoked) is None:
        raise UnknownTokenError(f"there is no API token {token_id}: see `leadjobs tokens list`")


def is_token(text: str) -> bool:
    """Does it look like one at all?"""
    return _FORM.fullmatch(text) is not None


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
