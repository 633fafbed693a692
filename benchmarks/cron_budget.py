"""Sixty scorings whose model takes two seconds each, drained by cron calls of ten seconds.

    ./dev bench cron_budget [--jobs 60] [--model-seconds 2] [--budget 10] [--concurrency 20] [--json]

Real doors over HTTP, a real PostgreSQL, the real OpenAI SDK against a local stand-in that takes its time.  Fails if a
lead is not scored, a model is asked twice for one message, or a call takes longer than its budget.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psycopg

from leadjobs.app import MIGRATIONS, App
from leadjobs.demo import replies
from leadjobs.demo.posts import post
from leadjobs.demo.replies import Reply
from leadjobs.demo.run import set_up
from leadjobs.demo.stand_in import KEY, stand_in
from leadjobs.settings import read_settings
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate
from leadjobs.testing.openai import Delay
from leadjobs.testing.serve import serve


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--model-seconds", type=float, default=2.0)
    parser.add_argument("--budget", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = stack.enter_context(EmbeddedPostgres(ephemeral=True)).url
        migrate(url, *MIGRATIONS[1:])
        asyncio.run(set_up(url))
        model = stand_in()
        model.then(*[Delay(options.model_seconds)] * options.jobs)
        settings = read_settings(
            database_url=url,
            cron_secret="bench",
            **replies.SECRETS,
            openai_api_key=KEY,
            openai_base_url=f"{stack.enter_context(serve(model))}/v1",
            budget_seconds=options.budget,
            concurrency=options.concurrency,
            scoring_job_seconds=0.8 * options.budget,
            ai_call_seconds=0.7 * options.budget,
        )
        base_url = stack.enter_context(serve(App(lambda: settings).doors))
        with httpx.Client(timeout=60) as http:
            for number in range(options.jobs):
                reply = Reply(f"Ada No{number}", "twilio", f"Call me ({number})")
                call = post(base_url, number, reply)
                http.post(call.url, headers=dict(call.headers), content=call.body).raise_for_status()
            begun = time.monotonic()
            calls = list(_drain(http, base_url))
            total = time.monotonic() - begun
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(overall_score) FROM lead").fetchone()
    scored = row[0] if row else 0
    result = {
        "jobs": options.jobs,
        "scored": scored,
        "modelCalls": len(model.calls),
        "cronCalls": [round(seconds, 2) for seconds in calls],
        "totalSeconds": round(total, 1),
        "oneAfterAnotherSeconds": options.jobs * options.model_seconds,
    }
    if options.json:
        json.dump(result, sys.stdout, indent=2)
    else:
        print("\n".join(f"{name:<24} {value}" for name, value in result.items()))
    if scored != options.jobs or len(model.calls) != options.jobs or max(calls) > options.budget:
        sys.exit("not as promised")


def _drain(http: httpx.Client, base_url: str) -> Iterator[float]:
    """Call the cron door until nothing is due; says how long each call took."""
    while True:
        begun = time.monotonic()
        answer = http.post(f"{base_url}/api/cron", headers={"Authorization": "Bearer bench"})
        yield time.monotonic() - begun
        if answer.raise_for_status().json()["due"] == 0:
            return


if __name__ == "__main__":
    main()
