"""LINKEDIN_INBOUND_POST_PROCESS: a LinkedIn message was stored; see to it, step by step, and enqueue its scoring."""

from dataclasses import replace
from datetime import timedelta

from leadjobs.core.registry import Handler, handler
from leadjobs.leads.jobs import LINKEDIN_INBOUND_POST_PROCESS, LeadMessage
from leadjobs.leads.post_process.pipeline import PostProcess


def linkedin_inbound_post_process(post_process: PostProcess, *, timeout: timedelta) -> Handler[LeadMessage]:
    """The handler, with these tools; ``timeout`` replaces the type's own."""
    return handler(replace(LINKEDIN_INBOUND_POST_PROCESS, timeout=timeout, uses=post_process.uses))(post_process)
