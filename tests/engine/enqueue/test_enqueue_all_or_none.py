"""All jobs of a call or none, also for a caller that catches the error and commits; and odd connections."""

import psycopg
import pytest
from psycopg.rows import DictRow

from leadjobs import NewJob, OnConflict, Verdict, enqueue, enqueue_many_sync, enqueue_sync
from leadjobs.errors import EnqueueError

Db = psycopg.AsyncConnection[DictRow]


@pytest.mark.parametrize(
    "jobs",
    [
        [NewJob(type="A"), NewJob(type="A", dedupe_key="k", payload={"x": object()})],
        [NewJob(type="A"), NewJob(type="A", dedupe_key="k", payload={"x": "\0"}, on_conflict=OnConflict.REPLACE)],
    ],
)
async def test_a_payload_that_cannot_be_kept_adds_none_of_the_jobs(jobs: list[NewJob], url: str, db: Db) -> None:
    """Nothing was written, also for a caller that catches the error and commits."""
    with psycopg.connect(url) as connection:
        with pytest.raises(EnqueueError):
            enqueue_many_sync(connection, jobs)
        connection.commit()
    assert [] == await (await db.execute("SELECT id FROM background_job")).fetchall()


async def test_a_strict_level_adds_none_of_the_jobs(url: str, db: Db) -> None:
    """The same where only one of the jobs has a key."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        with pytest.raises(EnqueueError):
            enqueue_many_sync(connection, [NewJob(type="A"), NewJob(type="A", dedupe_key="k")])
        connection.commit()
    assert [] == await (await db.execute("SELECT id FROM background_job")).fetchall()


async def test_a_connection_s_own_cursor_class_does_not_matter(url: str) -> None:
    """A caller whose connection makes raw cursors can enqueue."""
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        assert Verdict.INSERTED == enqueue_sync(connection, NewJob(type="A", dedupe_key="a")).verdict
    async with await psycopg.AsyncConnection.connect(url, cursor_factory=psycopg.AsyncRawCursor) as aconnection:
        assert Verdict.INSERTED == (await enqueue(aconnection, NewJob(type="A", dedupe_key="b"))).verdict
