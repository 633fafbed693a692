"""Every fact the engine tells, on one screen.

A fact becomes one line of the ``leadjobs`` logger; its fields are on the record as ``fact`` for structured handlers
(see ``log.py``).  No field ever holds a payload, a message text, a secret or a person's address.
"""

import logging
from typing import ClassVar, Self, dataclass_transform

from leadjobs.core.report import Report

logger = logging.getLogger("leadjobs")


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Fact:
    """Something that happened.

    Its kinds are read and checked like frozen dataclasses.  They are none: each of those is code to be written and
    compiled when a process starts, and few processes tell of more than two kinds.
    """

    name: ClassVar[str]
    level: ClassVar[int] = logging.INFO

    def __init__(self, **values: str | float | None) -> None:
        self.__dict__.update(values)


class JobEnded(Fact):
    """A run of a job was settled.  Why it ended so is in the job's row: an error's text may speak of a person."""

    name = "job.ended"
    level = logging.DEBUG
    job_id: int
    type: str
    tenant: str
    state: str
    ended_as: str | None
    error_type: str | None
    attempts: int
    seconds: float


class JobFailed(JobEnded):
    """A job ended FAILED: a person may want to look."""

    name = "job.failed"
    level = logging.ERROR


class JobRescued(Fact):
    """A job was taken back from an owner who died or went silent past its lease."""

    name = "job.rescued"
    level = logging.WARNING
    job_id: int
    type: str
    state: str


class LeaseLost(Fact):
    """A run ended, but somebody else owned the job by then (or it was cancelled): its result was dropped."""

    name = "job.lease_lost"
    level = logging.WARNING
    job_id: int
    type: str


class SettleFailed(Fact):
    """A run ended, but the database could not be told; the job will be rescued when its lease ends."""

    name = "job.settle_failed"
    level = logging.ERROR
    job_id: int
    type: str


class ScheduleTicked(Fact):
    """A job stands for a tick of a schedule: a new one, or the holder of the job's own key."""

    name = "schedule.ticked"
    schedule: str
    tick: str
    job_id: int
    verdict: str


class JobsPruned(Fact):
    """Jobs that were kept long enough were deleted."""

    name = "jobs.pruned"
    succeeded: int
    cancelled: int
    failed: int


class PruneFailed(Fact):
    """Old jobs could not be deleted: the database refused, or took too long.  None was."""

    name = "jobs.prune_failed"
    level = logging.WARNING
    error_type: str


class StoodStill(Fact):
    """Nothing in the process went on for so many seconds, while runs of these types were on their way.

    A handler blocked the event loop, or the platform froze the process.
    """

    name = "runner.stood_still"
    level = logging.WARNING
    seconds: float
    types: str


class InvocationEnded(Fact):
    """A runner's invocation ended."""

    name = "runner.ended"
    stopped: str
    claimed: int
    succeeded: int
    failed: int
    seconds: float
    due: int

    @classmethod
    def of(cls, report: Report) -> Self:
        """The fact of a report."""
        return cls(
            stopped=report.stopped,
            claimed=report.claimed,
            succeeded=report.succeeded,
            failed=report.failed,
            seconds=report.seconds,
            due=report.due,
        )


class DeliveryAnswered(Fact):
    """A webhook was answered."""

    name = "webhook.answered"
    source: str
    status: int
    what: str
    milliseconds: float


def is_told(kind: type[Fact]) -> bool:
    """Does anybody listen to facts of this kind?  Ask before making one for each job."""
    return logger.isEnabledFor(kind.level)


def tell(fact: Fact) -> None:
    """Write a fact to the log."""
    if is_told(type(fact)):
        values = vars(fact)
        words = " ".join(
            f"{name}={str(value)!r}" if isinstance(value, str) else f"{name}={value}" for name, value in values.items()
        )
        logger.log(fact.level, "%s %s", fact.name, words, extra={"fact": {"event": fact.name, **values}})
