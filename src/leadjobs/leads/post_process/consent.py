"""May we still write to this person?  Looked for in every inbound message, whatever was thought of the lead before."""

from leadjobs.leads.inbound import Channel, Consent
from leadjobs.leads.post_process.opt_out import opt_in_in, opt_out_in
from leadjobs.leads.post_process.sentiment import Sentiment
from leadjobs.leads.tables import Lead, Message


def note_consent(lead: Lead, message: Message) -> str:
    """Write down what one message says about writing to the lead, and say it; one that arrives late changes nothing.

    A request to stop stands until it is taken back in so many words; a bounce, until the lead writes again.
    """
    if why := _opt_out(message):
        message.sentiment = Sentiment.OPTED_OUT
        if lead.opted_out_at is None or lead.opted_out_at < message.sent_at:
            lead.opted_out_at, lead.opted_out_why = message.sent_at, why
        return f"opted out: {why}"
    if message.consent == Consent.BOUNCED:
        message.sentiment = Sentiment.BOUNCED
        if lead.last_inbound_at is None or lead.last_inbound_at < message.sent_at:
            lead.bounced_at = message.sent_at
        return "nothing we send arrives"
    if message.body and lead.bounced_at is not None and lead.bounced_at <= message.sent_at:
        lead.bounced_at = None
    if _is_opt_in(message) and lead.opted_out_at is not None and lead.opted_out_at <= message.sent_at:
        lead.opted_out_at = lead.opted_out_why = None
        return "opted in again"
    return "nothing about consent"


def _opt_out(message: Message) -> str | None:
    if message.consent == Consent.STOPPED:
        return "the provider says that they opted out"
    return opt_out_in(message.body, Channel(message.channel))


def _is_opt_in(message: Message) -> bool:
    return message.consent == Consent.STARTED or opt_in_in(message.body, Channel(message.channel)) is not None
