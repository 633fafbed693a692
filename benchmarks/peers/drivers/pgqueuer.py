"""PgQueuer.  It deletes a job when it has ended, and keeps a row in its log."""

import asyncio
import json
import time
from collections.abc import Sequence

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries
from pgqueuer.types import QueueExecutionMode
from uvloop import run as run  # noqa: PLC0414 - part of the Driver

from benchmarks.peers.driver import Work, payload

BATCH = 500
SETTINGS = (
    f"asyncpg, uvloop, mode=drain, batch_size {BATCH}, no cap (sleeping jobs: batch_size 50, max_concurrent_tasks "
    "100); it batches completions in memory"
)
PACKAGES = ("pgqueuer", "asyncpg", "uvloop")
NAME = "bench"


async def install(url: str) -> None:
    """Make the tables."""
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:  # noqa: ARG001
    """One call each, in autocommit."""
    took = []
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    for number in numbers:
        begun = time.perf_counter()
        await queries.enqueue(NAME, json.dumps(payload(number)).encode(), 0)
        took.append(time.perf_counter() - begun)
    await connection.close()
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:  # noqa: ARG001
    """One call with lists."""
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    begun = time.perf_counter()
    payloads = [json.dumps(payload(number)).encode() for number in numbers]
    await queries.enqueue([NAME] * len(payloads), payloads, [0] * len(payloads))
    took = time.perf_counter() - begun
    await connection.close()
    return took


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """Its drain mode ends by itself."""
    connection = await asyncpg.connect(url)
    queuer = PgQueuer(AsyncpgDriver(connection))

    async def bench(job: Job) -> None:
        await work.do(json.loads(job.payload)["n"])

    queuer.entrypoint(NAME)(bench)
    stopping = asyncio.create_task(_stop(queuer, stop))
    await queuer.run(
        mode=QueueExecutionMode.drain,
        batch_size=50 if work.in_flight else BATCH,
        max_concurrent_tasks=work.in_flight,
    )
    stopping.cancel()
    await connection.close()


async def _stop(queuer: PgQueuer, stop: asyncio.Event) -> None:
    await stop.wait()
    queuer.shutdown.set()
