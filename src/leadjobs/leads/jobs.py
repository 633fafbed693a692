"""The job types of the lead half.  Another service may import these to enqueue; it needs no handler for that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from leadjobs.core.job import JobType
from leadjobs.core.retry import RetryPolicy
from leadjobs.errors import ProviderRefusedError
from leadjobs.leads.inbound import Channel, LeadId, MessageId

LEAD_DELETED: Final = "the lead was deleted"
"""What a run says that finds its lead gone."""


@dataclass(frozen=True, slots=True)
class LeadMessage:
    """A lead and one of its messages.  Handlers read everything else from the database."""

    lead_id: LeadId
    message_id: MessageId


POST_PROCESS_RETRY = RetryPolicy(max_attempts=5)


def _post_process(name: str) -> JobType[LeadMessage]:
    return JobType(
        name=f"{name}_INBOUND_POST_PROCESS",
        payload=LeadMessage,
        timeout=timedelta(seconds=30),
        retry=POST_PROCESS_RETRY,
    )


EMAIL_INBOUND_POST_PROCESS = _post_process("EMAIL")
SMS_INBOUND_POST_PROCESS = _post_process("SMS")
LINKEDIN_INBOUND_POST_PROCESS = _post_process("LINKEDIN")
SMARTLEAD_INBOUND_POST_PROCESS = _post_process("SMARTLEAD")
INSTANTLY_INBOUND_POST_PROCESS = _post_process("INSTANTLY")
LEAD_SCORING_POST_PROCESS = JobType(
    name="LEAD_SCORING_POST_PROCESS",
    payload=LeadMessage,
    timeout=timedelta(seconds=45),
    retry=RetryPolicy(max_attempts=5, permanent=(ProviderRefusedError,)),
)

_OF_CHANNEL: Mapping[Channel, JobType[LeadMessage]] = {
    Channel.EMAIL: EMAIL_INBOUND_POST_PROCESS,
    Channel.SMS: SMS_INBOUND_POST_PROCESS,
    Channel.LINKEDIN: LINKEDIN_INBOUND_POST_PROCESS,
}
_OF_SOURCE: Mapping[str, JobType[LeadMessage]] = {
    "smartlead": SMARTLEAD_INBOUND_POST_PROCESS,
    "instantly": INSTANTLY_INBOUND_POST_PROCESS,
}


def post_process_type(source: str, channel: Channel) -> JobType[LeadMessage]:
    """The type that post-processes what this source brought: SmartLead and Instantly have their own."""
    return _OF_SOURCE.get(source) or _OF_CHANNEL[channel]


def scoring_key(what: LeadMessage) -> str:
    """The dedupe key of scoring a lead for one inbound message: once for each."""
    return f"lead_scoring:{what.lead_id}:{what.message_id}"


def post_process_key(what: LeadMessage) -> str:
    """The dedupe key of post-processing one inbound message."""
    return f"message:{what.message_id}"
