"""A short run of what ``./dev fuzz`` does at length."""

import pytest
from tests.fuzz.doors import fuzz


@pytest.mark.parametrize("seed", [1, 2])
async def test_strange_requests_break_no_rule(url: str, seed: int) -> None:
    """No 5xx, no forgery taken, no delivery doubled, one job for each inbound message; no text holds up the others."""
    tally = await fuzz(url, 600, seed)

    assert [] == tally.broken
    assert {"damaged: 200", "forged: 401", "re-sent: 200", "leads: 401", "repeats: 200"} <= set(tally.answers)
