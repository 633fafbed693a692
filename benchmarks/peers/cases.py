"""The cases: what is done, and that it was done exactly once."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import IsolationLevel

from benchmarks.peers import meter
from benchmarks.peers.arena import Arena, Database, look
from benchmarks.peers.contestants import Contestant
from benchmarks.peers.draining import drained
from benchmarks.peers.process import ask
from benchmarks.peers.verify import check_added

Metrics = dict[str, float]
IN_FLIGHT, SLEEP = 100, 0.05
TENTHS = 10
WARM_UP = 20  # enqueues that are checked and not timed
WITH_ROWS = {"leadjobs", "raw"}


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    ``count`` is the jobs of a full run, ``rows`` those in their background.  ``is_once``: counters that hardly differ
    between rounds.  ``needs_drain``: its figure is a part of the same contestant's plain drain.
    """

    name: str
    title: str
    measure: Callable[["Run"], Metrics]
    count: int
    rows: int = 0
    is_drain: bool = True
    processes: int = 1
    is_once: bool = False
    needs_drain: bool = False
    is_paced: bool = True

    def takes(self, who: Contestant, *, peers_with_rows: bool) -> bool:
        """Whether this case is the contestant's."""
        if self.rows:
            return self.name in who.table.background and (who.name in WITH_ROWS or (who.is_peer and peers_with_rows))
        return who.measures_all or not self.is_drain or self.name in {"drain", "two"}

    def jobs(self, who: Contestant, factor: float, *, whole: bool) -> int:
        """How many jobs it is with."""
        pace = who.pace if self.is_drain and self.is_paced and not whole else 1.0
        return max(self.processes, round(self.count * factor * pace))


@dataclass(frozen=True)
class Run:
    """A case with a contestant."""

    case: Case
    arena: Arena
    who: Contestant
    count: int

    @contextmanager
    def database(self, *, jobs: int = 0) -> Iterator[Database]:
        """A fresh database for it, with nothing left to write, so that nobody pays for whom ran before."""
        kind, rows = (self.case.name, self.case.rows) if self.case.rows else ("", 0)
        with self.arena.database(self.who, jobs=jobs, kind=kind, rows=rows) as database:
            self.arena.checkpoint()
            yield database

    @property
    def interpreter(self) -> str:
        """What runs the contestant."""
        return self.arena.interpreters[self.who.name]


def enqueue(run: Run) -> Metrics:
    """One by one, each in a transaction of its own."""
    with run.database() as database:
        request = {"do": "add", "url": database.url, "count": WARM_UP + run.count, "form": run.who.form}
        took: list[float] = ask(run.interpreter, run.who.driver, request)["seconds"][WARM_UP:]
        _check_added(run, database, WARM_UP + run.count)
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"per_second": run.count / sum(took), "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


def bulk(run: Run) -> Metrics:
    """All at once, as the contestant does that."""
    with run.database() as database:
        request = {"do": "add_many", "url": database.url, "count": run.count, "form": run.who.form}
        took: float = ask(run.interpreter, run.who.driver, request)["seconds"]
        _check_added(run, database, run.count)
    return {"per_second": run.count / took}


def _check_added(run: Run, database: Database, count: int) -> None:
    with look(database.url) as connection:
        check_added(connection, run.who.table, count, database.after)


def drain(run: Run) -> Metrics:
    """Jobs that do nothing, until the table says that all are done."""
    with run.database(jobs=run.count) as database:
        done = drained(run.interpreter, run.who, database, run.count, processes=run.case.processes)
    cpu = done.cpu_seconds * 1e6 / run.count
    return {"per_second": run.count / done.seconds, "rss_mb": done.rss_mb, "cpu_us": cpu}


def sleep(run: Run) -> Metrics:
    """Jobs of 50 ms, a hundred at once; the ideal is 1."""
    with run.database(jobs=run.count) as database:
        done = drained(run.interpreter, run.who, database, run.count, sleep=SLEEP, in_flight=IN_FLIGHT)
    return {"over_ideal": done.seconds / (run.count * SLEEP / IN_FLIGHT)}


def pinned(run: Run) -> Metrics:
    """While somebody's old snapshot keeps every dead row alive."""
    with run.database(jobs=run.count) as database, _snapshot(database):
        done = drained(run.interpreter, run.who, database, run.count)
    tenths = [done.begun[round(part * (run.count - 1) / TENTHS)] for part in range(TENTHS + 1)]
    second, last = tenths[2] - tenths[1], tenths[TENTHS] - tenths[TENTHS - 1]
    return {"per_second": run.count / done.seconds, "last_to_second": second / max(last, 1e-9)}


@contextmanager
def _snapshot(database: Database) -> Iterator[None]:
    with psycopg.connect(database.url) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pg_class")
        yield
        connection.rollback()


def cost(run: Run) -> Metrics:
    """What a job costs the database."""
    with run.database(jobs=run.count) as database, look(database.url) as connection:
        meter.count_statements(connection)
        before = meter.read(connection)
        drained(run.interpreter, run.who, database, run.count)
        return meter.per_job(before, meter.read(connection), run.count)


def start(run: Run) -> Metrics:
    """From a new process to its first job's handler."""
    with run.database(jobs=run.count) as database:
        return {"ms": drained(run.interpreter, run.who, database, run.count, gate=False).first_ms}


CASES = (
    Case("enqueue", "enqueue one by one, a transaction each", enqueue, 2_000, is_drain=False),
    Case("bulk", "enqueue many at once", bulk, 10_000, is_drain=False),
    Case("drain", "drain, one process", drain, 20_000),
    Case("two", "drain, two processes", drain, 20_000, processes=2),
    Case("sleep", "jobs that sleep 50 ms, 100 at once", sleep, 2_000, is_paced=False),
    Case("finished", "drain beside finished rows", drain, 20_000, rows=1_000_000, needs_drain=True),
    Case("future", "drain beside rows for later", drain, 20_000, rows=200_000, needs_drain=True),
    Case("blocked", "drain behind rows that nobody here may run", drain, 20_000, rows=50_000, needs_drain=True),
    Case("paused", "drain behind rows of a paused type", drain, 20_000, rows=50_000, needs_drain=True),
    Case("pinned", "drain under a pinned snapshot", pinned, 30_000, needs_drain=True),
    Case("cost", "what a job costs the database", cost, 20_000, is_once=True),
    Case("start", "process start to first job", start, 1),
)
