"""May we still write to this person?  Looked for in every inbound message, whatever was thought of the lead before."""

from leadjobs.leads.inbound import Channel, Consent
from leadjobs.leads.post_process.opt_out import asks_to_stop, opt_in_in
from leadjobs.leads.post_process.sentiment import Sentiment
from leadjobs.leads.tables import Lead, Message


def note_consent(lead: Lead, message: Message) -> str:
    """Write down what one message says about writing to the lead, and say it; one that arrives late changes nothing.

    A request to stop stands until it is taken back in so many words; a bounce, until the lead writes again.  The inbox
    has heard a request to stop when it kept the message (hear_stop.sql): here it is only said.
    """
    if why := asks_to_stop(message.body, Channel(message.channel), message.consent):
        is_heard = message.sentiment == Sentiment.OPTED_OUT
        if not is_heard and (lead.opted_out_at is None or lead.opted_out_at < message.sent_at):
            lead.opted_out_at, lead.opted_out_why = message.sent_at, why
        message.sentiment = Sentiment.OPTED_OUT
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


def _is_opt_in(message: Message) -> bool:
    return message.consent == Consent.STARTED or opt_in_in(message.body, Channel(message.channel)) is not None
