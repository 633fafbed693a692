"""SQLAlchemy sessions for handlers: few connections, none left open when an invocation ends."""

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from leadjobs.store.connection import CONNECT
from leadjobs.store.url import sqlalchemy_url


class Sessions:
    """Makes sessions on at most ``connections`` connections; handlers hold one only while they read or write."""

    def __init__(self, url: str, *, connections: int = 4) -> None:
        self._engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url), pool_size=connections, max_overflow=0, pool_timeout=20, connect_args=CONNECT
        )
        self._make = async_sessionmaker(self._engine, expire_on_commit=False)

    def __call__(self) -> AsyncSession:
        """A new session; use it as ``async with``."""
        return self._make()

    async def close(self) -> None:
        """Close the connections that nobody uses; a later session opens new ones."""
        await self._engine.dispose()
