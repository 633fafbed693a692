"""What a handler says when it is done.  Handlers return these; exceptions are for surprises."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from leadjobs.core.instants import time_misfit
from leadjobs.core.limit import check_resource, of_tenant


@dataclass(frozen=True, slots=True)
class Done:
    """The job did what it was for: SUCCEEDED.

    ``result`` is any JSON, up to 16 KiB of it, that is kept with the job for those who wait for it: see
    :func:`find_job`.

    >>> Done("score 3", result={"score": 3}).result
    {'score': 3}
    """

    note: str = ""
    result: Any = None


@dataclass(frozen=True, slots=True)
class Skip:
    """There was nothing to do, and that is fine: SUCCEEDED, with the reason on record.

    >>> Skip("no inbound message")
    Skip(why='no inbound message')
    """

    why: str


@dataclass(frozen=True, slots=True)
class Retry:
    """This attempt failed; try again.  Uses one attempt; the last one ends the job FAILED.

    ``after`` overrides the retry policy's backoff, for example with a provider's Retry-After.

    >>> Retry("mailbox is busy", after=timedelta(seconds=30)).after
    datetime.timedelta(seconds=30)
    """

    why: str
    after: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what is no span."""
        if self.after is not None:
            _check("after of a Retry", self.after, timedelta)


@dataclass(frozen=True, slots=True)
class Snooze:
    """It is too early: run again later.  Uses no attempt.

    ``until`` is a span from now (by the database clock) or an aware instant.

    >>> Snooze(timedelta(minutes=5), "outside office hours").why
    'outside office hours'
    """

    until: timedelta | datetime
    why: str = "snoozed"

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        _check("until of a Snooze", self.until, timedelta, datetime)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed, and trying again would not help: FAILED at once.

    >>> GiveUp("the lead was deleted")
    GiveUp(why='the lead was deleted')
    """

    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """What this job uses is busy, or used up: it waits, and so does all else that uses it, for every runner.

    ``name`` is a resource that the job's type says it ``uses``, or the type itself; ``tenant`` holds back that tenant's
    jobs alone.  ``until`` is a span from now (by the database clock) or an aware instant, a second from now at the
    least; None means until a person lets go (``leadjobs holds release``).  Uses no attempt, so what would not hold this
    very job back is an error of the run, and uses one.  Of two holds on one name the longer one stands.

    >>> Hold("openai/gpt-6-luna", timedelta(seconds=20), "429, Retry-After 20").name
    'openai/gpt-6-luna'
    """

    name: str
    until: timedelta | datetime | None
    why: str
    tenant: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be kept."""
        check_resource(self.name)
        if self.until is not None:
            _check("until of a Hold", self.until, timedelta, datetime)

    @property
    def on(self) -> str:
        """The name that is held, of all tenants or of one."""
        return self.name if self.tenant is None else of_tenant(self.name, self.tenant)


def _check(what: str, time: object, *kinds: type) -> None:
    """Refuse what is no time, an instant without a zone (another moment on every machine), and what cannot be kept."""
    if why := time_misfit(time, *kinds):
        raise ValueError(f"{what} {why}")


Outcome = Done | Skip | Retry | Snooze | GiveUp | Hold
