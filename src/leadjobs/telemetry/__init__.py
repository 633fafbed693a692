"""What happened, told once: facts in the past tense, from which log lines are made."""

from leadjobs.telemetry.facts import (
    DeliveryAnswered,
    InvocationEnded,
    JobEnded,
    JobFailed,
    JobRescued,
    JobsPruned,
    LeaseLost,
    PruneFailed,
    ScheduleTicked,
    SettleFailed,
    StoodStill,
    is_told,
    tell,
)

__all__ = [
    "DeliveryAnswered",
    "InvocationEnded",
    "JobEnded",
    "JobFailed",
    "JobRescued",
    "JobsPruned",
    "LeaseLost",
    "PruneFailed",
    "ScheduleTicked",
    "SettleFailed",
    "StoodStill",
    "is_told",
    "tell",
]
