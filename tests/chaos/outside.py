"""A provider that takes messages over a Unix socket, and is no help: it sends again whatever it is asked to send again.

``send TAG`` is answered ``accepted`` or ``refused``, or not at all: then it was accepted, and the answer got lost.
``find TAG`` is answered ``accepted`` or ``unknown``.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

REFUSED, UNANSWERED = 0.06, 0.08  # of all that is to be sent


class Provider:
    """What was accepted, by tag; what becomes of a message is decided by the seed, its tag and how often it came."""

    def __init__(self, seed: int) -> None:
        self.accepted: Counter[str] = Counter()
        self._seed, self._asked = seed, Counter[str]()

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[None]:
        """Answer on this socket within the block."""
        server = await asyncio.start_unix_server(self._answer, socket)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            what, _, tag = (await reader.readline()).decode().strip().partition(" ")
            if answer := self._send(tag) if what == "send" else self._find(tag):
                writer.write(f"{answer}\n".encode())
                await writer.drain()
        except ConnectionError:
            pass  # whoever asked was killed
        finally:
            writer.close()

    def _send(self, tag: str) -> str:
        if not tag:
            return ""  # whoever asked was killed before it had said all
        self._asked[tag] += 1
        luck = random.Random(f"{self._seed} {tag} {self._asked[tag]}").random()
        if luck < REFUSED:
            return "refused"
        self.accepted[tag] += 1
        return "" if luck < REFUSED + UNANSWERED else "accepted"

    def _find(self, tag: str) -> str:
        return "accepted" if self.accepted[tag] else "unknown"


async def ask(socket: str, line: str) -> str:
    """The provider's answer.

    Raises:
        ConnectionError: none came.
    """
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(f"{line}\n".encode())
        await writer.drain()
        if not (answer := (await reader.readline()).decode().strip()):
            raise ConnectionError("the provider hung up")
        return answer
    finally:
        writer.close()
