"""What the lead half's tests share: a set-up workspace, an app on the test's database, a stand-in for OpenAI."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.leads.stage import answer

from leadjobs.app import App
from leadjobs.demo.replies import SECRETS, SOURCES
from leadjobs.leads.sessions import Sessions
from leadjobs.leads.workspaces import Profile, Source, set_up_workspace
from leadjobs.settings import Settings, read_settings
from leadjobs.testing.openai import OpenAIStandIn
from leadjobs.testing.serve import serve

CRON_SECRET = "test-cron-secret"


@pytest.fixture
def openai() -> OpenAIStandIn:
    return OpenAIStandIn(answer=answer, api_key="sk-test")


@pytest.fixture
def openai_url(openai: OpenAIStandIn) -> Iterator[str]:
    with serve(openai) as url:
        yield f"{url}/v1"


@pytest.fixture
async def sessions(url: str) -> AsyncIterator[Sessions]:
    sessions = Sessions(url)
    yield sessions
    await sessions.close()


@pytest.fixture
async def workspace(sessions: Sessions) -> int:
    profile = Profile(ideal_customer_profile="Dental practices", service_description="Recall software")
    async with sessions() as session:
        workspace_id = await set_up_workspace(session, "Acme", profile, [Source.parse(text) for text in SOURCES])
        await session.commit()
    return workspace_id


@pytest.fixture
def settings(url: str, openai_url: str) -> Settings:
    return read_settings(
        public_url=None,
        cron_secret_previous=None,
        database_url=url,
        cron_secret=CRON_SECRET,
        **SECRETS,
        openai_api_key="sk-test",
        openai_base_url=openai_url,
        budget_seconds=60.0,
        ai_model="gpt-6-luna",
    )


@pytest.fixture
def app(settings: Settings) -> App:
    return App(lambda: settings)
