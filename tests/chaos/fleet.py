"""The runner processes: as many as are wanted, started again whenever one was killed.

Every other one reaches the database through a network that may go silent.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.jobs import GRACE

ROOT = Path(__file__).resolve().parents[2]
CALM_GRACE = 30.0  # seconds that a lease outlives its job's timeout by, in peace
PATIENCE = 60.0  # seconds for a process to end once it is told to

Process = asyncio.subprocess.Process


@dataclass
class Fleet:
    """Keeps processes alive; ``troubles`` tells of those that ended by themselves, or did not when told to."""

    urls: tuple[str, str]
    socket: Path
    dice: random.Random
    troubles: list[str] = field(default_factory=list)
    _processes: list[Process] = field(default_factory=list)
    _killed: set[int] = field(default_factory=set)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _is_over: bool = False

    def start(self, count: int, *, is_calm: bool = False) -> None:
        """Keep so many alive; calm ones have long leases, no schedules, and take streams in order of their names."""
        self._is_over = False
        self._keepers = [
            asyncio.create_task(self._keep(self.urls[place % 2], is_calm=is_calm)) for place in range(count)
        ]

    async def _keep(self, url: str, *, is_calm: bool) -> None:
        while not self._is_over:
            mood = {"CHAOS_IS_CALM": "yes", "CHAOS_GRACE": str(CALM_GRACE)}
            environment = mood if is_calm else {"CHAOS_IS_CALM": "no", "CHAOS_GRACE": str(GRACE)}
            environment |= {"CHAOS_URL": url, "CHAOS_PROVIDER": str(self.socket)}
            environment |= {"CHAOS_DICE": str(self.dice.random()), "CHAOS_PARENT": str(os.getpid())}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.chaos.process", cwd=ROOT, env=os.environ | environment,
                stderr=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            self._processes.append(process)
            try:
                _, said = await process.communicate()
            finally:
                self._processes.remove(process)
            fine = self._fine_endings()
            if process.pid not in self._killed and process.returncode not in fine:
                self.troubles.append(f"a runner ended by itself with {process.returncode}: {said.decode()[-1500:]}")
                await asyncio.sleep(0.5)

    def _fine_endings(self) -> set[int]:
        return {0, -signal.SIGTERM} if self._is_over else set()

    def some(self) -> Process | None:
        """One that is alive, by the dice."""
        return self.dice.choice(self._processes) if self._processes else None

    def kill(self, process: Process) -> None:
        """End it as kill -9 does."""
        self._killed.add(process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    async def freeze(self, process: Process, seconds: float) -> None:
        """Stop it in its tracks for a while, as a platform does between requests."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Tell all to stop, and wait until they have; those that do not are told of, and killed."""
        self._is_over = True
        for process in list(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        _, late = await asyncio.wait(self._keepers, timeout=PATIENCE) if self._keepers else (None, set())
        if late:
            self.troubles.append(f"{len(late)} runners did not stop within {PATIENCE:g} s")
        await self.abandon()

    async def abandon(self) -> None:
        """Kill all that are left."""
        self._is_over = True
        for process in list(self._processes):
            self.kill(process)
        await asyncio.gather(*self._keepers, return_exceptions=True)
