"""A handler that does not end of its cancellation."""

import asyncio
from typing import Any

from leadjobs import Done, Handler, Job, Outcome, handler


def stubborn_until(released: asyncio.Event, *, timeout: float) -> Handler[dict[str, Any]]:
    """It ends when it is released, and of nothing else."""

    @handler("STUBBORN", payload=dict, timeout=timeout)
    async def stubborn(job: Job[dict[str, Any]]) -> Outcome:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return Done()

    return stubborn
