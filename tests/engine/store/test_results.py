"""Progress and results: kept under the lease, of one generation, and nothing of it for jobs that have none."""

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import DictRow
from tests.engine.store.conftest import Shelf

from leadjobs import Done, FoundJob, JobId, OnConflict, Progress, find_job
from leadjobs.core.ending import Ending
from leadjobs.store.desk import Desk

if TYPE_CHECKING:
    from leadjobs.store.jobs import Claimed

Other = psycopg.AsyncConnection[DictRow]


async def found(shelf: Shelf, job_id: int) -> FoundJob:
    return await find_job(shelf.db, job_id)


async def tell(shelf: Shelf, claimed: "Claimed", done: float) -> bool:
    """Was it kept that the run is so far?"""
    return claimed.id in await shelf.store.keep_progress({claimed.lease: Progress(done)})


async def moved_on(shelf: Shelf, claimed: "Claimed") -> None:
    """The lease has ended, and somebody else has the job."""
    await shelf.db.execute("UPDATE background_job SET lease_no = lease_no + 2 WHERE id = %s", [claimed.id])


def with_progress(ending: Ending, done: float) -> Ending:
    return ending._replace(progress=Progress(done).as_json())


async def test_the_owner_says_how_far_it_is(shelf: Shelf) -> None:
    """The newest stands, and when it was told."""
    await shelf.add()
    claimed = await shelf.claim_one()
    assert [True, True] == [await tell(shelf, claimed, done) for done in (1, 2)]

    job = await found(shelf, claimed.id)
    assert (Progress(2), shelf.clock.database_now(), None) == (job.progress, job.progress_at, job.result)
    (line,) = await Desk(shelf.db).list_jobs()
    assert Progress(2) == line.progress


async def test_a_former_owner_keeps_neither(shelf: Shelf) -> None:
    """Beside one that still owns its job: progress, the last progress and the result are dropped."""
    mine, lost = await shelf.add(), await shelf.add()
    a, b = await shelf.claim(2)
    await moved_on(shelf, b)

    assert (True, False) == (await tell(shelf, a, 1), await tell(shelf, b, 1))
    endings = [with_progress(shelf.said(each, Done(result="mine")), 2) for each in (a, b)]
    assert {mine} == await shelf.store.settle(endings)

    assert [mine] == [row["job_id"] for row in await shelf.rows("SELECT job_id FROM job_result")]
    assert (Progress(2), "mine") == ((job := await found(shelf, mine)).progress, job.result)
    assert (None, None) == ((job := await found(shelf, lost)).progress, job.result)


async def test_what_somebody_is_taking_over_is_stepped_over(shelf: Shelf, other: Other) -> None:
    """A takeover that is not committed yet: nothing is kept, and nobody waits."""
    await shelf.add()
    claimed = await shelf.claim_one()
    await other.execute("UPDATE background_job SET lease_no = lease_no + 1")
    assert not await tell(shelf, claimed, 1)


async def test_a_result_is_kept_with_the_end_of_the_job(shelf: Shelf) -> None:
    """In one transaction; the progress that was kept stays."""
    await shelf.add()
    claimed = await shelf.claim_one()
    await tell(shelf, claimed, 3)
    await shelf.store.settle([shelf.said(claimed, Done(result={"n": 3}))])

    (row,) = await shelf.rows(
        "SELECT result, kept.xmin = job.xmin AS at_once FROM job_result AS kept, background_job AS job"
    )
    assert ({"n": 3}, True) == (row["result"], row["at_once"])
    assert Progress(3) == (await found(shelf, claimed.id)).progress


async def test_no_job_ends_without_its_result(shelf: Shelf, other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row was locked when the result was to be kept, and is free when it is to be settled: the next one does."""
    await shelf.add()
    plain = await shelf.add()
    claimed, without = await shelf.claim(2)
    await other.execute("SELECT FROM background_job WHERE id = %s FOR NO KEY UPDATE", [claimed.id])
    settle = shelf.store._settle

    async def settle_once_it_is_free(endings: list[Ending]) -> set[JobId]:
        await other.rollback()
        return await settle(endings)

    monkeypatch.setattr(shelf.store, "_settle", settle_once_it_is_free)
    endings = [shelf.said(claimed, Done(result=7)), shelf.said(without, Done())]

    assert {plain} == await shelf.store.settle(endings)
    assert {claimed.id} == await shelf.store.settle(endings)
    assert 7 == (await found(shelf, claimed.id)).result


async def test_jobs_without_results_pay_for_none(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """One statement settles them, with no transaction around it, and leaves no row."""
    for n in range(3):
        await shelf.add(n)
    claimed = await shelf.claim(3)
    monkeypatch.setattr(shelf.db, "transaction", None)
    monkeypatch.setattr(shelf.store, "_rows", None)
    assert 3 == len(await shelf.store.settle([shelf.said(each, Done("well")) for each in claimed]))
    assert [] == await shelf.rows("SELECT * FROM job_result")


async def test_the_result_of_an_older_generation_is_not_the_new_one_s(shelf: Shelf) -> None:
    """Retried by hand, the job has neither until its new run says so."""
    job_id = await shelf.add()
    await shelf.store.settle([with_progress(shelf.said(await shelf.claim_one(), Done(result="old")), 9)])
    await Desk(shelf.db).retry(job_id, by="ada")

    assert (None, None) == ((job := await found(shelf, job_id)).progress, job.result)
    sheet = await Desk(shelf.db).show(job_id)
    assert (None, None) == (sheet.progress, sheet.result)

    await shelf.store.settle([shelf.said(await shelf.claim_one(), Done(result="new"))])
    assert (None, None, "new") == ((job := await found(shelf, job_id)).progress, job.progress_at, job.result)
    await Desk(shelf.db).retry(job_id, by="ada")

    claimed = await shelf.claim_one()
    await tell(shelf, claimed, 1)
    assert (Progress(1), None) == ((job := await found(shelf, job_id)).progress, job.result)
    await shelf.store.settle([shelf.said(claimed, Done())])
    assert (await found(shelf, job_id)).result is None


async def test_the_result_of_a_run_whose_job_runs_again_is_not_the_job_s(shelf: Shelf) -> None:
    """The payload was replaced while it ran: what came of the old one is no answer to the new."""
    await shelf.add(1, dedupe_key="k")
    claimed = await shelf.claim_one()
    await shelf.add(2, dedupe_key="k", on_conflict=OnConflict.REPLACE)
    await shelf.store.settle([with_progress(shelf.said(claimed, Done(result="of 1")), 1)])

    job = await found(shelf, claimed.id)
    assert ("PENDING", 2, None, None) == (job.state, job.generation, job.progress, job.result)


async def test_a_run_that_says_nothing_yet_is_not_shown_with_what_the_last_one_said(shelf: Shelf) -> None:
    """In the list; the job's sheet says it, with its time."""
    job_id = await shelf.add()
    await shelf.store.settle([with_progress(shelf.broke(await shelf.claim_one(), ValueError()), 5)])
    await shelf.db.execute("UPDATE background_job SET run_at = now(), lane = 'live'")
    await shelf.claim_one()

    (line,) = await Desk(shelf.db).list_jobs()
    assert (line.state, line.progress) == ("RUNNING", None)
    assert Progress(5) == (await Desk(shelf.db).show(job_id)).progress


async def test_they_go_with_the_job(shelf: Shelf) -> None:
    """Deleted or pruned, nothing is left."""
    job_id: JobId = await shelf.add()
    await shelf.store.settle([shelf.said(await shelf.claim_one(), Done(result=1))])
    await Desk(shelf.db).delete(job_id)
    remains: list[Any] = await shelf.rows("SELECT * FROM job_result")
    assert [] == remains
