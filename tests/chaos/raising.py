"""The places at which a handler may break: each ends its run, gives back its slot, and keeps nothing of its own."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from tests.engine.history import signature

from leadjobs import Done, Job, Outcome

AnyJob = Job[Any]


class UnspeakableError(Exception):
    """It cannot even say what went wrong."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def bad(job: AnyJob) -> ValueError:
    return ValueError(f"a bad place, {signature(job.lease.lease_no)}")


async def at_once(job: AnyJob) -> Outcome:
    raise bad(job)


async def in_a_step(job: AnyJob) -> Outcome:
    async def part() -> None:
        raise bad(job)

    await job.step("first", part)
    return Done()


async def behind_a_step(job: AnyJob) -> Outcome:
    async def part() -> int:
        return 1

    await job.step("first", part)
    raise bad(job)


async def while_spending(job: AnyJob) -> Outcome:
    async with job.spend(tokens=1, what="a bad place"):
        raise bad(job)


async def before_its_commit(job: AnyJob) -> Outcome:
    async with await psycopg.AsyncConnection.connect(os.environ["CHAOS_URL"]) as connection:
        row = [job.id, job.generation, job.lease.lease_no, job.payload.n]
        await connection.execute("INSERT INTO own VALUES (%s, %s, %s, %s)", row)
        raise bad(job)


async def in_its_commit(job: AnyJob) -> Outcome:
    async with await psycopg.AsyncConnection.connect(os.environ["CHAOS_URL"]) as connection:
        row = [job.id, job.generation, job.lease.lease_no, job.payload.n]
        await connection.execute("INSERT INTO own VALUES (%s, %s, %s, %s)", row)
        return await job.commit(connection, "no outcome")  # type: ignore[arg-type]


async def with_nothing_to_say(job: AnyJob) -> Outcome:
    return None  # type: ignore[return-value]


async def with_what_cannot_be_kept(job: AnyJob) -> Outcome:
    return Done(result=object())


async def without_words(job: AnyJob) -> Outcome:
    raise UnspeakableError


async def in_words_that_cannot_be_kept(job: AnyJob) -> Outcome:
    raise ValueError("\0 \ud800")


async def on_its_way_out(job: AnyJob) -> Outcome:
    raise SystemExit(3)


async def cancelled_by_itself(job: AnyJob) -> Outcome:
    raise asyncio.CancelledError


PLACES: tuple[Callable[[AnyJob], Awaitable[Outcome]], ...] = (
    at_once, in_a_step, behind_a_step, while_spending, before_its_commit, in_its_commit, with_nothing_to_say,
    with_what_cannot_be_kept, without_words, in_words_that_cannot_be_kept, on_its_way_out, cancelled_by_itself,
)  # fmt: skip
