"""Statements end when their time is over, whatever they wait for; and nobody else's cancellation is lost by it."""

import asyncio
from contextlib import suppress

import pytest

from leadjobs.store.connection import TimeLimit

A_WHILE = 0.02  # seconds


async def for_ever(*, deaf_to: int = 0) -> int:
    """Wait, through so many cancellations."""
    for _ in range(deaf_to):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    return await asyncio.Event().wait()


async def nothing_comes() -> None:
    """What was begun by a limit is over with it."""
    await asyncio.sleep(2 * A_WHILE)


async def test_who_ends_in_time_is_not_touched() -> None:
    """Nor is what comes after."""
    async with TimeLimit(A_WHILE, grace=A_WHILE) as limit:
        pass

    await nothing_comes()
    assert limit.over_since is None


async def test_who_runs_over_is_cancelled_until_it_ends() -> None:
    """However often it waits for something else instead; afterwards it may wait again."""
    over = asyncio.get_running_loop().time() + A_WHILE
    limit = TimeLimit(A_WHILE, grace=A_WHILE)

    async def limited() -> None:
        async with limit:
            await for_ever(deaf_to=5)

    with pytest.raises(TimeoutError):
        await limited()

    await nothing_comes()
    assert limit.over_since is not None
    assert limit.over_since >= over


@pytest.mark.parametrize("seconds", [60.0, 0.0], ids=["before its time is over", "after"])
async def test_a_cancellation_by_others_goes_through(seconds: float) -> None:
    """It is theirs, and no TimeoutError."""
    is_over = asyncio.Event()

    async def limited() -> None:
        async with TimeLimit(seconds, grace=240):
            try:
                if not seconds:
                    await for_ever()
            finally:
                is_over.set()
                await for_ever()

    task = asyncio.create_task(limited())
    await is_over.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_may_be_ended_sooner_by_others_while_somebody_is_in_it() -> None:
    """Before and after, nobody is touched."""
    limit = TimeLimit(60, grace=60)

    async def limited() -> None:
        async with limit:
            limit.end(after=0.0)
            await for_ever()

    limit.end(after=0.0)
    with pytest.raises(TimeoutError):
        await limited()
    limit.end(after=0.0)

    await nothing_comes()
