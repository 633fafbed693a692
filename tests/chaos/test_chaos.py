"""A short chaos run, as a test: ``./dev chaos`` does the same for half an hour."""

import asyncio
import logging

from tests.chaos.run import Plan, chaos

SEED = 20_261_128


def test_nothing_is_lost_or_doubled_while_everything_breaks() -> None:
    """Each kind of trouble at least once; then everything drains, and all checks hold."""
    result = asyncio.run(chaos(Plan(seconds=9, seed=SEED, processes=3), logging.getLogger(__name__).info))

    assert [] == result.violations, f"seed {SEED}"
    assert result.jobs > 0
    troubles = {"kills", "freezes", "cuts", "locks", "silences", "losses under limits"}
    assert result.trouble.keys() == troubles | {"fast restarts", "immediate restarts"}
