"""Each test has a database of its own, on a real PostgreSQL; nothing is mocked and nothing is skipped.

The server: LEADJOBS_TEST_DATABASE_URL where set; else Docker, by testcontainers; else an embedded PostgreSQL, which is
thrown away afterwards.  pytest-xdist's workers share the one that the controller started.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from leadjobs.store.connection import CONNECT
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate
from leadjobs.store.url import with_database

SERVER = "LEADJOBS_TEST_DATABASE_URL"
LEAD_MIGRATIONS = Path(__file__).parents[1] / "src/leadjobs/leads/migrations/versions"
_stack = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or os.environ.get(SERVER):
        return
    config.stash[_stack] = ExitStack()
    os.environ[SERVER] = (
        _docker(config.stash[_stack])
        or config.stash[_stack].enter_context(EmbeddedPostgres(ephemeral=True, settings={"max_connections": "200"})).url
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    if (stack := config.stash.get(_stack, None)) is not None:
        os.environ.pop(SERVER)
        stack.close()


def _docker(stack: ExitStack) -> str | None:
    """A PostgreSQL in a container, where there is an engine to run it."""
    if not Path("/var/run/docker.sock").exists() and not os.environ.get("DOCKER_HOST"):
        return None
    from docker.errors import DockerException
    from testcontainers.community.postgres import PostgresContainer

    try:
        container = stack.enter_context(PostgresContainer("postgres:18-alpine", driver=None))
    except DockerException:
        return None
    return str(container.get_connection_url())


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """The URL of a migrated database, copied for each test."""
    with _database() as url:
        migrate(url, *([LEAD_MIGRATIONS] if LEAD_MIGRATIONS.exists() else []))
        yield url


@pytest.fixture
def url(template: str) -> Iterator[str]:
    """A migrated database that only this test uses."""
    with _database(template) as url:
        yield url


@pytest.fixture
def empty_url() -> Iterator[str]:
    """A database with nothing in it."""
    with _database() as url:
        yield url


@pytest.fixture
async def db(url: str) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
    """An autocommit connection to the test's database, for looking and for setting the scene."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row, **CONNECT
    ) as connection:
        yield connection


class _database:  # noqa: N801  (reads as a function: with _database() as url)
    def __init__(self, template: str | None = None) -> None:
        self._server = os.environ[SERVER]
        self._name = f"test_{uuid.uuid4().hex[:12]}"
        self._template = template and template.split("/")[3].split("?")[0]

    def __enter__(self) -> str:
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._name))
        if self._template:
            create += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(self._template))
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(create)
        return with_database(self._server, self._name)

    def __exit__(self, *_: object) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._name)))
