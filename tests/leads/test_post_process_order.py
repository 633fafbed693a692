"""What post-processing leaves as it is: moods, times, facts and drafts that something newer or surer has settled."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.leads.stage import answer, name_of
from tests.leads.telling import NOON, Db, Stage, ours

from leadjobs.app import App
from leadjobs.leads.inbound import Consent
from leadjobs.testing.openai import OpenAIStandIn


@pytest.fixture
async def stage(app: App, workspace: int, db: Db, url: str) -> Stage:
    await db.execute("INSERT INTO workspace_source VALUES ('told', 'acme', %s)", [workspace])
    return Stage(app, db, url)


async def test_a_request_to_stop_is_no_mood(stage: Stage) -> None:
    """The lead's mood stays the last one that a model told; that it opted out stands elsewhere."""
    await stage.say(1)
    await stage.say(2, text="Unsubscribe", sent_at=NOON + timedelta(hours=1))

    await stage.run()

    lead = await stage.lead()
    assert ("interested", True) == (lead["sentiment_tag"], lead["opted_out_at"] is not None)


async def test_who_opts_out_while_the_draft_is_written_gets_none(stage: Stage, openai: OpenAIStandIn, url: str) -> None:
    """The lead is looked at again before the draft is kept."""

    def meanwhile(asked: dict[str, Any]) -> dict[str, Any]:
        if name_of(asked) == "reply_draft":
            with psycopg.connect(url) as connection:
                connection.execute("UPDATE lead SET opted_out_at = now(), opted_out_why = 'said so by telephone'")
        return answer(asked)

    openai.answer = meanwhile
    await stage.say(1)

    await stage.run()

    assert "none: said so by telephone" == (await stage.steps())["draft"]
    assert [] == await stage.rows("SELECT id FROM reply_draft")


async def test_our_own_address_is_no_fact_about_the_lead(stage: Stage) -> None:
    """They may well quote it."""
    await stage.say(1, text="I wrote to us@x.example, answer to ada@y.example")

    await stage.run()

    assert ["ada@y.example"] == [row["value"] for row in await stage.rows("SELECT value FROM lead_fact")]


async def test_a_message_of_ours_that_is_told_of_late_turns_no_time_back(stage: Stage) -> None:
    """The newest one counts."""
    await stage.tell(ours("Second"), sent_at=NOON)
    await stage.tell(ours("First", message_key="first", delivery_key="late"), sent_at=NOON - timedelta(days=1))

    assert NOON == (await stage.lead())["last_outbound_at"]


async def test_a_request_to_stop_that_is_told_of_late_leaves_the_newer_one(stage: Stage) -> None:
    """The time and the reason of the newest request stand, for whoever asks when and why."""
    await stage.say(1, text="Unsubscribe")
    await stage.say(2, text="Please remove me from your list", sent_at=NOON - timedelta(days=1))
    heard = await stage.lead()
    await stage.run()

    for lead in (heard, await stage.lead()):
        assert (NOON, "asked to stop: 'Unsubscribe'") == (lead["opted_out_at"], lead["opted_out_why"])


async def test_a_welcome_that_is_told_of_late_takes_no_request_back(stage: Stage) -> None:
    """They have asked us to stop since."""
    await stage.say(1, text="Unsubscribe")
    await stage.say(2, text="", consent=Consent.STARTED, sent_at=NOON - timedelta(hours=1))
    await stage.run()
    assert NOON == (await stage.lead())["opted_out_at"]

    await stage.say(3, text="", consent=Consent.STARTED, sent_at=NOON + timedelta(hours=1))
    await stage.run()
    assert None is (await stage.lead())["opted_out_at"]


async def test_who_unsubscribes_without_a_word_is_disqualified(stage: Stage, openai: OpenAIStandIn) -> None:
    """News without words is enough for a 1; no model is asked."""
    await stage.say(1, text="", consent=Consent.STOPPED)

    await stage.run()

    assert (1, []) == ((await stage.lead())["overall_score"], openai.calls)
