"""Procrastinate: one statement to fetch a job, one to finish it, and a trigger's row in its history for each step."""

import asyncio
import time
from asyncio import run as run  # noqa: PLC0414 - part of the Driver
from collections.abc import Sequence
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from benchmarks.peers.driver import Work, payload

CONCURRENCY, POOL = 10, 20
SETTINGS = (
    f"psycopg, pool of {POOL}, wait=False, listen_notify=False, concurrency {CONCURRENCY} (100 for sleeping jobs); "
    "defer on the sync connector, batch_defer for bulk"
)
PACKAGES = ("procrastinate", "psycopg")
NAME = "bench"


def _task(app: App) -> Any:
    async def bench(n: int, text: str, lead_id: int) -> None:
        """Only its name matters where jobs are added."""

    return app.task(name=NAME)(bench)


async def install(url: str) -> None:
    """Make the tables."""
    app = App(connector=PsycopgConnector(conninfo=url))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:  # noqa: ARG001
    """One defer each."""
    app = App(connector=SyncPsycopgConnector(conninfo=url, min_size=1, max_size=1))
    task, took = _task(app), []
    with app.open():
        for number in numbers:
            begun = time.perf_counter()
            task.defer(**payload(number))
            took.append(time.perf_counter() - begun)
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:  # noqa: ARG001
    """One batch_defer."""
    app = App(connector=SyncPsycopgConnector(conninfo=url, min_size=1, max_size=1))
    task = _task(app)
    with app.open():
        begun = time.perf_counter()
        task.batch_defer(*[payload(number) for number in numbers])
        return time.perf_counter() - begun


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """A worker that does not wait for more."""
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=POOL))

    async def bench(n: int, text: str, lead_id: int) -> None:  # noqa: ARG001
        await work.do(n)

    app.task(name=NAME)(bench)
    async with app.open_async():
        running = asyncio.create_task(
            app.run_worker_async(
                wait=False,
                listen_notify=False,
                install_signal_handlers=False,
                concurrency=work.in_flight or CONCURRENCY,
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await asyncio.wait([running])
        stopping.cancel()
