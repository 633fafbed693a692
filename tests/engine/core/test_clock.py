"""Time: the database's clock decides, a process only measures spans, and tests move both by hand."""

from datetime import UTC, datetime, timedelta

from leadjobs.core.clock import Deadline, SystemClock
from leadjobs.testing.clock import FakeClock

START = datetime(2026, 11, 23, tzinfo=UTC)


def test_in_production_instants_are_the_database_s() -> None:
    """The system clock gives no instant of its own, and spans that only grow."""
    clock = SystemClock()
    earlier = clock.monotonic()
    assert None is clock.database_now()
    assert clock.monotonic() >= earlier


def test_a_fake_clock_moves_when_it_is_told_to() -> None:
    """Instants and spans move together, and not on their own."""
    clock = FakeClock(START)
    assert (START, 0.0) == (clock.database_now(), clock.monotonic())
    clock.advance(timedelta(minutes=1))
    assert (START + timedelta(minutes=1), 60.0) == (clock.database_now(), clock.monotonic())


def test_a_fake_clock_begins_now_in_an_aware_instant() -> None:
    """Without a beginning it is today."""
    assert UTC is FakeClock().database_now().tzinfo


def test_a_deadline_counts_down_and_below_nothing() -> None:
    """What is left is exact, and negative afterwards."""
    clock = FakeClock(START)
    deadline = Deadline(clock, 10)
    clock.advance(timedelta(seconds=4))
    assert 6.0 == deadline.seconds_left()
    clock.advance(timedelta(seconds=8))
    assert -2.0 == deadline.seconds_left()


def test_an_earlier_deadline_leaves_the_first_as_it_is() -> None:
    """The time to settle in is cut from a deadline of its own."""
    clock = FakeClock(START)
    deadline = Deadline(clock, 10)
    earlier = deadline.sooner(timedelta(seconds=3))
    clock.advance(timedelta(seconds=2))
    assert (5.0, 8.0) == (earlier.seconds_left(), deadline.seconds_left())


def test_no_deadline_never_ends() -> None:
    """Nor does one that is a little earlier than never."""
    never = Deadline(FakeClock(START), None)
    assert (float("inf"), float("inf")) == (never.seconds_left(), never.sooner(timedelta(days=1)).seconds_left())
