"""What a contestant must be able to do, and the work that its jobs do.  Standard library only: runs everywhere."""

import asyncio
import time
from array import array
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

TEXT = "Hello, I saw your offer last week and would like to talk about it. Could you call me on Tuesday afternoon? Ada"


def payload(number: int) -> dict[str, Any]:
    """What job number so-and-so carries: some 150 bytes of JSON."""
    return {"n": number, "text": TEXT, "lead_id": 100_000 + number}


class Work:
    """What every job does: it notes its number and the time; then, in one case, it sleeps.

    ``count`` tells how many have begun to whoever watches: it is called with a growing number.
    """

    def __init__(self, *, seconds: float, in_flight: int | None, count: Callable[[int], None]) -> None:
        self.seconds, self.in_flight, self._count = seconds, in_flight, count
        self.numbers = array("q")
        self.begun = array("d")

    def note(self, number: int) -> None:
        """Job number so-and-so runs."""
        self.begun.append(time.monotonic())
        self.numbers.append(number)
        self._count(len(self.numbers))

    async def do(self, number: int) -> None:
        """What a handler awaits."""
        self.note(number)
        if self.seconds:
            await asyncio.sleep(self.seconds)


class Driver(Protocol):
    """One contestant: a module of :mod:`benchmarks.peers.drivers`."""

    @property
    def SETTINGS(self) -> str:  # noqa: N802 - a module's constant
        """How it is set up."""

    @property
    def PACKAGES(self) -> tuple[str, ...]:  # noqa: N802
        """Whose versions matter."""

    @property
    def run(self) -> Callable[[Coroutine[Any, Any, Any]], Any]:
        """``asyncio.run`` or its like."""

    async def install(self, url: str) -> None:
        """Make the tables in an empty database."""

    async def add(self, url: str, numbers: Sequence[int], form: str) -> list[float]:
        """Add jobs one by one, each in a transaction of its own; the seconds that each took."""

    async def add_many(self, url: str, numbers: Sequence[int], form: str) -> float:
        """Add jobs by the contestant's own way for many at once; the seconds it took."""

    async def drain(self, url: str, work: Work, stop: asyncio.Event) -> None:
        """Run jobs until none is left, or until told to stop."""
