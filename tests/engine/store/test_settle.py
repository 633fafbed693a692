"""Settling under a lease: the fence (G3, G4), what is written, locked rows, and dirty jobs."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import Done, GiveUp, JobId, NewJob, OnConflict, Outcome, Retry, Snooze, State, enqueue
from leadjobs.core.ending import Ending
from leadjobs.core.job import Lease
from leadjobs.store.connection import fetch_async
from leadjobs.store.statements import statement

Other = psycopg.AsyncConnection[DictRow]
Shelf = Any  # of conftest.py


async def test_a_settled_job_has_ended(shelf: Shelf) -> None:
    """State, reason, time and lease are written at once; a clean success leaves no record of the attempt."""
    await shelf.add()
    claimed = await shelf.claim_one()
    shelf.clock.advance(timedelta(seconds=5))

    assert {claimed.id} == await shelf.store.settle([shelf.said(claimed, Done("score 3"))])

    job = await shelf.job(claimed.id)
    assert ("SUCCEEDED", "score 3", None, 2) == (job["state"], job["reason"], job["lease_until"], job["lease_no"])
    assert timedelta(seconds=5) == job["finished_at"] - job["started_at"]
    assert [] == await shelf.attempts(claimed.id)


async def test_a_stale_lease_settles_nothing(shelf: Shelf) -> None:
    """Who lost the job to another owner changes no column of it, and leaves no record."""
    await shelf.add()
    stale = await shelf.claim_one()
    shelf.clock.advance(timedelta(hours=1))
    await shelf.store.rescue(max_losses=2)
    await shelf.db.execute("UPDATE background_job SET lane = 'live'")
    await shelf.claim_one()
    before, records = await shelf.job(stale.id), await shelf.attempts(stale.id)

    for outcome in (Done(), GiveUp("late"), Retry("late")):
        assert set() == await shelf.store.settle([shelf.said(stale, outcome)])

    assert (before, records) == (await shelf.job(stale.id), await shelf.attempts(stale.id))


async def test_a_stale_ending_beside_a_good_one_does_not_borrow_its_lease(shelf: Shelf) -> None:
    """Two endings of one job in a call: the one whose lease holds is written, in whatever order they come."""
    await shelf.add()
    stale = await shelf.claim_one()
    await shelf.store.settle([shelf.said(stale, Snooze(timedelta()))])
    owner = await shelf.claim_one()

    endings = [shelf.said(stale, GiveUp("stale")), shelf.said(owner, Done("owner")), shelf.said(stale, GiveUp("stale"))]
    assert {owner.id} == await shelf.store.settle(endings)

    assert ("SUCCEEDED", "owner") == ((await shelf.job(owner.id))["state"], (await shelf.job(owner.id))["reason"])
    assert [] == await shelf.attempts(owner.id)


async def test_settling_twice_counts_once(shelf: Shelf) -> None:
    """A second settle of the same run finds its lease gone."""
    await shelf.add()
    claimed = await shelf.claim_one()
    ending = shelf.broke(claimed, ValueError("x"))

    assert [{claimed.id}, set()] == [await shelf.store.settle([ending]), await shelf.store.settle([ending])]

    assert (1, 2) == ((await shelf.job(claimed.id))["attempts"], (await shelf.job(claimed.id))["lease_no"])
    assert 1 == len(await shelf.attempts(claimed.id))


async def test_a_late_settle_whose_lease_still_holds_counts(shelf: Shelf) -> None:
    """A lease is over when somebody took the job, not when the clock says so."""
    await shelf.add()
    claimed = await shelf.claim_one()
    shelf.clock.advance(timedelta(days=1))

    assert {claimed.id} == await shelf.store.settle([shelf.said(claimed, Done())])


async def test_a_locked_row_is_stepped_over_and_is_not_lost(shelf: Shelf, other: Other) -> None:
    """Somebody's open transaction on one job holds up nobody else's settle, and find_lost tells locked from lost."""
    ids = [await shelf.add(n) for n in range(4)]
    first, locked, cancelled, last = await shelf.claim(4)
    await other.execute("SELECT 1 FROM background_job WHERE id = %s FOR UPDATE", [locked.id])
    await fetch_async(shelf.db, statement("cancel"), {"id": cancelled.id, "reason": "by hand", "now": None})
    endings = [shelf.said(job, Done()) for job in (first, locked, cancelled, last)]

    assert {first.id, last.id} == await shelf.store.settle(endings)
    assert {cancelled.lease} == await shelf.store.find_lost([locked.lease, cancelled.lease])
    await other.rollback()
    assert {locked.id} == await shelf.store.settle(endings)
    states = [(await shelf.job(id_))["state"] for id_ in ids]
    assert ["SUCCEEDED", "SUCCEEDED", "CANCELLED", "SUCCEEDED"] == states


async def test_a_lease_of_a_job_that_is_gone_is_lost(shelf: Shelf) -> None:
    """A deleted row is nobody's any more."""
    assert {Lease(JobId(7), 1)} == await shelf.store.find_lost([Lease(JobId(7), 1)])
    assert set() == await shelf.store.find_lost([])


async def test_what_went_wrong_is_recorded_with_the_ending(shelf: Shelf) -> None:
    """The record of the attempt is written by the statement that settles: both, or neither."""
    await shelf.add()
    claimed = await shelf.claim_one()
    ending = shelf.broke(claimed, ValueError("no such mailbox"))
    await shelf.store.settle([ending])

    (record,) = await shelf.rows("SELECT *, xmin FROM job_attempt")
    (job,) = await shelf.rows("SELECT *, xmin FROM background_job")
    assert job["xmin"] == record["xmin"]
    expected = (claimed.id, 1, claimed.lease.lease_no, "failed", "ValueError", "no such mailbox", ending.trace)
    columns = ("job_id", "generation", "lease_no", "ended_as", "error_type", "error", "trace")
    assert expected == tuple(record[column] for column in columns)
    assert (job["started_at"], shelf.clock.database_now()) == (record["started_at"], record["ended_at"])


@pytest.mark.parametrize(
    ("outcome", "state", "wait"),
    [
        (Retry("busy", after=timedelta(minutes=3)), "PENDING", timedelta(minutes=3)),
        (Snooze(timedelta(minutes=7)), "PENDING", timedelta(minutes=7)),
        (GiveUp("no"), "FAILED", None),
    ],
    ids=["retry", "snooze", "give up"],
)
async def test_a_waiting_job_is_due_when_its_outcome_says(
    outcome: Outcome, state: str, wait: timedelta | None, shelf: Shelf
) -> None:
    """Spans count from the moment of the settle; what has ended keeps its time."""
    await shelf.add()
    claimed = await shelf.claim_one()
    await shelf.store.settle([shelf.said(claimed, outcome)])

    job = await shelf.job(claimed.id)
    now = shelf.clock.database_now()
    assert (state, claimed.run_at if wait is None else now + wait) == (job["state"], job["run_at"])
    assert (None if job["state"] == "PENDING" else now) == job["finished_at"]


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (Done("fine"), "runs again with a newer payload; the last run: fine"),
        (GiveUp("bad"), "runs again with a newer payload; the last run: gave up: bad"),
        (Retry("busy"), "runs again with a newer payload; the last run: retry after failure 4 of 5: busy"),
    ],
    ids=["success", "failure", "retry"],
)
async def test_a_job_that_was_replaced_while_it_ran_runs_once_more(ended: Outcome, reason: str, shelf: Shelf) -> None:
    """Whatever became of the run: one follow-up with the newest payload, due now, a new generation without errors."""
    await shelf.add(1, dedupe_key="k")
    await shelf.db.execute("UPDATE background_job SET attempts = 3")
    claimed = await shelf.claim_one()
    for n in (2, 3):
        await enqueue(shelf.db, NewJob(type="SEND", payload={"n": n}, dedupe_key="k", on_conflict=OnConflict.REPLACE))
    await shelf.store.settle([shelf.said(claimed, ended)])

    job = await shelf.job(claimed.id)
    assert ("PENDING", {"n": 3}, None, 2, 0) == tuple(
        job[column] for column in ("state", "payload", "next_payload", "generation", "attempts")
    )
    assert (reason, shelf.clock.database_now(), None) == (job["reason"], job["run_at"], job["finished_at"])
    again = await shelf.claim_one()
    await shelf.store.settle([shelf.said(again, Done())])
    assert ("SUCCEEDED", 2) == ((await shelf.job(claimed.id))["state"], (await shelf.job(claimed.id))["generation"])


async def test_the_record_of_a_dirty_run_is_of_the_generation_that_ran(shelf: Shelf) -> None:
    """An error of the old payload is not told of the new one."""
    await shelf.add(1, dedupe_key="k")
    claimed = await shelf.claim_one()
    await enqueue(shelf.db, NewJob(type="SEND", dedupe_key="k", on_conflict=OnConflict.REPLACE))
    await shelf.store.settle([shelf.broke(claimed, ValueError("x"))])

    assert [1] == [record["generation"] for record in await shelf.attempts(claimed.id)]


async def test_a_replacement_that_races_the_settle_is_not_lost(shelf: Shelf, other: Other) -> None:
    """One that commits first makes the job dirty; one that comes later finds it ended: none falls between."""
    await shelf.add(1, dedupe_key="k")
    claimed = await shelf.claim_one()
    await enqueue(other, NewJob(type="SEND", payload={"n": 2}, dedupe_key="k", on_conflict=OnConflict.REPLACE))
    assert set() == await shelf.store.settle([shelf.said(claimed, Done())])
    await other.commit()
    assert {claimed.id} == await shelf.store.settle([shelf.said(claimed, Done())])

    job = await shelf.job(claimed.id)
    assert ("PENDING", {"n": 2}) == (job["state"], job["payload"])


@pytest.mark.parametrize(
    "change",
    [
        "state = 'RUNNING'",
        "lease_until = now()",
        "state = 'DONE'",
        "lane = 'fast'",
        "scope = 'ever'",
        "payload = '[]'",
        "payload = '7'",
    ],
)
async def test_a_hand_edit_that_makes_no_sense_is_refused(change: str, shelf: Shelf) -> None:
    """A job runs if and only if it is leased; states, lanes, scopes and payloads are what they may be."""
    await shelf.add()
    with pytest.raises(psycopg.errors.CheckViolation):
        await shelf.db.execute(f"UPDATE background_job SET {change}")


async def test_a_hand_edited_state_of_a_running_job_needs_its_lease_gone(shelf: Shelf) -> None:
    """An UPDATE by hand of a running job fails unless it ends the lease, and then the old owner writes nothing."""
    await shelf.add()
    claimed = await shelf.claim_one()
    with pytest.raises(psycopg.errors.CheckViolation):
        await shelf.db.execute("UPDATE background_job SET state = 'SUCCEEDED'")
    await shelf.db.execute("UPDATE background_job SET state = 'FAILED', lease_until = NULL, lease_no = lease_no + 1")

    assert set() == await shelf.store.settle([shelf.said(claimed, Done())])


async def test_one_bad_ending_is_refused_with_the_whole_group(shelf: Shelf) -> None:
    """The statement is one: where a value cannot be kept nothing of the group is written, and all may try again."""
    await shelf.add(1)
    await shelf.add(2)
    one, other_one = await shelf.claim(2)
    bad = Ending(id=one.id, lease_no=one.lease.lease_no, state=State.PENDING, reason="", attempts=0, delay=1e30)
    with pytest.raises(psycopg.DataError):
        await shelf.store.settle([bad, shelf.said(other_one, Done())])

    assert {one.id, other_one.id} == await shelf.store.settle([shelf.said(job, Done()) for job in (one, other_one)])
