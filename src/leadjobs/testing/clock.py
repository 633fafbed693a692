"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock for tests: the database's instant and the process's spans move together, by hand.

    Statements of the engine take ``database_now()`` for now, so that a lease or a backoff passes at once.

    >>> clock = FakeClock(datetime(2026, 11, 23, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1))
    >>> clock.database_now().hour
    1
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._start = self._now = now or datetime.now(UTC)

    def advance(self, span: timedelta) -> None:
        """Let this much time pass."""
        self._now += span

    def database_now(self) -> datetime:
        """The instant that statements take for now."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._now - self._start).total_seconds()
