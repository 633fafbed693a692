"""leadjobs itself, driven like any app would: its public API, one runner with a budget, nothing special."""

import asyncio
import time
from asyncio import run as run  # noqa: PLC0414 - part of the Driver
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg

from benchmarks.peers.driver import Work, payload
from leadjobs import Done, Job, JobType, NewJob, Outcome, Registry, Runner, enqueue_many_sync, enqueue_sync, handler

IN_FLIGHT = 1000
TENANTS = 20
SETTINGS = (
    f"one Runner, concurrency {IN_FLIGHT} (100 for sleeping jobs), payload=dict, asyncio; enqueue_sync on a psycopg "
    f"connection in autocommit, so that a call is a transaction; 'keyed' means a dedupe key, and {TENANTS} tenants"
)
PACKAGES = ("leadjobs", "psycopg", "pydantic")
BENCH: JobType[Any] = JobType(name="BENCH", payload=dict)
PAUSED: JobType[Any] = JobType(name="BENCH_PAUSED", payload=dict)  # known to the runner; one case has rows of it


async def install(url: str) -> None:
    """Migrate."""
    from leadjobs.store.migrate import migrate  # noqa: PLC0415 - Alembic is no part of a runner's start

    await asyncio.to_thread(migrate, url)


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:
    """One statement each, which is its own transaction."""
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for number in numbers:
            begun = time.perf_counter()
            enqueue_sync(connection, _job(number, form))
            took.append(time.perf_counter() - begun)
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:
    """All in one call, in one transaction."""
    with psycopg.connect(url) as connection:
        begun = time.perf_counter()
        enqueue_many_sync(connection, [_job(number, form) for number in numbers])
        connection.commit()
        return time.perf_counter() - begun


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """One invocation; it ends when nothing is left."""

    @handler(BENCH)
    async def bench(job: Job[Any]) -> Outcome:
        await work.do(job.payload["n"])
        return Done()

    @handler(PAUSED)
    async def paused(job: Job[Any]) -> Outcome:
        raise AssertionError(f"job {job.id} is paused, and runs")

    runner = Runner(url, Registry(bench, paused), budget=timedelta(minutes=15), concurrency=work.in_flight or IN_FLIGHT)
    stopping = asyncio.create_task(_stop(runner, stop))
    await runner.run()
    stopping.cancel()


async def _stop(runner: Runner, stop: asyncio.Event) -> None:
    await stop.wait()
    runner.stop()


def _job(number: int, form: str) -> NewJob:
    if form == "plain":
        return BENCH.job(payload(number))
    return BENCH.job(payload(number), dedupe_key=f"job:{number}", tenant=f"tenant-{number % TENANTS}")
