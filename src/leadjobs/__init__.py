"""Background jobs for serverless Python on the Postgres you already have.

These names are the engine.  Importing them loads neither SQLAlchemy nor any SDK.

>>> from leadjobs import Done, Job, NewJob, Outcome, Registry, Runner, enqueue, handler
"""

from leadjobs.core.job import (
    DedupeScope,
    Enqueued,
    Job,
    JobId,
    JobType,
    Lane,
    NewJob,
    OnConflict,
    State,
    Verdict,
)
from leadjobs.core.limit import Limit
from leadjobs.core.outcome import Done, GiveUp, Hold, Outcome, Retry, Skip, Snooze
from leadjobs.core.registry import Handler, Registry, handler
from leadjobs.core.report import Report
from leadjobs.core.retry import RetryPolicy
from leadjobs.enqueue import enqueue, enqueue_many, enqueue_many_sync, enqueue_sync
from leadjobs.errors import LeadjobsError, LeaseLostError
from leadjobs.runner import Runner

__all__ = [
    "DedupeScope",
    "Done",
    "Enqueued",
    "GiveUp",
    "Handler",
    "Hold",
    "Job",
    "JobId",
    "JobType",
    "Lane",
    "LeadjobsError",
    "LeaseLostError",
    "Limit",
    "NewJob",
    "OnConflict",
    "Outcome",
    "Registry",
    "Report",
    "Retry",
    "RetryPolicy",
    "Runner",
    "Skip",
    "Snooze",
    "State",
    "Verdict",
    "enqueue",
    "enqueue_many",
    "enqueue_many_sync",
    "enqueue_sync",
    "handler",
]
