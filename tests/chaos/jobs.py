"""The jobs of a chaos run: one type for each thing that the engine promises something about (load.py has their table).

Each run signs what it says with its lease, so that the history of the database tells whose ending counted.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from tests.chaos.outside import ask
from tests.chaos.raising import PLACES
from tests.engine.history import signature

from leadjobs import (
    DedupeScope,
    Done,
    Handler,
    Hold,
    Job,
    Limit,
    NewJob,
    NotSentError,
    Outcome,
    Registry,
    Retry,
    RetryPolicy,
    Schedule,
    Snooze,
    Unknown,
    handler,
)

URL, PROVIDER = os.environ.get("CHAOS_URL", ""), os.environ.get("CHAOS_PROVIDER", "")
IS_CALM = os.environ.get("CHAOS_IS_CALM") == "yes"  # what is drained in peace gets no trouble of our own
TIMEOUT, GRACE = 1.5, 1.0  # seconds; a lease lasts both
FOR_EVER = RetryPolicy(max_attempts=100_000, base=timedelta(seconds=0.05), cap=timedelta(seconds=0.3))
LAST_ATTEMPT = 3
AT_ONCE, EACH_TENANT, RATE, PER = 3, 1, 10, 1.0
LONG_ENOUGH = 0.3  # seconds, for others to come meanwhile
ASKED, USED = 10, 1  # of the unit "tokens", by each job that spends; and what it comes to where hardly any is used

OWN = """
CREATE TABLE own (job_id bigint NOT NULL, generation integer NOT NULL, lease_no integer NOT NULL, n bigint NOT NULL);
"""


@dataclass(frozen=True)
class Work:
    """What a job is to do: ``n`` is its request's number, and its first ``bad`` runs come to nothing."""

    n: int = 0
    ms: int = 0
    bad: int = 0


WorkJob = Job[Work]


def by(job: WorkJob) -> str:
    """The signature of a run."""
    return signature(job.lease.lease_no)


def is_bad(job: WorkJob) -> bool:
    """Is this one of the runs that come to nothing?  A claim and an end are two numbers."""
    return (job.lease.lease_no + 1) // 2 <= job.payload.bad


async def work(job: WorkJob) -> None:
    await asyncio.sleep(job.payload.ms / 1000)


async def outlive(job: WorkJob) -> None:
    """Where it is to be bad, go on until somebody else has the job, whoever cancels us: then what we write is late."""
    end = time.monotonic() + 2 * (TIMEOUT + GRACE)
    while not IS_CALM and is_bad(job) and job.payload.n % 4 == 0 and time.monotonic() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(end - time.monotonic())


def kind(
    name: str, *, timeout: float = TIMEOUT, retry: RetryPolicy = FOR_EVER, **more: Any
) -> Callable[[Callable[[WorkJob], Awaitable[Outcome]]], Handler[Work]]:
    return handler(name, payload=Work, timeout=timeout, retry=retry, **more)


@kind("PLAIN")
async def plain(job: WorkJob) -> Outcome:
    await work(job)
    return Done(by(job))


@kind("FLAKY")
async def flaky(job: WorkJob) -> Outcome:
    await work(job)
    if is_bad(job):
        raise RuntimeError(f"bad luck, {by(job)}")
    return Done(by(job))


@kind("HOPELESS", retry=RetryPolicy(max_attempts=LAST_ATTEMPT, base=timedelta(seconds=0.05)))
async def hopeless(job: WorkJob) -> Outcome:
    await work(job)
    return Retry(f"never, {by(job)}")


@kind("RAISING", retry=RetryPolicy(max_attempts=LAST_ATTEMPT, base=timedelta(seconds=0.05)))
async def raising(job: WorkJob) -> Outcome:
    return await PLACES[job.payload.n % len(PLACES)](job)


@kind("UNREADABLE")
async def unreadable(job: WorkJob) -> Outcome:
    return Done(f"it could be read, {by(job)}")


@kind("SLOW", timeout=0.5)
async def slow(job: WorkJob) -> Outcome:
    await asyncio.sleep(10 if is_bad(job) else 0)
    return Done(by(job))


@kind("SNOOZING")
async def snoozing(job: WorkJob) -> Outcome:
    return Snooze(timedelta(seconds=0.3), by(job)) if is_bad(job) else Done(by(job))


@kind("BUSY", uses=["api"])
async def busy(job: WorkJob) -> Outcome:
    return Hold("api", timedelta(seconds=0.2), by(job), tenant=job.tenant) if is_bad(job) else Done(by(job))


@kind("STEPS")
async def steps(job: WorkJob) -> Outcome:
    async def part() -> int:
        await work(job)
        await outlive(job)
        return job.lease.lease_no

    for name in ("first", "second", "third"):
        await job.step(name, part)
    return Done(by(job))


@kind("EFFECT")
async def effect(job: WorkJob) -> Outcome:
    async def send(tag: str) -> dict[str, str]:
        await work(job)
        if await ask(PROVIDER, f"send {tag}") == "refused":
            raise NotSentError(f"refused, {by(job)}")
        return {"tag": tag}

    async def look_up(tag: str) -> dict[str, str] | Unknown:
        if job.payload.n % 3 == 0:
            return Unknown(f"a person must look; {by(job)}")
        is_there = await ask(PROVIDER, f"find {tag}") == "accepted"
        return {"tag": tag} if is_there else Unknown(f"it may be on its way; {by(job)}")

    await job.effect("sms", send, look_up)
    return Done(by(job))


@kind("SPENDING")
async def spending(job: WorkJob) -> Outcome:
    async with job.spend(tokens=ASKED, what="chaos") as spend:
        await work(job)
        if is_bad(job):
            return Retry(f"lost the answer, {by(job)}", after=timedelta())
        spend.settle(tokens=job.payload.n % (ASKED + 1))
    return Done(by(job))


@kind("SQUEEZED")
async def squeezed(job: WorkJob) -> Outcome:
    """Asks for much more than it takes: side by side, one is refused what the others only reserve."""
    async with job.spend(tokens=ASKED, what="chaos") as spend:
        await asyncio.sleep(LONG_ENOUGH)
        spend.settle(tokens=USED)
    return Done(by(job))


@kind("LIMITED", limits=[Limit(running=AT_ONCE, of="crm")])
async def limited(job: WorkJob) -> Outcome:
    await work(job)
    return Done(by(job))


@kind("SHARING", limits=[Limit(running=AT_ONCE, of="crm"), Limit(running=EACH_TENANT, each_tenant=True)])
async def sharing(job: WorkJob) -> Outcome:
    await work(job)
    return Done(by(job))


@kind("CROWDED", limits=[Limit(running=EACH_TENANT, each_tenant=True)])
async def crowded(job: WorkJob) -> Outcome:
    await work(job)
    return Done(by(job))


@kind("RATED", limits=[Limit(rate=RATE, per=timedelta(seconds=PER))])
async def rated(job: WorkJob) -> Outcome:
    return Done(by(job))


async def commit(job: WorkJob) -> Outcome:
    """A row of our own, and the end of the job."""
    await work(job)
    await outlive(job)
    async with await psycopg.AsyncConnection.connect(URL) as connection:
        row = [job.id, job.generation, job.lease.lease_no, job.payload.n]
        await connection.execute("INSERT INTO own VALUES (%s, %s, %s, %s)", row)
        return await job.commit(connection, Done(by(job)))


OWNING = (kind("OWN")(commit), kind("KEYED", scope=DedupeScope.LIVE)(commit), kind("TICK")(commit))

REGISTRY = Registry(
    plain, flaky, hopeless, raising, unreadable, slow, snoozing, busy, steps, effect, spending, squeezed, limited,
    sharing, crowded, rated, *OWNING,
)  # fmt: skip
SCHEDULES = tuple(Schedule(f"minutely-{n}", "* * * * *", job=NewJob(type="TICK")) for n in range(3))
