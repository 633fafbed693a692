"""Deleting jobs that were kept long enough: a window of the job table at a time, from its beginning and round again."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg

from leadjobs.core.clock import Clock, SystemClock
from leadjobs.core.retention import Retention
from leadjobs.store.connection import OwnConnection, fetch_async
from leadjobs.store.statements import statement
from leadjobs.telemetry import JobsPruned, PruneFailed, tell

MAX_LOOKED_AT = 5000  # rows of one window
MAX_SECONDS = 2.0  # of an invocation's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was found in one window, and deleted where it was no dry run; ``place`` is 0 where the round has ended."""

    place: int
    looked_at: int
    succeeded: int
    cancelled: int
    failed: int

    @property
    def pruned(self) -> int:
        """All jobs that were kept long enough."""
        return self.succeeded + self.cancelled + self.failed


class Pruner:
    """Deletes what a retention says, on one connection of our own."""

    def __init__(self, connection: OwnConnection, retention: Retention, clock: Clock | None = None) -> None:
        self._connection, self._retention = connection, retention
        self._clock = clock or SystemClock()

    async def prune_some(self, *, seconds: float, most: int = MAX_LOOKED_AT) -> int:
        """Delete what is old enough in the next window of the round that all runners make, and say how many.

        One statement, which commits or leaves everything as it was; where another runner is at it, nothing is done.
        Where the database refuses or takes longer than ``seconds`` (2 at most), a warning is told and nothing deleted:
        an invocation has better things to fail of.

        Raises:
            OperationalError: the connection is gone.
        """
        if self._retention.shortest is None or seconds <= 0:
            return 0
        try:
            async with asyncio.timeout(min(seconds, MAX_SECONDS)):
                window = await self._prune(None, most, is_dry=False)
        except (TimeoutError, psycopg.Error) as error:
            if self._connection.broken:
                raise
            tell(PruneFailed(error_type=type(error).__name__))
            return 0
        if window is None or not window.pruned:
            return 0
        tell(JobsPruned(succeeded=window.succeeded, cancelled=window.cancelled, failed=window.failed))
        return window.pruned

    async def prune_all(self, *, is_dry: bool, most: int = MAX_LOOKED_AT) -> AsyncIterator[Window]:
        """Delete all that is old enough, or only count it, a window at a time; each is committed when it is told.

        It keeps out of the runners' way: each row is somebody's once, and their round stays where it is.
        """
        place: int | None = None if self._retention.shortest is None else 0
        while place is not None:
            window = await self._prune(place, most, is_dry=is_dry)
            if window is None:
                return
            yield window
            place = window.place or None

    async def _prune(self, place: int | None, most: int, *, is_dry: bool) -> Window | None:
        shortest = self._retention.shortest
        seconds = {
            state: None if span is None else span.total_seconds() for state, span in self._retention.spans.items()
        }
        params: dict[str, Any] = {
            "place": place,
            "max_jobs": most,
            "is_dry": is_dry,
            "seconds": json.dumps(seconds),
            "shortest_seconds": None if shortest is None else shortest.total_seconds(),
            "now": self._clock.database_now(),
        }
        rows = await fetch_async(self._connection, statement("prune"), params)
        return Window(**rows[0]) if rows else None
