"""The operator's side of backfills: what one would do, starting, pausing, resuming and cancelling it, how all stand.

Functions here work in the caller's transaction, which must be READ COMMITTED.
"""

from typing import Final

from sqlalchemy import func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.enqueue import enqueue
from leadjobs.leads.inbound import WorkspaceId
from leadjobs.leads.scoring.backfill import (
    BackfillError,
    BackfillId,
    BackfillState,
    Limits,
    Scope,
    driver,
    has_inbound_words,
    is_of,
    is_wanted,
    longest_words,
    rows_about,
    tally_of,
    workspace_of,
)
from leadjobs.leads.scoring.costs import MAX_TRANSCRIPT_CHARS, estimated_usd_micros, usd, worst_usd_micros
from leadjobs.leads.standing import is_disqualified
from leadjobs.leads.tables import Lead, Message, ScoringBackfill, Workspace
from leadjobs.leads.views import Moment, View
from leadjobs.store.connection import fetch_async
from leadjobs.store.statements import statement

NEWEST: Final = 20  # backfills in the list

_LINE_CHARS = 40  # of a line of the transcript, before the words


class Plan(View):
    """What a backfill would do: ``leads`` there are, so many with inbound words, of these so many without a score.

    ``to_score`` would be scored, of these ``disqualified`` without asking a model.  ``worst_lead_usd_micros`` is what
    one attempt to score one lead can cost at most, and ``worst_usd_micros`` what all can, at one attempt each.
    """

    leads: int
    with_inbound_words: int
    unscored: int
    to_score: int
    disqualified: int
    estimated_usd_micros: int
    worst_lead_usd_micros: int
    worst_usd_micros: int


class Line(View):
    """A backfill in the list."""

    id: BackfillId
    workspace: str | None
    is_rescore: bool
    state: BackfillState
    reason: str | None
    leads_per_minute: int
    enqueued: int
    unended: int
    failed: int
    cost_usd_micros: int
    calls_of_unknown_cost: int
    max_usd_micros: int
    created_by: str
    created_at: Moment
    finished_at: Moment | None


async def plan(session: AsyncSession, scope: Scope, model: str) -> Plan:
    """What a backfill would do now; changes nothing.

    Raises:
        SettingsError: a price of the model is not known; the message names the fix.
    """
    said = (
        select(
            func.coalesce(func.bool_or(has_inbound_words()), False).label("is_in"),
            func.coalesce(func.sum(func.length(Message.body) + _LINE_CHARS), 0).label("chars"),
        )
        .where(Message.lead_id == Lead.id)
        .lateral("said")
    )
    wanted = said.c.is_in & is_wanted(scope)
    asked = wanted & ~is_disqualified()
    counts = select(
        func.count().label("leads"),
        func.count().filter(said.c.is_in).label("with_inbound_words"),
        func.count().filter(said.c.is_in, Lead.overall_score.is_(None)).label("unscored"),
        func.count().filter(wanted).label("to_score"),
        func.count().filter(wanted, is_disqualified()).label("disqualified"),
        func.coalesce(func.sum(func.least(said.c.chars, MAX_TRANSCRIPT_CHARS)).filter(asked), 0).label("chars"),
    )
    found = counts.select_from(Lead).join(said, true()).where(is_of(scope.workspace_id))
    row = (await session.execute(found)).one()
    worst, asked_about = await _worst(session, scope, model), row.to_score - row.disqualified
    return Plan(
        leads=row.leads,
        with_inbound_words=row.with_inbound_words,
        unscored=row.unscored,
        to_score=row.to_score,
        disqualified=row.disqualified,
        estimated_usd_micros=estimated_usd_micros(model, leads=asked_about, chars=int(row.chars)),
        worst_lead_usd_micros=worst,
        worst_usd_micros=worst * asked_about,
    )


async def start(session: AsyncSession, scope: Scope, limits: Limits, *, model: str, by: str) -> BackfillId:
    """Start a backfill over the leads that there are now; its driver job is enqueued.

    Raises:
        BackfillError: another one is running over the same leads, or the limit is less than one lead may cost.
        SettingsError: a price of the model is not known; the message names the fix.
    """
    worst = await _worst(session, scope, model)
    if limits.max_usd_micros < worst:
        raise BackfillError(f"one lead may cost {usd(worst)}, and all may cost {usd(limits.max_usd_micros)}: raise it")
    await _lock_starts(session)
    await _must_be_alone(session, scope.workspace_id)
    backfill = ScoringBackfill(
        workspace_id=scope.workspace_id,
        is_rescore=scope.is_rescore,
        leads_per_minute=limits.leads_per_minute,
        max_usd_micros=limits.max_usd_micros,
        state=BackfillState.RUNNING,
        through_lead_id=await session.scalar(select(func.coalesce(func.max(Lead.id), 0))),
        created_by=by,
    )
    session.add(backfill)
    await session.flush()
    await enqueue(session, driver(backfill))
    return BackfillId(backfill.id)


async def pause(session: AsyncSession, backfill_id: BackfillId, *, by: str) -> None:
    """No further page is enqueued; the jobs that there are go on.

    Raises:
        BackfillError: there is none with this id, or it has ended.
    """
    backfill = await _unended(session, backfill_id)
    if backfill.state == BackfillState.RUNNING:
        backfill.state, backfill.reason = BackfillState.PAUSED, f"paused by {by}"


async def resume(
    session: AsyncSession,
    backfill_id: BackfillId,
    *,
    model: str,
    max_usd_micros: int | None = None,
    leads_per_minute: int | None = None,
) -> None:
    """Let it go on where it stands, with these limits where they are given; the limit counts what was spent before.

    On a running one this changes the limits, and enqueues its driver again where somebody had cancelled it.

    Raises:
        BackfillError: there is none with this id, it has ended, or another one is running over the same leads.
        SettingsError: a price of the model is not known; the message names the fix.
    """
    await _lock_starts(session)
    backfill = await _unended(session, backfill_id)
    await _must_be_alone(session, workspace_of(backfill), but=backfill_id)
    worst_usd_micros(model, words_bytes=0)
    limits = Limits(
        leads_per_minute=backfill.leads_per_minute if leads_per_minute is None else leads_per_minute,
        max_usd_micros=backfill.max_usd_micros if max_usd_micros is None else max_usd_micros,
    )
    backfill.leads_per_minute, backfill.max_usd_micros = limits.leads_per_minute, limits.max_usd_micros
    backfill.state, backfill.reason = BackfillState.RUNNING, None
    await enqueue(session, driver(backfill))


async def cancel(session: AsyncSession, backfill_id: BackfillId, *, by: str) -> int:
    """End it, and cancel its jobs that wait; says how many.  Those that run are let run.

    Of one that was cancelled before, what waits by now (it ran then, and is to be tried again) is cancelled as well.

    Raises:
        BackfillError: there is none with this id, or it is finished.
    """
    backfill = await _locked(session, backfill_id)
    if backfill.state == BackfillState.FINISHED:
        raise BackfillError(f"backfill {backfill_id} is finished")
    jobs = await rows_about(session, "cancel_backfill_jobs", backfill, reason=f"cancelled by {by}")
    if backfill.state != BackfillState.CANCELLED:
        backfill.state, backfill.reason = BackfillState.CANCELLED, f"cancelled by {by}"
        backfill.finished_at = await session.scalar(select(func.now()))
    return len(jobs)


async def newest_backfills(session: AsyncSession) -> list[Line]:
    """The newest backfills, with what their jobs have come to."""
    found = select(ScoringBackfill, Workspace.name).outerjoin(Workspace, Workspace.id == ScoringBackfill.workspace_id)
    lines = []
    for backfill, workspace in await session.execute(found.order_by(ScoringBackfill.id.desc()).limit(NEWEST)):
        tally = await tally_of(session, backfill)
        lines.append(
            Line(
                id=BackfillId(backfill.id),
                workspace=workspace,
                is_rescore=backfill.is_rescore,
                state=BackfillState(backfill.state),
                reason=backfill.reason,
                leads_per_minute=backfill.leads_per_minute,
                enqueued=backfill.enqueued,
                unended=tally.unended,
                failed=tally.failed,
                cost_usd_micros=tally.cost_usd_micros,
                calls_of_unknown_cost=tally.calls_of_unknown_cost,
                max_usd_micros=backfill.max_usd_micros,
                created_by=backfill.created_by,
                created_at=backfill.created_at,
                finished_at=backfill.finished_at,
            )
        )
    return lines


async def _worst(session: AsyncSession, scope: Scope, model: str) -> int:
    return worst_usd_micros(model, words_bytes=await longest_words(session, scope.workspace_id))


async def _lock_starts(session: AsyncSession) -> None:
    """Hold off others who start or resume, until the end of this transaction; comes before any row is locked."""
    await fetch_async(session, statement("lock_backfills", "leadjobs.leads"), {})


async def _must_be_alone(
    session: AsyncSession, workspace_id: WorkspaceId | None, *, but: BackfillId | None = None
) -> None:
    running = select(ScoringBackfill).where(
        ScoringBackfill.state == BackfillState.RUNNING, ScoringBackfill.id != (but or 0)
    )
    if workspace_id is not None:
        same = ScoringBackfill.workspace_id.is_(None), ScoringBackfill.workspace_id == workspace_id
        running = running.where(or_(*same))
    if (other := await session.scalar(running.limit(1))) is not None:
        whose = "all workspaces" if other.workspace_id is None else f"workspace {other.workspace_id}"
        raise BackfillError(f"backfill {other.id} is running over {whose}: pause or cancel it first")


async def _locked(session: AsyncSession, backfill_id: BackfillId) -> ScoringBackfill:
    backfill = await session.get(ScoringBackfill, backfill_id, with_for_update={"key_share": True})
    if backfill is None:
        raise BackfillError(f"there is no backfill {backfill_id}: see `leadjobs backfill list`")
    return backfill


async def _unended(session: AsyncSession, backfill_id: BackfillId) -> ScoringBackfill:
    backfill = await _locked(session, backfill_id)
    if backfill.state in {BackfillState.FINISHED, BackfillState.CANCELLED}:
        raise BackfillError(f"backfill {backfill_id} is {backfill.state}: start another")
    return backfill
