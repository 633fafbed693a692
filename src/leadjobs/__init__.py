"""Background jobs for serverless Python on the Postgres you already have.

These names are the engine.  Importing them loads neither SQLAlchemy nor any SDK.

>>> from leadjobs import Done, Job, NewJob, Outcome, Registry, Runner, enqueue, handler
"""

from leadjobs.core.effect import NotSent, Unknown
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
from leadjobs.core.outcome import Done, GiveUp, Outcome, Retry, Skip, Snooze
from leadjobs.core.registry import Handler, Registry, handler
from leadjobs.core.report import Report
from leadjobs.core.retry import RetryPolicy
from leadjobs.enqueue import enqueue, enqueue_many, enqueue_many_sync, enqueue_sync
from leadjobs.errors import EffectUnknownError, LeadjobsError, LeaseLostError, NotSentError, OverBudgetError
from leadjobs.runner import Runner

__all__ = [
    "DedupeScope",
    "Done",
    "EffectUnknownError",
    "Enqueued",
    "GiveUp",
    "Handler",
    "Job",
    "JobId",
    "JobType",
    "Lane",
    "LeadjobsError",
    "LeaseLostError",
    "NewJob",
    "NotSent",
    "NotSentError",
    "OnConflict",
    "Outcome",
    "OverBudgetError",
    "Registry",
    "Report",
    "Retry",
    "RetryPolicy",
    "Runner",
    "Skip",
    "Snooze",
    "State",
    "Unknown",
    "Verdict",
    "enqueue",
    "enqueue_many",
    "enqueue_many_sync",
    "enqueue_sync",
    "handler",
]
