"""What one invocation looks after, twenty times a second: its handlers' timeouts, and that it is heard and can hear."""

import asyncio
from collections.abc import Mapping

from leadjobs.core.job import Lease
from leadjobs.flight import Flight
from leadjobs.store.connection import TimeLimit
from leadjobs.telemetry import StoodStill, tell

LOOK_EVERY = 0.05  # seconds
STILL_FROM = 1.0  # seconds that a look comes late by, from which it is told
STUCK_AFTER = 5.0  # seconds past its cancellation, after which nobody waits for a run any more
SILENT_AFTER = 60.0  # seconds until an invocation that has no end gives up a database that says nothing


class Watch:
    """Cancels handlers that run past their timeouts, a moment late at most: a timer for each would cost more.

    Where a look comes late itself, a handler has blocked the event loop, or the process was frozen: that is told.
    ``grace`` is how many seconds a statement that is given up has to end of it.  ``stuck`` is how many runs do not end
    of their cancellation: they neither take a slot nor are neighbours any more.
    """

    def __init__(self, flights: Mapping[Lease, Flight], *, is_endless: bool, grace: float) -> None:
        self._flights, self._is_endless, self._grace = flights, is_endless, grace
        self._still_until = float("-inf")
        self._looks_in_turn = self.stuck = 0
        self._limit = TimeLimit(float("inf"), grace=grace)

    def limit(self, seconds: float) -> TimeLimit:
        """What bounds all turns together."""
        self._limit = TimeLimit(seconds, grace=self._grace)
        return self._limit

    def turn(self) -> None:
        """A turn begins: whatever the last one asked of the database was answered."""
        self._looks_in_turn = 0

    def give_up(self, *, after: float = 0.0) -> None:
        """End what is asked of the database in so many seconds, and with it the turns."""
        self._limit.end(after=after)

    @property
    def was_still(self) -> bool:
        """Did the turns run into their limit because the event loop stood still, and no fault of the database's?"""
        over_since = self._limit.over_since
        return over_since is not None and self._still_until >= over_since

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            expected = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            now = loop.time()
            if now - expected >= STILL_FROM:
                self._still_until = now
                types = sorted({flight.claimed.type for flight in self._flights.values()})
                tell(StoodStill(seconds=round(now - expected, 1), types=", ".join(types)))
            for flight in [flight for flight in self._flights.values() if flight.overdue_at <= now]:
                flight.time_out()
            self.stuck = sum(flight.cancelled_at + STUCK_AFTER <= now for flight in self._flights.values())
            self._looks_in_turn += 1  # looks and no clock: while the loop stood still, nobody could hear
            if self._is_endless and self._looks_in_turn * LOOK_EVERY >= SILENT_AFTER:
                self.give_up()
                return
