"""Setting up workspaces: who they are, what they sell and to whom, and which provider accounts are theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.errors import LeadjobsError
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Workspace, WorkspaceSettings, WorkspaceSource


class SourceTakenError(LeadjobsError):
    """A provider account belongs to another workspace already."""

    code = "LJ601"
    fault = "caller"


@dataclass(frozen=True, slots=True)
class Source:
    """A provider account: the source's name and the provider's word for the tenant.

    >>> Source.parse("twilio=AC0123/+447700900456")
    Source(name='twilio', tenant_key='AC0123/+447700900456')
    """

    name: str
    tenant_key: str

    @classmethod
    def parse(cls, text: str) -> "Source":
        """From ``name=tenant key``."""
        name, equals, tenant_key = text.partition("=")
        if not (name.strip() and equals and tenant_key.strip()):
            raise ValueError(f"{text!r} is not SOURCE=TENANT_KEY, such as twilio=AC0123/+447700900456")
        return cls(name.strip(), tenant_key.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What scoring is to know of a workspace."""

    ideal_customer_profile: str | None = None
    service_description: str | None = None
    qualification_questions: Sequence[str] = field(default=())


async def set_up_workspace(
    session: AsyncSession, name: str, profile: Profile, sources: Sequence[Source] = ()
) -> WorkspaceId:
    """Make a workspace of this name, or bring the one there is up to date; a second call changes nothing.

    What the profile leaves out (None, or no questions) stays as it was; sources are added to those it has.

    Raises:
        SourceTakenError: one of the sources belongs to another workspace.
    """
    await session.execute(insert(Workspace).values(name=name).on_conflict_do_nothing())
    workspace_id = (await session.execute(select(Workspace.id).where(Workspace.name == name))).scalar_one()
    given = {
        "ideal_customer_profile": profile.ideal_customer_profile,
        "service_description": profile.service_description,
        "qualification_questions": list(profile.qualification_questions) or None,
    }
    known = {key: value for key, value in given.items() if value is not None}
    row = insert(WorkspaceSettings).values(workspace_id=workspace_id, **known)
    keyed = [WorkspaceSettings.workspace_id]
    await session.execute(
        row.on_conflict_do_update(index_elements=keyed, set_=known) if known else row.on_conflict_do_nothing()
    )
    for source in sources:
        await _own(session, workspace_id, source)
    return WorkspaceId(workspace_id)


async def save_workspace(url: str, name: str, profile: Profile, sources: Sequence[Source] = ()) -> WorkspaceId:
    """:func:`set_up_workspace` in a transaction of its own.

    Raises:
        SourceTakenError: one of the sources belongs to another workspace; nothing was saved.
    """
    sessions = Sessions(url, connections=1)
    try:
        async with sessions() as session:
            workspace_id = await set_up_workspace(session, name, profile, sources)
            await session.commit()
    finally:
        await sessions.close()
    return workspace_id


async def _own(session: AsyncSession, workspace_id: int, source: Source) -> None:
    row = insert(WorkspaceSource).values(source=source.name, tenant_key=source.tenant_key, workspace_id=workspace_id)
    await session.execute(row.on_conflict_do_nothing())
    owned = await session.get(WorkspaceSource, (source.name, source.tenant_key))
    if owned is None or owned.workspace_id != workspace_id:
        raise SourceTakenError(f"{source.name}={source.tenant_key} belongs to another workspace")
