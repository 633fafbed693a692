"""When a failed job runs again."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs import RetryPolicy
from leadjobs.core.retry import retry_after_of

SPANS = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36_500))


@given(failures=st.integers(1, 10_000), base=SPANS, more=SPANS)
def test_a_backoff_is_within_its_bounds(failures: int, base: timedelta, more: timedelta) -> None:
    """However many failures there were: never negative, never over the cap, and never over base doubled each time."""
    policy = RetryPolicy(base=base, cap=base + more)
    wait = policy.backoff(failures)
    assert timedelta() <= wait <= policy.cap + timedelta(microseconds=1)
    assert wait.total_seconds() <= base.total_seconds() * 2.0 ** min(failures - 1, 100) + 1e-6


@pytest.mark.parametrize(("failures", "expected"), [(1, 2), (2, 4), (3, 8), (9, 512), (10, 900), (99, 900)])
def test_the_ceiling_doubles_up_to_the_cap(failures: int, expected: int) -> None:
    """2 s, 4 s, 8 s and so on, and a quarter of an hour at most."""
    assert timedelta(seconds=expected) == RetryPolicy().backoff(failures, dice=lambda low, high: high)


def test_a_retry_never_comes_at_once() -> None:
    """The dice fall in the upper half only: five attempts are never spent on one bad second."""
    waits = [RetryPolicy().backoff(3, dice=dice) for dice in (min, max, lambda low, high: (low + high) / 2)]
    assert [timedelta(seconds=seconds) for seconds in (4, 8, 6)] == waits
    assert all(timedelta(seconds=1) <= RetryPolicy().backoff(1) <= timedelta(seconds=2) for _ in range(100))


@given(asked=st.timedeltas(), cap=SPANS, failures=st.integers(1, 99))
def test_a_wait_that_the_failure_asks_for_overrides_the_dice_within_bounds(
    asked: timedelta, cap: timedelta, failures: int
) -> None:
    """Exactly what was asked, unless that is negative or over its own cap."""
    assert min(max(asked, timedelta()), cap) == RetryPolicy(cap_retry_after=cap).wait(failures, asked)


@given(seconds=st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_whatever_an_error_carries_as_its_wait_can_be_used(seconds: float) -> None:
    """A provider may ask for infinity, for what is no number, or for less than nothing: that breaks no settling."""
    asked = retry_after_of(BusyError(seconds))
    assert (seconds >= 0) == (asked is not None)
    assert timedelta() <= RetryPolicy().wait(1, asked) <= timedelta(hours=6)


@pytest.mark.parametrize(
    ("carried", "expected"), [(1.5, timedelta(seconds=1.5)), (0, timedelta()), ("5", None), (None, None)]
)
def test_an_error_s_retry_after_is_read_in_seconds(carried: object, expected: timedelta | None) -> None:
    """A number of seconds counts, anything else is left to the policy."""
    assert expected == retry_after_of(BusyError(carried))
    assert None is retry_after_of(ValueError("carries nothing"))


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"base": timedelta(seconds=-1)}, {"base": timedelta(hours=1), "cap": timedelta(minutes=1)}],
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    """At least one attempt, and 0 <= base <= cap."""
    with pytest.raises(ValueError, match=r"max_attempts is 0|base is"):
        RetryPolicy(**wrong)


class BusyError(Exception):
    """An outside service's error that may say how long to wait."""

    def __init__(self, retry_after: object) -> None:
        super().__init__("busy")
        self.retry_after = retry_after
