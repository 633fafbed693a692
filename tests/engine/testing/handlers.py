"""What the tests of the testing kit share: a few handlers that misbehave in known ways."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from leadjobs import Done, GiveUp, Job, Outcome, RetryPolicy, Snooze, handler


@dataclass(frozen=True)
class Welcome:
    user_id: int
    via: str = "mail"


@handler("SEND_WELCOME", payload=Welcome, timeout=20)
async def send_welcome(job: Job[Welcome]) -> Outcome:
    return Done(f"welcomed {job.payload.user_id}")


@handler("FLAKY", payload=dict, retry=RetryPolicy(max_attempts=5, base=timedelta(minutes=1), cap=timedelta(hours=1)))
async def flaky(job: Job[dict[str, Any]]) -> Outcome:
    if job.attempt <= job.payload["failures"]:
        raise ConnectionError(f"no answer, attempt {job.attempt}")
    return Done("at last")


@handler("OFFICE_HOURS", payload=dict)
async def office_hours(job: Job[dict[str, Any]]) -> Outcome:
    return Snooze(timedelta(hours=1), "closed")


@handler("REFUSES", payload=dict)
async def refuses(job: Job[dict[str, Any]]) -> Outcome:
    return GiveUp("nothing to be done")
