"""The lead half's schema is what its mapped classes say, and sits beside the engine's."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

import leadjobs.leads.tables
from leadjobs.store.connection import connect
from leadjobs.store.migrate import migrate, pending
from leadjobs.store.schema import ENGINE, VERSION_TABLE, missing_revisions, newest
from leadjobs.store.url import sqlalchemy_url

METADATA = leadjobs.leads.tables.Workspace.metadata  # the engine's tables are in it too
LEADS = Path(__file__).parents[2] / "src/leadjobs/leads/migrations/versions"


@pytest.mark.filterwarnings("ignore:Computed default")  # Alembic cannot compare it; the catalog's test does
def test_the_mapped_classes_describe_both_halves(empty_url: str) -> None:
    """Alembic sees no difference between all tables of leadjobs and a migrated database."""
    migrate(empty_url, LEADS)
    engine = create_engine(sqlalchemy_url(empty_url))
    options = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    engine.dispose()
    assert [] == differences


def catalog(connection: Connection) -> dict[str, list[str]]:
    """What Alembic does not compare: checks, collations, generated columns, identities and whole index definitions."""
    of_ours = " relname <> 'leadjobs_version' AND relnamespace = 'public'::regnamespace"
    return {
        what: sorted(str(tuple(row)) for row in connection.exec_driver_sql(f"{query} AND {of_ours}"))
        for what, query in {
            "constraints": "SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint"
            " JOIN pg_class ON pg_class.oid = conrelid WHERE true",
            "columns": "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,"
            " attgenerated, collname, pg_get_expr(adbin, adrelid) FROM pg_attribute"
            " JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_collation ON pg_collation.oid = attcollation"
            " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0 AND relkind = 'r'",
            "indexes": "SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indrelid WHERE true",
        }.items()
    }


def test_the_catalog_is_what_the_mapped_classes_would_make(empty_url: str) -> None:
    """Tables made from the classes, in a transaction that is rolled back, have the same catalog as migrated ones."""
    engine = create_engine(sqlalchemy_url(empty_url))
    with engine.connect() as connection:
        METADATA.create_all(connection)
        made = catalog(connection)
        connection.rollback()
    migrate(empty_url, LEADS)
    with engine.connect() as connection:
        migrated = catalog(connection)
    engine.dispose()
    assert made == migrated


async def test_both_halves_are_on_record(empty_url: str) -> None:
    """The health door finds nothing missing after both have migrated, at once or one after the other."""
    folders: Any = (ENGINE, LEADS)
    async with connect(empty_url) as connection:
        migrate(empty_url)
        assert [newest(LEADS)] == await missing_revisions(connection, folders)
        migrate(empty_url, LEADS)
        assert [] == await missing_revisions(connection, folders)
    assert [] == pending(empty_url, LEADS)


def test_a_revision_s_id_is_its_file_s_name() -> None:
    """The health door compares them without loading Alembic."""
    for path in LEADS.glob("[0-9]*.py"):
        assert f'\nrevision = "{path.stem}"\n' in path.read_text()
