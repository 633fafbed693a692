"""How tests reach their databases: plainly or, in a lane of ./dev test --full, through a pooler in transaction mode."""

import os
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import NullPool

from leadjobs.store.url import with_database

POOLER = os.environ.get("LEADJOBS_TEST_POOLER_URL", "")

# What docs/operate.md asks of a caller's own connections behind a pooler, and of his engines by their drivers.
PSYCOPG: dict[str, Any] = {"prepare_threshold": None} if POOLER else {}
ENGINES: dict[str, dict[str, Any]] = {
    "psycopg": {"connect_args": PSYCOPG},
    "psycopg2": {},
    "asyncpg": {
        "connect_args": {"statement_cache_size": 0, "prepared_statement_cache_size": 0},
        "poolclass": NullPool,
    },
}


def engine_options(driver: str) -> dict[str, Any]:
    """What an engine with this driver is made with, behind a pooler."""
    return ENGINES[driver] if POOLER else {}


def through_pooler(url: str) -> str:
    """The way to a database of the test server through the pooler, where there is one."""
    return with_database(POOLER, str(conninfo_to_dict(url)["dbname"])) if POOLER else url


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Behind a pooler: the tests that have a database there, less those marked ``direct``, which say why."""
    if not POOLER:
        return
    others = [item for item in items if "leadjobs_url" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if "leadjobs_url" in getattr(item, "fixturenames", ())]
    for item in items:
        if mark := item.get_closest_marker("direct"):
            item.add_marker(pytest.mark.skip(reason=f"not through a pooler: {mark.args[0]}"))
