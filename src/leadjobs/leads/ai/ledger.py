"""The ledger of AI calls: a row before each physical call, completed when it has ended."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.core.job import Job
from leadjobs.core.spend import Spend
from leadjobs.leads.ai.calls import UNITS, AIAnswer, AICall
from leadjobs.leads.ai.models import PRICE_VERSION
from leadjobs.leads.inbound import LeadId, WorkspaceId
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import AIInteraction
from leadjobs.store.connection import fetch_async
from leadjobs.store.statements import statement

logger = logging.getLogger("leadjobs.ai")


async def has_cap(session: AsyncSession, tenant: str) -> bool:
    """Has a tenant a cap on what models may cost in a day, of its own or that of all?"""
    params = {"tenant": tenant, "units": list(UNITS)}
    return bool(await fetch_async(session, statement("find_caps", "leadjobs.leads"), params))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLedger:
    """Keeps the calls of one job's attempt as `AIInteraction` rows, each in a transaction of its own.

    They tell what was really done and paid, so they are not fenced by the job's lease and not rolled back with its
    work.  Where the job's tenant ``is_capped``, what they cost is reserved and settled in its day, under the lease.
    """

    sessions: Sessions
    source: str
    workspace_id: WorkspaceId
    lead_id: LeadId
    job: Job[Any]
    is_capped: bool

    @asynccontextmanager
    async def spend(self, call: AICall) -> AsyncIterator[Spend]:
        """Reserve the most that this call can cost; its block settles what it took.

        Without a cap nothing is reserved, for the bills are in the rows themselves.
        """
        if not self.is_capped:
            yield Spend(call.most)
            return
        async with self.job.spend(what=call.feature, **call.most) as spend:
            yield spend

    async def asked(self, call: AICall) -> int:
        """Keep that a call is about to be made; a row that stays 'asked' may have been billed."""
        row = insert(AIInteraction).values(
            workspace_id=self.workspace_id,
            lead_id=self.lead_id,
            job_id=self.job.id,
            job_attempt=self.job.attempt,
            source=self.source,
            feature=call.feature,
            prompt_version=call.prompt_version,
            api=call.api,
            model=call.model,
            call_no=call.attempt_in_job,
            max_output_tokens=call.max_output_tokens,
            status="asked",
            price_version=PRICE_VERSION,
        )
        async with self.sessions() as session:
            interaction_id = (await session.execute(row.returning(AIInteraction.id))).scalar_one()
            await session.commit()
        return interaction_id

    async def answered(self, interaction_id: int, answer: AIAnswer) -> None:
        """Keep how the call ended."""
        usage = answer.usage
        row = (
            update(AIInteraction)
            .where(AIInteraction.id == interaction_id)
            .values(
                status=answer.status,
                input_tokens=usage and usage.input_tokens,
                cached_tokens=usage and usage.cached_tokens,
                cache_write_tokens=usage and usage.cache_write_tokens,
                output_tokens=usage and usage.output_tokens,
                reasoning_tokens=usage and usage.reasoning_tokens,
                cost_usd_micros=answer.cost_usd_micros,
                latency_ms=answer.latency_ms,
                model_answered=answer.model,
                response_id=answer.response_id,
                request_id=answer.request_id,
                service_tier=answer.service_tier,
                error=answer.error,
            )
        )
        async with self.sessions() as session:
            await session.execute(row)
            await session.commit()

    async def retired(self, model: str, successor: str) -> None:
        """Say so where somebody looks: the configured model is gone."""
        logger.error("model.retired model=%s successor=%s fix='set LEADJOBS_AI_MODEL'", model, successor)
