"""The ledger of AI calls: a row before each physical call, completed when it has ended."""

import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, update

from leadjobs.core.job import Job
from leadjobs.core.spend import Spend
from leadjobs.leads.ai.calls import AIAnswer, AICall
from leadjobs.leads.ai.models import PRICE_VERSION
from leadjobs.leads.inbound import LeadId, WorkspaceId
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import AIInteraction

logger = logging.getLogger("leadjobs.ai")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLedger:
    """Keeps the calls of one job's attempt as `AIInteraction` rows, each in a transaction of its own.

    They tell what was really done and paid, so they are not fenced by the job's lease and not rolled back with its
    work.  What the calls cost is reserved and settled under the lease, in the day of the job's tenant.
    """

    sessions: Sessions
    source: str
    workspace_id: WorkspaceId
    lead_id: LeadId
    job: Job[Any]

    def spend(self, call: AICall) -> AbstractAsyncContextManager[Spend]:
        """Reserve the most that this call can cost; its block settles what it took."""
        return self.job.spend(what=call.feature, **call.most)

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
