"""A runner in a process of its own, for tests that kill it or turn its wall clock."""

import asyncio
import datetime as dt
import os
import signal
import time
from typing import TYPE_CHECKING, Any

OFF = float(os.environ.get("RUNNER_CLOCK_OFF", "0"))

if OFF and not TYPE_CHECKING:  # before anything is imported that takes these names

    class SkewedDatetime(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime.fromtimestamp(time.time(), tz)

    right = time.time
    time.time = lambda: right() + OFF
    dt.datetime = SkewedDatetime

import psycopg  # noqa: E402

from leadjobs import Done, Job, Outcome, Registry, Retry, Runner, handler  # noqa: E402

URL = os.environ["RUNNER_URL"]
NEIGHBOURS = 10


async def note(what: str, job: Job[Any]) -> None:
    """Keep what happened, in which process, and how many jobs were running then."""
    async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO effect (job_id, what, process, running)"
            " SELECT %s, %s, %s, count(*) FROM background_job WHERE state = 'RUNNING'",
            [job.id, what, os.getpid()],
        )


async def count(query: str, *params: object) -> int:
    """A number from the database."""
    async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as connection:
        (number,) = await (await connection.execute(query.encode(), params)).fetchone() or (0,)
        return int(number)


@handler("HANG", payload=dict)
async def hang(job: Job[dict[str, Any]]) -> Outcome:
    """Start, and never end."""
    await note("start", job)
    await asyncio.Event().wait()
    return Done()


@handler("KILLER", payload=dict)
async def killer(job: Job[dict[str, Any]]) -> Outcome:
    """Kill the process; in the first run, when all neighbours are in flight."""
    await note("killer", job)
    starts = "SELECT count(*) FROM effect WHERE what = 'start'"
    while job.lease.lease_no == 1 and await count(starts) < NEIGHBOURS:  # noqa: ASYNC110  (rows set no event)
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
    return Done()


@handler("NEIGHBOUR", payload=dict)
async def neighbour(job: Job[dict[str, Any]]) -> Outcome:
    """Do no harm; in the first run, be there when the killer kills."""
    await note("start", job)
    if job.lease.lease_no == 1:
        await asyncio.Event().wait()
    await note("done", job)
    return Done()


@handler("CLOCKED", payload=dict, timeout=40)
async def clocked(job: Job[dict[str, Any]]) -> Outcome:
    """Keep for how long the lease is ours by the database's clock, then ask to wait for an hour."""
    lease = await count("SELECT extract(epoch FROM lease_until - now()) FROM background_job WHERE id = %s", job.id)
    await note(f"lease {lease}", job)
    return Retry("later", after=dt.timedelta(hours=1))


@handler("SENDING", payload=dict)
async def sending(job: Job[dict[str, Any]]) -> Outcome:
    """Send, and never hear the answer."""

    async def send(tag: str) -> None:
        await note(f"sent {tag}", job)
        await asyncio.Event().wait()

    await job.effect("sms", send)
    return Done()


@handler("SPENDING", payload=dict)
async def spending(job: Job[dict[str, Any]]) -> Outcome:
    """Spend less than was reserved; every seventh job fails first, and says nothing of what it took."""
    async with job.spend(tokens=10, what="test") as spend:
        await note("asked", job)
        if job.id % 7 == 0 and job.attempt == 1:
            return Retry("lost the answer", after=dt.timedelta())
        spend.settle(tokens=job.id % 11)
    return Done()


if __name__ == "__main__":
    asyncio.run(Runner(URL, Registry(hang, killer, neighbour, clocked, sending, spending)).run())
