"""Steps: what is finished is kept under the lease, and a later run goes on from there."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, NewJob, Outcome, RetryPolicy, Snooze, handler
from leadjobs.core.job import Job
from leadjobs.errors import LeaseLostError, StoreError

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
AT_ONCE = RetryPolicy(base=RetryPolicy().base * 0, max_attempts=5)
STEPPING = NewJob(type="STEPPING")


async def test_a_retry_goes_on_after_the_last_finished_step(stage: "Stage") -> None:
    """What the first run finished is not done again, and both runs see the same result."""
    seen: list[Any] = []

    @handler("STEPPING", payload=dict, retry=AT_ONCE)
    async def stepping(job: AnyJob) -> Outcome:
        async def work() -> dict[str, Any]:
            await stage.note("bought", job.id)
            return {"price": 3, "parts": [1, None, "é"]}

        seen.append(await job.step("buy", work))
        if job.attempt < 3:
            raise RuntimeError("after the step")
        return Done()

    (id_,) = await stage.add(STEPPING)

    report = await stage.runner(stepping).run()

    assert (report.retried, report.succeeded) == (2, 1)
    assert [(id_, "bought")] == await stage.effects()
    assert [{"price": 3, "parts": [1, None, "é"]}] * 3 == seen


async def test_a_step_that_raises_is_not_kept(stage: "Stage") -> None:
    """Only finished work is kept."""
    tries: list[int] = []

    @handler("STEPPING", payload=dict, retry=AT_ONCE)
    async def stepping(job: AnyJob) -> Outcome:
        async def work() -> str:
            tries.append(job.attempt)
            if job.attempt == 1:
                raise RuntimeError("halfway")
            return "done"

        return Done(await job.step("work", work))

    (id_,) = await stage.add(STEPPING)

    await stage.runner(stepping).run()

    assert [1, 2] == tries
    assert "done" == (await stage.job(id_))["reason"]


async def test_a_new_generation_begins_anew(stage: "Stage") -> None:
    """A retry by hand does all of it again; a snooze does not."""

    @handler("STEPPING", payload=dict)
    async def stepping(job: AnyJob) -> Outcome:
        async def work() -> int:
            await stage.note(f"generation {job.generation}")
            return job.generation

        await job.step("work", work)
        seen = await stage.value("SELECT count(*) FROM job_step WHERE job_id = %s", job.id)
        return Snooze(timedelta()) if (seen, job.generation) == (1, 1) and first() else Done()

    turns = iter([True])

    def first() -> bool:
        return next(turns, False)

    (id_,) = await stage.add(STEPPING)
    await stage.runner(stepping).run()
    await stage.retry(id_)
    await stage.runner(stepping).run()

    assert [(None, "generation 1"), (None, "generation 2")] == await stage.effects()


async def test_rows_and_step_commit_together(stage: "Stage") -> None:
    """A step of rows is finished with its rows, or neither is there."""

    @handler("STEPPING", payload=dict, retry=AT_ONCE)
    async def stepping(job: AnyJob) -> Outcome:
        if "write" not in await job.finished():
            async with stage.connection() as connection:
                await connection.execute("INSERT INTO effect (what) VALUES ('written')")
                if job.attempt == 1:
                    raise RuntimeError("before the step is kept")
                await job.keep(connection, "write", {"rows": 1})
        if job.attempt == 2:
            raise RuntimeError("after it")
        return Done(str((await job.finished())["write"]))

    (id_,) = await stage.add(STEPPING)

    await stage.runner(stepping).run()

    assert "{'rows': 1}" == (await stage.job(id_))["reason"]
    assert [(None, "written")] == await stage.effects()


@pytest.mark.parametrize("how", ["step", "keep"])
async def test_a_former_owner_keeps_no_step(stage: "Stage", how: str) -> None:
    """A frozen run that wakes up writes neither its step nor its rows, and ends as lost."""
    started, go = asyncio.Event(), asyncio.Event()
    raised: list[BaseException] = []

    def stepping(name: str) -> Any:
        async def work() -> str:
            if name == "late":
                started.set()
                await go.wait()
            return name

        async def keep(job: AnyJob) -> str:
            async with stage.connection() as connection:
                await connection.execute("INSERT INTO effect (what) VALUES (%s)", [await work()])
                await job.keep(connection, "work", name)
            return name

        @handler("STEPPING", payload=dict)
        async def run(job: AnyJob) -> Outcome:
            try:
                return Done(await (job.step("work", work) if how == "step" else keep(job)))
            except LeaseLostError as error:
                raised.append(error)
                raise

        return run

    (id_,) = await stage.add(STEPPING)
    first = asyncio.create_task(stage.runner(stepping("late")).run())
    await started.wait()
    await stage.end_leases()
    await stage.runner(stepping("owner")).run()
    go.set()
    report = await first

    assert 1 == len(raised)
    assert [{"name": "work", "result": "owner"}] == await stage.rows("SELECT name, result FROM job_step")
    assert [(None, "owner")] * (how == "keep") == await stage.effects()
    assert ("owner", 1) == ((await stage.job(id_))["reason"], report.lost)


async def test_a_connection_in_autocommit_keeps_nothing(stage: "Stage") -> None:
    """Without a transaction there is nothing that a fence could hold."""

    @handler("STEPPING", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def stepping(job: AnyJob) -> Outcome:
        async with stage.connection(autocommit=True) as connection:
            await job.keep(connection, "work")
        return Done()

    (id_,) = await stage.add(STEPPING)

    await stage.runner(stepping).run()

    assert "job.keep() needs a transaction" in (await stage.job(id_))["reason"]
    assert [] == await stage.rows("SELECT * FROM job_step")


@pytest.mark.parametrize(
    ("name", "result", "cause"),
    [
        ("work", object(), "the result of step work is not JSON"),
        ("work", float("nan"), "the result of step work is not JSON"),
        ("work", {"a": ["\0"]}, "the result of step work holds NUL"),
        ("work", "\ud800", "the result of step work holds NUL or half a surrogate pair"),
        ("", None, "a step's name has 1 to 200 characters"),
        ("x" * 201, None, "a step's name has 1 to 200 characters"),
    ],
)
async def test_what_cannot_be_kept_is_an_error_that_says_so(
    stage: "Stage", name: str, result: object, cause: str
) -> None:
    """The error names the step and not the value."""
    raised: list[str] = []

    @handler("STEPPING", payload=dict, retry=RetryPolicy(max_attempts=1))
    async def stepping(job: AnyJob) -> Outcome:
        async def work() -> Any:
            return result

        try:
            await job.step(name, work)
        except StoreError as error:
            raised.append(str(error))
        return Done()

    await stage.add(STEPPING)
    await stage.runner(stepping).run()

    assert [True] == [message.startswith(cause) for message in raised]
    assert [] == await stage.rows("SELECT * FROM job_step")


async def test_a_step_that_nobody_can_wait_for_says_how_it_is_written(stage: "Stage") -> None:
    """A plain function, and one that was called already."""
    raised: list[str] = []

    @handler("STEPPING", payload=dict)
    async def stepping(job: AnyJob) -> Outcome:
        for work in (lambda: 7, 7):
            try:
                await job.step("sum", work)  # type: ignore[arg-type]
            except StoreError as error:
                raised.append(str(error))
        return Done()

    await stage.add(STEPPING)
    await stage.runner(stepping).run()

    assert "work of step sum is a plain function: write async def, or give lambda: asyncio.to_thread(…)" == raised[0]
    assert "work of step sum is a int: give what is to be called, such as lambda: send(…)" == raised[1]
    assert [] == await stage.rows("SELECT * FROM job_step")


@pytest.mark.parametrize("asks", [False, True])
async def test_nobody_looks_for_steps_that_cannot_be_there(stage: "Stage", *, asks: bool) -> None:
    """A handler that never asks for them, and a first run that does, get by without the table."""

    @handler("STEPPING", payload=dict, timeout=4)
    async def plain(job: AnyJob) -> Outcome:
        return Done(str(await job.finished() if asks else None))

    (id_,) = await stage.add(STEPPING)
    async with stage.connection() as migration:
        await migration.execute("LOCK TABLE job_step IN ACCESS EXCLUSIVE MODE")
        await stage.runner(plain, budget=timedelta(seconds=5)).run()

    assert ("{}" if asks else "None") == (await stage.job(id_))["reason"]
