"""When a failed job runs again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from leadjobs.core.argument import misfit

MAX_SECONDS = timedelta(days=365).total_seconds()  # what a provider asks for may be nonsense, such as infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter, and never at once.

    After failure number n the wait is a uniformly random span between half of ``base * 2 ** (n - 1)`` and all of it,
    never over ``cap``.  (Jitter down to zero spreads a burst a little better, but now and then spends several attempts
    on the same bad second.)  A failure that knows its own wait (an exception with a
    ``retry_after`` in seconds, or ``Retry(after=…)``) overrides the dice, but not ``cap_retry_after``.
    ``max_attempts`` counts runs that ended in an error; hand-backs and snoozes are free.  Exceptions of the classes in
    ``permanent`` end the job at once.

    >>> RetryPolicy(base=timedelta(seconds=2)).backoff(3, dice=lambda low, high: high)
    datetime.timedelta(seconds=8)
    """

    max_attempts: int = 5
    base: timedelta = timedelta(seconds=2)
    cap: timedelta = timedelta(minutes=15)
    cap_retry_after: timedelta = timedelta(hours=6)
    permanent: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a policy that cannot work."""
        if why := misfit(self.max_attempts, int, "a whole number"):
            raise ValueError(f"max_attempts {why}")
        for name in ("base", "cap", "cap_retry_after"):
            if why := misfit(getattr(self, name), timedelta, "a timedelta, such as timedelta(seconds=30)"):
                raise ValueError(f"{name} {why}")
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}: a job needs at least one attempt")
        if self.base < timedelta() or self.cap < self.base:
            raise ValueError(f"base is {self.base} and cap is {self.cap}: need 0 <= base <= cap")
        try:
            isinstance(None, self.permanent)
        except TypeError:
            raise ValueError(f"permanent is {self.permanent!r}: give a tuple of exception classes") from None

    def backoff(self, failures: int, *, dice: Callable[[float, float], float] = random.uniform) -> timedelta:
        """How long to wait after this many failures (1 after the first)."""
        ceiling = min(self.cap.total_seconds(), self.base.total_seconds() * 2 ** min(failures - 1, 64))
        return timedelta(seconds=dice(ceiling / 2, ceiling))

    def wait(self, failures: int, retry_after: timedelta | None) -> timedelta:
        """The backoff, or what the failure itself asked for where that is known, within bounds."""
        if retry_after is None:
            return self.backoff(failures)
        return max(timedelta(), min(retry_after, self.cap_retry_after))


def retry_after_of(error: BaseException) -> timedelta | None:
    """The wait that an exception carries in its ``retry_after`` (seconds), if it carries one."""
    seconds = getattr(error, "retry_after", None)
    if isinstance(seconds, int | float) and seconds >= 0:
        return timedelta(seconds=min(seconds, MAX_SECONDS))
    return None
