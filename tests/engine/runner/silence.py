"""A network between a runner and its database that can go silent: it takes every byte, and brings none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Network:
    """Carries connections to a database, until it :meth:`falls_silent` where it was told to."""

    def __init__(self, host: str, port: int) -> None:
        """``host`` may be the folder of a socket, as in a connection string."""
        self._host, self._port = host, port
        self._is_silent = False
        self._word: bytes | None = None
        self._then: Callable[[], object] = bool
        self.connections: set[asyncio.Task[None]] = set()

    def falls_silent(self, *, at: bytes = b"", then: Callable[[], object] = bool) -> None:
        """Bring nothing from now on, or from the first statement that has this word in it (which is not brought)."""
        self._is_silent, self._word, self._then = not at, at or None, then

    def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self.connections.add(asyncio.create_task(self._carry(reader, writer)))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until either side closes it."""
        there, back = await self._open()
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._way(reader, back))
                ways.create_task(self._way(there, writer))
        except* (ConnectionError, OSError):
            pass
        finally:
            for end in (back, writer):
                end.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)

    async def _way(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if self._word is not None and self._word in data:
                self._then()
                self.falls_silent()
            if not self._is_silent:
                target.write(data)
        raise ConnectionError("closed")


@asynccontextmanager
async def network_to(url: str) -> AsyncIterator[tuple[Network, str]]:
    """A network to the database of a URL, and how to connect through it."""
    parts = conninfo_to_dict(url)
    network = Network(str(parts.get("host") or "127.0.0.1"), int(parts.get("port") or 5432))
    server = await asyncio.start_server(network.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield network, make_conninfo(url, host="127.0.0.1", port=port)
    finally:
        server.close()
        for connection in network.connections:
            connection.cancel()
        await asyncio.gather(*network.connections, return_exceptions=True)
