"""What each mechanism of the engine costs: drains with it, beside plain drains in the same run.

    ./dev bench mechanisms [--jobs 2000] [--rounds 3] [--concurrency 200] [--case WORD] [--json] [--markdown]

A PostgreSQL that is thrown away, with durable settings.  Each case in each round is a database of its own, drained by
one invocation; the cases take turns.  The tables give medians: jobs a second as a part of the plain drain's in the same
round; and per job the statements, WAL bytes and microseconds of CPU in this process, start-up left out.  Fails unless
each job ended SUCCEEDED.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import psycopg

from benchmarks.peers import meter
from benchmarks.peers.arena import SETTINGS
from leadjobs import Done, Job, JobType, Limit, NewJob, Outcome, Registry, Runner, enqueue_many_sync, handler
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate

TEXT = "x" * 110
Work = Callable[[Job[Any]], Awaitable[Outcome]]


async def nothing(_: Job[Any]) -> Outcome:
    return Done()


async def a_result(job: Job[Any]) -> Outcome:
    return Done(result={"n": job.payload["n"]})


async def a_step(job: Job[Any]) -> Outcome:
    await job.step("look", lambda: asyncio.sleep(0, {"score": 3}))
    return Done()


async def an_effect(job: Job[Any]) -> Outcome:
    await job.effect("sms", lambda tag: asyncio.sleep(0, {"sid": tag}))
    return Done()


async def a_spend(job: Job[Any]) -> Outcome:
    async with job.spend(what="score", tokens=500) as spend:
        spend.settle(tokens=400)
    return Done()


async def a_commit(job: Job[Any]) -> Outcome:
    url = URLS[-1]
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("INSERT INTO own_row (n) VALUES (%s)", [job.payload["n"]])
        return await job.commit(connection, Done())


URLS: list[str] = []  # of the database that is drained


@dataclass(frozen=True)
class Case:
    """One mechanism: the jobs that have it, the handler that uses it, and what else is in the database."""

    name: str
    work: Work = nothing
    keys: bool = False
    tenants: int = 1
    limits: tuple[Limit, ...] = ()
    before: str = ""

    def jobs(self, kind: JobType[Any], count: int) -> list[NewJob]:
        """So many of them."""
        return [
            kind.job(
                {"n": n, "text": TEXT}, tenant=f"t{n % self.tenants}", dedupe_key=f"job:{n}" if self.keys else None
            )
            for n in range(count)
        ]


CASES = (
    Case("plain"),
    Case("a dedupe key each", keys=True),
    Case("50 tenants in turn", tenants=50),
    Case("1,000 tenants in turn", tenants=1000),
    Case("a limit on what runs at once", limits=(Limit(running=1000),)),
    Case("a limit on how often", limits=(Limit(rate=1_000_000, per=timedelta(seconds=1)),)),
    Case(
        "beside 100 holds of others",
        before="INSERT INTO job_hold (name, kind, reason) SELECT 'other/' || n, 'paused', 'bench' "
        "FROM generate_series(1, 100) AS n",
    ),
    Case("a result each", a_result),
    Case("a step each", a_step),
    Case("an effect each", an_effect),
    Case("a budget's reservation each", a_spend),
    Case("committed with own rows", a_commit, before="CREATE TABLE own_row (n integer)"),
)


@dataclass
class Result:
    """What was measured of a case, a number for each round."""

    case: str
    of_plain: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)
    wal_bytes: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=200)
    parser.add_argument("--case", default="", help="only cases whose name has this in it, beside the plain one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    if min(options.jobs, options.rounds, options.concurrency) < 1:
        parser.error("--jobs, --rounds and --concurrency are 1 or more")
    cases = [case for case in CASES if case.name == "plain" or options.case in case.name]
    if len(cases) == 1:
        parser.error(f"no case has {options.case!r} in its name: {', '.join(case.name for case in CASES)}")
    results = {case.name: Result(case.name) for case in cases}
    with EmbeddedPostgres(ephemeral=True, settings=SETTINGS) as server:
        migrate(server.url)
        for round_ in range(options.rounds):
            for case in cases:
                measure(server.url, case, results, options)
                print(f"round {round_ + 1}: {case.name}: {results[case.name].rate[-1]:,.0f}/s", file=sys.stderr)
    if options.json:
        json.dump([asdict(result) for result in results.values()], sys.stdout, indent=2)
    else:
        print(table(list(results.values()), is_markdown=options.markdown))


def measure(url: str, case: Case, results: dict[str, Result], options: argparse.Namespace) -> None:
    """Copy the migrated database, fill it, drain it, and read the counters."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS drained WITH (FORCE)")
        admin.execute(f"CREATE DATABASE drained TEMPLATE {admin.info.dbname}")
        URLS.append(psycopg.conninfo.make_conninfo(url, dbname="drained"))
    kind: JobType[Any] = JobType(name="MEASURED", payload=dict, limits=case.limits)
    with psycopg.connect(URLS[-1], autocommit=True) as connection:
        if case.before:
            connection.execute(case.before)
        enqueue_many_sync(connection, case.jobs(kind, options.jobs))
        connection.execute("VACUUM ANALYZE background_job")
        meter.count_statements(connection)
    with psycopg.connect(URLS[-1], autocommit=True) as connection:
        before = meter.read(connection)
        seconds, cpu = asyncio.run(drain(kind, case, options.concurrency))
        used = meter.per_job(before, meter.read(connection), options.jobs)
        row = connection.execute("SELECT count(*) FROM background_job WHERE state = 'SUCCEEDED'").fetchone()
    if row != (options.jobs,):
        sys.exit(f"{case.name}: {row} of {options.jobs} jobs succeeded")
    result = results[case.name]
    result.rate.append(options.jobs / seconds)
    result.of_plain.append(result.rate[-1] / results["plain"].rate[-1])
    result.statements.append(used["statements"])
    result.wal_bytes.append(used["wal_bytes"])
    result.cpu_us.append(cpu / options.jobs * 1e6)


async def drain(kind: JobType[Any], case: Case, concurrency: int) -> tuple[float, float]:
    """Seconds, and seconds of CPU."""
    runner = Runner(URLS[-1], Registry(handler(kind)(case.work)), budget=timedelta(minutes=10), concurrency=concurrency)
    begun, cpu = time.perf_counter(), time.process_time()
    await runner.run()
    return time.perf_counter() - begun, time.process_time() - cpu


def table(results: Sequence[Result], *, is_markdown: bool) -> str:
    """Medians, a line for each case."""
    head = ("", "rate ÷ plain", "statements", "WAL, B", "CPU, µs")
    lines = [
        (
            result.case,
            f"{statistics.median(result.of_plain):.2f}",
            f"{statistics.median(result.statements):.2f}",
            f"{statistics.median(result.wal_bytes):,.0f}",
            f"{statistics.median(result.cpu_us):,.0f}",
        )
        for result in results
    ]
    if is_markdown:
        rows = [head, ("---", *["---:"] * 4), *lines]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n".join(f"{line[0]:32}" + "".join(f"{cell:>14}" for cell in line[1:]) for line in [head, *lines])


if __name__ == "__main__":
    main()
