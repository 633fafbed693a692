"""Holds: a pause by a person, back-pressure by a provider; for every runner, at no cost in attempts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Hold, Job, Limit, NewJob, Outcome, handler
from leadjobs.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]


async def hold(stage: "Stage", name: str, until: str = "NULL") -> None:
    await stage.db.execute(
        f"INSERT INTO job_hold (name, kind, reason, until) VALUES (%s, 'paused', 'by a test', {until})",
        [name],
    )


@handler("SEND", payload=dict, uses=["twilio"])
async def send(job: AnyJob) -> Outcome:
    return Done()


@handler("CALL", payload=dict)
async def call(job: AnyJob) -> Outcome:
    return Done()


EIGHT = [("SEND", "a"), ("SEND", "b"), ("CALL", "a"), ("CALL", "b")]


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("*", EIGHT),
        ("*@a", [("SEND", "a"), ("CALL", "a")]),
        ("SEND", [("SEND", "a"), ("SEND", "b")]),
        ("SEND@b", [("SEND", "b")]),
        ("twilio", [("SEND", "a"), ("SEND", "b")]),
        ("twilio@a", [("SEND", "a")]),
        ("nobody's", []),
    ],
)
async def test_a_hold_keeps_back_what_goes_by_its_name(stage: "Stage", name: str, held: list[tuple[str, str]]) -> None:
    """A type, a resource, or everything, of all tenants or of one; the rest goes on; and it all runs once let go."""
    await stage.add(*(NewJob(type=type_, tenant=tenant) for type_, tenant in EIGHT))
    await hold(stage, name)

    report = await stage.runner(send, call).run()

    left = await stage.rows("SELECT type, tenant, lease_no, attempts FROM background_job WHERE state = 'PENDING'")
    assert sorted(held) == sorted((row["type"], row["tenant"]) for row in left)
    assert {0} >= {row["lease_no"] + row["attempts"] for row in left}  # nobody touched them
    assert (report.stopped, report.claimed) == ("drained", 4 - len(held))
    await stage.db.execute("DELETE FROM job_hold")
    assert (await stage.runner(send, call).run()).succeeded == len(held)


async def test_a_claim_looks_again_for_a_hold_that_came_since(stage: "Stage") -> None:
    """A pause takes effect at once: a runner that knows of due work already takes none of it."""
    started: list[int] = []

    @handler("SEND", payload=dict)
    async def pausing(job: AnyJob) -> Outcome:
        started.append(job.id)
        if len(started) == 1:
            await hold(stage, "SEND@a")
        return Done()

    await stage.add(*(NewJob(type="SEND", tenant="a") for _ in range(50)))
    await stage.runner(pausing, concurrency=1).run()

    assert 1 == len(started)


async def test_back_pressure_holds_back_every_runner_and_costs_no_attempt(stage: "Stage") -> None:
    """One answer that says when to come back: what uses the same waits, in its place; others go on."""
    clock = FakeClock(datetime.now(UTC) + timedelta(minutes=1))
    asked: list[str] = []

    @handler("ASK", payload=dict, uses=["openai/luna"])
    async def ask(job: AnyJob) -> Outcome:
        asked.append(job.tenant)
        return Hold("openai/luna", timedelta(minutes=5), "429, Retry-After 300") if len(asked) == 1 else Done()

    await stage.add(*(NewJob(type="ASK", tenant=f"t{n}") for n in range(20)), NewJob(type="CALL"))
    first = await stage.runner(ask, call, concurrency=1, clock=clock).run()
    second = await stage.runner(ask, call, clock=clock).run()

    assert (1, 2, 1, "drained") == (len(asked), first.claimed, first.succeeded, first.stopped)
    assert (0, 20) == (second.claimed, second.due)
    (row,) = await stage.rows("SELECT kind, reason, until - %s AS span FROM job_hold", clock.database_now())
    assert ("busy", "held: 429, Retry-After 300", timedelta(minutes=5)) == (row["kind"], row["reason"], row["span"])
    assert [0] == [row["attempts"] for row in await stage.rows("SELECT DISTINCT attempts FROM background_job")]
    clock.advance(timedelta(minutes=5))
    assert 20 == (await stage.runner(ask, call, clock=clock).run()).succeeded


async def test_a_hold_for_one_tenant_leaves_the_others_alone(stage: "Stage") -> None:
    """A tenant's own account is busy: the other tenants' jobs of the type run."""

    @handler("ASK", payload=dict, uses=["openai"])
    async def ask(job: AnyJob) -> Outcome:
        return Hold("openai", None, "insufficient_quota", tenant="broke") if job.tenant == "broke" else Done()

    await stage.add(*(NewJob(type="ASK", tenant=tenant) for tenant in ("broke", "rich") for _ in range(5)))
    report = await stage.runner(ask, concurrency=1).run()

    assert (5, 1) == (report.succeeded, report.snoozed)
    (row,) = await stage.rows("SELECT name, kind, until FROM job_hold")
    assert ("openai@broke", "exhausted", None) == (row["name"], row["kind"], row["until"])


async def test_of_two_holds_on_one_name_the_longer_stands(stage: "Stage") -> None:
    """A pause by a person is not ended by a provider's short Retry-After; an hour not by a minute, in either order."""
    spans = iter([60, 3600, 60])

    @handler("ASK", payload=dict, uses=["openai"])
    async def ask(job: AnyJob) -> Outcome:
        return Hold("openai", timedelta(seconds=next(spans)), "429")

    await stage.add(*(NewJob(type="ASK") for _ in range(3)))
    await stage.runner(ask).run()  # all three are claimed at once, and settled in one group or several
    (row,) = await stage.rows("SELECT extract(epoch FROM until - now()) AS seconds FROM job_hold")
    assert 3500 < row["seconds"] <= 3600

    @handler("ASK", payload=dict, uses=["openai"])
    async def paused_meanwhile(job: AnyJob) -> Outcome:
        await hold(stage, "openai")
        return Hold("openai", timedelta(seconds=60), "429")

    await stage.db.execute("DELETE FROM job_hold")
    await stage.runner(paused_meanwhile, concurrency=1).run()
    assert ("paused", None) == tuple((await stage.rows("SELECT kind, until FROM job_hold"))[0].values())


@pytest.mark.parametrize(
    "until",
    [timedelta(), timedelta(days=-1), datetime(2020, 1, 1, tzinfo=UTC)],
    ids=["no time", "less than none", "the past"],
)
async def test_a_hold_lasts_for_a_second_at_the_least(stage: "Stage", until: timedelta | datetime) -> None:
    """A provider's Retry-After of 0, or a date that its clock has passed: the job must not spin, at no attempt."""

    @handler("ASK", payload=dict, uses=["openai"], timeout=0.3)
    async def ask(job: AnyJob) -> Outcome:
        return Hold("openai", until, "429")

    await stage.add(NewJob(type="ASK"))
    report = await stage.runner(ask, budget=timedelta(seconds=0.5)).run()

    assert (1, "drained") == (report.snoozed, report.stopped)
    assert timedelta(seconds=1) == await stage.value("SELECT until - created_at FROM job_hold")


@pytest.mark.parametrize("tenant", [None, "mine", "other"])
@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "returned"])
async def test_a_hold_that_does_not_hold_the_job_back_is_an_error(
    stage: "Stage", tenant: str | None, *, is_committed: bool
) -> None:
    """It would run again at once, for ever and at no attempt: a type says what it uses, and a tenant holds its own."""
    name = "openai" if tenant == "other" else "twilio"

    @handler("ASK", payload=dict, uses=["openai"], timeout=1)
    async def ask(job: AnyJob) -> Outcome:
        told = Hold(name, None, "429", tenant=tenant)
        if is_committed:
            async with stage.connection() as connection:
                await job.commit(connection, told)
        return told

    (job,) = await stage.add(NewJob(type="ASK", tenant="mine"))
    report = await stage.runner(ask, budget=timedelta(seconds=2)).run()

    assert (1, 0, 0) == (report.retried, report.snoozed, await stage.value("SELECT count(*) FROM job_hold"))
    reason = (await stage.job(job))["reason"]
    assert f"ValueError: a hold on '{name}{'' if tenant is None else '@' + tenant}' does not hold back" in reason
    assert f"this job of ASK, of tenant 'mine': hold what its type says it uses, such as uses=['{name}']" in reason


async def test_a_former_owner_holds_nobody_back(stage: "Stage") -> None:
    """A run that lost its lease changes nothing: no hold either (G4)."""
    go = asyncio.Event()

    @handler("ASK", payload=dict, uses=["openai"])
    async def ask(job: AnyJob) -> Outcome:
        await stage.db.execute("UPDATE background_job SET lease_no = lease_no + 1")
        go.set()
        return Hold("openai", None, "429")

    await stage.add(NewJob(type="ASK"))
    report = await stage.runner(ask).run()

    assert (True, 1) == (go.is_set(), report.lost)
    assert [] == await stage.rows("SELECT * FROM job_hold")


async def test_an_idle_invocation_waits_for_what_opens_soon(stage: "Stage") -> None:
    """A hold, or a rate, that ends within seconds: the same invocation goes on with what it kept back."""
    await stage.add(NewJob(type="SEND"))
    await hold(stage, "SEND", until="now() + interval '0.3 seconds'")

    report = await stage.runner(send).run()

    assert (1, "drained") == (report.succeeded, report.stopped)


async def test_it_does_not_wait_for_what_would_not_fit_any_more(stage: "Stage") -> None:
    """With two seconds left for a job that may take three, the next invocation has it."""

    @handler("ASK", payload=dict, timeout=1.5, limits=[Limit(rate=1, per=timedelta(seconds=3))])
    async def ask(job: AnyJob) -> Outcome:
        return Done()

    await stage.add(NewJob(type="ASK"), NewJob(type="ASK"))
    report = await stage.runner(ask, budget=timedelta(seconds=2), reserve=timedelta(seconds=0.2)).run()

    assert (1, 1) == (report.succeeded, report.due)
    assert report.seconds < 1.5


@pytest.mark.parametrize("name", ["", "a b", "@", "a@b", "*"])
def test_a_hold_is_on_a_name_that_can_be(name: str) -> None:
    """What no type or resource can be called is refused where the handler says it."""
    with pytest.raises(Exception, match="resource"):
        Hold(name, None, "no")
