"""The PostgreSQL of a chaos run, which is stopped and started again under everybody's hands."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from leadjobs.store.embedded import NOT_DURABLE, EmbeddedPostgres
from leadjobs.store.embedded_watcher import find_server

# Only a crash of the machine may lose what is not flushed; a commit that was told must outlive the server's processes.
SETTINGS = NOT_DURABLE | {"synchronous_commit": "on", "max_connections": "200", "deadlock_timeout": "200ms"}
PATIENCE = 60.0  # seconds until a server that does not answer is an error


class Database:
    """A private PostgreSQL, deleted at the end whatever happens."""

    def __init__(self) -> None:
        self._keeper = EmbeddedPostgres(ephemeral=True, settings=SETTINGS).start()
        self._again: EmbeddedPostgres | None = None
        self.url = self._keeper.url
        self._data = Path(str(conninfo_to_dict(self.url)["host"]))

    def close(self) -> None:
        """Stop and delete it."""
        if self._again is not None:
            self._again.close()
        self._keeper.close()

    async def restart(self, how: signal.Signals) -> None:
        """Stop it, fast (SIGINT) or at once (SIGQUIT), and start it again."""
        await asyncio.to_thread(self._restart, how)

    def _restart(self, how: signal.Signals) -> None:
        if server := find_server(self._data):
            os.kill(server.pid, how)
        deadline = time.monotonic() + PATIENCE
        while find_server(self._data) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._again, before = EmbeddedPostgres(self._data.parent, settings=SETTINGS).start(), self._again
        if before is not None:
            before.close()

    async def connect(self, name: str = "chaos", *, autocommit: bool = True) -> psycopg.AsyncConnection[DictRow]:
        """A connection, once the server answers.

        Raises:
            psycopg.OperationalError: it has not for a minute.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await psycopg.AsyncConnection.connect(
                    self.url, autocommit=autocommit, row_factory=dict_row, application_name=name
                )
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)

    async def rows(self, query: LiteralString, *params: Any) -> list[DictRow]:
        """What a query finds, asked again where its connection is cut."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with await self.connect() as connection:
                    return await (await connection.execute(query, params)).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise

    async def value(self, query: LiteralString, *params: Any) -> Any:
        """The first column of the first row."""
        return next(iter((await self.rows(query, *params))[0].values()))
