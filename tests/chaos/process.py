"""A runner in a process of its own: one invocation after the other, until it is told to stop, or killed."""

import asyncio
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from tests.chaos.jobs import IS_CALM, REGISTRY, SCHEDULES, URL
from tests.chaos.stranger import MANY_LOSSES

from leadjobs import Runner, claimer
from leadjobs.errors import StoreError

PARENT = int(os.environ.get("CHAOS_PARENT", "0"))  # with whom it ends, however that one does
LOOK_EVERY = 0.1  # seconds between looks at the clock
SLACK = 1.5  # seconds that a busy machine may add to an invocation


class InOrder:
    """In the place of the dice: streams that are discovered together take their turns in the order of their names."""

    @staticmethod
    def sample(found: Iterable[Any], _: int) -> list[Any]:
        return sorted(found)


class Stillness:
    """How long this process stood still, for it was frozen or got no processor: no fault of the runner's."""

    def __init__(self) -> None:
        self._seconds, self._looked_at = 0.0, time.monotonic()

    def look(self) -> float:
        """Look at the clock, and say for how many seconds so far."""
        now = time.monotonic()
        self._seconds += max(0.0, now - self._looked_at - 2 * LOOK_EVERY)
        self._looked_at = now
        return self._seconds

    async def watch(self) -> None:
        """Look at the clock until cancelled: a long time between two looks is stillness."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.look()


async def main() -> None:
    """Run short invocations and endless ones, as the dice say."""
    dice, told, loop = random.Random(os.environ["CHAOS_DICE"]), asyncio.Event(), asyncio.get_running_loop()
    runner: Runner | None = None
    still = Stillness()
    watching = asyncio.create_task(still.watch())

    def stop() -> None:
        told.set()
        if runner is not None:
            runner.stop()

    loop.add_signal_handler(signal.SIGTERM, stop)
    while not told.is_set() and os.getppid() == PARENT:
        seconds = dice.uniform(2.5, 6)
        runner = Runner(
            URL,
            REGISTRY,
            budget=timedelta(seconds=seconds),
            concurrency=dice.randint(4, 16),
            max_losses=MANY_LOSSES,
            schedules=() if IS_CALM else SCHEDULES,
        )
        is_endless = dice.random() < 0.3
        stopping = loop.call_later(seconds, runner.stop)
        began = time.monotonic() - still.look()
        with suppress(StoreError):  # the database is away
            await (runner.run_until_stopped() if is_endless else runner.run())
        stopping.cancel()
        took = time.monotonic() - still.look() - began
        if not is_endless and took > seconds + SLACK:
            sys.exit(f"an invocation of {seconds:.1f} s took {took:.1f} s")
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), dice.uniform(0.05, 0.3))
    watching.cancel()


if __name__ == "__main__":
    # No promise rests on how long a lease outlives its timeout.  Here it is short, so that a freeze outlives leases.
    claimer.LEASE_GRACE = float(os.environ["CHAOS_GRACE"])
    if IS_CALM:
        patch("leadjobs.core.plan.random", InOrder).start()
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
