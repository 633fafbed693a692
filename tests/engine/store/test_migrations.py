"""The schema: migrations bring it, once and for everybody, and it is what the mapped classes say (G17)."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from leadjobs.errors import StoreError
from leadjobs.store.connection import connect
from leadjobs.store.migrate import LOCK, migrate, pending
from leadjobs.store.schema import ENGINE, VERSION_TABLE, missing_revisions, newest
from leadjobs.store.tables import Base
from leadjobs.store.url import sqlalchemy_url

TABLES = {
    "background_job",
    "job_attempt",
    "job_budget",
    "job_budget_day",
    "job_effect",
    "job_result",
    "job_schedule",
    "job_spend",
    "job_sweep",
    "runner_invocation",
}
REVISION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "{id}", {down!r}, {labels!r}, None
def upgrade() -> None:
    op.execute("{sql}")
def downgrade() -> None: ...
"""

ENGINES = sorted(path.stem for path in ENGINE.glob("[0-9]*.py"))


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """A folder of migrations of something that is built on the engine."""
    sql = "CREATE TABLE mine (job_id bigint REFERENCES background_job (id))"
    (tmp_path / "9001_mine.py").write_text(REVISION.format(id="9001_mine", down=None, labels=("mine",), sql=sql))
    return tmp_path


def test_a_second_migration_applies_nothing(empty_url: str) -> None:
    """A new database gets everything, in order; one that is up to date gets nothing."""
    assert [*ENGINES] == pending(empty_url)
    assert [*ENGINES] == migrate(empty_url)
    assert ([], []) == (pending(empty_url), migrate(empty_url))


def test_two_processes_migrate_at_once(empty_url: str) -> None:
    """Both deploys succeed, and one of them did it."""
    program = f"from leadjobs.store.migrate import migrate; print(migrate({empty_url!r}))"
    waiting, start = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", time.monotonic()
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
        while connection.execute(waiting).fetchone() != (2,):
            assert time.monotonic() < start + 30

    said = [process.communicate()[0].strip() for process in both]

    assert [0, 0] == [process.returncode for process in both]
    assert {str(ENGINES), "[]"} == set(said)


async def test_what_is_built_on_the_engine_migrates_after_it(empty_url: str, more: Path) -> None:
    """Both folders have their newest revision on record, whichever was added later."""
    folders = (ENGINE, more)
    async with connect(empty_url) as connection:
        assert [ENGINES[-1], "9001_mine"] == await missing_revisions(connection, folders)
        assert [*ENGINES] == migrate(empty_url)
        assert ["9001_mine"] == await missing_revisions(connection, folders)
        assert ["9001_mine"] == pending(empty_url, more)
        assert ["9001_mine"] == migrate(empty_url, more)
        assert ([], []) == (await missing_revisions(connection, folders), pending(empty_url, more))
        assert [] == pending(empty_url)


def test_a_new_database_gets_both_folders_in_order(empty_url: str, more: Path) -> None:
    """The engine's tables are there when what is built on them is made."""
    assert [*ENGINES, "9001_mine"] == migrate(empty_url, more)


async def test_a_newer_schema_is_not_missing_anything(empty_url: str, more: Path) -> None:
    """The previous release runs on a database that is ahead, and does not try to migrate it back."""
    migrate(empty_url, more)
    sql = "CREATE TABLE newer ()"
    (more / "9002_newer.py").write_text(REVISION.format(id="9002_newer", down="9001_mine", labels=None, sql=sql))
    migrate(empty_url, more)
    (more / "9002_newer.py").unlink()

    async with connect(empty_url) as connection:
        assert [] == await missing_revisions(connection, (ENGINE, more))
    with pytest.raises(StoreError, match=r"9002_newer.*newer release"):
        migrate(empty_url, more)


async def test_a_failing_migration_leaves_nothing(empty_url: str, more: Path) -> None:
    """All of it is one transaction."""
    bad = REVISION.format(id="9002_bad", down="9001_mine", labels=None, sql="SELECT 1 / 0")
    (more / "9002_bad.py").write_text(bad)
    with pytest.raises(Exception, match="division by zero"):
        migrate(empty_url, more)

    assert [*ENGINES, "9001_mine", "9002_bad"] == pending(empty_url, more)


@pytest.mark.parametrize("folder", [ENGINE], ids=["engine"])
def test_a_revision_s_id_is_its_file_s_name(folder: Path) -> None:
    """The health door compares them without loading Alembic."""
    files = sorted(path for path in folder.glob("*.py") if path.stem != "__init__")
    for path in files:
        assert f'\nrevision = "{path.stem}"\n' in path.read_text()
    assert files[-1].stem == newest(folder)
    assert f'"{VERSION_TABLE}"' in (folder.parent / "env.py").read_text()


@pytest.mark.filterwarnings("ignore:Computed default")  # Alembic cannot compare it; the catalog's test does
def test_the_mapped_classes_describe_the_migrated_database(empty_url: str) -> None:
    """Alembic sees no difference in tables, columns, types, defaults, keys and indexes."""
    migrate(empty_url)
    engine = create_engine(sqlalchemy_url(empty_url))
    options = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
    options["include_object"] = lambda thing, name, kind, *_: kind != "table" or name in TABLES
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    engine.dispose()
    assert [] == differences


def catalog(connection: Connection, tables: set[str]) -> dict[str, list[Any]]:
    """What Alembic does not compare: checks, collations, generated columns, identities and whole index definitions."""
    queries = {
        "checks": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint",
        "columns": "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull,"
        " attidentity, attgenerated, collname, pg_get_expr(adbin, adrelid) FROM pg_attribute"
        " LEFT JOIN pg_collation ON pg_collation.oid = attcollation"
        " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum",
        "indexes": "SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index",
    }
    only = {"checks": "conrelid", "columns": "attnum > 0 AND attrelid", "indexes": "indrelid"}
    names = ", ".join(f"'{name}'::regclass" for name in sorted(tables))
    return {
        what: sorted(str(tuple(row)) for row in connection.exec_driver_sql(f"{query} WHERE {only[what]} IN ({names})"))
        for what, query in queries.items()
    }


def test_the_catalog_is_what_the_mapped_classes_would_make(empty_url: str) -> None:
    """Tables made from the classes, in a transaction that is rolled back, have the same catalog as migrated ones."""
    tables = [Base.metadata.tables[name] for name in sorted(TABLES)]
    engine = create_engine(sqlalchemy_url(empty_url))
    with engine.connect() as connection:
        Base.metadata.create_all(connection, tables)
        made = catalog(connection, TABLES)
        connection.rollback()
    migrate(empty_url)
    with engine.connect() as connection:
        migrated = catalog(connection, TABLES)
    engine.dispose()
    assert made == migrated
    assert 10 == sum("CHECK" in constraint for constraint in migrated["checks"])
