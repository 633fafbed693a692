"""A network between a runner and its database that can go silent: it takes every byte, and brings none for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Network:
    """Carries connections to a database, until it :meth:`falls_silent` where told to; then it goes on, or breaks."""

    def __init__(self, host: str, port: int) -> None:
        """``host`` may be the folder of a socket, as in a connection string."""
        self._host, self._port = host, port
        self._brings = asyncio.Event()
        self._brings.set()
        self._word: bytes | None = None
        self._then: Callable[[], object] = bool
        self.connections: set[asyncio.Task[None]] = set()

    def falls_silent(self, *, at: bytes = b"", then: Callable[[], object] = bool) -> None:
        """Bring nothing from now on, or from the first statement that has this word in it (which is not brought)."""
        self._word, self._then = at or None, then
        if not at:
            self._brings.clear()

    def goes_on(self) -> None:
        """Bring what was taken meanwhile, and all that comes."""
        self._brings.set()

    def breaks(self) -> None:
        """Lose what was taken meanwhile with its connections, and take new ones."""
        for connection in self.connections:
            connection.cancel()
        self._brings.set()

    def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self.connections.add(connection := asyncio.create_task(self._carry(reader, writer)))
        connection.add_done_callback(self.connections.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until either side closes it; no way at all while the database is away."""
        ends = [writer]
        try:
            there, back = await self._open()
            ends.append(back)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._way(reader, back))
                ways.create_task(self._way(there, writer))
        except* OSError:  # as every ConnectionError is
            pass
        finally:
            for end in ends:
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
            await self._brings.wait()
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
        carrying = list(network.connections)
        network.breaks()
        await asyncio.gather(*carrying, return_exceptions=True)
