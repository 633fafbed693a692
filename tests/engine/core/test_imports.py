"""Importing the engine is cheap: a service that only enqueues pays for nothing else."""

import subprocess
import sys

import pytest

HEAVY = [
    "sqlalchemy",
    "alembic",
    "openai",
    "httpx",
    "starlette",
    "pydantic_settings",
    "typer",
    "psycopg_pool",
    "cronsim",
    "asyncpg",
    "rich",
]


@pytest.mark.parametrize("module", ["leadjobs", "leadjobs.enqueue", "leadjobs.runner", "leadjobs.store.schema"])
def test_importing_the_engine_loads_no_framework(module: str) -> None:
    """Neither SQLAlchemy nor any SDK comes along."""
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
