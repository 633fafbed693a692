"""The runner: claim -> handle -> settle, and what it makes of whatever a handler says."""

import asyncio
import json
import logging
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from leadjobs import Done, Job, JobType, NewJob, Outcome, Registry, RetryPolicy, Runner, Skip, Snooze, handler
from leadjobs.core.plan import Stream
from leadjobs.errors import StoreError
from leadjobs.store.jobs import JobStore, Picture

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]
TOMORROW = RetryPolicy(base=timedelta(days=1), cap=timedelta(days=1))  # not in the same invocation


@handler("GREET", payload=dict)
async def greet(job: AnyJob) -> Outcome:
    return Done(f"hello {job.payload['name']}")


@dataclass(frozen=True)
class Welcome:
    user_id: int


async def test_an_enqueued_job_is_run_and_settled(stage: "Stage") -> None:
    """A job goes from enqueue to SUCCEEDED, and says what came of it."""
    (id_,) = await stage.add(NewJob(type="GREET", payload={"name": "Ada"}))

    report = await stage.runner(greet).run()

    job = await stage.job(id_)
    ended = [job[key] for key in ("state", "reason", "attempts", "lease_no", "lease_until")]
    assert ended == ["SUCCEEDED", "hello Ada", 0, 2, None]
    assert job["started_at"] < job["finished_at"]
    assert (report.claimed, report.succeeded, report.stopped, report.due) == (1, 1, "drained", 0)


async def test_a_skip_is_a_success_that_says_why(stage: "Stage") -> None:
    """Nothing to do is fine, and on record."""

    @handler("SKIPS", payload=dict)
    async def skips(job: AnyJob) -> Outcome:
        return Skip("no inbound message")

    (id_,) = await stage.add(NewJob(type="SKIPS"))

    report = await stage.runner(skips).run()

    job = await stage.job(id_)
    assert (job["state"], job["reason"], report.succeeded) == ("SUCCEEDED", "skipped: no inbound message", 1)


async def test_a_handler_knows_its_job(stage: "Stage") -> None:
    """The payload comes as its type, with the job's tenant, attempt, generation and the time that is left."""
    seen: list[Job[Welcome]] = []
    left: list[float] = []

    @handler("WELCOME", payload=Welcome, timeout=20)
    async def welcome(job: Job[Welcome]) -> Outcome:
        seen.append(job)
        left.append(job.time_left())
        return Done()

    (id_,) = await stage.add(welcome.type.job(Welcome(7), tenant="acme"))

    await stage.runner(welcome, budget=timedelta(seconds=30)).run()

    (job,) = seen
    assert (id_, "WELCOME", "acme", Welcome(7), 1, 1) == (
        job.id,
        job.type,
        job.tenant,
        job.payload,
        job.attempt,
        job.generation,
    )
    assert 15 < left[0] <= 20


async def test_an_unknown_type_is_left_alone_and_reported(stage: "Stage") -> None:
    """Another release's jobs wait for it, and do not hold up what is known here."""
    unknown, known = await stage.add(NewJob(type="NEWER"), NewJob(type="GREET", payload={"name": "Ada"}))

    report = await stage.runner(greet).run()

    left = await stage.job(unknown)
    assert (left["state"], left["lease_no"]) == ("PENDING", 0)
    assert (await stage.job(known))["state"] == "SUCCEEDED"
    assert (report.unknown_types, report.due, report.stopped) == (("NEWER",), 1, "drained")


async def test_a_payload_that_does_not_fit_fails_at_once_and_names_the_field(stage: "Stage") -> None:
    """No further run would find the stored payload otherwise, and its value is not repeated."""

    @handler("WELCOME", payload=Welcome)
    async def welcome(job: Job[Welcome]) -> Outcome:
        return Done()

    (id_,) = await stage.add(NewJob(type="WELCOME", payload={"user_id": "Ada Lovelace"}))

    report = await stage.runner(welcome).run()

    job = await stage.job(id_)
    assert (job["state"], report.failed, await stage.records(id_)) == ("FAILED", 1, ["failed"])
    assert "user_id" in job["reason"]
    assert "Lovelace" not in job["reason"]


@pytest.mark.parametrize("nonsense", [None, True, "done", {"state": "done"}, Done], ids=str)
async def test_nonsense_from_a_handler_is_its_error_and_says_what_to_return(stage: "Stage", nonsense: object) -> None:
    """What is no outcome is an error of that job, and its neighbour does not notice."""

    @handler("NONSENSE", payload=dict, retry=TOMORROW)
    async def talk_nonsense(job: AnyJob) -> Outcome:
        return cast("Outcome", nonsense)

    id_, other = await stage.add(NewJob(type="NONSENSE"), NewJob(type="GREET", payload={"name": "Ada"}))

    report = await stage.runner(talk_nonsense, greet).run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"], report.retried, report.stopped) == ("PENDING", 1, 1, "drained")
    assert "a handler returns Done, Skip, Retry, Snooze, Hold or GiveUp" in job["reason"]
    assert (await stage.job(other))["state"] == "SUCCEEDED"


async def test_a_handler_that_exits_is_in_error_and_the_runner_goes_on(stage: "Stage") -> None:
    """sys.exit() ends that run, not the process, nor the jobs beside it."""

    @handler("EXITS", payload=dict, retry=TOMORROW)
    async def exits(job: AnyJob) -> Outcome:
        sys.exit(3)

    id_, other = await stage.add(NewJob(type="EXITS"), NewJob(type="GREET", payload={"name": "Ada"}))

    report = await stage.runner(exits, greet, concurrency=1).run()

    job = await stage.job(id_)
    assert (job["state"], job["attempts"], await stage.records(id_)) == ("PENDING", 1, ["failed"])
    assert "SystemExit: 3" in job["reason"]
    assert ((await stage.job(other))["state"], report.stopped) == ("SUCCEEDED", "drained")


async def test_an_error_that_cannot_say_what_it_is_ends_its_run_all_the_same(stage: "Stage") -> None:
    """An exception whose text raises leaves no slot taken."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    class TrapError(Exception):
        @property
        def retry_after(self) -> float:
            raise RuntimeError("trap")

    @handler("MUTE", payload=dict, timeout=1, retry=TOMORROW)
    async def mute(job: AnyJob) -> Outcome:
        raise MuteError if job.payload["is_mute"] else TrapError

    ids = await stage.add(*(NewJob(type="MUTE", payload={"is_mute": is_mute}) for is_mute in (True, False)))

    report = await stage.runner(mute, budget=timedelta(seconds=3), reserve=timedelta(seconds=1)).run()

    mute_job, trap_job = [await stage.job(id_) for id_ in ids]
    assert (
        mute_job["state"],
        mute_job["attempts"],
        trap_job["attempts"],
        report.stopped,
    ) == ("PENDING", 1, 1, "drained")
    assert "MuteError" in mute_job["reason"]
    assert "RuntimeError: trap" in trap_job["reason"]


async def test_an_outcome_that_the_database_refuses_is_an_error_of_its_job_only(stage: "Stage") -> None:
    """A value that no row can keep ends that run as an error; what was to be settled with it is settled."""

    @handler("FAR", payload=dict, retry=TOMORROW)
    async def far(job: AnyJob) -> Outcome:
        return Snooze(timedelta.max)

    far_id, other = await stage.add(NewJob(type="FAR"), NewJob(type="GREET", payload={"name": "Ada"}))

    report = await stage.runner(far, greet).run()

    job = await stage.job(far_id)
    assert (job["state"], job["attempts"], await stage.records(far_id)) == ("PENDING", 1, ["failed"])
    assert (await stage.job(other))["state"] == "SUCCEEDED"
    assert (report.succeeded, report.retried, report.unsettled, report.stopped) == (1, 1, 0, "drained")


async def test_text_that_postgres_cannot_keep_is_cleaned(stage: "Stage") -> None:
    """NUL characters and half surrogate pairs in an error's text do not keep a run from being settled."""

    @handler("DIRTY", payload=dict, retry=TOMORROW)
    async def dirty(job: AnyJob) -> Outcome:
        raise ValueError("a\0b \ud83d c")

    (id_,) = await stage.add(NewJob(type="DIRTY"))

    report = await stage.runner(dirty).run()

    assert "ValueError: ab ? c" in (await stage.job(id_))["reason"]
    assert report.unsettled == 0


async def test_on_end_is_called_once_whatever_happened(stage: "Stage") -> None:
    """It closes what handlers share, so it must come after good ends and bad ones, once."""
    calls: list[str] = []

    async def close() -> None:
        calls.append("closed")

    await stage.runner(greet, on_end=close).run()
    assert calls == ["closed"]

    away = stage.url.replace("/test_", "/no_such_")
    with pytest.raises(StoreError, match="does not answer"):
        await Runner(away, Registry(greet), on_end=close).run()
    assert calls == ["closed", "closed"]


async def test_on_end_waits_for_the_last_of_overlapping_invocations(stage: "Stage") -> None:
    """Two cron calls may share a process: the first to end must not close what the other's handlers still use."""
    closed: list[bool] = []
    started, go_on = asyncio.Event(), asyncio.Event()

    @handler("HOLDS", payload=dict)
    async def holds(job: AnyJob) -> Outcome:
        started.set()
        await go_on.wait()
        return Done()

    async def close() -> None:
        closed.append(go_on.is_set())

    await stage.add(NewJob(type="HOLDS"))
    runner = stage.runner(holds, on_end=close)
    first = asyncio.create_task(runner.run())
    await started.wait()
    await runner.run()
    assert closed == []
    go_on.set()
    await first

    assert closed == [True]


async def test_a_report_is_camel_case_json_and_kept(stage: "Stage") -> None:
    """Doors answer with the report, operators find it in the database; both in the same spelling."""
    await stage.add(NewJob(type="GREET", payload={"name": "Ada"}), NewJob(type="NEWER"))

    report = await stage.runner(greet).run()

    said = json.loads(json.dumps(report.as_json()))
    assert {"handedBack": 0, "unknownTypes": ["NEWER"], "succeeded": 1, "stopped": "drained"}.items() <= said.items()
    assert set() == {key for key in said if "_" in key}
    assert said["oldestDueSeconds"] >= 0
    assert 0 <= said["sinceCompletionSeconds"] < 60
    kept = await stage.value("SELECT report FROM runner_invocation")
    assert (kept["succeeded"], kept["stopped"], report.is_healthy) == (1, "drained", True)


async def test_facts_are_told_without_payloads(stage: "Stage", caplog: pytest.LogCaptureFixture) -> None:
    """Each end of a run is one line with its id and type; no payload is in any."""

    @handler("FAILS", payload=dict, retry=TOMORROW)
    async def fails(job: AnyJob) -> Outcome:
        raise ValueError("no")

    caplog.set_level(logging.DEBUG, logger="leadjobs")
    private = {"name": "Ada", "phone": "+15550100"}
    await stage.add(NewJob(type="GREET", payload=private | {"name": "you"}), NewJob(type="FAILS", payload=private))

    await stage.runner(greet, fails).run()

    facts = [record.fact for record in caplog.records if hasattr(record, "fact")]
    assert sorted(fact["event"] for fact in facts) == ["job.ended", "job.ended", "runner.ended"]
    assert set() == {"name", "level"} & set().union(*facts)
    assert {"GREET", "FAILS"} == {fact["type"] for fact in facts if fact["event"] == "job.ended"}
    assert "state='SUCCEEDED' ended_as=None" in caplog.text
    assert "5550100" not in caplog.text
    assert "5550100" not in str([record.__dict__ for record in caplog.records])


async def test_what_a_handler_adds_is_run_in_the_same_invocation(stage: "Stage") -> None:
    """A follow-up job does not wait for the next tick, be it added in the last moment."""

    @handler("CHAIN", payload=dict)
    async def chain(job: AnyJob) -> Outcome:
        if job.payload["left"]:
            await stage.until("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%%AS stream%%'")
            await stage.add(NewJob(type="CHAIN", payload={"left": job.payload["left"] - 1}))
        return Done()

    await stage.add(NewJob(type="CHAIN", payload={"left": 5}))

    report = await stage.runner(chain).run()

    assert (report.succeeded, report.due, report.stopped) == (6, 0, "drained")


async def test_a_declared_type_without_a_handler_is_enough_to_enqueue(stage: "Stage") -> None:
    """Who only adds jobs needs the type, not the function."""
    declared = JobType(name="GREET", payload=dict)
    (id_,) = await stage.add(declared.job({"name": "Ada"}))

    await stage.runner(greet).run()

    assert (await stage.job(id_))["reason"] == "hello Ada"


async def test_what_is_added_by_a_job_that_ends_while_the_queue_is_looked_at_is_run_too(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at an empty queue may be older than the end of the last job: what that added must not wait for a tick."""

    @handler("FIRST", payload=dict)
    async def first(job: AnyJob) -> Outcome:
        await looking.wait()
        await stage.add(NewJob(type="SECOND"))
        return Done()

    @handler("SECOND", payload=dict)
    async def second(job: AnyJob) -> Outcome:
        return Done()

    looking, looked = asyncio.Event(), JobStore.discover

    async def discover(store: JobStore, types: Sequence[str], known: Collection[Stream]) -> Picture:
        found = await looked(store, types, known)
        if not found.streams and not looking.is_set():  # an empty picture, held until the job has been settled
            looking.set()
            while any(invocation._flights for invocation in runner._active):  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0)
        return found

    monkeypatch.setattr(JobStore, "discover", discover)
    await stage.add(NewJob(type="FIRST"))
    runner = stage.runner(first, second)

    report = await runner.run()

    assert (2, 0) == (report.succeeded, report.due)
