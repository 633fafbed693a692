"""Somebody who reads leads over HTTP, and leads to be read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx

from leadjobs.leads.directory import Directories
from leadjobs.leads.door import leads_door
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Lead, LeadIdentity, Message
from leadjobs.leads.tokens import make_token
from leadjobs.leads.views import Role
from leadjobs.store.tables import Base

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
R = TypeVar("R", bound=Base)


@asynccontextmanager
async def reader(sessions: Sessions, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a leads door of its own, with a token where there is one."""
    directories = Directories(sessions)
    transport = httpx.ASGITransport(leads_door(lambda: directories))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="https://ops.example.test", headers=headers) as http:
        yield http


async def token_for(sessions: Sessions, workspace: int, role: Role = Role.READER) -> str:
    """A token of the workspace."""
    async with sessions() as session:
        _, token = await make_token(session, "the CRM", WorkspaceId(workspace), role)
        await session.commit()
    return token


async def keep(sessions: Sessions, *rows: R) -> tuple[R, ...]:
    """The rows, stored."""
    async with sessions() as session:
        session.add_all(rows)
        await session.commit()
    return rows


def lead(workspace: int, minutes_ago: float = 0, **columns: Any) -> Lead:
    """A lead that wrote so many minutes before noon."""
    return Lead(
        **{"workspace_id": workspace, "last_inbound_at": NOON - timedelta(minutes=minutes_ago), "created_at": NOON}
        | columns
    )


def identity(of: Lead, kind: str, value: str) -> LeadIdentity:
    """A name of a lead."""
    return LeadIdentity(workspace_id=of.workspace_id, lead_id=of.id, kind=kind, value=value)


def message(of: Lead, number: int, direction: str = "inbound", **columns: Any) -> Message:
    """A message of a lead, so many minutes after noon."""
    return Message(
        **{
            "workspace_id": of.workspace_id,
            "lead_id": of.id,
            "channel": "email",
            "direction": direction,
            "source": "postmark",
            "message_key": f"{of.id}:{number}",
            "body": f"words {number}",
            "sender": "a@x.example",
            "recipient": "b@y.example",
            "sent_at": NOON + timedelta(minutes=number),
        }
        | columns
    )
