"""Oban for Python: a producer per queue that fetches what its free slots can take."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from oban import Oban, worker
from oban.schema import install_sql
from psycopg import AsyncConnection
from uvloop import run as run  # noqa: PLC0414 - part of the Driver

from benchmarks.peers.driver import Work, payload

LIMIT = 100
SETTINGS = (
    f"psycopg, uvloop, one queue, limit {LIMIT}; enqueue, and enqueue_many for bulk; its table not analyzed before"
)
PACKAGES = ("oban", "psycopg", "uvloop")


class Bench:
    """The worker; which work it does is set before it runs."""

    work: Work

    async def process(self, job: Any) -> None:
        """Run one job."""
        await self.work.do(job.args["n"])


BENCH = worker(queue="default")(Bench)


async def install(url: str) -> None:
    """Make the tables."""
    async with await AsyncConnection.connect(url) as connection:
        await connection.execute(install_sql())


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:  # noqa: ARG001
    """One enqueue each."""
    took = []
    pool = await Oban.create_pool(url)
    oban = Oban(pool=pool)
    for number in numbers:
        begun = time.perf_counter()
        await oban.enqueue(BENCH.new(payload(number)))
        took.append(time.perf_counter() - begun)
    await pool.close()
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:  # noqa: ARG001
    """One enqueue_many, which is one transaction."""
    pool = await Oban.create_pool(url)
    oban = Oban(pool=pool)
    begun = time.perf_counter()
    await oban.enqueue_many([BENCH.new(payload(number)) for number in numbers])
    took = time.perf_counter() - begun
    await pool.close()
    return took


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """A server that runs until it is told to stop."""
    Bench.work = work
    pool = await Oban.create_pool(url)
    async with Oban(pool=pool, queues={"default": work.in_flight or LIMIT}):
        await stop.wait()
    await pool.close()
