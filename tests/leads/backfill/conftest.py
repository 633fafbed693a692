"""The backfill's tests: their stage, with a model at the stand-in."""

from collections.abc import AsyncIterator

import pytest
from tests.leads.backfill.stage import MODEL, BackfillStage, Db

from leadjobs.leads.ai.asking import AI
from leadjobs.leads.sessions import Sessions


@pytest.fixture
async def ai(openai_url: str) -> AsyncIterator[AI]:
    ai = AI(api_key="sk-test", model=MODEL, base_url=openai_url)
    yield ai
    await ai.aclose()


@pytest.fixture
def stage(url: str, db: Db, workspace: int, sessions: Sessions, ai: AI) -> BackfillStage:
    return BackfillStage(url, db, workspace, sessions, ai)
