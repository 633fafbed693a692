"""Bringing a database's schema to what this release needs.  Migrate first, deploy the code after (G17)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from leadjobs.store.schema import ENGINE, VERSION_TABLE
from leadjobs.store.url import sqlalchemy_url

HERE = ENGINE.parent


def migrate(url: str, *more: Path) -> list[str]:
    """Bring the schema to the newest revision and say which revisions were applied; a second call applies none.

    ``more`` are the version folders of what is built on the engine.  Concurrent callers wait for each other: all of it
    is one transaction that holds a lock.  Use the direct URL of the database, not the pooler's.
    """
    config = _config(more)
    with _connected(url) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7236001)"))
        before = _heads(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "heads")
        return sorted(_applied(config, before))


def pending(url: str, *more: Path) -> list[str]:
    """The revisions that this release has and the database has not, oldest first."""
    with _connected(url) as connection:
        script = ScriptDirectory.from_config(_config(more))
        have = (
            {r.revision for r in script.iterate_revisions(tuple(_heads(connection)), "base")}
            if _heads(connection)
            else set()
        )
        return [r.revision for r in reversed(list(script.walk_revisions())) if r.revision not in have]


def _config(more: tuple[Path, ...]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", ":".join(str(path) for path in (ENGINE, *more)))
    return config


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool, connect_args={"prepare_threshold": None})
    with engine.begin() as connection:
        yield connection


def _heads(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()


def _applied(config: Config, before: tuple[str, ...]) -> Iterator[Any]:
    script = ScriptDirectory.from_config(config)
    had = {r.revision for r in script.iterate_revisions(before, "base")} if before else set()
    yield from (r.revision for r in script.walk_revisions() if r.revision not in had)
