"""Taking back what dead owners left, and what an operator does by hand."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import Done, GiveUp, JobId, Lane, NewJob, OnConflict, State, enqueue
from leadjobs.core.plan import Share, Stream
from leadjobs.errors import JobNotFoundError, SchemaBehindError, StoreError
from leadjobs.store.connection import connect
from leadjobs.store.desk import Desk
from leadjobs.store.jobs import JobStore, Rescued

Other = psycopg.AsyncConnection[DictRow]
Shelf = Any  # of conftest.py

HOUR = timedelta(hours=1)
PATIENCE = 5.0  # seconds for what must not wait at all


async def lose(shelf: Shelf, lane: Lane) -> list[Rescued]:
    """Claim the job, go silent past its lease, and have it taken back."""
    await shelf.claim_one(lane)
    shelf.clock.advance(HOUR)
    rescued: list[Rescued] = await shelf.store.rescue(max_losses=2)
    return rescued


async def test_only_leases_that_have_ended_are_taken_back(shelf: Shelf) -> None:
    """A job whose lease holds is its owner's."""
    await shelf.add()
    (claimed,) = await shelf.claim(lease_seconds=60)
    shelf.clock.advance(timedelta(seconds=60))
    assert [] == await shelf.store.rescue(max_losses=2)
    shelf.clock.advance(timedelta(microseconds=1))
    assert [Rescued(claimed.id, "SEND", State.PENDING)] == await shelf.store.rescue(max_losses=2)
    assert [] == await shelf.store.rescue(max_losses=2)


async def test_a_first_loss_costs_nothing_and_the_job_runs_alone_next(shelf: Shelf) -> None:
    """It may have been a neighbour that killed the process: no attempt and no loss is counted."""
    job_id = await shelf.add()
    await lose(shelf, Lane.LIVE)

    job = await shelf.job(job_id)
    assert ("PENDING", "alone", 0, 0, 2, None) == tuple(
        job[column] for column in ("state", "lane", "losses", "attempts", "lease_no", "lease_until")
    )
    assert "runs alone next" in job["reason"]
    assert shelf.clock.database_now() == job["run_at"]
    assert [] == await shelf.claim(9)
    (record,) = await shelf.attempts(job_id)
    assert ("lost", 1, 1) == (record["ended_as"], record["lease_no"], record["generation"])


async def test_losses_alone_count_and_the_last_one_ends_the_job(shelf: Shelf) -> None:
    """A job that takes its process down by itself is FAILED (lost) after the losses that are allowed."""
    job_id = await shelf.add()
    await lose(shelf, Lane.LIVE)
    await lose(shelf, Lane.ALONE)
    job = await shelf.job(job_id)
    assert ("PENDING", 1, None) == (job["state"], job["losses"], job["finished_at"])

    assert [Rescued(job_id, "SEND", State.FAILED)] == await lose(shelf, Lane.ALONE)

    job = await shelf.job(job_id)
    assert ("FAILED", 2, shelf.clock.database_now()) == (job["state"], job["losses"], job["finished_at"])
    assert job["reason"].startswith("lost: ")
    assert ["lost"] * 3 == [record["ended_as"] for record in await shelf.attempts(job_id)]


async def test_a_lost_job_with_a_newer_payload_runs_again_with_it(shelf: Shelf) -> None:
    """Not even the last loss swallows the payload that came meanwhile: it is a new generation with all its chances."""
    job_id = await shelf.add(1, dedupe_key="k")
    await shelf.db.execute("UPDATE background_job SET lane = 'alone', losses = 1, attempts = 3")
    await shelf.claim_one(Lane.ALONE)
    await enqueue(shelf.db, NewJob(type="SEND", payload={"n": 2}, dedupe_key="k", on_conflict=OnConflict.REPLACE))
    shelf.clock.advance(HOUR)
    await shelf.store.rescue(max_losses=2)

    job = await shelf.job(job_id)
    assert ("PENDING", {"n": 2}, None, 2, 0, 0) == tuple(
        job[column] for column in ("state", "payload", "next_payload", "generation", "attempts", "losses")
    )


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
async def test_a_payload_that_replaced_a_lost_one_has_all_its_chances(shelf: Shelf, state: str) -> None:
    """Be it replaced while the job waits, or while a run of it goes on that then ends."""
    job_id = await shelf.add(1, dedupe_key="k")
    await shelf.db.execute("UPDATE background_job SET lane = 'alone', losses = 1")
    (claimed,) = await shelf.claim(1, Lane.ALONE) if state == "RUNNING" else (None,)
    await enqueue(shelf.db, NewJob(type="SEND", payload={"n": 2}, dedupe_key="k", on_conflict=OnConflict.REPLACE))
    if claimed is not None:
        await shelf.store.settle([shelf.said(claimed, Done())])

    job = await shelf.job(job_id)
    assert ("PENDING", {"n": 2}, 0) == (job["state"], job["payload"], job["losses"])


async def test_a_locked_row_does_not_hold_up_the_rescue(shelf: Shelf, other: Other) -> None:
    """What somebody is settling or fencing right now is left to them."""
    for n in range(2):
        await shelf.add(n)
    locked, free = await shelf.claim(2)
    await other.execute("SELECT 1 FROM background_job WHERE id = %s FOR NO KEY UPDATE", [locked.id])
    shelf.clock.advance(HOUR)

    async with asyncio.timeout(PATIENCE):
        assert [free.id] == [rescued.id for rescued in await shelf.store.rescue(max_losses=2)]


async def test_two_rescues_at_once_take_a_job_back_once(shelf: Shelf, other: Other) -> None:
    """A rescue that has not committed yet already hides its jobs from the next: a loss counts once."""
    job_id = await shelf.add()
    await shelf.claim_one()
    shelf.clock.advance(HOUR)
    (first,) = await JobStore(other, shelf.clock).rescue(max_losses=2)
    second = asyncio.create_task(shelf.store.rescue(max_losses=2))
    await asyncio.wait([second], timeout=PATIENCE)
    await other.commit()

    assert (job_id, []) == (first.id, await second)
    assert ["lost"] == [record["ended_as"] for record in await shelf.attempts(job_id)]


async def test_a_rescued_job_s_old_owner_settles_nothing(shelf: Shelf) -> None:
    """The rescue moves the lease number."""
    await shelf.add()
    claimed = await shelf.claim_one()
    shelf.clock.advance(HOUR)
    await shelf.store.rescue(max_losses=2)

    assert set() == await shelf.store.settle([shelf.said(claimed, Done())])
    assert {claimed.lease} == await shelf.store.find_lost([claimed.lease])


async def test_a_claim_takes_the_first_due_jobs_and_steps_over_locked_ones(shelf: Shelf, other: Other) -> None:
    """In the order they are due; a child row that is being inserted is no lock that counts."""
    await shelf.db.execute(
        "INSERT INTO background_job (type, payload, run_at) SELECT 'SEND', jsonb_build_object('n', n),"
        " now() - make_interval(hours => n) FROM generate_series(1, 5) AS n"
    )
    ids = [row["id"] for row in await shelf.rows("SELECT id FROM background_job ORDER BY run_at")]
    await other.execute("SELECT 1 FROM background_job WHERE id = %s FOR UPDATE", [ids[0]])
    await other.execute(
        "INSERT INTO job_attempt (job_id, generation, lease_no, ended_as) VALUES (%s, 1, 1, 'lost')", [ids[1]]
    )

    claimed = await shelf.claim(3)

    assert ids[1:4] == [job.id for job in claimed]
    assert [(1, 0, 1)] * 3 == [(job.lease.lease_no, job.attempts, job.generation) for job in claimed]


async def test_two_claims_at_once_never_share_a_job(shelf: Shelf, other: Other) -> None:
    """A claim that has not committed yet already hides its jobs from the next."""
    for n in range(4):
        await shelf.add(n)
    share = Share(Stream(Lane.LIVE, "SEND", ""), 1)
    (first,) = await JobStore(other, shelf.clock).claim([share], {}, {"SEND": 60})

    claimed = await shelf.claim(9)

    assert 3 == len(claimed)
    assert first.id not in {job.id for job in claimed}


async def test_a_cancelled_job_loses_its_lease(shelf: Shelf) -> None:
    """Waiting or running, it has ended, and its handler's result is dropped."""
    desk = Desk(shelf.db)
    for _ in range(2):
        await shelf.add()
    claimed = await shelf.claim_one()
    ids = [row["id"] for row in await shelf.rows("SELECT id FROM background_job ORDER BY id")]
    for job_id in ids:
        await desk.cancel(JobId(job_id), by="ada")

    assert set() == await shelf.store.settle([shelf.said(claimed, Done())])
    for job_id in ids:
        job = await shelf.job(job_id)
        assert ("CANCELLED", "cancelled by ada", None) == (job["state"], job["reason"], job["lease_until"])
    with pytest.raises(StoreError, match="has ended already: CANCELLED"):
        await desk.cancel(JobId(ids[0]), by="ada")
    with pytest.raises(JobNotFoundError):
        await desk.cancel(JobId(999), by="ada")


async def test_cancelling_a_dirty_job_drops_its_follow_up(shelf: Shelf) -> None:
    """Who cancels means the job, not one of its payloads."""
    job_id = await shelf.add(1, dedupe_key="k")
    await shelf.claim_one()
    await enqueue(shelf.db, NewJob(type="SEND", dedupe_key="k", on_conflict=OnConflict.REPLACE))
    await Desk(shelf.db).cancel(job_id, by="ada")

    assert None is (await shelf.job(job_id))["next_payload"]


async def test_a_job_retried_by_hand_begins_a_new_generation(shelf: Shelf) -> None:
    """It is due now, with all its attempts and losses back."""
    job_id = await shelf.add()
    claimed = await shelf.claim_one()
    await shelf.store.settle([shelf.said(claimed, GiveUp("no"))])
    await shelf.db.execute("UPDATE background_job SET losses = 1")

    await Desk(shelf.db).retry(job_id, by="ada")

    job = await shelf.job(job_id)
    assert ("PENDING", "retried by ada", 2, 0, 0, None) == tuple(
        job[column] for column in ("state", "reason", "generation", "attempts", "losses", "finished_at")
    )
    assert {job_id} == {again.id for again in await shelf.claim(9)}
    with pytest.raises(StoreError, match="is RUNNING"):
        await Desk(shelf.db).retry(job_id, by="ada")


async def test_a_retry_whose_key_somebody_holds_says_so(shelf: Shelf) -> None:
    """With scope live another job may have the key by now; two of them must not run."""
    first = await shelf.add(1, dedupe_key="k", scope="live")
    claimed = await shelf.claim_one()
    await shelf.store.settle([shelf.said(claimed, Done())])
    await shelf.add(2, dedupe_key="k", scope="live")

    with pytest.raises(StoreError, match="holds the dedupe key"):
        await Desk(shelf.db).retry(first, by="ada")


async def test_the_backlog_counts_what_is_due_and_names_unknown_types(shelf: Shelf) -> None:
    """Future, running and ended jobs are not due; an unknown type is, and is told."""
    await shelf.add()
    await shelf.claim_one()
    await shelf.add()
    await shelf.add(type="UNKNOWN", tenant="t", lane=Lane.BACKFILL)
    await shelf.add(run_at=shelf.clock.database_now() + HOUR)

    backlog = await shelf.store.backlog(["SEND"])

    assert (2, ("UNKNOWN",)) == (backlog.due, backlog.unknown_types)
    assert (backlog.oldest_due_seconds or 0) > 0
    await shelf.db.execute("DELETE FROM background_job")
    empty = await shelf.store.backlog(["SEND"])
    assert (0, None, ()) == (empty.due, empty.oldest_due_seconds, empty.unknown_types)


async def test_a_store_without_tables_says_what_to_run(empty_url: str) -> None:
    """The first thing that a runner or the health door meets on a new database tells the fix."""
    async with connect(empty_url) as connection:
        for asked in (JobStore(connection).discover(["SEND"]), JobStore(connection).backlog(["SEND"])):
            with pytest.raises(SchemaBehindError, match=r"background_job.*leadjobs migrate"):
                await asked
