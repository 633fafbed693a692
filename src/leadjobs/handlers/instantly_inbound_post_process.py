"""INSTANTLY_INBOUND_POST_PROCESS: a reply to one of Instantly's campaigns was stored; see to it, step by step."""

from dataclasses import replace
from datetime import timedelta

from leadjobs.core.registry import Handler, handler
from leadjobs.leads.jobs import INSTANTLY_INBOUND_POST_PROCESS, LeadMessage
from leadjobs.leads.post_process.pipeline import PostProcess


def instantly_inbound_post_process(post_process: PostProcess, *, timeout: timedelta) -> Handler[LeadMessage]:
    """The handler, with these tools; ``timeout`` replaces the type's own."""
    return handler(replace(INSTANTLY_INBOUND_POST_PROCESS, timeout=timeout, uses=post_process.uses))(post_process)
