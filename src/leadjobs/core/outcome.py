"""What a handler says when it is done.  Handlers return these; exceptions are for surprises."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Done:
    """The job did what it was for: SUCCEEDED.

    >>> Done("score 3")
    Done(note='score 3')
    """

    note: str = ""


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
        """Refuse an instant without a time zone: it would mean another moment on every machine."""
        if isinstance(self.until, datetime) and self.until.tzinfo is None:
            raise ValueError("Snooze(until=…) needs an aware datetime, such as datetime.now(UTC), or a timedelta")


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed, and trying again would not help: FAILED at once.

    >>> GiveUp("the lead was deleted")
    GiveUp(why='the lead was deleted')
    """

    why: str


Outcome = Done | Skip | Retry | Snooze | GiveUp
