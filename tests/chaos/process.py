"""A runner in a process of its own: one invocation after the other, until it is told to stop, or killed."""

import asyncio
import logging
import os
import random
import signal
from contextlib import suppress
from datetime import timedelta

from tests.chaos.jobs import IS_CALM, REGISTRY, SCHEDULES, URL

from leadjobs import Runner, claimer
from leadjobs.errors import StoreError

PARENT = int(os.environ.get("CHAOS_PARENT", "0"))  # with whom it ends, however that one does
MANY_LOSSES = 100_000  # jobs are lost here all the time, and none of them is to blame


async def main() -> None:
    """Run short invocations and endless ones, as the dice say."""
    dice, told, loop = random.Random(os.environ["CHAOS_DICE"]), asyncio.Event(), asyncio.get_running_loop()
    runner: Runner | None = None

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
        with suppress(StoreError):  # the database is away
            await (runner.run_until_stopped() if is_endless else runner.run())
        stopping.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), dice.uniform(0.05, 0.3))


if __name__ == "__main__":
    # No promise rests on how long a lease outlives its timeout.  Here it is short, so that a freeze outlives leases.
    claimer.LEASE_GRACE = float(os.environ["CHAOS_GRACE"])
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
