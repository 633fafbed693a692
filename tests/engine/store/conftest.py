"""What the tests of the store share: a store on a clock that is moved by hand, and jobs to begin with."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row
from tests.engine.store.plans import Recorder, recorded

from leadjobs import JobId, Lane, NewJob, Outcome, RetryPolicy, enqueue
from leadjobs.core.ending import Ending, Run
from leadjobs.core.plan import Share, Stream
from leadjobs.store.jobs import Claimed, JobStore
from leadjobs.testing.clock import FakeClock

# What takes too long for every day: ./dev test --full runs it.
collect_ignore = [] if "LEADJOBS_TEST_A_MILLION_ROWS" in os.environ else ["test_plans_at_a_million.py"]

NOON = datetime(2035, 11, 23, 12, tzinfo=UTC)  # after all that the database's own clock says


class Shelf:
    """One test's jobs."""

    def __init__(self, db: psycopg.AsyncConnection[DictRow], url: str) -> None:
        self.db, self.url = db, url
        self.clock = FakeClock(NOON)
        self.store = JobStore(db, self.clock)

    async def add(self, n: int = 0, **more: Any) -> JobId:
        """A waiting job with a number in its payload."""
        return (await enqueue(self.db, NewJob(**({"type": "SEND", "payload": {"n": n}} | more)))).job_id

    async def claim(self, slots: int = 1, lane: Lane = Lane.LIVE, *, lease_seconds: float = 60) -> list[Claimed]:
        """Leases on the first due jobs."""
        return await self.store.claim([Share(Stream(lane, "SEND", ""), slots)], {}, {"SEND": lease_seconds})

    async def claim_one(self, lane: Lane = Lane.LIVE) -> Claimed:
        """A lease on the first due job."""
        (claimed,) = await self.claim(1, lane)
        return claimed

    async def job(self, job_id: int) -> DictRow:
        """A job's row."""
        (row,) = await self.rows("SELECT * FROM background_job WHERE id = %s", job_id)
        return row

    async def attempts(self, job_id: int) -> list[DictRow]:
        """The records of a job's runs."""
        return await self.rows("SELECT * FROM job_attempt WHERE job_id = %s ORDER BY id", job_id)

    async def rows(self, query: LiteralString, *params: Any) -> list[DictRow]:
        """What a query finds."""
        return await (await self.db.execute(query, params)).fetchall()

    @staticmethod
    def said(claimed: Claimed, outcome: Outcome) -> Ending:
        """The ending of a run that returned this."""
        return Run(claimed.lease, claimed.attempts, RetryPolicy()).said(outcome)

    @staticmethod
    def broke(claimed: Claimed, error: BaseException) -> Ending:
        """The ending of a run that raised this."""
        return Run(claimed.lease, claimed.attempts, RetryPolicy()).broke(error)


@pytest.fixture
def shelf(db: psycopg.AsyncConnection[DictRow], url: str) -> Shelf:
    """A test's jobs, and a store to claim and settle them with."""
    return Shelf(db, url)


@pytest.fixture
async def other(url: str) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
    """Somebody else's connection, whose transaction stays open until they end it."""
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        yield connection
        await connection.rollback()


@pytest.fixture
async def recorder(url: str) -> AsyncIterator[Recorder]:
    """The engine's connection to a database whose statistics are only gathered by hand."""
    async with recorded(url) as connection:
        yield connection
