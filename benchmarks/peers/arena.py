"""The server that all share, and a fresh database for each run."""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from benchmarks.peers.contestants import Contestant
from benchmarks.peers.process import ask
from benchmarks.peers.verify import check_added
from leadjobs.store.url import with_database

SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "768MB",
    "max_wal_size": "8GB",  # a checkpoint of its own accord would hit whoever runs at the time
    "checkpoint_timeout": "1h",
    "max_connections": "200",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",  # switched on in the one case that counts
    "pg_stat_statements.max": "2000",
}


def look(url: str) -> psycopg.Connection:
    """A connection for looking on, whose statements the server does not count."""
    return psycopg.connect(url, autocommit=True, options="-c pg_stat_statements.track=none")


@dataclass(frozen=True)
class Database:
    """A fresh database; ``after`` is the last id of the rows that are not the case's own jobs."""

    url: str
    after: int


@dataclass
class Arena:
    """Databases on a server, made from templates: what a case begins with is made once, and copied for each round."""

    server_url: str
    interpreters: Mapping[str, str]
    _templates: dict[tuple[object, ...], tuple[str, int]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def database(self, who: Contestant, *, jobs: int = 0, kind: str = "", rows: int = 0) -> Iterator[Database]:
        """A database with the contestant's tables, some background rows, and so many jobs that wait."""
        template, after = self._template(who, jobs, kind, rows)
        name = self._create(template)
        try:
            yield Database(with_database(self.server_url, name), after)
        finally:
            self._drop(name)

    def close(self) -> None:
        """Drop the templates."""
        for name, _ in self._templates.values():
            self._drop(name)
        self._templates.clear()

    def forget(self, who: Contestant, jobs: int, kind: str) -> None:
        """Drop a template that is large and needed no more."""
        for key in [key for key in self._templates if key[:4] == (who.driver, who.form, jobs, kind)]:
            self._drop(self._templates.pop(key)[0])

    def checkpoint(self) -> None:
        """Begin with nothing left to write, so that nobody pays for whom ran before."""
        self._admin("CHECKPOINT")

    def _template(self, who: Contestant, jobs: int, kind: str, rows: int) -> tuple[str, int]:
        key = (who.driver, who.form, jobs, kind, rows)
        if key in self._templates:
            return self._templates[key]
        if not jobs and not kind:
            name, after = self._create(None), 0
            ask(self.interpreters[who.name], who.driver, {"do": "install", "url": with_database(self.server_url, name)})
        else:
            name = self._create(self._template(who, 0, "", 0)[0])
            after = self._fill(with_database(self.server_url, name), who, jobs, kind, rows)
        self._templates[key] = (name, after)
        return name, after

    def _fill(self, url: str, who: Contestant, jobs: int, kind: str, rows: int) -> int:
        with look(url) as connection:
            if kind:
                connection.execute(who.table.background[kind], {"rows": rows})
            found = connection.execute(f"SELECT {who.table.last_id} FROM {who.table.name}").fetchone()
            after = int(found[0]) if found else 0
            if jobs:
                ask(
                    self.interpreters[who.name],
                    who.driver,
                    {"do": "add_many", "url": url, "count": jobs, "form": who.form},
                )
                check_added(connection, who.table, jobs, after)
            if who.is_analyzed or kind:
                connection.execute("VACUUM ANALYZE")
        return after

    def _create(self, template: str | None) -> str:
        name = f"bench_{os.getpid()}_{next(self._numbers)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._admin(create.format(sql.Identifier(name), sql.Identifier(template or "template0")))
        return name

    def _drop(self, name: str) -> None:
        self._admin(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _admin(self, query: "sql.Composed | str") -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(query if isinstance(query, sql.Composed) else sql.SQL(query))


def flush_ms() -> float:
    """How long this machine takes to write 8 kB durably: the middle of a hundred."""
    took = []
    with tempfile.TemporaryFile(dir="/tmp") as file:
        for _ in range(100):
            os.pwrite(file.fileno(), os.urandom(8192), 0)
            begun = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    return round(statistics.median(took) * 1000, 3)
