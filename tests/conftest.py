"""Each test has a database of its own, on a real PostgreSQL; nothing is mocked and nothing is skipped.

The server, the migrated template and its copies come from the plugin that users have: ``leadjobs.testing.plugin``.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg.rows import DictRow, dict_row
from tests.engine.pooled import choose, through_pooler

from leadjobs.store.connection import CONNECT

pytest_plugins = ["leadjobs.testing.plugin", "pytester"]
settings.register_profile("untimed", deadline=None)  # the first example may load a library; no test is a stopwatch
settings.load_profile("untimed")

TEMPLATE = "LEADJOBS_TEST_TEMPLATE_URL"
LEAD_MIGRATIONS = Path(__file__).parents[1] / "src/leadjobs/leads/migrations/versions"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not go through a pooler, where the tests do."""
    choose(config, items)


@pytest.fixture(scope="session")
def leadjobs_schema() -> list[Path]:
    """The lead half's tables too, where it is there."""
    return [LEAD_MIGRATIONS] if LEAD_MIGRATIONS.exists() else []


@pytest.fixture(scope="session")
def leadjobs_template(request: pytest.FixtureRequest) -> str:
    """The migrated database that is copied for each test; ./dev mutants has one for all its runs."""
    return os.environ.get(TEMPLATE) or str(request.getfixturevalue("leadjobs_template"))


@pytest.fixture
def leadjobs_url(leadjobs_url: str) -> str:
    """A migrated database that only this test uses; through the pooler, where there is one."""
    return through_pooler(leadjobs_url)


@pytest.fixture
def url(leadjobs_url: str) -> str:
    """A migrated database that only this test uses."""
    return leadjobs_url


@pytest.fixture
def empty_url(leadjobs_empty_url: str) -> str:
    """A database with nothing in it."""
    return leadjobs_empty_url


@pytest.fixture
async def db(url: str) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
    """An autocommit connection to the test's database, for looking and for setting the scene."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row, **CONNECT
    ) as connection:
        yield connection
