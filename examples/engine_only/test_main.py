"""Tests of the shop, each on a database of its own: ``pytest examples/engine_only -n 0``.

In a project of yours the first two of these would be in ``conftest.py``.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from examples.engine_only.main import SEND_RECEIPT, Base, OrderId, Shop
from sqlalchemy import create_engine

from leadjobs import Retry
from leadjobs.store.url import sqlalchemy_url
from leadjobs.testing import Queue

pytest_plugins = ["leadjobs.testing.plugin"]


@pytest.fixture(scope="session")
def leadjobs_schema() -> list[Callable[[str], None]]:
    """The shop's tables, beside the engine's."""

    def make_tables(url: str) -> None:
        engine = create_engine(sqlalchemy_url(url))
        Base.metadata.create_all(engine)
        engine.dispose()

    return [make_tables]


@pytest.fixture
def shop(leadjobs_url: str) -> Shop:
    """The app, on the test's database."""
    return Shop(leadjobs_url)


async def test_an_order_enqueues_its_receipt(shop: Shop, leadjobs_queue: Queue) -> None:
    """The job is there when the order is."""
    await shop.order("a lamp")

    leadjobs_queue.assert_enqueued(SEND_RECEIPT, OrderId(1), tenant="shop")


async def test_an_order_that_is_taken_back_enqueues_nothing(shop: Shop, leadjobs_queue: Queue) -> None:
    """Its job was rolled back with it."""
    await shop.order("a chair", changes_mind=True)

    leadjobs_queue.assert_not_enqueued(SEND_RECEIPT)


async def test_a_receipt_is_printed_once_though_the_first_attempt_fails(shop: Shop, leadjobs_queue: Queue) -> None:
    """What the failed attempt wrote is not kept."""
    await shop.order("a table")

    report = await leadjobs_queue.drain(shop.receipts())

    assert (report.retried, report.succeeded) == (1, 1)
    assert await shop.counts() == (1, 1)


async def test_a_printer_that_is_busy_leaves_no_receipt(shop: Shop, leadjobs_queue: Queue) -> None:
    """One run of the handler, and what it returned."""
    ran = await leadjobs_queue.run_one(shop.receipts(), OrderId(7))

    assert ran.outcome == Retry("the printer is busy", after=timedelta())
    assert await shop.counts() == (0, 0)
