"""Sixty slow scorings over several short cron calls."""

import time
from dataclasses import replace

import httpx
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.app import App
from leadjobs.demo.posts import post
from leadjobs.demo.replies import REPLIES
from leadjobs.settings import Settings
from leadjobs.testing.openai import Delay, OpenAIStandIn

JOBS, MODEL_SECONDS, BUDGET = 60, 2.0, 10.0


async def test_sixty_scorings_of_two_seconds_end_in_ten_second_cron_calls(
    settings: Settings, workspace: int, openai: OpenAIStandIn, db: AsyncConnection[DictRow]
) -> None:
    """All end, no call takes longer than its budget, none runs twice, and the total is far below one after another."""
    short = settings.model_copy(
        update={
            "budget_seconds": BUDGET,
            "concurrency": 20,
            "scoring_job_seconds": 8.0,
            "post_process_job_seconds": 8.0,
            "ai_call_seconds": 7.0,
        }
    )
    app = App(lambda: short)
    openai.then(*[Delay(MODEL_SECONDS)] * JOBS, of="lead_score")
    base = "https://ops.example.test"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.doors), base_url=base, timeout=30) as http:
        for number in range(JOBS):
            call = post(base, number, replace(REPLIES[1], name=f"Ada No{number}", text=f"Call me {number}"))
            (await http.post(call.url, headers=dict(call.headers), content=call.body)).raise_for_status()
        begun, calls = time.monotonic(), []
        while True:
            tick = time.monotonic()
            answer = await http.get("/api/cron", headers={"Authorization": "Bearer test-cron-secret"})
            calls.append(time.monotonic() - tick)
            assert 200 == answer.status_code, answer.text
            if answer.json()["due"] == 0:
                break
        total = time.monotonic() - begun

    row = await (
        await db.execute(
            "SELECT (SELECT count(*) FROM lead WHERE overall_score = 3) AS scored,"
            " (SELECT count(*) FROM ai_interaction WHERE feature = 'lead_scoring.score') AS calls,"
            " (SELECT count(*) FROM background_job WHERE state <> 'SUCCEEDED' OR attempts > 0) AS unfinished"
            # A run that is started too late on a slow machine is handed back before it asks: no error, and no call.
            ", (SELECT string_agg(DISTINCT error, chr(10)) FROM job_attempt WHERE ended_as <> 'handed_back') AS errors"
        )
    ).fetchone()
    assert {"scored": JOBS, "calls": JOBS, "unfinished": 0, "errors": None} == row
    assert len(calls) > 1
    assert max(calls) <= BUDGET
    assert total < JOBS * MODEL_SECONDS / 3
