"""The queue of a test: what it shows, and what its assertions say when they fail."""

from datetime import timedelta
from unittest.mock import ANY

import psycopg
import pytest
from tests.engine.testing.handlers import Welcome, flaky, send_welcome

from leadjobs import NewJob, State, enqueue_sync
from leadjobs.errors import JobNotFoundError, PayloadError
from leadjobs.testing import Queue

HOUR = timedelta(hours=1)


def welcome(user_id: int, **options: object) -> NewJob:
    return send_welcome.type.job(Welcome(user_id), **options)  # type: ignore[arg-type]


def failure_of(queue: Queue, *args: object, **options: object) -> str:
    """The message of an assert_enqueued that fails."""
    with pytest.raises(AssertionError) as failed:
        queue.assert_enqueued(*args, **options)  # type: ignore[arg-type]
    return str(failed.value)


def test_jobs_are_shown_in_order_and_by_filters(leadjobs_queue: Queue) -> None:
    """By type (a name, a type or a handler), tenant and state; with all that is known of each."""
    leadjobs_queue.add(welcome(1, tenant="acme"))
    leadjobs_queue.add(welcome(2, dedupe_key="w:2"))
    leadjobs_queue.add(flaky.type.job({"failures": 0}))
    leadjobs_queue.drain_sync(flaky)

    assert [1, 2] == [job.payload["user_id"] for job in leadjobs_queue.jobs(send_welcome)]
    assert leadjobs_queue.jobs("SEND_WELCOME") == leadjobs_queue.jobs(send_welcome.type)
    assert ["acme"] == [job.tenant for job in leadjobs_queue.jobs(tenant="acme")]
    assert ["FLAKY"] == [job.type for job in leadjobs_queue.jobs(state=State.SUCCEEDED)]
    assert "w:2" == leadjobs_queue.jobs()[1].dedupe_key
    with pytest.raises(JobNotFoundError, match="no job 99"):
        leadjobs_queue.job(99)


def test_what_was_enqueued_is_found_by_any_part_of_it(leadjobs_queue: Queue) -> None:
    """A part of the payload at every depth, a whole payload, the tenant, the key, the time."""
    nested = NewJob(type="SYNC", payload={"contact": {"id": 5, "tags": ["a", "b"]}, "at": "noon"}, delay=HOUR)
    leadjobs_queue.add(welcome(7, tenant="acme", dedupe_key="w:7"))
    leadjobs_queue.add(nested)

    found = leadjobs_queue.assert_enqueued(send_welcome, {"user_id": 7})
    assert found == leadjobs_queue.jobs()[0]
    leadjobs_queue.assert_enqueued(
        send_welcome, Welcome(7), tenant="acme", dedupe_key="w:7", state="PENDING", delay=HOUR * 0
    )
    leadjobs_queue.assert_enqueued("SYNC", {"contact": {"id": 5}}, delay=HOUR)
    leadjobs_queue.assert_enqueued(
        "SYNC", {"contact": {"tags": ["a", "b"], "id": ANY}}, run_at=leadjobs_queue.jobs()[1].run_at, within=HOUR * 0
    )
    leadjobs_queue.assert_not_enqueued("SYNC", {"contact": {"id": 6}})
    leadjobs_queue.assert_not_enqueued(send_welcome, tenant="other")


def test_the_nearest_miss_comes_first_and_says_in_what_it_differs(leadjobs_queue: Queue) -> None:
    """Fields and parts of the payload, of jobs of the type before those of others."""
    leadjobs_queue.add(NewJob(type="SEND_INVOICE", payload={"user_id": 7}))
    leadjobs_queue.add(welcome(8))
    leadjobs_queue.add(welcome(7, delay=HOUR))

    text = failure_of(leadjobs_queue, send_welcome, {"user_id": 7, "lang": "en"}, tenant="acme", delay=timedelta())

    first, second, other = leadjobs_queue.jobs()
    lines = text.splitlines()
    assert lines[0].startswith("expected 1 job like this, found 0: SEND_WELCOME, payload with")
    assert "The nearest that are there:" == lines[1]
    places = [text.index(f"job {job.id}:") for job in (second, other, first)]
    assert sorted(places) == places
    assert "      tenant is '', not 'acme'" in lines
    assert "      payload.user_id is 8, not 7" in lines
    assert "      payload.lang is not there, expected 'en'" in lines
    assert "      type is 'SEND_INVOICE', not 'SEND_WELCOME'" in lines
    assert "pending, due in 1:00:00" in text
    assert any(line.startswith("      run_at is 2") and line.endswith("within 0:00:10") for line in lines)


def test_a_wrong_count_shows_those_that_are_there(leadjobs_queue: Queue) -> None:
    """One too many is as wrong as none, and none at all says so."""
    assert "The queue is empty." in failure_of(leadjobs_queue, send_welcome)
    for user_id in range(7):
        leadjobs_queue.add(welcome(user_id))

    leadjobs_queue.assert_enqueued(send_welcome, count=7)
    text = failure_of(leadjobs_queue, send_welcome, count=2)
    assert text.startswith("expected 2 jobs like this, found 7: SEND_WELCOME\nThey are:\n")
    assert text.endswith("and 2 more")
    with pytest.raises(AssertionError, match="expected no job like this, found 1: SEND_WELCOME, payload with"):
        leadjobs_queue.assert_not_enqueued(send_welcome, {"user_id": 3})


def test_what_is_not_committed_is_not_there_and_the_message_says_why(leadjobs_queue: Queue) -> None:
    """An open transaction that has written is named; once it is rolled back there is nothing to name."""
    with psycopg.connect(leadjobs_queue.url) as connection:
        enqueue_sync(connection, welcome(1))
        leadjobs_queue.assert_not_enqueued(send_welcome)
        assert "Transactions that are still open: 1." in failure_of(leadjobs_queue, send_welcome)
        connection.rollback()
    assert "still open" not in failure_of(leadjobs_queue, send_welcome)


def test_a_question_that_makes_no_sense_is_refused(leadjobs_queue: Queue) -> None:
    """Rather than answered wrongly."""
    with pytest.raises(ValueError, match="use assert_not_enqueued"):
        leadjobs_queue.assert_enqueued(send_welcome, count=0)
    with pytest.raises(ValueError, match="run_at or delay, not both"):
        leadjobs_queue.assert_enqueued(send_welcome, run_at=leadjobs_queue.clock.now(), delay=HOUR)
    with pytest.raises(TypeError, match="give a mapping, or the job's type"):
        leadjobs_queue.assert_enqueued("SEND_WELCOME", Welcome(1))
    with pytest.raises(PayloadError, match="user_id"):
        leadjobs_queue.assert_enqueued(send_welcome, Welcome("x"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NEW"):
        leadjobs_queue.assert_enqueued(send_welcome, state="NEW")


def test_the_queue_is_described_with_the_tracebacks_of_what_failed(leadjobs_queue: Queue) -> None:
    """A job a line: what it is, where it stands and why."""
    assert "the queue is empty" == leadjobs_queue.describe()
    leadjobs_queue.add(flaky.type.job({"failures": 9, "text": "x" * 300}, tenant="acme", dedupe_key="f"))
    leadjobs_queue.drain_sync(flaky)

    text = leadjobs_queue.describe(with_traces=True)

    first = text.splitlines()[0]
    assert ": FLAKY, pending, due in 0:" in first
    assert "tenant 'acme', dedupe_key 'f', payload {" in first
    assert "…" in first
    assert first.endswith("(retry after failure 1 of 5: ConnectionError: no answer, attempt 1)")
    assert "      ConnectionError: no answer, attempt 1" in text.splitlines()
