"""EMAIL_INBOUND_POST_PROCESS: an inbound e-mail was stored; see to consent, roll-ups and scoring."""

from leadjobs.core.job import Job
from leadjobs.core.outcome import Outcome
from leadjobs.core.registry import Handler, handler
from leadjobs.leads.inbound import Channel
from leadjobs.leads.jobs import EMAIL_INBOUND_POST_PROCESS, LeadMessage
from leadjobs.leads.post_process import post_process
from leadjobs.leads.sessions import Sessions


def email_inbound_post_process(sessions: Sessions) -> Handler[LeadMessage]:
    """The handler, on these sessions."""

    @handler(EMAIL_INBOUND_POST_PROCESS)
    async def run(job: Job[LeadMessage]) -> Outcome:
        return await post_process(job, sessions, Channel.EMAIL)

    return run
