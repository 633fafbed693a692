"""Time.  Only the database clock decides what is due and whose lease holds; a process only measures spans."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def database_now(self) -> datetime | None:
        """The instant that statements take for now; None means the database's own clock, as in production."""

    def monotonic(self) -> float:
        """Seconds that only grow, for measuring spans inside this process."""


class SystemClock:
    """The clock of production: the database's for instants, the process's monotonic one for spans."""

    def database_now(self) -> datetime | None:
        """Leave it to the database."""
        return None

    def monotonic(self) -> float:
        """The process's monotonic clock."""
        return time.monotonic()


@dataclass
class Ahead:
    """How far a test has let time pass beyond the database's clock; an enqueue counts its delay from there."""

    span: timedelta = timedelta()


AHEAD = Ahead()  # of this process; nothing in production


class Deadline:
    """An end on the monotonic clock; ``None`` seconds means never.

    >>> Deadline(SystemClock(), None).seconds_left()
    inf
    """

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self._clock = clock
        self._end = float("inf") if seconds is None else clock.monotonic() + seconds

    def seconds_left(self) -> float:
        """How long until the end; negative after it."""
        return self._end - self._clock.monotonic()

    def sooner(self, span: timedelta) -> "Deadline":
        """The same deadline, this much earlier."""
        earlier = Deadline(self._clock, None)
        earlier._end = self._end - span.total_seconds()
        return earlier
