"""LEAD_SCORING_BACKFILL: enqueue the next page of a backfill's scoring jobs, in the low lane, once a minute.

A run locks the backfill's row, enqueues a page, moves the cursor and ends its job until the next minute, all in one
fenced transaction: a page is enqueued once, whatever dies, and the next run goes on behind it.

Rate: at most ``leads_per_minute`` jobs are added within any minute, by the times at which the database has them added;
late, doubled or hurried runs change nothing.

Spend: a page is only as long as what was spent, what its unended jobs may cost and what the page may cost stay within
``max_usd_micros`` together.  A job is counted at the worst that one attempt can cost (scoring/costs.py) until it has
ended, beside what its calls have cost so far; a call of unknown cost counts as much as a whole lead.  So the limit is
passed only by what jobs that were unended at the last page spend beyond one attempt each: the attempts after a failure
(4 more at most), and runs that a lost process, the end of an invocation or a busy provider cut off after a call.  The
next page sees these, and is as much shorter.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.job import Job, Verdict
from leadjobs.core.outcome import Done, Outcome, Skip, Snooze
from leadjobs.core.registry import Handler, handler
from leadjobs.enqueue import enqueue_many
from leadjobs.errors import SettingsError
from leadjobs.leads.scoring.backfill import (
    LEAD_SCORING_BACKFILL,
    BackfillRef,
    BackfillState,
    Tally,
    longest_words,
    next_jobs,
    tally_of,
    workspace_of,
)
from leadjobs.leads.scoring.costs import usd, worst_usd_micros
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import ScoringBackfill

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Driver:
    sessions: Sessions
    model: str
    clock: Clock

    async def __call__(self, job: Job[BackfillRef]) -> Outcome:
        async with self.sessions() as session:
            backfill = await session.get(ScoringBackfill, job.payload.backfill_id, with_for_update={"key_share": True})
            outcome = Skip("the backfill was deleted") if backfill is None else await self._drive(session, backfill)
            return await job.commit(session, outcome)

    async def _drive(self, session: AsyncSession, backfill: ScoringBackfill) -> Outcome:
        if backfill.state != BackfillState.RUNNING:
            return Skip(f"the backfill is {backfill.state}")
        words_bytes = await longest_words(session, workspace_of(backfill))
        try:
            worst = worst_usd_micros(self.model, words_bytes=words_bytes)
        except SettingsError as error:
            return _paused(backfill, str(error))
        tally = await tally_of(session, backfill, now=self.clock.database_now())
        return await _page(session, backfill, tally, worst)


async def _page(session: AsyncSession, backfill: ScoringBackfill, tally: Tally, worst: int) -> Outcome:
    """Enqueue what the limits allow of the leads that are left, and say what follows."""
    spent = tally.spent_usd_micros(worst)
    affordable = (backfill.max_usd_micros - spent) // worst - tally.unended
    size = max(0, min(affordable, backfill.leads_per_minute - tally.recent))
    jobs = await next_jobs(session, backfill, most=max(1, size))
    if not jobs:
        return await _finished(session, backfill, tally, spent)
    if size > 0:
        added = await enqueue_many(session, jobs)
        backfill.after_lead_id = jobs[-1].payload["lead_id"]
        backfill.enqueued += sum(each.verdict is Verdict.INSERTED for each in added)
        return Snooze(MINUTE, f"{backfill.enqueued} leads are enqueued")
    if affordable > 0:
        return Snooze(MINUTE, f"{tally.recent} leads were enqueued within the last minute")
    money = f"spent {usd(spent)} of {usd(backfill.max_usd_micros)}"
    if tally.unended > 0:
        return Snooze(MINUTE, f"{money}; waits for {tally.unended} jobs to end, which may cost the rest")
    return _paused(backfill, f"{money}, and one lead may cost {usd(worst)}: raise --max-usd")


async def _finished(session: AsyncSession, backfill: ScoringBackfill, tally: Tally, spent: int) -> Outcome:
    """No lead is left: the end, once the last job has ended."""
    backfill.after_lead_id = backfill.through_lead_id  # the next run need not look for leads again
    if tally.unended > 0:
        return Snooze(MINUTE, f"all leads are enqueued; {tally.unended} jobs have not ended")
    backfill.state, backfill.finished_at = BackfillState.FINISHED, await session.scalar(select(func.now()))
    backfill.reason = f"{backfill.enqueued} leads enqueued, {tally.failed} jobs failed, spent {usd(spent)}"
    return Done(backfill.reason)


def _paused(backfill: ScoringBackfill, why: str) -> Outcome:
    backfill.state, backfill.reason = BackfillState.PAUSED, why
    return Done(f"paused: {why}")


def lead_scoring_backfill(
    sessions: Sessions, model: str, *, timeout: timedelta | None = None, clock: Clock | None = None
) -> Handler[BackfillRef]:
    """The handler, on these sessions, at the prices of this model; ``timeout`` replaces the type's own."""
    kind = LEAD_SCORING_BACKFILL if timeout is None else replace(LEAD_SCORING_BACKFILL, timeout=timeout)
    return handler(kind)(_Driver(sessions, model, clock or SystemClock()))
