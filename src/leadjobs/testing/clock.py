"""Clocks for tests: one that stands still until it is told to move, and the database's own, which can leap ahead."""

import time
from datetime import UTC, datetime, timedelta

import psycopg

from leadjobs.core.clock import AHEAD
from leadjobs.store.connection import CONNECT, fetch_sync
from leadjobs.store.statements import statement


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


class LeapClock:
    """The database's clock, which a test lets leap ahead: it runs on, and never goes back.

    Runners that have it take :meth:`now` for now, and every enqueue of this process counts its delay from there.
    Before the first leap it is the database's clock itself.  A process has one time: its leaps last until
    :meth:`reset`, which the fixture ``leadjobs_clock`` does for you.  What reads a clock of its own
    (``datetime.now()``, ``now()`` in your SQL) does not see them.

    Example:
        >>> def test_a_reminder_comes_after_a_day(leadjobs_queue, leadjobs_clock):
        ...     leadjobs_queue.add(remind.type.job(User(7), delay=timedelta(days=1)))
        ...     leadjobs_clock.advance(timedelta(days=1))
        ...     assert leadjobs_queue.drain_sync(remind).succeeded == 1
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._read: tuple[datetime, float] | None = None  # what the database's clock showed at which monotonic second

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the database's clock."""
        return AHEAD.span

    def advance(self, span: timedelta) -> None:
        """Let this much time pass at once.

        Raises:
            ValueError: the span is negative.
        """
        if span < timedelta():
            raise ValueError(f"time does not go back: advance({span!r})")
        AHEAD.span += span

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until an instant; nothing where that is over already."""
        self.advance(max(timedelta(), instant - self.now()))

    def now(self) -> datetime:
        """The instant, by the database's clock and the leaps so far.  It is late by nothing and early by microseconds.

        What was enqueued before this call without a delay is due by it.
        """
        if self._read is None:
            self.read_again()
        assert self._read is not None
        shown, at = self._read
        return shown + timedelta(seconds=time.monotonic() - at) + AHEAD.span

    def read_again(self) -> None:
        """Compare with the database's clock, which may have been set since."""
        with psycopg.connect(self._url, autocommit=True, **CONNECT) as connection:
            at = time.monotonic()  # before the database looks: rather early than late
            (row,) = fetch_sync(connection, statement("read_clock", "leadjobs.testing"), {})
        self._read = (row["now"], at)

    def reset(self) -> None:
        """Be the database's clock again."""
        AHEAD.span = timedelta()

    def database_now(self) -> datetime | None:
        """The instant that statements take for now: the database's own before the first leap."""
        return self.now() if AHEAD.span else None

    def monotonic(self) -> float:
        """The process's monotonic clock, leaps included."""
        return time.monotonic() + AHEAD.span.total_seconds()
