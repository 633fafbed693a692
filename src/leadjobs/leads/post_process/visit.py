"""One run over one inbound message: its rows, its ledger, its finished steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.core.job import Job
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.ai.ledger import DatabaseLedger, has_cap
from leadjobs.leads.inbound import History, LeadId, WorkspaceId
from leadjobs.leads.jobs import POST_PROCESS_RETRY, LeadMessage
from leadjobs.leads.post_process.clay import Clay
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Lead, Message


class GoneError(Exception):
    """The lead or the message was deleted in the meantime."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the steps work with; what is not configured is None or not there."""

    sessions: Sessions
    ai: AI | None = None
    clay: Clay | None = None
    histories: Mapping[str, History] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Visit:
    """A job while its message is seen to, and the tools to do it with."""

    job: Job[LeadMessage]
    tools: Tools

    @property
    def is_last_attempt(self) -> bool:
        """Would an error now end the job for good?"""
        return self.job.attempt >= POST_PROCESS_RETRY.max_attempts

    async def load(self, session: AsyncSession) -> tuple[Lead, Message]:
        """The lead, locked, and the message.

        Raises:
            GoneError: one of them was deleted.
        """
        lead = await session.get(Lead, self.job.payload.lead_id, with_for_update={"key_share": True})
        message = await session.get(Message, self.job.payload.message_id)
        if lead is None or message is None:
            raise GoneError
        return lead, message

    async def ledger(self, session: AsyncSession, lead: Lead) -> DatabaseLedger:
        """Where this run's calls of a model are written down."""
        return DatabaseLedger(
            sessions=self.tools.sessions,
            source=f"background-job/{self.job.type.lower().replace('_', '-')}",
            workspace_id=WorkspaceId(lead.workspace_id),
            lead_id=LeadId(lead.id),
            job=self.job,
            is_capped=await has_cap(session, self.job.tenant),
        )

    async def keep(self, name: str, note: str) -> None:
        """Finish a step that wrote nothing."""

        async def say() -> str:
            return note

        await self.job.step(name, say)
