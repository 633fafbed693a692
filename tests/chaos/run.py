"""Work under a mixed load while everything breaks, and see that nothing is lost or doubled.

    ./dev chaos [--minutes 30] [--seed N] [--processes 4] [--json]

Starts a PostgreSQL of its own, enqueuers, runner processes, and people at their desks; kills and freezes the processes,
restarts the database, cuts connections, locks rows, lets the network go silent, and loses jobs under their limits.
Then it lets everything drain in peace and checks all that happened.  Exits 1 with the violations, and the seed that
decided what was done, if there are any.

The load is the table in load.py, with its handlers in jobs.py; the trouble is in trouble.py and people.py; the checks
are in checks.py.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.chaos import checks, jobs, load, peace, people
from tests.chaos.database import Database
from tests.chaos.fleet import Fleet
from tests.chaos.load import Enqueuer, raise_caps, set_caps
from tests.chaos.outside import Provider
from tests.chaos.peace import Peace
from tests.chaos.people import Person
from tests.chaos.trouble import Trouble
from tests.engine.history import History
from tests.engine.runner.silence import Network, network_to

from leadjobs.store.migrate import migrate
from leadjobs.store.schedules import ScheduleStore

ENQUEUERS = 2
SAY_EVERY = 10.0  # seconds
DONE = "SELECT count(*) FROM background_job WHERE state NOT IN ('PENDING', 'RUNNING')"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run does: so many seconds of trouble, one round of it at least, with dice that begin at the seed."""

    seconds: float
    seed: int
    processes: int = 4


@dataclass
class Result:
    """What happened, and what must not have."""

    seed: int
    seconds: float = 0.0
    jobs: int = 0
    requests: int = 0
    messages: int = 0
    trouble: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        trouble = ", ".join(f"{times} {kind}" for kind, times in self.trouble.items()) or "no trouble yet"
        return f"{self.seconds:5.0f} s  {self.jobs} jobs done  {trouble}"


class Chaos:
    """One run."""

    def __init__(self, plan: Plan, database: Database, way: tuple[Network, str], folder: Path, say: Say) -> None:
        """``way`` is a network to the database, and how to connect through it."""
        self._plan, self._database, self._say = plan, database, say
        self._socket, self._provider = folder / "provider", Provider(plan.seed)
        self._fleet = Fleet((database.url, way[1]), self._socket, self._dice("fleet"))
        self._trouble = Trouble(database, self._fleet, way[0], self._dice("trouble"))
        self._person = Person(database, self._provider, self._dice("person"))
        self._enqueuers = [
            Enqueuer(database, self._dice(f"enqueuer {place}"), place * 10_000_000) for place in range(ENQUEUERS)
        ]
        self._began = time.monotonic()
        self._result = Result(plan.seed, trouble=self._trouble.made, people=self._person.did)

    def _dice(self, whose: str) -> random.Random:
        return random.Random(f"{self._plan.seed} {whose}")

    async def run(self) -> Result:
        """Work in trouble, drain in peace, check."""
        await self._prepare()
        async with self._provider.serving(self._socket):
            try:
                async with self._telling():
                    await self._work()
                    self._say("drains in peace")
                    last = Peace(self._database, self._fleet, self._enqueuers[0], self._person)
                    self._result.violations += await last.drain(self._plan.processes)
            finally:
                await self._fleet.abandon()
        await self._check()
        return self._result

    async def _prepare(self) -> None:
        await asyncio.to_thread(migrate, self._database.url)
        async with await self._database.connect() as connection:
            for tables in (jobs.OWN, load.REQUESTS, people.SEEN, peace.PEACE, checks.BUDGETS, checks.ACTS):
                await connection.execute(tables.encode())
            await History(connection).install()
            # The schedules owe a tick from the beginning, so that all runners meet it at once.
            (row,) = await (await connection.execute("SELECT now() - interval '1 hour' AS at")).fetchall()
            await ScheduleStore(connection).note_schedules(jobs.SCHEDULES, now=row["at"])
        await set_caps(self._database, 1)

    async def _work(self) -> None:
        """Everybody works, in trouble, for as long as the plan says."""
        self._fleet.start(self._plan.processes)
        at_work = [self._trouble.run(), *(each.run() for each in self._enqueuers)]
        at_work += [raise_caps(self._database, self._dice("caps"))]
        at_work += [self._person.act_on_lists(), self._person.act_on_lists(), self._person.answer_for_effects()]
        working = [asyncio.create_task(each) for each in at_work]
        at_least = asyncio.create_task(self._trouble.a_round.wait())
        await asyncio.wait(working, timeout=self._plan.seconds, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([at_least, *working], return_when=asyncio.FIRST_COMPLETED)
        done = [task for task in working if task.done()]
        for task in (at_least, *working):
            task.cancel()
        await asyncio.gather(at_least, *working, return_exceptions=True)
        for task in done:
            task.result()  # none of them ends by itself but by an error
        await self._fleet.stop()

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        """Say every so often what has happened so far."""
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(SAY_EVERY)
            await self._count()
            self._say(str(self._result))

    async def _count(self) -> None:
        self._result.seconds = round(time.monotonic() - self._began, 1)
        self._result.jobs = await self._database.value(DONE)

    async def _check(self) -> None:
        async with await self._database.connect() as connection:
            self._result.violations += self._fleet.troubles + await checks.violations(
                connection,
                told=[n for each in self._enqueuers for n in each.told],
                undone=[n for each in self._enqueuers for n in each.undone],
                accepted=self._provider.accepted,
            )
        await self._count()
        self._result.requests = sum(len(each.told) for each in self._enqueuers)
        self._result.messages = self._provider.accepted.total()


async def chaos(plan: Plan, say: Say) -> Result:
    """Do what the plan says on a PostgreSQL of its own, and leave nothing behind."""
    database = await asyncio.to_thread(Database)
    try:
        async with network_to(database.url) as way:
            with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
                return await Chaos(plan, database, way, Path(folder), say).run()
    finally:
        database.close()


def main() -> None:
    """Run, tell, and exit 1 where something was lost or doubled."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of trouble; the drain comes on top")
    parser.add_argument("--seed", type=int, default=None, help="what decides all that is done; printed where not given")
    parser.add_argument("--processes", type=int, default=4, help="runner processes")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    options = parser.parse_args()
    if not options.minutes > 0 or options.processes < 1:
        parser.error("--minutes and --processes are more than 0: without trouble nothing is tried")
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    plan = Plan(timedelta(minutes=options.minutes).total_seconds(), seed, options.processes)

    def say(line: str) -> None:
        if not options.json:
            print(line, flush=True)

    say(f"seed {seed}: {options.minutes:g} minutes of trouble for {plan.processes} runner processes")
    try:
        result = asyncio.run(chaos(plan, say))
    except KeyboardInterrupt:
        print("stopped by hand: nothing was checked", file=sys.stderr)
        sys.exit(130)
    if options.json:
        print(json.dumps(asdict(result)))
    say(str(result))
    say(f"{result.requests} requests, {result.messages} messages sent")
    say(", ".join(f"{what} {times}" for what, times in sorted(result.people.items())))
    for violation in result.violations:
        say(f"VIOLATION  {violation}")
    say(
        f"seed {seed}: "
        + (f"{len(result.violations)} violations" if result.violations else "nothing lost, nothing doubled")
    )
    sys.exit(bool(result.violations))


if __name__ == "__main__":
    main()
