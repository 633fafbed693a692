"""What one invocation of the runner did."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Stopped = Literal["drained", "deadline", "asked", "database"]


class Report(BaseModel):
    """Counters of one invocation; its JSON is camelCase.

    ``stopped``: *drained* (nothing due was left that may run), *deadline* (due work was left, or handed back, for want
    of time), *asked* (it was told to stop), *database* (the database went away). ``due`` counts the due jobs that are
    left, up to a ceiling of 1000.  ``since_completion_seconds`` is how long ago any runner last ended a job; None
    where none did in the last week.  ``scheduled`` counts the ticks of schedules that it enqueued a job for, and
    ``pruned`` the jobs that it deleted because they were kept long enough.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    stopped: Stopped = "drained"
    claimed: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    snoozed: int = 0
    handed_back: int = 0
    lost: int = 0
    rescued: int = 0
    scheduled: int = 0
    pruned: int = 0
    unsettled: int = 0
    due: int = 0
    oldest_due_seconds: float | None = None
    since_completion_seconds: float | None = None
    unknown_types: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_healthy(self) -> bool:
        """Did the database answer, and was every run settled?"""
        return self.stopped != "database" and self.unsettled == 0
