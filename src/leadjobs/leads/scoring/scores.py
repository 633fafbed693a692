"""A lead's case for the scorer, and keeping what was decided."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.leads.ai.asking import Answer
from leadjobs.leads.jobs import LEAD_DELETED, LeadMessage
from leadjobs.leads.recent import Recent, recent
from leadjobs.leads.scoring.prompt import PROMPT_VERSION, Score, ScoringInput
from leadjobs.leads.standing import disqualified_by
from leadjobs.leads.tables import Lead, LeadScore, WorkspaceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A decided score and what it took; ``model`` is None where no model was asked."""

    score: Score
    model: str | None = None
    total_tokens: int | None = None
    cost_usd_micros: int | None = None

    @classmethod
    def by_model(cls, answer: Answer[Score]) -> Self:
        """What a model decided."""
        usage = answer.usage
        return cls(
            score=answer.value,
            model=answer.model,
            total_tokens=None if usage is None else usage.input_tokens + usage.output_tokens,
            cost_usd_micros=answer.cost_usd_micros,
        )

    @classmethod
    def disqualified(cls, why: str) -> Self:
        """What needs no model: 1 in everything."""
        return cls(score=Score(fit=1, intent=1, overall=1, reasoning=f"Disqualified: {why}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a score is decided on, as it stood at one moment.

    ``through_id`` is the newest message that was there, ``looked_at`` the moment, ``has_words`` that the lead ever said
    something.
    ``disqualified`` is decided already, where it is not None.
    """

    workspace_id: int
    lead_id: int
    message_id: int
    through_id: int
    looked_at: datetime
    has_words: bool
    question: ScoringInput
    disqualified: Scored | None


async def open_case(session: AsyncSession, what: LeadMessage, tenant: str) -> Case | str:
    """The case of a lead, or why there is none."""
    lead = await session.get(Lead, what.lead_id)
    if lead is None:
        return LEAD_DELETED
    if str(lead.workspace_id) != tenant:
        return "the lead belongs to another workspace than the job"
    said = await recent(session, lead.id)
    settings = await session.get(WorkspaceSettings, lead.workspace_id)
    why = disqualified_by(lead)
    return Case(
        workspace_id=lead.workspace_id,
        lead_id=lead.id,
        message_id=what.message_id,
        through_id=said.through_id,
        looked_at=said.looked_at,
        has_words=said.has_words,
        question=_question(lead, settings, said),
        disqualified=None if why is None else Scored.disqualified(why),
    )


def _question(lead: Lead, settings: WorkspaceSettings | None, said: Recent) -> ScoringInput:
    return ScoringInput(
        ideal_customer_profile=settings.ideal_customer_profile if settings else None,
        service_description=settings.service_description if settings else None,
        qualification_questions=tuple(settings.qualification_questions) if settings else (),
        company=lead.company,
        job_title=lead.job_title,
        industry=lead.industry,
        headcount=lead.headcount,
        transcript=said.text(),
    )


async def keep_score(session: AsyncSession, case: Case, scored: Scored, *, job_id: int, job_attempt: int) -> str | None:
    """Keep a score in the history, and as the lead's own where nothing newer stands; says so, or None without a lead.

    The lead is locked and looked at again: whoever opted out while the model was thinking is disqualified, and a score
    that saw more of the conversation stays, or as much of it and the lead as it was later.  A disqualification that was
    taken back is not applied.
    """
    lead = await _locked(session, case)
    if lead is None:
        return None
    why_not = _why_not_applied(lead, case)
    why = disqualified_by(lead)
    current = scored if why is None or scored.model is None else Scored.disqualified(why)
    if current is not scored:
        _remember(session, case, scored, job_id, job_attempt, is_applied=False)
    _remember(session, case, current, job_id, job_attempt, is_applied=why_not is None)
    score = current.score
    if why_not is not None:
        return f"kept in the history; {why_not}"
    lead.fit_score, lead.intent_score, lead.overall_score = score.fit, score.intent, score.overall
    lead.score_reasoning = score.reasoning
    lead.scored_through_id, lead.scored_at = case.through_id, case.looked_at
    return f"fit {score.fit}, intent {score.intent}, overall {score.overall}"


async def clear_score(session: AsyncSession, case: Case) -> str | None:
    """Take back the scores of a lead that never said anything, where nothing newer stands; None without a lead.

    They were of a disqualification that does not hold any more.  Says whether there were any.
    """
    lead = await _locked(session, case)
    if lead is None:
        return None
    note = "no inbound message to score"
    if lead.overall_score is not None and _is_newest(lead, case) and disqualified_by(lead) is None:
        note = f"{note}; the score of a disqualification that was taken back is cleared"
        lead.fit_score = lead.intent_score = lead.overall_score = lead.score_reasoning = None
        lead.scored_through_id = lead.scored_at = None
    return note


async def _locked(session: AsyncSession, case: Case) -> Lead | None:
    return await session.get(Lead, case.lead_id, with_for_update={"key_share": True}, populate_existing=True)


def _why_not_applied(lead: Lead, case: Case) -> str | None:
    if case.disqualified is not None and disqualified_by(lead) is None:
        return "the disqualification was taken back"
    return None if _is_newest(lead, case) else "there is a newer picture"


def _is_newest(lead: Lead, case: Case) -> bool:
    if lead.scored_through_id is None or lead.scored_through_id < case.through_id:
        return True
    is_later = lead.scored_at is None or lead.scored_at <= case.looked_at
    return lead.scored_through_id == case.through_id and is_later


def _remember(
    session: AsyncSession, case: Case, scored: Scored, job_id: int, job_attempt: int, *, is_applied: bool
) -> None:
    session.add(
        LeadScore(
            lead_id=case.lead_id,
            message_id=case.message_id,
            through_message_id=case.through_id,
            job_id=job_id,
            job_attempt=job_attempt,
            fit_score=scored.score.fit,
            intent_score=scored.score.intent,
            overall_score=scored.score.overall,
            score_reasoning=scored.score.reasoning,
            is_applied=is_applied,
            model=scored.model,
            prompt_version=None if scored.model is None else PROMPT_VERSION,
            total_tokens=scored.total_tokens,
            cost_usd_micros=scored.cost_usd_micros,
        )
    )
