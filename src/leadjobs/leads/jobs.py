"""The job types of the lead half.  Another service may import these to enqueue; it needs no handler for that."""

from dataclasses import dataclass
from datetime import timedelta

from leadjobs.core.job import JobType
from leadjobs.core.retry import RetryPolicy
from leadjobs.errors import ProviderRefusedError
from leadjobs.leads.inbound import Channel, LeadId, MessageId


@dataclass(frozen=True, slots=True)
class LeadMessage:
    """A lead and one of its messages.  Handlers read everything else from the database."""

    lead_id: LeadId
    message_id: MessageId


SMS_INBOUND_POST_PROCESS = JobType(name="SMS_INBOUND_POST_PROCESS", payload=LeadMessage, timeout=timedelta(seconds=8))
EMAIL_INBOUND_POST_PROCESS = JobType(
    name="EMAIL_INBOUND_POST_PROCESS", payload=LeadMessage, timeout=timedelta(seconds=8)
)
LEAD_SCORING_POST_PROCESS = JobType(
    name="LEAD_SCORING_POST_PROCESS",
    payload=LeadMessage,
    timeout=timedelta(seconds=45),
    retry=RetryPolicy(max_attempts=5, permanent=(ProviderRefusedError,)),
)

POST_PROCESS: dict[Channel, JobType[LeadMessage]] = {
    Channel.SMS: SMS_INBOUND_POST_PROCESS,
    Channel.EMAIL: EMAIL_INBOUND_POST_PROCESS,
}


def scoring_key(what: LeadMessage) -> str:
    """The dedupe key of scoring a lead for one inbound message: once for each."""
    return f"lead_scoring:{what.lead_id}:{what.message_id}"


def post_process_key(what: LeadMessage) -> str:
    """The dedupe key of post-processing one inbound message."""
    return f"message:{what.message_id}"
