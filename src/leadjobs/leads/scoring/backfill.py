"""Scoring many leads again: which leads, by which jobs, and what these have come to.

A backfill is a row of `ScoringBackfill`; all there is to know of it is in that row, its jobs and their calls, so it
goes on after any crash.  Its scoring jobs are those whose dedupe key begins with its id: nothing is kept about them
twice.  A driver job of its own takes the next page of leads each minute (handlers/lead_scoring_backfill.py).

Whoever changes a backfill's row locks it first, the driver too, and holds it until it has ended its job: so a driver
that ends and somebody who resumes cannot miss each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NewType

from sqlalchemy import ColumnElement, Text, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.core.job import DedupeScope, JobType, Lane, NewJob
from leadjobs.core.retry import RetryPolicy
from leadjobs.errors import LeadjobsError
from leadjobs.leads.inbound import LeadId, MessageId, WorkspaceId
from leadjobs.leads.jobs import LEAD_SCORING_POST_PROCESS, LeadMessage
from leadjobs.leads.tables import Lead, Message, ScoringBackfill, WorkspaceSettings
from leadjobs.store.connection import Rows, fetch_async
from leadjobs.store.statements import statement

MAX_PER_MINUTE: Final = 1_000
_NUMBER_BYTES = 10  # of a numbered question, before the words

BackfillId = NewType("BackfillId", int)


@dataclass(frozen=True, slots=True)
class BackfillRef:
    """Which backfill a driver job drives."""

    backfill_id: BackfillId


LEAD_SCORING_BACKFILL = JobType(
    name="LEAD_SCORING_BACKFILL",
    payload=BackfillRef,
    timeout=timedelta(seconds=30),
    retry=RetryPolicy(max_attempts=1_000),  # of all its pages: one job lives as long as its backfill
    lane=Lane.BACKFILL,
    scope=DedupeScope.LIVE,
)


class BackfillError(LeadjobsError):
    """There is no such backfill, or it cannot be done in its state, or beside another; the message says which."""

    code = "LJ606"
    fault = "caller"


class BackfillState(StrEnum):
    """Where a backfill stands.  It is running until its last job has ended."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose leads, None meaning everybody's, and whether those that have a score are scored again."""

    workspace_id: WorkspaceId | None = None
    is_rescore: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fast it may go, and what all of it may cost."""

    leads_per_minute: int
    max_usd_micros: int

    def __post_init__(self) -> None:
        """Refuse a rate that is none."""
        if not 0 < self.leads_per_minute <= MAX_PER_MINUTE:
            raise BackfillError(f"leads per minute: from 1 to {MAX_PER_MINUTE}, not {self.leads_per_minute}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a backfill's jobs have come to."""

    unended: int
    failed: int
    recent: int
    cost_usd_micros: int
    calls_of_unknown_cost: int

    def spent_usd_micros(self, worst: int) -> int:
        """What was spent at most: a call of unknown cost counts as much as a whole lead."""
        return self.cost_usd_micros + self.calls_of_unknown_cost * worst


async def next_jobs(session: AsyncSession, backfill: ScoringBackfill, *, most: int) -> Sequence[NewJob]:
    """The scoring jobs of the next leads after the cursor, in the order of their ids; it does not move the cursor."""
    newest = (
        select(Message.id)
        .where(Message.lead_id == Lead.id, has_inbound_words())
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(1)
        .lateral("newest")
    )
    scope = Scope(workspace_id=workspace_of(backfill), is_rescore=backfill.is_rescore)
    leads = select(Lead.id, Lead.workspace_id, newest.c.id.label("message_id")).join(newest, true())
    page = leads.where(
        Lead.id > backfill.after_lead_id,
        Lead.id <= backfill.through_lead_id,
        is_of(scope.workspace_id),
        is_wanted(scope),
    )
    return [
        LEAD_SCORING_POST_PROCESS.job(
            LeadMessage(LeadId(lead.id), MessageId(lead.message_id)),
            tenant=str(lead.workspace_id),
            dedupe_key=f"{_key_prefix(backfill)}:{lead.id}",
            lane=Lane.BACKFILL,
        )
        for lead in await session.execute(page.order_by(Lead.id).limit(most))
    ]


async def tally_of(session: AsyncSession, backfill: ScoringBackfill, *, now: datetime | None = None) -> Tally:
    """What a backfill's jobs have come to; ``now`` is for tests."""
    (row,) = await rows_about(session, "tally_backfill", backfill, now=now)
    return Tally(**row)


async def longest_words(session: AsyncSession, workspace_id: WorkspaceId | None) -> int:
    """How many bytes a workspace's own words take of a prompt; of the workspace with the most, where it is None."""
    questions = WorkspaceSettings.qualification_questions
    words = (
        func.octet_length(func.coalesce(WorkspaceSettings.ideal_customer_profile, ""))
        + func.octet_length(func.coalesce(WorkspaceSettings.service_description, ""))
        + func.octet_length(questions.cast(Text))
        + func.jsonb_array_length(questions) * _NUMBER_BYTES
    )
    longest = select(func.max(words))
    if workspace_id is not None:
        longest = longest.where(WorkspaceSettings.workspace_id == workspace_id)
    return int(await session.scalar(longest) or 0)


def has_inbound_words() -> ColumnElement[bool]:
    """Is this `Message` something that the lead said?"""
    return (Message.direction == "inbound") & (Message.body != "")


def is_of(workspace_id: WorkspaceId | None) -> ColumnElement[bool]:
    """Is this `Lead` of the workspace?  Every lead is, where it is None."""
    return true() if workspace_id is None else Lead.workspace_id == workspace_id


def is_wanted(scope: Scope) -> ColumnElement[bool]:
    """May this `Lead` be scored, as far as its score goes?"""
    return true() if scope.is_rescore else Lead.overall_score.is_(None)


def workspace_of(backfill: ScoringBackfill) -> WorkspaceId | None:
    """Whose leads it scores; None is everybody's."""
    return None if backfill.workspace_id is None else WorkspaceId(backfill.workspace_id)


def _key_prefix(backfill: ScoringBackfill) -> str:
    """How the dedupe keys of its scoring jobs begin: the index finds them by it."""
    return f"lead_scoring:backfill:{backfill.id}"


def driver(backfill: ScoringBackfill) -> NewJob:
    """The job that enqueues its pages: one at a time, as long as it has not ended."""
    return LEAD_SCORING_BACKFILL.job(
        BackfillRef(BackfillId(backfill.id)),
        tenant="" if backfill.workspace_id is None else str(backfill.workspace_id),
        dedupe_key=f"backfill:{backfill.id}",
    )


async def rows_about(session: AsyncSession, name: str, backfill: ScoringBackfill, **params: Any) -> Rows:
    """Run a statement about its scoring jobs."""
    prefix = _key_prefix(backfill)
    own = {
        "type": LEAD_SCORING_POST_PROCESS.name,
        "workspace_id": backfill.workspace_id,
        "first_key": f"{prefix}:",
        "key_beyond": f"{prefix};",  # the next character
    }
    return await fetch_async(session, statement(name, "leadjobs.leads"), own | params)
