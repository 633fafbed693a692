"""Progress and results, from a handler to whoever asks for them."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tests.engine.runner.test_runner_commit import KINDS, caller, write

from leadjobs import (
    Done,
    GiveUp,
    Job,
    LeaseLostError,
    NewJob,
    Outcome,
    Progress,
    RetryPolicy,
    find_job,
    find_job_sync,
    handler,
)
from leadjobs.errors import JobNotFoundError
from leadjobs.store.url import sqlalchemy_url

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
TOMORROW = RetryPolicy(base=timedelta(days=1), cap=timedelta(days=1))
COUNT_WRITES = """
CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO effect (job_id, what) VALUES (new.job_id, new.progress ->> 'done'); RETURN new; END $$;
CREATE TRIGGER note_write AFTER INSERT OR UPDATE ON job_result FOR EACH ROW EXECUTE FUNCTION note_write()
"""


def tell(job: AnyJob, amounts: range) -> None:
    """A loop that says how far it is, each time."""
    for done in amounts:
        job.progress(done)


async def test_progress_is_seen_while_the_run_lasts(stage: "Stage", monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner keeps the newest at its next look."""
    monkeypatch.setattr("leadjobs.runner.LOOK_EVERY", 0.01)
    go_on = asyncio.Event()

    @handler("READ", payload=dict)
    async def read(job: AnyJob) -> Outcome:
        job.progress(3, 12, "page 3")
        await go_on.wait()
        return Done()

    (id_,) = await stage.add(NewJob(type="READ"))
    running = asyncio.create_task(stage.runner(read).run())
    await stage.until("SELECT count(*) > 0 FROM job_result")
    job = await find_job(stage.db, id_)
    assert ("RUNNING", Progress(3, 12, "page 3")) == (job.state, job.progress)
    go_on.set()
    await running


async def test_progress_is_written_about_once_a_second_and_the_last_one_at_the_end(stage: "Stage") -> None:
    """Ten thousand words in a burst are one write: the last; those of other threads are as welcome."""
    await stage.db.execute(COUNT_WRITES)

    @handler("READ", payload=dict)
    async def read(job: AnyJob) -> Outcome:
        tell(job, range(5000))
        await asyncio.to_thread(tell, job, range(5000, 10_001))
        return Done()

    (id_,) = await stage.add(NewJob(type="READ"))
    await stage.runner(read).run()

    assert [(id_, "10000")] == await stage.effects()


async def test_what_was_kept_is_not_written_again(stage: "Stage", monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the next looks, nor at the end."""
    monkeypatch.setattr("leadjobs.runner.LOOK_EVERY", 0.01)
    await stage.db.execute(COUNT_WRITES)

    @handler("READ", payload=dict)
    async def read(job: AnyJob) -> Outcome:
        job.progress(1)
        await stage.until("SELECT count(*) > 0 FROM job_result")
        job.progress(2)
        await stage.until("SELECT progress ->> 'done' = '2' FROM job_result")
        return Done()

    (id_,) = await stage.add(NewJob(type="READ"))
    await stage.runner(read).run()

    assert [(id_, "1"), (id_, "2")] == await stage.effects()


@pytest.mark.parametrize("ends", ["raises", "gives up", "is cut"])
async def test_the_last_progress_of_a_run_is_kept_however_it_ended(stage: "Stage", ends: str) -> None:
    """It tells how far it came."""
    started = asyncio.Event()

    @handler("READ", payload=dict, retry=TOMORROW)
    async def read(job: AnyJob) -> Outcome:
        job.progress(7)
        started.set()
        if ends == "raises":
            raise RuntimeError
        await asyncio.Event().wait() if ends == "is cut" else None
        return GiveUp("no")

    (id_,) = await stage.add(NewJob(type="READ"))
    runner = stage.runner(read)
    running = asyncio.create_task(runner.run())
    await started.wait()
    runner.stop() if ends == "is cut" else None
    await running

    assert Progress(7) == (await find_job(stage.db, id_)).progress


@pytest.mark.parametrize("kind", KINDS)
async def test_a_result_commits_with_the_handlers_own_rows(stage: "Stage", kind: str) -> None:
    """By every kind of connection, and it is found by every kind."""

    @handler("COUNT", payload=dict)
    async def count(job: AnyJob) -> Outcome:
        async with caller(kind, stage) as connection:
            await write(connection)
            job.progress(1, 2)
            return await job.commit(connection, Done("counted", result={"n": [1, "é"]}))

    (id_,) = await stage.add(NewJob(type="COUNT", tenant="acme"))
    await stage.runner(count).run()

    async with caller(kind, stage) as connection:
        job = await find_job(connection, id_)
    assert ("acme", "SUCCEEDED", "counted") == (job.tenant, job.state, job.reason)
    assert ({"n": [1, "é"]}, Progress(1, 2)) == (job.result, job.progress)


async def test_a_former_owner_commits_no_result(stage: "Stage") -> None:
    """Neither its rows nor what it says came of it."""

    @handler("COUNT", payload=dict)
    async def count(job: AnyJob) -> Outcome:
        await stage.cancel(job.id)
        async with caller("psycopg", stage) as connection:
            with pytest.raises(LeaseLostError):
                await job.commit(connection, Done(result=1))
        job.progress(1)
        return Done(result=2)

    (id_,) = await stage.add(NewJob(type="COUNT"))
    report = await stage.runner(count).run()

    job = await find_job(stage.db, id_)
    assert (1, "CANCELLED", None, None) == (report.lost, job.state, job.result, job.progress)


async def test_a_result_that_cannot_be_kept_fails_its_run_alone(stage: "Stage") -> None:
    """The record says what to do; its neighbours' results are kept."""

    @handler("COUNT", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def count(job: AnyJob) -> Outcome:
        return Done(result="x" * job.payload["size"])

    big, small = await stage.add(*(NewJob(type="COUNT", payload={"size": size}) for size in (100_000, 3)))
    await stage.runner(count).run()

    job = await find_job(stage.db, big)
    assert ("FAILED", None) == (job.state, job.result)
    assert "write it into a table of yours with job.commit, or into a file, and return its id" in str(job.reason)
    assert "xxx" == (await find_job(stage.db, small)).result


async def test_sync_callers_find_jobs_too(stage: "Stage") -> None:
    """And what is not there is an error that says so."""
    (id_,) = await stage.add(NewJob(type="COUNT"))
    for driver in ("psycopg", "psycopg2"):
        engine = create_engine(sqlalchemy_url(stage.url, driver))
        with Session(engine) as session:
            job = find_job_sync(session, id_)
            assert (id_, "COUNT", "PENDING", None, None) == (job.id, job.type, job.state, job.progress, job.result)
            with pytest.raises(JobNotFoundError, match="there is no job 404"):
                find_job_sync(session, 404)
        engine.dispose()
