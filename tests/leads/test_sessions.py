"""The handlers' sessions, on connections that a pooler may be behind."""

from sqlalchemy import text

from leadjobs.leads.sessions import Sessions


async def test_nothing_is_prepared_on_the_connections_of_sessions(url: str) -> None:
    """However often a statement is run on one connection: the next transaction may be on another server connection."""
    sessions = Sessions(url, connections=1)
    for number in range(20):
        async with sessions() as session:
            assert number == await session.scalar(text("SELECT CAST(:number AS int)"), {"number": number})
            await session.commit()  # after a rollback psycopg would begin to count anew

    async with sessions() as session:
        assert 0 == await session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    await sessions.close()
