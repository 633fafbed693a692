"""What a drain costs the database: statements, WAL, dead rows."""

import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

DEAD = """SELECT coalesce(sum(n_tup_upd + n_tup_del), 0), coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables"""
STATEMENTS = """
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND query !~* '^(begin|start transaction|commit|set |discard|reset|rollback)'
"""
OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


@dataclass(frozen=True)
class Reading:
    """Where the counters stand."""

    statements: float | None
    wal: float
    dead: float
    inserted: float


def has_statements(connection: psycopg.Connection) -> bool:
    """Whether the server counts statements."""
    row = connection.execute(
        "SELECT current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'"
    ).fetchone()
    return bool(row and row[0])


def count_statements(connection: psycopg.Connection) -> None:
    """Count the statements of those who connect to this database from now on, where the server can."""
    if has_statements(connection):
        connection.execute("CREATE EXTENSION pg_stat_statements")
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET pg_stat_statements.track = top").format(name))


def read(connection: psycopg.Connection) -> Reading:
    """Read the counters, when all others have left: that is when theirs are complete."""
    for _ in range(500):
        if _row(connection, OTHERS)[0] == 0:
            break
        time.sleep(0.01)
    connection.execute("SELECT pg_stat_clear_snapshot()")
    statements = _row(connection, STATEMENTS)[0] if has_statements(connection) else None
    wal, (dead, inserted) = _row(connection, WAL)[0], _row(connection, DEAD)
    return Reading(statements, wal, dead, inserted)


def per_job(before: Reading, after: Reading, jobs: int) -> dict[str, float]:
    """What was used in between, for each job."""
    used = {
        "wal_bytes": after.wal - before.wal,
        "dead_rows": after.dead - before.dead,
        "new_rows": after.inserted - before.inserted,
    }
    if before.statements is not None and after.statements is not None:
        used["statements"] = after.statements - before.statements
    return {name: round(value / jobs, 4) for name, value in used.items()}


def _row(connection: psycopg.Connection, query: str) -> tuple[float, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(map(float, row))
