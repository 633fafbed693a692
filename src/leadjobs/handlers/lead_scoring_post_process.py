"""LEAD_SCORING_POST_PROCESS: score a lead after an inbound message, on the whole conversation, by AI.

Every inbound message is scored, whether or not a score exists.  A lead that must not be pursued gets 1 in everything,
and no model is asked.  A score of an older picture never replaces one of a newer.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from leadjobs.core.job import Job
from leadjobs.core.outcome import Done, GiveUp, Outcome, Skip
from leadjobs.core.registry import Handler, handler
from leadjobs.leads.ai.asking import AI
from leadjobs.leads.ai.errors import ModelBusyError
from leadjobs.leads.ai.ledger import DatabaseLedger, has_cap
from leadjobs.leads.inbound import LeadId, WorkspaceId
from leadjobs.leads.jobs import LEAD_DELETED, LEAD_SCORING_POST_PROCESS, LeadMessage
from leadjobs.leads.scoring.prompt import scoring_question
from leadjobs.leads.scoring.scores import Case, Scored, clear_score, keep_score, open_case
from leadjobs.leads.sessions import Sessions

SOURCE = "background-job/lead-scoring-post-process"


@dataclass(frozen=True, slots=True)
class _LeadScoring:
    sessions: Sessions
    ai: AI

    async def __call__(self, job: Job[LeadMessage]) -> Outcome:
        async with self.sessions() as session:
            case = await open_case(session, job.payload, job.tenant)
            is_capped = await has_cap(session, job.tenant)
        if isinstance(case, str):
            return GiveUp(case)
        if case.disqualified is None and not case.has_words:
            return await self._clear(job, case)
        try:
            scored = case.disqualified or await self._ask(job, case, is_capped=is_capped)
        except ModelBusyError as busy:
            return busy.hold
        return await self._keep(job, case, scored)

    async def _ask(self, job: Job[LeadMessage], case: Case, *, is_capped: bool) -> Scored:
        """The model's score; no connection is held while it thinks."""
        ledger = DatabaseLedger(
            sessions=self.sessions,
            source=SOURCE,
            workspace_id=WorkspaceId(case.workspace_id),
            lead_id=LeadId(job.payload.lead_id),
            job=job,
            is_capped=is_capped,
        )
        answer = await self.ai.ask(scoring_question(case.question), time_left=job.time_left(), ledger=ledger)
        return Scored.by_model(answer)

    async def _keep(self, job: Job[LeadMessage], case: Case, scored: Scored) -> Outcome:
        """The score, its history and the end of the job, in one transaction that only the job's owner can commit."""
        async with self.sessions() as session:
            kept = await keep_score(session, case, scored, job_id=job.id, job_attempt=job.attempt)
            if kept is None:
                return GiveUp(LEAD_DELETED)
            return await job.commit(session, Done(kept))

    async def _clear(self, job: Job[LeadMessage], case: Case) -> Outcome:
        """No score for who never said anything, with the end of the job."""
        async with self.sessions() as session:
            cleared = await clear_score(session, case)
            return GiveUp(LEAD_DELETED) if cleared is None else await job.commit(session, Skip(cleared))


def lead_scoring_post_process(sessions: Sessions, ai: AI, *, timeout: timedelta | None = None) -> Handler[LeadMessage]:
    """The handler, on these sessions, asking this model; ``timeout`` replaces the type's own."""
    kind = replace(LEAD_SCORING_POST_PROCESS, timeout=timeout or LEAD_SCORING_POST_PROCESS.timeout, uses=ai.uses)
    return handler(kind)(_LeadScoring(sessions, ai))
