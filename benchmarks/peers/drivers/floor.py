"""What leadjobs' own table costs without leadjobs: INSERTs, COPY, and the raw loop, with all indexes and checks."""

import asyncio
import json
import time
from asyncio import run as run  # noqa: PLC0414 - part of the Driver
from collections.abc import Sequence

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.peers.driver import Work, payload
from benchmarks.peers.drivers.leadjobs import TENANTS
from benchmarks.peers.drivers.leadjobs import install as install  # noqa: PLC0414 - part of the Driver
from benchmarks.peers.drivers.raw import BATCH

SETTINGS = (
    "psycopg, sync; a bare INSERT in autocommit, and COPY, into background_job; the raw loop on it, with a lease that "
    "its completions are fenced by; 'keyed' as in leadjobs"
)
PACKAGES = ("psycopg",)
CLAIM = """
UPDATE background_job
   SET state = 'RUNNING', lease_no = lease_no + 1, lease_until = now() + interval '1 minute', started_at = now()
 WHERE id = ANY (ARRAY(
       SELECT id FROM background_job
        WHERE state = 'PENDING' AND lane = 'live' AND type = 'BENCH' AND run_at <= now()
        ORDER BY lane, type, tenant, run_at, id LIMIT %s
          FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id, lease_no, payload
"""
COMPLETE = """
UPDATE background_job AS job
   SET state = 'SUCCEEDED', lease_no = job.lease_no + 1, lease_until = NULL, finished_at = now()
  FROM unnest(CAST(%s AS bigint[]), CAST(%s AS integer[])) AS lease (id, lease_no)
 WHERE job.id = lease.id AND job.lease_no = lease.lease_no
"""


async def add(url: str, numbers: Sequence[int], form: str) -> list[float]:
    """A bare INSERT each."""
    columns, _ = _row(1, form)
    insert = f"INSERT INTO background_job ({columns}) VALUES (%s{', %s' * columns.count(',')})"
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for number in numbers:
            begun = time.perf_counter()
            connection.execute(insert, [*_row(number, form)[1], Jsonb(payload(number))])
            took.append(time.perf_counter() - begun)
    return took


async def add_many(url: str, numbers: Sequence[int], form: str) -> float:
    """COPY."""
    columns, _ = _row(1, form)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        begun = time.perf_counter()
        with cursor.copy(f"COPY background_job ({columns}) FROM STDIN") as copy:
            for number in numbers:
                copy.write_row([*_row(number, form)[1], json.dumps(payload(number))])
        connection.commit()
        return time.perf_counter() - begun


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:  # noqa: ARG001
    """Batches, one after another: the first due jobs of all, whosever they are."""
    with psycopg.connect(url, autocommit=True) as connection:
        while rows := connection.execute(CLAIM, [BATCH]).fetchall():
            for _, _, job in rows:
                work.note(job["n"])
            connection.execute(COMPLETE, [[id_ for id_, _, _ in rows], [lease_no for _, lease_no, _ in rows]])


def _row(number: int, form: str) -> tuple[str, list[str]]:
    """The columns, and what stands in them before the payload."""
    if form == "plain":
        return "type, payload", ["BENCH"]
    keys = ["BENCH", f"job:{number}", f"tenant-{number % TENANTS}"]
    return "type, dedupe_key, tenant, payload", keys
