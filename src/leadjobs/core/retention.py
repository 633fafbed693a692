"""How long jobs that have ended are kept."""

from dataclasses import dataclass
from datetime import timedelta

from leadjobs.core.argument import misfit
from leadjobs.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a job is kept after it has ended; None is for ever.

    After that it is deleted, with its attempts and steps.  A job's dedupe key is free again when its row is gone
    (scope ``retained``), so give no span that is shorter than the time within which a request may come again.  Jobs
    that have not ended are never deleted, however old they are.

    Raises:
        SettingsError: a span is negative.

    >>> Retention(failed=None).spans["FAILED"] is None
    True
    """

    succeeded: timedelta | None = timedelta(days=30)
    cancelled: timedelta | None = timedelta(days=30)
    failed: timedelta | None = timedelta(days=90)

    def __post_init__(self) -> None:
        """Refuse spans that make no sense."""
        for state, span in self.spans.items():
            if span is not None and (why := misfit(span, timedelta, "a timedelta, or None for ever")):
                raise SettingsError(f"retention of {state} jobs {why}")
            if span is not None and span < timedelta():
                raise SettingsError(f"retention of {state} jobs is {span}: give a span of time, or None for ever")

    @property
    def spans(self) -> dict[str, timedelta | None]:
        """The span of each state that a job can end in."""
        return {"SUCCEEDED": self.succeeded, "CANCELLED": self.cancelled, "FAILED": self.failed}

    @property
    def shortest(self) -> timedelta | None:
        """The shortest span; None where all is kept for ever."""
        return min((span for span in self.spans.values() if span is not None), default=None)
