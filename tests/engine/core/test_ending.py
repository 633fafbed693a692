"""From what a handler said, or how it broke, to how its run ends: the table in core/ending.py, row by row."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadjobs import Done, GiveUp, JobId, Outcome, Retry, RetryPolicy, Skip, Snooze, State
from leadjobs.core.ending import MAX_ERROR, MAX_REASON, MAX_TRACE, Ending, Run, endings_json
from leadjobs.core.job import Lease
from leadjobs.errors import EffectUnknownError, OverBudgetError, ProviderRefusedError, ProviderUnavailableError

LEASE = Lease(JobId(7), 3)
TUESDAY = datetime(2026, 11, 24, tzinfo=UTC)
POLICY = RetryPolicy(max_attempts=3, permanent=(ProviderRefusedError,))


def run(attempts: int = 1, policy: RetryPolicy = POLICY) -> Run:
    """A run after this many errors, of a job that has three attempts."""
    return Run(LEASE, attempts, policy)


def told(ending: Ending) -> tuple[Any, ...]:
    """The columns of the table."""
    assert (LEASE.job_id, LEASE.lease_no) == (ending.id, ending.lease_no)
    return ending.state, ending.reason, ending.attempts, ending.ended_as


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Done(), (State.SUCCEEDED, "done", 1, None)),
        (Done("score 3"), (State.SUCCEEDED, "score 3", 1, None)),
        (Skip("no reply"), (State.SUCCEEDED, "skipped: no reply", 1, None)),
        (GiveUp("gone"), (State.FAILED, "gave up: gone", 2, "failed")),
        (Retry("busy"), (State.PENDING, "retry after failure 2 of 3: busy", 2, "failed")),
        (Snooze(timedelta(minutes=5), "night"), (State.PENDING, "night", 1, None)),
        (Snooze(TUESDAY), (State.PENDING, "snoozed", 1, None)),
    ],
    ids=str,
)
def test_an_outcome_ends_the_run_as_the_table_says(outcome: Outcome, expected: tuple[Any, ...]) -> None:
    """State, reason, attempts and record of what a handler returned."""
    assert expected == told(run().said(outcome))


def test_the_last_attempt_ends_the_job() -> None:
    """Retry, an error and a time-out are FAILED once the attempts are used up, and still counted and recorded."""
    last = run(2)
    assert (State.FAILED, "out of attempts (3): busy", 3, "failed") == told(last.said(Retry("busy")))
    assert (State.FAILED, "out of attempts (3): ValueError: x", 3, "failed") == told(last.broke(ValueError("x")))
    timed_out = (State.FAILED, "out of attempts (3): timed out after 60 s", 3, "timed_out")
    assert timed_out == told(last.timed_out(timedelta(minutes=1)))


def test_over_budget_waits_for_the_next_day_and_an_unknown_effect_for_a_person() -> None:
    """Neither costs an attempt, not even the last one."""
    over = OverBudgetError(tenant="acme", unit="tokens", used=9, cap=10, asked=2, until=TUESDAY)
    ending = run(2).broke(over)
    assert (State.PENDING, f"over budget: {over}", 2, None) == told(ending)
    assert TUESDAY == ending.run_at
    assert (State.FAILED, "who knows", 2, "failed") == told(run(2).broke(EffectUnknownError("who knows")))


def _raised(error: Exception) -> Exception:
    """The error with the trace that raising gives it."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_an_error_before_the_last_attempt_waits_and_is_recorded() -> None:
    """The exception's class, text and trace are kept, and the wait is the policy's."""
    ending = run().broke(_raised(ValueError("no such mailbox")))

    assert (State.PENDING, "retry after failure 2 of 3: ValueError: no such mailbox", 2, "failed") == told(ending)
    assert ("ValueError", "no such mailbox") == (ending.error_type, ending.error)
    assert "test_ending.py" in (ending.trace or "")
    assert 0 <= (ending.delay or 0.0) <= 4


def test_a_time_out_counts_as_an_error_of_its_own_kind() -> None:
    """It is retried, uses an attempt, and its record says that it timed out."""
    ending = run(0).timed_out(timedelta(seconds=1.5))
    assert (State.PENDING, "retry after failure 1 of 3: timed out after 1.5 s", 1, "timed_out") == told(ending)


def test_a_permanent_error_ends_the_job_at_once() -> None:
    """An error that the policy calls permanent is not tried again."""
    ending = run(0).broke(ProviderRefusedError("bad number"))
    assert (State.FAILED, "gave up: ProviderRefusedError: bad number", 1, "failed") == told(ending)


def test_a_stored_payload_that_does_not_fit_ends_the_job_at_once() -> None:
    """No further run would find another payload."""
    assert (State.FAILED, "gave up: bad field", 1, "failed") == told(run(0).misfit(ValueError("bad field")))


def test_a_hand_back_is_due_at_once_and_costs_nothing() -> None:
    """The job waits again with the attempts it had; a record says who took it back."""
    ending = run(2).handed_back("deploy")
    assert (State.PENDING, "handed back: deploy", 2, "handed_back") == told(ending)
    assert 0.0 == ending.delay


@pytest.mark.parametrize(
    ("outcome", "delay", "run_at"),
    [
        (Snooze(timedelta(minutes=5)), 300.0, None),
        (Snooze(timedelta(minutes=-5)), 0.0, None),
        (Snooze(TUESDAY), None, TUESDAY),
        (Retry("busy", after=timedelta(seconds=30)), 30.0, None),
        (Retry("busy", after=timedelta(days=3)), 6 * 3600.0, None),
        (Done(), None, None),
    ],
    ids=str,
)
def test_a_wait_is_kept_as_it_was_asked_for(outcome: Outcome, delay: float | None, run_at: datetime | None) -> None:
    """Spans count from the database's now, instants are instants, and a Retry-After has its own cap."""
    ending = run().said(outcome)
    assert (delay, run_at) == (ending.delay, ending.run_at)


def test_an_error_s_own_wait_is_used() -> None:
    """A provider that says when it is back is asked again then."""
    assert 42.0 == run().broke(ProviderUnavailableError("busy", retry_after=42)).delay
    assert 6 * 3600.0 == run().broke(ProviderUnavailableError("busy", retry_after=float("inf"))).delay


def test_snoozing_to_an_instant_without_a_time_zone_is_refused() -> None:
    """It would be another moment on every machine."""
    with pytest.raises(ValueError, match="aware"):
        Snooze(TUESDAY.replace(tzinfo=None))


@pytest.mark.parametrize("nonsense", [None, "done", True, Done])
def test_anything_but_an_outcome_is_refused(nonsense: Any) -> None:
    """A handler that forgets to return one is told so."""
    with pytest.raises(TypeError, match="a handler returns Done, Skip, Retry, Snooze, Hold or GiveUp, not"):
        run().said(nonsense)


def test_what_cannot_be_kept_is_left_out_and_what_is_long_is_cut() -> None:
    """NUL, half a surrogate pair and endless texts break no settling; of a trace the end is kept."""
    ending = run().broke(ValueError("a\0b\ud83d" + "x" * 99_999))
    stored = json.loads(endings_json([ending]))[0]
    assert "\0" not in ending.reason + (ending.error or "") + (ending.trace or "")
    assert (ending.error or "").startswith("ab?x")
    lengths = len(stored["reason"]), len(stored["error"]), len(stored["trace"])
    assert (MAX_REASON, MAX_ERROR, MAX_TRACE) == lengths
    stored["reason"].encode()


def test_an_error_that_cannot_print_itself_still_ends_the_run() -> None:
    """Its class is told."""

    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    ending = run().broke(BrokenError())
    assert (State.PENDING, "BrokenError", "failed") == (ending.state, ending.error_type, ending.ended_as)
    assert "BrokenError" in ending.reason


def test_an_error_without_text_is_told_by_its_class() -> None:
    """A bare exception's reason is not empty."""
    ending = run().broke(KeyError())
    assert ("retry after failure 2 of 3: KeyError", "retry after failure 2 of 3: KeyError") == (
        ending.reason,
        ending.error,
    )


def test_endings_are_one_json_array() -> None:
    """Instants are written as ISO 8601, for the settle statement to read."""
    (stored,) = json.loads(endings_json([run().said(Snooze(TUESDAY))]))
    assert ("2026-11-24T00:00:00+00:00", "PENDING", 7) == (stored["run_at"], stored["state"], stored["id"])
