"""How much of each invocation is used, where jobs are much quicker than their timeouts say.

    ./dev bench admission [--jobs 240] [--seconds 0.2] [--timeout 5] [--budget 8] [--concurrency 4] [--json]

The same backlog twice on a real PostgreSQL, in real time: admitted by the timeout alone, and by what runs were seen to
take.  Invocations follow each other until nothing is left.  Fails if a job is cut, or not run once.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import psycopg

from leadjobs import Done, Job, NewJob, Outcome, Registry, Report, Runner, enqueue_many, handler
from leadjobs.core import durations
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate

NEVER = sys.maxsize


@dataclass(frozen=True)
class Result:
    """``used`` is the part of the slots' time that jobs ran in, over all invocations but the last, which drains."""

    admitted_by: str
    invocations: int
    jobs_of_each: list[int]
    seconds: float
    used: float
    cut: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--budget", type=float, default=8.0)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [asyncio.run(_measure(options, by)) for by in ("timeout", "duration")]
    if options.json:
        json.dump([asdict(result) for result in results], sys.stdout, indent=2)
    else:
        for result in results:
            print("  ".join(f"{name} {value}" for name, value in asdict(result).items()))
    if any(sum(result.jobs_of_each) != options.jobs for result in results):
        sys.exit("not as promised")


async def _measure(options: argparse.Namespace, by: str) -> Result:
    @handler("QUICK", payload=dict, timeout=options.timeout)
    async def quick(_: Job[dict[str, Any]]) -> Outcome:
        await asyncio.sleep(options.seconds)
        return Done()

    learns_from, durations.ENOUGH = durations.ENOUGH, durations.ENOUGH if by == "duration" else NEVER
    try:
        with EmbeddedPostgres(ephemeral=True) as server:
            migrate(server.url)
            async with await psycopg.AsyncConnection.connect(server.url) as connection:
                await enqueue_many(connection, [NewJob(type="QUICK") for _ in range(options.jobs)])
            budget = timedelta(seconds=options.budget)
            runner = Runner(server.url, Registry(quick), budget=budget, concurrency=options.concurrency)
            reports: list[Report] = []
            while not reports or reports[-1].due:
                reports.append(await runner.run())
    finally:
        durations.ENOUGH = learns_from
    busy = sum(report.succeeded for report in reports[:-1]) * options.seconds
    slots = (budget - runner.reserve_of(budget)).total_seconds() * options.concurrency * max(1, len(reports) - 1)
    return Result(
        by,
        len(reports),
        [report.succeeded for report in reports],
        round(sum(report.seconds for report in reports), 1),
        round(busy / slots, 2),
        sum(report.handed_back for report in reports),
    )


if __name__ == "__main__":
    main()
