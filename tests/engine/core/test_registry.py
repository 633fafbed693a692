"""Which function handles which type of job."""

import inspect
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from leadjobs import (
    DedupeScope,
    Done,
    Job,
    JobId,
    JobType,
    Lane,
    Outcome,
    Registry,
    RetryPolicy,
    handler,
)
from leadjobs.core.job import Lease
from leadjobs.core.progress import Progress
from leadjobs.errors import EnqueueError, SettingsError
from leadjobs.steps import Steps
from leadjobs.store.connection import Transactions


@dataclass(frozen=True)
class Greeting:
    name: str


@handler("GREET", payload=Greeting, timeout=1.5, retry=RetryPolicy(max_attempts=2), lane="backfill", scope="live")
async def greet(job: Job[Greeting]) -> Outcome:
    return Done(f"hello {job.payload.name}")


KIND = JobType(name="WAVE", payload=Greeting)


@handler(KIND)
async def wave(job: Job[Greeting]) -> Outcome:
    return Done()


class Nowhere:
    """A run of a job that is in no database."""

    steps = Steps(Transactions("postgresql://nowhere", at_once=1), Lease(JobId(1), 1), 1)
    effects: Any = None
    budgets: Any = None

    def time_left(self) -> float:
        return 1.0

    def progress(self, progress: Progress) -> None: ...

    async def commit(self, connection: object, outcome: Outcome) -> None: ...


def a_job() -> Job[Greeting]:
    return Job(
        id=JobId(1),
        type="GREET",
        tenant="",
        payload=Greeting("Ada"),
        attempt=1,
        generation=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        lease=Lease(JobId(1), 1),
        _run=Nowhere(),
    )


def test_the_decorator_declares_the_type() -> None:
    """Name, payload, timeout, policy, lane and scope are the type's; words stand for choices, seconds for spans."""
    expected = JobType(
        name="GREET",
        payload=Greeting,
        timeout=timedelta(seconds=1.5),
        retry=RetryPolicy(max_attempts=2),
        lane=Lane.BACKFILL,
        scope=DedupeScope.LIVE,
    )
    assert expected == greet.type
    assert DedupeScope.LIVE is greet.type.job(Greeting("Ada")).scope


def test_a_type_declared_elsewhere_is_taken_as_it_is() -> None:
    """A service that only enqueues and the one that handles share one declaration."""
    assert KIND is wave.type


async def test_a_handler_is_called_like_its_function() -> None:
    """Tests may call it with a job, and await what it says."""
    running = greet(a_job())
    assert inspect.iscoroutine(running)
    assert Done("hello Ada") == await cast("Coroutine[Any, Any, Outcome]", running)


def test_a_registry_finds_handlers_by_their_type() -> None:
    """By name, in a loop, and by all their names in order."""
    registry = Registry(wave, greet)
    assert (greet, 2, ["GREET", "WAVE"]) == (registry["GREET"], len(registry), registry.type_names)
    assert (True, False, [wave, greet]) == ("WAVE" in registry, "NOBODY" in registry, list(registry))


def test_a_type_has_one_handler() -> None:
    """A second one is a start-up error that names the type."""
    with pytest.raises(SettingsError, match="two handlers for GREET"):
        Registry(greet, wave, greet)


@pytest.mark.parametrize(
    "wrong", [{"lane": "urgent"}, {"lane": "alone"}, {"scope": "forever"}, {"timeout": 0}, {"timeout": -1}]
)
def test_a_decorator_that_cannot_work_is_refused_where_it_stands(wrong: dict[str, Any]) -> None:
    """A wrong word or timeout fails the import, not the first job."""
    with pytest.raises((ValueError, EnqueueError), match=r"urgent|alone|forever|timeout"):
        handler("GREET", payload=Greeting, **wrong)


def test_a_running_job_does_not_print_how_it_commits() -> None:
    """Its representation is for people."""
    assert "commit" not in repr(a_job())
