"""Bringing a database's schema to what this release needs.  Migrate first, deploy the code after (G17)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from leadjobs.errors import StoreError
from leadjobs.store.schema import ENGINE, VERSION_TABLE
from leadjobs.store.url import sqlalchemy_url

HERE = ENGINE.parent
LOCK = 7236001  # the advisory lock of those who migrate


def migrate(url: str, *more: Path) -> list[str]:
    """Bring the schema to the newest revision and say which revisions were applied; a second call applies none.

    ``more`` are the version folders of what is built on the engine.  Concurrent callers wait for each other: all of it
    is one transaction that holds a lock.  Use the direct URL of the database, not the pooler's.

    Raises:
        StoreError: the database is ahead: it has revisions that are in none of the folders.
    """
    config = _config(more)
    with _connected(url) as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        script, heads = ScriptDirectory.from_config(config), _heads(connection)
        if ahead := heads - {r.revision for r in script.walk_revisions()}:
            raise StoreError(
                f"the database has {', '.join(sorted(ahead))}, which is in none of the version folders: "
                "it was migrated by a newer release, or with a folder more"
            )
        missing = _missing(script, heads)
        config.attributes["connection"] = connection
        for target in ("engine@head", "heads"):  # what is built on the engine may use the engine's newest tables
            command.upgrade(config, target)
        return missing


def pending(url: str, *more: Path) -> list[str]:
    """The revisions that this release has and the database has not, oldest first."""
    with _connected(url) as connection:
        return _missing(ScriptDirectory.from_config(_config(more)), _heads(connection))


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


def _heads(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads())


def _missing(script: ScriptDirectory, heads: set[str]) -> list[str]:
    """The revisions of the folders that are not below these heads, oldest first; heads from elsewhere do not matter."""
    known = tuple(heads & {r.revision for r in script.walk_revisions()})
    have = {r.revision for r in script.iterate_revisions(known, "base")} if known else set()
    return sorted(r.revision for r in script.walk_revisions() if r.revision not in have)
