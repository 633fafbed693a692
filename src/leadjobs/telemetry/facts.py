"""Every fact the engine tells, on one screen.

A fact becomes one line of the ``leadjobs`` logger; its fields are on the record as ``fact`` for structured handlers
(see ``log.py``).  No field ever holds a payload, a message text, a secret or a person's address.
"""

import logging
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from leadjobs.core.report import Report

logger = logging.getLogger("leadjobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened."""

    name: ClassVar[str]
    level: ClassVar[int] = logging.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(JobEnded):
    """A job ended FAILED: a person may want to look."""

    name = "job.failed"
    level = logging.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRescued(Fact):
    """A job was taken back from an owner who died or went silent past its lease."""

    name = "job.rescued"
    level = logging.WARNING
    job_id: int
    type: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost(Fact):
    """A run ended, but somebody else owned the job by then (or it was cancelled): its result was dropped."""

    name = "job.lease_lost"
    level = logging.WARNING
    job_id: int
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleFailed(Fact):
    """A run ended, but the database could not be told; the job will be rescued when its lease ends."""

    name = "job.settle_failed"
    level = logging.ERROR
    job_id: int
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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
        values = {field.name: getattr(fact, field.name) for field in fields(fact)}
        words = " ".join(
            f"{name}={value!r}" if isinstance(value, str) else f"{name}={value}" for name, value in values.items()
        )
        logger.log(fact.level, "%s %s", fact.name, words, extra={"fact": {"event": fact.name, **values}})
