"""Chancy: a worker whose finished jobs are written by a loop of their own."""

import asyncio
import logging
import time
from asyncio import run as run  # noqa: PLC0414 - part of the Driver
from collections.abc import Sequence

from chancy import Chancy, Job, Queue, Worker

from benchmarks.peers.driver import Work, payload

IN_FLIGHT = 500
SETTINGS = (
    f"psycopg, AsyncExecutor, concurrency {IN_FLIGHT} (100 for sleeping jobs), eager_polling, send_outgoing_interval "
    "0.05, default plugins, logger at WARNING; sync_push, and sync_push_many for bulk"
)
PACKAGES = ("chancy", "psycopg")
LOG = logging.getLogger("chancy")
LOG.setLevel(logging.WARNING)


class Current:
    """The work in progress: Chancy finds a job's function by its name."""

    work: Work


async def bench(*, n: int, text: str, lead_id: int) -> None:  # noqa: ARG001
    """Run one job."""
    await Current.work.do(n)


def _job(number: int) -> Job:
    return Job.from_func(bench, kwargs=payload(number))


async def install(url: str) -> None:
    """Make the tables, and the queue, so that its worker finds it."""
    async with Chancy(url, log=LOG) as chancy:
        await chancy.migrate()
        await chancy.declare(_queue(IN_FLIGHT), upsert=True)


def _queue(in_flight: int) -> Queue:
    return Queue(
        "default", concurrency=in_flight, executor=Chancy.Executor.Async, eager_polling=True, polling_interval=1
    )


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:  # noqa: ARG001
    """One push each."""
    took = []
    with Chancy(url, log=LOG) as chancy:
        for number in numbers:
            begun = time.perf_counter()
            chancy.sync_push(_job(number))
            took.append(time.perf_counter() - begun)
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:  # noqa: ARG001
    """One push of many, in its batches of 1,000."""
    with Chancy(url, log=LOG) as chancy:
        begun = time.perf_counter()
        for _ in chancy.sync_push_many([_job(number) for number in numbers]):
            pass
        return time.perf_counter() - begun


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """A worker that runs until it is told to stop."""
    Current.work = work
    async with Chancy(url, log=LOG) as chancy:
        if work.in_flight:
            await chancy.declare(_queue(work.in_flight), upsert=True)
        worker = Worker(chancy, register_signal_handlers=False)
        worker.send_outgoing_interval = 0.05
        async with worker:
            await stop.wait()
