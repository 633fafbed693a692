"""The clock of a test: the database's, and ahead of it by as much as was asked for."""

import time
from datetime import timedelta

import psycopg
import pytest

from leadjobs.core.clock import AHEAD
from leadjobs.testing import LeapClock

HOUR = timedelta(hours=1)


def test_before_a_leap_the_database_s_own_clock_counts(leadjobs_clock: LeapClock) -> None:
    """Statements are given no instant, as in production."""
    assert leadjobs_clock.database_now() is None
    assert timedelta() == leadjobs_clock.ahead


def test_it_is_never_behind_the_database(leadjobs_clock: LeapClock, leadjobs_url: str) -> None:
    """What has been enqueued is due by it."""
    with psycopg.connect(leadjobs_url) as connection:
        for _ in range(20):
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None
            assert timedelta() <= leadjobs_clock.now() - row[0] < timedelta(seconds=5)


def test_a_leap_moves_instants_and_spans_alike(leadjobs_clock: LeapClock) -> None:
    """By as much as was asked for, or until an instant."""
    span, now = leadjobs_clock.monotonic(), leadjobs_clock.now()
    leadjobs_clock.advance(HOUR)
    leadjobs_clock.advance_to(now + 3 * HOUR)
    leadjobs_clock.advance_to(now + HOUR)

    moved = leadjobs_clock.database_now()
    assert moved is not None
    assert timedelta() <= moved - now - 3 * HOUR < timedelta(seconds=5)
    assert 0 <= leadjobs_clock.monotonic() - span - 3 * 3600 < 5


def test_it_does_not_go_back(leadjobs_clock: LeapClock) -> None:
    """A negative span is an error."""
    with pytest.raises(ValueError, match="time does not go back"):
        leadjobs_clock.advance(-HOUR)


def test_a_reset_ends_the_leaps_of_the_process(leadjobs_clock: LeapClock) -> None:
    """As the fixture does after each test."""
    leadjobs_clock.advance(HOUR)
    leadjobs_clock.reset()

    assert (timedelta(), None) == (AHEAD.span, leadjobs_clock.database_now())
    assert leadjobs_clock.monotonic() <= time.monotonic()
