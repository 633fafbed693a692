"""What is read of a conversation: in the order it was said, and all that it claims to have seen."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.leads.stage import scorings
from tests.leads.telling import Db, Stage

from leadjobs.app import App
from leadjobs.leads.inbound import Sent
from leadjobs.leads.recent import recent
from leadjobs.leads.sessions import Sessions
from leadjobs.testing.openai import OpenAIStandIn


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    """A workspace whose messages come from nowhere in particular."""
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


async def test_what_was_said_at_one_time_keeps_its_order(stage: Stage, openai: OpenAIStandIn) -> None:
    """A delivery that says no time brings our mail and the answer to it: "yes" comes after what it answers."""
    await stage.say(1, text="THEIR ANSWER", sent_at=None, answers=Sent(message_key="s", text="OUR QUESTION"))
    await stage.run()

    asked = scorings(openai)[-1]["input"]
    assert asked.index("OUR QUESTION") < asked.index("THEIR ANSWER")


async def test_no_message_counts_as_seen_that_was_not(stage: Stage, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is committed between two of the reads: a score on this would else stand against one that saw it."""
    await stage.say(1, text="The first")
    reads: list[str] = []

    def then_say_more(read: Any) -> Any:
        async def reading(session: AsyncSession, *args: Any, **kwargs: Any) -> Any:
            reads.append("one more")
            found = await read(session, *args, **kwargs)
            if len(reads) == 1:
                await stage.say(2, text="The second")
            return found

        return reading

    monkeypatch.setattr(AsyncSession, "execute", then_say_more(AsyncSession.execute))
    sessions = Sessions(url, connections=1)
    async with sessions() as session:
        seen = await recent(session, (await stage.lead())["id"])
    await sessions.close()

    there_was = {row["id"] for row in await stage.rows("SELECT id FROM message") if row["id"] <= seen.through_id}
    assert there_was <= {message.id for message in seen.messages}
    assert (1, 0) == (len(there_was), seen.omitted)
