"""Is the database's schema what this release needs?  Reads one small table; loads neither Alembic nor SQLAlchemy."""

from collections.abc import Iterable
from pathlib import Path

import psycopg

from leadjobs.store.connection import OwnConnection

ENGINE = Path(__file__).parent / "migrations" / "versions"
VERSION_TABLE = "leadjobs_version"


def newest(folder: Path) -> str:
    """The newest revision in a folder of migrations: file names begin with their number and are the revision's id."""
    return max(path.stem for path in folder.glob("[0-9]*.py"))


async def missing_revisions(connection: OwnConnection, folders: Iterable[Path]) -> list[str]:
    """The newest revisions that the database has not reached; all of them where it was never migrated."""
    wanted = [newest(folder) for folder in folders]
    try:
        rows = await (await connection.execute("SELECT version_num FROM leadjobs_version")).fetchall()
    except psycopg.errors.UndefinedTable:
        return wanted
    reached = {row["version_num"] for row in rows}
    return [revision for revision in wanted if not any(have >= revision for have in _same_branch(reached, revision))]


def _same_branch(reached: Iterable[str], revision: str) -> list[str]:
    """Numbers of one branch share their first digit: 0… is the engine, 1… the lead half."""
    return [have for have in reached if have[0] == revision[0]]
