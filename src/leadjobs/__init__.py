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
from leadjobs.core.limit import Limit
from leadjobs.core.outcome import Done, GiveUp, Hold, Outcome, Retry, Skip, Snooze
from leadjobs.core.progress import Progress
from leadjobs.core.registry import Handler, Registry, handler
from leadjobs.core.report import Report
from leadjobs.core.retention import Retention
from leadjobs.core.retry import RetryPolicy
from leadjobs.core.schedule import Schedule
from leadjobs.enqueue import enqueue, enqueue_many, enqueue_many_sync, enqueue_sync
from leadjobs.errors import (
    EffectUnknownError,
    LeadjobsError,
    LeaseLostError,
    NotSentError,
    OutOfTimeError,
    OverBudgetError,
)
from leadjobs.results import FoundJob, find_job, find_job_sync
from leadjobs.runner import Runner

__all__ = [
    "DedupeScope",
    "Done",
    "EffectUnknownError",
    "Enqueued",
    "FoundJob",
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
    "NotSent",
    "NotSentError",
    "OnConflict",
    "OutOfTimeError",
    "Outcome",
    "OverBudgetError",
    "Progress",
    "Registry",
    "Report",
    "Retention",
    "Retry",
    "RetryPolicy",
    "Runner",
    "Schedule",
    "Skip",
    "Snooze",
    "State",
    "Unknown",
    "Verdict",
    "enqueue",
    "enqueue_many",
    "enqueue_many_sync",
    "enqueue_sync",
    "find_job",
    "find_job_sync",
    "handler",
]
