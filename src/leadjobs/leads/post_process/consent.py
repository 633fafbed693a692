"""May we still write to this person?  Looked for in every inbound message, whatever was thought of the lead before."""

from sqlalchemy.ext.asyncio import AsyncSession

from leadjobs.leads.inbound import Channel, Consent
from leadjobs.leads.post_process.opt_out import asks_to_stop, opt_in_in
from leadjobs.leads.post_process.sentiment import Sentiment
from leadjobs.leads.tables import Lead, Message
from leadjobs.store.connection import fetch_async
from leadjobs.store.statements import statement


async def note_consent(session: AsyncSession, lead: Lead, message: Message) -> str:
    """Write down what one message says about writing to the lead, and say it; one that arrives late changes nothing.

    A request to stop stands until it is taken back in so many words; a bounce, until the lead writes again.  The inbox
    has heard a request to stop when it kept the message: it is heard once.  Of one time, the request to stop stands.
    """
    if message.body and (lead.last_inbound_at is None or lead.last_inbound_at < message.sent_at):
        lead.last_inbound_at = message.sent_at  # of a history, or kept by a release that left it to the job
    if why := asks_to_stop(message.body, Channel(message.channel), message.consent):
        await session.flush()
        await fetch_async(session, statement("hear_stop", "leadjobs.leads"), {"message_id": message.id, "why": why})
        await session.refresh(lead)
        return f"opted out: {why}"
    if message.consent == Consent.BOUNCED:
        message.sentiment = Sentiment.BOUNCED
        if lead.last_inbound_at is None or lead.last_inbound_at < message.sent_at:
            lead.bounced_at = message.sent_at
        return "nothing we send arrives"
    if message.body and lead.bounced_at is not None and lead.bounced_at <= message.sent_at:
        lead.bounced_at = None
    if message.consent is None and opt_in_in(message.body, Channel(message.channel)) is not None:
        message.consent = Consent.STARTED  # kept by a release that left it to the job
    if message.consent == Consent.STARTED and lead.opted_out_at is not None and lead.opted_out_at < message.sent_at:
        lead.opted_out_at = lead.opted_out_why = None
        return "opted in again"
    return "nothing about consent"
