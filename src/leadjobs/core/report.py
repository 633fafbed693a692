"""What one invocation of the runner did."""

from dataclasses import dataclass, fields
from typing import Any, Literal

Stopped = Literal["drained", "deadline", "asked", "database"]


@dataclass(slots=True)
class Report:
    """Counters of one invocation; its JSON is camelCase.

    ``stopped``: *drained* (nothing due was left that may run), *deadline* (due work was left, or handed back, for want
    of time), *asked* (it was told to stop), *database* (the database went away). ``due`` counts the due jobs that are
    left, up to a ceiling of 1000.  ``since_completion_seconds`` is how long ago any runner last ended a job; None
    where none did in the last week.  ``scheduled`` counts the ticks of schedules that it enqueued a job for, and
    ``pruned`` the jobs that it deleted because they were kept long enough.  ``too_long`` are the types of due jobs that
    did not fit the time left.
    """

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
    too_long: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_healthy(self) -> bool:
        """Did the database answer, and was every run settled?"""
        return self.stopped != "database" and self.unsettled == 0

    def as_json(self) -> dict[str, Any]:
        """The report as doors and commands show it.

        >>> Report(handed_back=1).as_json()["handedBack"]
        1
        """
        return {to_camel(field.name): getattr(self, field.name) for field in fields(self)}


def to_camel(name: str) -> str:
    """The name as JSON has it.

    >>> to_camel("oldest_due_seconds")
    'oldestDueSeconds'
    """
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
