"""Orders and their receipts: a job queue with no leads in sight.

Run it with ``python examples/engine_only/main.py``.  It uses DATABASE_URL where that is set, and else a PostgreSQL of
its own that is gone afterwards.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import NullPool, func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from leadjobs import Done, Handler, Job, JobType, Outcome, Registry, Retry, Runner, enqueue, handler
from leadjobs.store.migrate import migrate
from leadjobs.store.url import sqlalchemy_url


class Base(DeclarativeBase):
    """The tables of the shop, beside those of the engine."""


class Order(Base):
    """Somebody ordered something."""

    __tablename__ = "shop_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


class Receipt(Base):
    """What a job writes for an order."""

    __tablename__ = "shop_receipt"
    order_id: Mapped[int] = mapped_column(primary_key=True)


@dataclass(frozen=True)
class OrderId:
    """A payload names a row; the handler reads the rest."""

    order_id: int


SEND_RECEIPT = JobType(name="SEND_RECEIPT", payload=OrderId, timeout=timedelta(seconds=10))


class Shop:
    """Takes orders, and sends a receipt for each: once, and only for those that were really taken."""

    def __init__(self, url: str) -> None:
        self._engine = create_async_engine(sqlalchemy_url(url), poolclass=NullPool)

    async def open(self) -> None:
        """Begin with empty tables."""
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)

    async def order(self, item: str, *, changes_mind: bool = False) -> None:
        """Keep an order and enqueue its receipt, in one transaction."""
        async with AsyncSession(self._engine) as session:
            order = Order(item=item)
            session.add(order)
            await session.flush()
            job = SEND_RECEIPT.job(OrderId(order.id), tenant="shop")
            await enqueue(session, job)
            await (session.rollback() if changes_mind else session.commit())

    def receipts(self) -> Handler[OrderId]:
        """The handler.  Its first attempt fails, to show that the second one follows."""

        @handler(SEND_RECEIPT)
        async def send_receipt(job: Job[OrderId]) -> Outcome:
            async with AsyncSession(self._engine) as session:
                session.add(Receipt(order_id=job.payload.order_id))
                await session.flush()
                if job.attempt == 1:
                    return Retry("the printer is busy", after=timedelta())  # the row above is rolled back
                return await job.commit(session, Done("printed"))  # the row and the end of the job, or neither

        return send_receipt

    async def counts(self) -> tuple[int, int]:
        """How many orders and receipts there are."""
        async with AsyncSession(self._engine) as session:
            orders = await session.scalar(select(func.count()).select_from(Order))
            receipts = await session.scalar(select(func.count()).select_from(Receipt))
        return orders or 0, receipts or 0


async def main(url: str) -> None:
    """Take three orders, one of which is taken back; run the queue; count."""
    shop = Shop(url)
    await shop.open()
    await shop.order("a lamp")
    await shop.order("a chair", changes_mind=True)
    await shop.order("a table")

    report = await Runner(url, Registry(shop.receipts()), budget=timedelta(seconds=30)).run()

    orders, receipts = await shop.counts()
    print(f"{report.claimed} runs: {report.retried} tried again, {report.succeeded} succeeded")
    print(f"{orders} orders, {receipts} receipts")


@contextmanager
def database() -> Iterator[str]:
    """DATABASE_URL, or a PostgreSQL of our own."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    from leadjobs.store.embedded import EmbeddedPostgres  # noqa: PLC0415  needs the part "embedded"

    with EmbeddedPostgres(ephemeral=True) as server:
        yield server.url


if __name__ == "__main__":
    with database() as url:
        migrate(url)  # the engine's own tables, no lead's
        asyncio.run(main(url))
