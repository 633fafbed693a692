"""What leadjobs' own table costs without leadjobs: a bare INSERT, and COPY, with all its indexes and checks."""

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

SETTINGS = "psycopg, sync; a bare INSERT in autocommit, and COPY, into background_job; 'keyed' as in leadjobs"
PACKAGES = ("psycopg",)


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


async def drain(url: str, work: Work, stop: asyncio.Event) -> None:
    """Not its case."""
    raise NotImplementedError


def _row(number: int, form: str) -> tuple[str, list[str]]:
    """The columns, and what stands in them before the payload."""
    if form == "plain":
        return "type, payload", ["BENCH"]
    keys = ["BENCH", f"job:{number}", f"tenant-{number % TENANTS}"]
    return "type, dedupe_key, tenant, payload", keys
