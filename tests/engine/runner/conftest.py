"""What the runner's tests stand on: a database to look at, and runners and processes to start on it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row
from tests.engine.runner.sending import Slow

from leadjobs import Handler, JobId, NewJob, Registry, Runner, enqueue_many
from leadjobs.core.clock import SystemClock
from leadjobs.store.jobs import JobStore
from leadjobs.store.statements import statement

PATIENCE = 30.0  # seconds until a fact that does not come true fails its test
PROCESS = Path(__file__).with_name("runner_process.py")


class Stage:
    """One test's database, and what a test does with it."""

    def __init__(self, url: str, db: psycopg.AsyncConnection[DictRow]) -> None:
        self.url, self.db = url, db
        self.store = JobStore(db, SystemClock())

    def runner(self, *handlers: Handler[Any], **options: Any) -> Runner:
        """A runner of these handlers on the test's database."""
        return Runner(self.url, Registry(*handlers), **options)

    @asynccontextmanager
    async def connection(self, *, autocommit: bool = False) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        """Another connection, as a caller or a handler has its own."""
        async with await psycopg.AsyncConnection.connect(
            self.url, autocommit=autocommit, row_factory=dict_row
        ) as connection:
            yield connection

    async def add(self, *jobs: NewJob) -> list[JobId]:
        """Enqueue jobs, committed at once."""
        return [enqueued.job_id for enqueued in await enqueue_many(self.db, jobs)]

    async def rows(self, query: LiteralString, *params: Any) -> list[DictRow]:
        """What a query finds."""
        return await (await self.db.execute(query, params)).fetchall()

    async def value(self, query: LiteralString, *params: Any) -> Any:
        """The first column of a query's first row."""
        rows = await self.rows(query, *params)
        return next(iter(rows[0].values())) if rows else None

    async def job(self, job_id: int) -> DictRow:
        """A job's row."""
        (row,) = await self.rows("SELECT * FROM background_job WHERE id = %s", job_id)
        return row

    async def records(self, job_id: int) -> list[str]:
        """How the runs of a job ended that did not end well, oldest first."""
        rows = await self.rows("SELECT ended_as FROM job_attempt WHERE job_id = %s ORDER BY id", job_id)
        return [row["ended_as"] for row in rows]

    async def states(self) -> dict[str, int]:
        """How many jobs are in which state."""
        rows = await self.rows("SELECT state, count(*) FROM background_job GROUP BY state")
        return {row["state"]: row["count"] for row in rows}

    async def until(self, query: LiteralString, *params: Any) -> None:
        """Wait until a query's first value is true."""
        async with asyncio.timeout(PATIENCE):
            while not await self.value(query, *params):  # noqa: ASYNC110  (facts in a database set no event)
                await asyncio.sleep(0.01)

    async def note(self, what: str, job_id: int | None = None) -> None:
        """Keep an effect: what happened, for which job."""
        await self.db.execute("INSERT INTO effect (job_id, what) VALUES (%s, %s)", [job_id, what])

    async def effects(self) -> list[tuple[int | None, str]]:
        """What happened, in order."""
        return [(row["job_id"], row["what"]) for row in await self.rows("SELECT job_id, what FROM effect ORDER BY id")]

    async def end_leases(self) -> None:
        """Let all leases have ended a second ago."""
        await self.db.execute(
            "UPDATE background_job SET lease_until = now() - interval '1 second' WHERE state = 'RUNNING'"
        )

    async def cancel(self, job_id: int) -> None:
        """Cancel a job, as an operator does."""
        await self._operate("cancel", job_id)

    async def retry(self, job_id: int) -> None:
        """Make a job that has ended run again, as an operator does."""
        await self._operate("retry", job_id)

    async def _operate(self, name: str, job_id: int) -> None:
        await self.db.execute(
            statement(name).for_psycopg, {"id": job_id, "reason": f"{name} by an operator", "now": None}
        )

    async def kill_backends(self, query_like: str) -> int:
        """End the runners' connections whose last statement looks like this; how many there were."""
        killed: int = await self.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'leadjobs' AND pid <> pg_backend_pid() AND query LIKE %s",
            query_like,
        )
        return killed

    async def process(self, *, wall_clock_off: float = 0.0) -> asyncio.subprocess.Process:
        """A runner in a process of its own; it drains the queue and ends."""
        return await asyncio.create_subprocess_exec(
            sys.executable, PROCESS, env={**os.environ, "RUNNER_URL": self.url, "RUNNER_CLOCK_OFF": str(wall_clock_off)}
        )


@pytest.fixture
async def stage(url: str, db: psycopg.AsyncConnection[DictRow]) -> AsyncIterator[Stage]:
    """The test's database, with a table for the effects of handlers; a test that hangs is cancelled, and so fails."""
    await db.execute(
        "CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job_id bigint, what text NOT NULL,"
        " process integer, running bigint)"
    )
    loop = asyncio.get_running_loop()
    giving_up = loop.call_later(3 * PATIENCE, lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
    yield Stage(url, db)
    giving_up.cancel()


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that are discovered together take their turns in the order of their names, and not in a random one."""
    monkeypatch.setattr("leadjobs.core.plan.random.sample", lambda streams, _: sorted(streams))


@pytest.fixture
def slow() -> Iterator[Slow]:
    """It is let go after the test, however that ended."""
    provider = Slow()
    yield provider
    provider.go.set()
