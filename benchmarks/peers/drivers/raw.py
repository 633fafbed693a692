"""The floor of any queue: a bare psycopg loop that claims and completes in batches.  No retries, leases or history."""

import asyncio
import time
from asyncio import run as run  # noqa: PLC0414 - part of the Driver
from collections.abc import Sequence

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.peers.driver import Work, payload

BATCH = 100
SETTINGS = (
    f"psycopg, sync, autocommit; claims {BATCH} by one UPDATE … SKIP LOCKED, completes them by one UPDATE; one partial "
    "index. Sleeping jobs: asyncio, claims the free slots, completes what has finished. Bulk: COPY"
)
PACKAGES = ("psycopg",)
TABLES = """
CREATE TABLE job (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state    text NOT NULL DEFAULT 'pending',
    run_at   timestamptz NOT NULL DEFAULT now(),
    payload  jsonb NOT NULL
);
CREATE INDEX job_pending ON job (run_at, id) WHERE state = 'pending';
"""
INSERT = "INSERT INTO job (payload) VALUES (%s)"
CLAIM = """
UPDATE job SET state = 'running'
 WHERE id = ANY (ARRAY(
       SELECT id FROM job
        WHERE state = 'pending' AND run_at <= now()
        ORDER BY run_at, id LIMIT %s
          FOR UPDATE SKIP LOCKED))
RETURNING id, payload
"""
COMPLETE = "UPDATE job SET state = 'done' WHERE id = ANY (%s)"


async def install(url: str) -> None:
    """One table, one index."""
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:  # noqa: ARG001
    """A bare INSERT each."""
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for number in numbers:
            begun = time.perf_counter()
            connection.execute(INSERT, [Jsonb(payload(number))])
            took.append(time.perf_counter() - begun)
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:  # noqa: ARG001
    """COPY."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        begun = time.perf_counter()
        with cursor.copy("COPY job (payload) FROM STDIN") as copy:
            for number in numbers:
                copy.write_row([Jsonb(payload(number))])
        connection.commit()
        return time.perf_counter() - begun


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """Batches, one after another; jobs that sleep run side by side."""
    if work.in_flight:
        return await _drain_sleepers(url, work, work.in_flight, stop)
    with psycopg.connect(url, autocommit=True) as connection:
        while rows := connection.execute(CLAIM, [BATCH]).fetchall():
            for _, job in rows:
                work.note(job["n"])
            connection.execute(COMPLETE, [[id_ for id_, _ in rows]])
    return None


async def _drain_sleepers(url: str, work: Work, in_flight: int, stop: asyncio.Event) -> None:
    """Claim as many as slots are free, complete what has finished, until nothing is left."""
    running: set[asyncio.Task[int]] = set()

    async def handle(id_: int, number: int) -> int:
        await work.do(number)
        return id_

    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            cursor = await connection.execute(CLAIM, [in_flight - len(running)])
            running |= {asyncio.create_task(handle(id_, job["n"])) for id_, job in await cursor.fetchall()}
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            await connection.execute(COMPLETE, [[task.result() for task in done]])
