"""What happens to every stored reply, on every channel: consent, roll-ups, then scoring as a job of its own."""

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.core.job import Job
from leadjobs.core.outcome import Done, GiveUp, Outcome, Skip
from leadjobs.enqueue import enqueue
from leadjobs.leads.inbound import Channel, Consent
from leadjobs.leads.jobs import LEAD_SCORING_POST_PROCESS, LeadMessage, scoring_key
from leadjobs.leads.opt_out import opt_in_in, opt_out_in
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.tables import Lead, Message


async def post_process(job: Job[LeadMessage], sessions: Sessions, channel: Channel) -> Outcome:
    """Post-process one inbound message and enqueue its scoring; all of it commits together with the end of the job."""
    async with sessions() as session:
        message = await session.get(Message, job.payload.message_id)
        lead = await session.get(Lead, job.payload.lead_id, with_for_update={"key_share": True})
        if message is None or lead is None:
            return GiveUp("the lead or the message was deleted")
        if message.lead_id != lead.id or str(lead.workspace_id) != job.tenant:
            return GiveUp("the message, the lead and the workspace do not belong together")
        if message.direction != "inbound" or message.channel != channel:
            return Skip(f"not an inbound {channel} message")
        consent = _note_consent(lead, message)
        await _roll_up(session, message)
        await enqueue(
            session, LEAD_SCORING_POST_PROCESS.job(job.payload, tenant=job.tenant, dedupe_key=scoring_key(job.payload))
        )
        return await job.commit(session, Done(consent or "scoring enqueued"))


def _note_consent(lead: Lead, message: Message) -> str | None:
    """Opt-out is looked for in every inbound message, whatever was thought of the lead before."""
    channel = Channel(message.channel)
    if message.consent == Consent.STOPPED or (why := opt_out_in(message.body, channel)):
        reason = "the provider says that they opted out" if message.consent == Consent.STOPPED else why
        if lead.opted_out_at is None or lead.opted_out_at < message.sent_at:
            lead.opted_out_at, lead.opted_out_why = message.sent_at, reason
        return f"opted out: {reason}"
    is_back = message.consent == Consent.STARTED or opt_in_in(message.body, channel) is not None
    if is_back and lead.opted_out_at is not None and lead.opted_out_at <= message.sent_at:
        lead.opted_out_at = lead.opted_out_why = None
        return "opted in again"
    return None


async def _roll_up(session: AsyncSession, message: Message) -> None:
    """The time of the newest inbound message; one that arrives late does not turn it back."""
    newest = select(func.max(Message.sent_at)).where(Message.lead_id == message.lead_id, Message.direction == "inbound")
    await session.execute(
        update(Lead).where(Lead.id == message.lead_id).values(last_inbound_at=newest.scalar_subquery())
    )
