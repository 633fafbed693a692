"""Whatever is done to jobs, in whatever order: after each act the database says what a small model says."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row
from tests.engine.model_of_life import LEASE, MAX_ATTEMPTS, MAX_LOSSES, TENANT, TYPE, Model, ModelJob, Says

from leadjobs import Done, GiveUp, Hold, JobId, Lane, NewJob, Retry, RetryPolicy, Snooze, enqueue
from leadjobs.core.ending import Ending, Run
from leadjobs.core.job import DedupeScope, Lease, OnConflict
from leadjobs.core.plan import Share, Stream
from leadjobs.store.connection import CONNECT, fetch_async
from leadjobs.store.jobs import JobStore
from leadjobs.store.statements import statement
from leadjobs.testing.clock import FakeClock

NOON = datetime(2035, 11, 23, 12, tzinfo=UTC)  # after all that the database's own clock says
SPANS = st.sampled_from([timedelta(0), timedelta(seconds=30), timedelta(minutes=5)])
COLUMNS = "id, state, lane, lease_no, lease_until, generation, attempts, losses, run_at, payload, next_payload"
POLICY = RetryPolicy(max_attempts=MAX_ATTEMPTS)


def ending(lease: Lease, attempts: int, says: Says, span: timedelta | None) -> Ending:
    """How the engine's own run ends."""
    run = Run(lease, attempts, POLICY)
    ways: dict[Says, Callable[[], Ending]] = {
        "done": lambda: run.said(Done()),
        "give up": lambda: run.said(GiveUp("no")),
        "retry": lambda: run.said(Retry("no", after=span)),
        "time out": lambda: run._again("timed out", "timed_out", span),
        "snooze": lambda: run.said(Snooze(span or timedelta())),
        "hold": lambda: run.said(Hold(TYPE, span, "busy")),
        "hand back": lambda: run.handed_back("stopped"),
    }
    return ways[says]()


class Life(RuleBasedStateMachine):
    """The acts of callers, runners and operators, each done to the database and to the model."""

    leases = Bundle("leases")
    jobs = Bundle("jobs")

    def __init__(self, url: str) -> None:
        super().__init__()
        self.model, self.clock = Model(NOON), FakeClock(NOON)
        self.loop = asyncio.Runner()
        self.db = self.loop.run(self._connect(url))
        self.store = JobStore(self.db, self.clock)
        self.n = 0

    async def _connect(self, url: str) -> psycopg.AsyncConnection[Any]:
        db = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row, **CONNECT)
        await db.execute("DELETE FROM background_job; DELETE FROM job_hold")
        return db

    def teardown(self) -> None:
        self.loop.run(self.db.close())
        self.loop.close()

    def rows(self, name: str, /, **binds: Any) -> Any:
        return self.loop.run(fetch_async(self.db, statement(name), binds))

    # Callers.

    @rule(
        target=jobs,
        key=st.sampled_from(["a", "b", None]),
        scope=st.sampled_from(DedupeScope),
        on_conflict=st.sampled_from(OnConflict),
        delay=st.sampled_from([timedelta(0), timedelta(0), timedelta(seconds=30)]),
    )
    def enqueue(self, key: str | None, scope: DedupeScope, on_conflict: OnConflict, delay: timedelta) -> int:
        self.n += 1
        replacing = on_conflict is OnConflict.REPLACE and key is not None
        run_at = self.model.now + delay
        new = NewJob(
            type=TYPE, tenant=TENANT, payload={"n": self.n}, run_at=run_at, dedupe_key=key, scope=scope,
            on_conflict=OnConflict.REPLACE if replacing else OnConflict.IGNORE,
        )  # fmt: skip
        told = self.loop.run(enqueue(self.db, new))
        model = ModelJob(told.job_id, self.n, run_at, key, scope.value)
        assert (told.job_id, told.verdict) == self.model.enqueue(model, is_replacing=replacing)
        return told.job_id

    # Runners.

    @rule(target=leases, slots=st.integers(1, 3))
    def claim(self, slots: int) -> Any:
        shares = [Share(Stream(lane, TYPE, TENANT), slots) for lane in Lane]
        claimed = self.loop.run(self.store.claim(shares, {}, {TYPE: LEASE.total_seconds()}))
        expected = [job for lane in Lane for job in self.model.claim(lane.value, slots)]
        assert {(job.lease, job.generation, job.attempts) for job in claimed} == {
            (Lease(JobId(job.id), job.lease_no), job.generation, job.attempts) for job in expected
        }
        return multiple(*((job.lease, job.attempts) for job in claimed))

    @rule(
        run=leases,
        says=st.sampled_from(["done", "give up", "retry", "time out", "snooze", "hold", "hand back"]),
        span=SPANS | st.none(),
    )
    def settle(self, run: tuple[Lease, int], says: Says, span: timedelta | None) -> None:
        """By the owner, by a former one, or once more."""
        (lease, attempts), waits = run, span if says == "hold" or span is not None else timedelta()
        waits = timedelta() if says == "hand back" else waits
        settled = self.loop.run(self.store.settle([ending(lease, attempts, says, waits)]))
        job = self.model.jobs.get(lease.job_id)
        is_owner = job is not None and job.lease_no == lease.lease_no
        assert settled == ({lease.job_id} if is_owner else set())
        if job is not None and is_owner:
            self.model.settle(job, says, waits)

    @rule()
    def rescue(self) -> None:
        rescued = self.loop.run(self.store.rescue(max_losses=MAX_LOSSES))
        assert {job.id for job in rescued} == set(self.model.rescue())

    @rule()
    def all_that_may_run_is_lost(self) -> None:
        self.claim(3)
        self.time_passes(timedelta(minutes=5))
        self.rescue()

    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.clock.advance(span)
        self.model.now += span

    # Operators.

    @rule(id_=jobs)
    def cancel(self, id_: int) -> None:
        job = self.model.jobs.get(id_)
        done = self.rows("cancel", id=id_, reason="no", now=self.model.now)
        assert bool(done) == (job is not None and self.model.cancel(job))

    @rule(id_=jobs)
    def retry(self, id_: int) -> None:
        job = self.model.jobs.get(id_)
        expected = "gone" if job is None else self.model.retry(job)
        try:
            done = self.rows("retry", id=id_, reason="again", now=self.model.now)
        except psycopg.errors.UniqueViolation:
            assert expected == "key is held"
        else:
            assert bool(done) == (expected == "due")

    @rule(id_=consumes(jobs))
    def delete(self, id_: int) -> None:
        job = self.model.jobs.get(id_)
        assert bool(self.rows("delete", id=id_)) == (job is not None and self.model.delete(job))

    @precondition(lambda self: not self.model.is_held)
    @rule(name=st.sampled_from([TYPE, f"{TYPE}@{TENANT}", "*", "OTHER"]))
    def pause(self, name: str) -> None:
        self.rows("put_hold", name=name, reason="no", seconds=None)
        self.model.holds[name] = None

    @precondition(lambda self: self.model.holds)
    @rule()
    def release(self) -> None:
        for name in list(self.model.holds):
            assert self.rows("release_hold", name=name)
        assert not self.rows("release_hold", name="OTHER")
        self.model.holds.clear()

    @invariant()
    def they_agree(self) -> None:
        """The database and the model say the same of all jobs and holds."""
        rows = self.loop.run(self._all())
        assert rows[0] == [
            (
                job.id, job.state, job.lane, job.lease_no, job.lease_until, job.generation, job.attempts, job.losses,
                job.run_at, job.payload, job.next_payload,
            )
            for job in sorted(self.model.jobs.values(), key=lambda job: job.id)
        ]  # fmt: skip
        assert rows[1] == self.model.holds

    async def _all(self) -> tuple[list[tuple[Any, ...]], dict[str, datetime | None]]:
        found = await (await self.db.execute(f"SELECT {COLUMNS} FROM background_job ORDER BY id".encode())).fetchall()
        holds = await (await self.db.execute("SELECT name, until FROM job_hold")).fetchall()
        jobs = [
            (*row.values(),)[:-2] + tuple(each and each["n"] for each in (row["payload"], row["next_payload"]))
            for row in found
        ]
        return jobs, {row["name"]: row["until"] for row in holds}


def test_a_job_s_life_is_as_the_model_says(url: str) -> None:
    """Callers, runners and operators do what they like, a former owner settles late, and time passes."""
    bounds = settings(
        max_examples=150,
        stateful_step_count=40,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    class LifeHere(Life):
        def __init__(self) -> None:
            super().__init__(url)

    run_state_machine_as_test(LifeHere, settings=bounds)
