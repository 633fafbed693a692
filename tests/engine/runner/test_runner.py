"""The runner: claim -> handle -> settle."""

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs import Done, Job, NewJob, Outcome, Registry, Runner, enqueue, handler


@handler("GREET", payload=dict)
async def greet(job: Job[dict[str, str]]) -> Outcome:
    return Done(f"hello {job.payload['name']}")


async def test_an_enqueued_job_is_run_and_settled(url: str, db: AsyncConnection[DictRow]) -> None:
    """A job goes from enqueue to SUCCEEDED, and says what came of it."""
    await enqueue(db, NewJob(type="GREET", payload={"name": "Ada"}))

    report = await Runner(url, Registry(greet)).run()

    row = await (await db.execute("SELECT state, reason, attempts, lease_no, lease_until FROM background_job")).fetchone()
    assert {"state": "SUCCEEDED", "reason": "hello Ada", "attempts": 0, "lease_no": 2, "lease_until": None} == row
    assert (1, 1, "drained") == (report.claimed, report.succeeded, report.stopped)
