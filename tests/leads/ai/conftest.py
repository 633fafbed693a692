"""The's fixtures."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.leads.ai.stage import KEY, SCORE, Book, Switchboard

from leadjobs.leads.ai.asking import AI
from leadjobs.testing.openai import OpenAIStandIn
from leadjobs.testing.serve import serve


@pytest.fixture(scope="module")
def switchboard() -> Switchboard:
    return Switchboard()


@pytest.fixture(scope="module")
def address(switchboard: Switchboard) -> Iterator[str]:
    with serve(switchboard) as url:
        yield url


@pytest.fixture
def openai(switchboard: Switchboard) -> OpenAIStandIn:
    stand_in = OpenAIStandIn(answer=lambda _: SCORE, api_key=KEY)
    switchboard.app = stand_in
    return stand_in


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def ai(address: str, openai: OpenAIStandIn) -> AsyncIterator[AI]:
    made = AI(api_key=KEY, base_url=f"{address}/v1")
    yield made
    await made.aclose()
