"""Work behind limits that have no room: it is found, whatever stands in front of it (G8, G9)."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Job, Limit, NewJob, Outcome, handler

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

RUNNING = """
UPDATE background_job SET state = 'RUNNING', lease_no = lease_no + 1, started_at = now(),
       lease_until = now() + CAST(%s AS interval) WHERE id = ANY (%s)
"""


async def somebody_elses(stage: "Stage", *jobs: NewJob, lease: str = "1 hour") -> None:
    """Add jobs that somebody else has claimed."""
    await stage.db.execute(RUNNING, [lease, await stage.add(*jobs)])


@handler("CALL", payload=dict, limits=[Limit(running=1)])
async def call(job: Job[Any]) -> Outcome:
    return Done()


@handler("SEND", payload=dict, limits=[Limit(running=1)])
async def send(job: Job[Any]) -> Outcome:
    return Done()


@handler("FREE", payload=dict)
async def free(job: Job[Any]) -> Outcome:
    return Done()


@handler("EACH", payload=dict, limits=[Limit(running=1, each_tenant=True)])
async def each(job: Job[Any]) -> Outcome:
    return Done()


@handler("RATED", payload=dict, limits=[Limit(rate=1, per=timedelta(minutes=10), each_tenant=True)])
async def rated(job: Job[Any]) -> Outcome:
    return Done()


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("behind", [send, free], ids=["limited", "free"])
async def test_with_one_slot_what_is_behind_a_full_limit_runs(stage: "Stage", behind: Any) -> None:
    """The one stream that is asked first has no room: the next is asked in the same claim."""
    await somebody_elses(stage, NewJob(type="CALL"))
    await stage.add(NewJob(type="CALL"), *(NewJob(type=behind.type.name) for _ in range(10)))

    report = await stage.runner(call, behind, concurrency=1).run()

    assert (10, "drained", 1) == (report.succeeded, report.stopped, report.due)


@pytest.mark.usefixtures("in_order")
async def test_a_tenant_with_room_is_found_behind_many_without(stage: "Stage") -> None:
    """Twenty tenants at their limit, four slots: the one with room is not among the first that are asked."""
    await somebody_elses(stage, *(NewJob(type="EACH", tenant=f"t{n:02}") for n in range(20)))
    await stage.add(*(NewJob(type="EACH", tenant=f"t{n:02}") for n in range(20)))
    await stage.add(*(NewJob(type="EACH", tenant="z") for _ in range(5)))

    report = await stage.runner(each, concurrency=4).run()

    assert (5, 20) == (report.succeeded, report.due)


@pytest.mark.usefixtures("in_order")
async def test_a_tenant_with_room_is_found_behind_spent_rates(stage: "Stage") -> None:
    """The same of what may start within a span."""
    await stage.add(*(NewJob(type="RATED", tenant=f"t{n:02}") for n in range(20) for _ in range(2)))
    runner = stage.runner(rated, concurrency=4)
    assert 20 == (await runner.run()).succeeded

    await stage.add(NewJob(type="RATED", tenant="z"))

    assert 1 == (await runner.run()).succeeded


async def test_a_lost_job_whose_limit_is_full_does_not_stop_the_others(stage: "Stage") -> None:
    """It has its turn alone, its limit has no room, and the turn goes on to what may run."""
    await somebody_elses(stage, NewJob(type="CALL"))
    await somebody_elses(stage, NewJob(type="CALL"), lease="-1 second")  # its owner is gone: it is to run alone
    await stage.add(*(NewJob(type="FREE") for _ in range(50)))

    report = await stage.runner(call, free).run()

    assert (1, 50, "drained", 1) == (report.rescued, report.succeeded, report.stopped, report.due)
    assert 1 == await stage.value("SELECT count(*) FROM background_job WHERE lane = 'alone' AND state = 'PENDING'")
