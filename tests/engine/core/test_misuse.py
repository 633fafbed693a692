"""A declaration that cannot work is refused where it is written; the message names the argument, and what fits."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from typing import Any

import pytest

from leadjobs import (
    Done,
    Handler,
    Job,
    JobType,
    Limit,
    NewJob,
    Outcome,
    Registry,
    Retention,
    RetryPolicy,
    Runner,
    Schedule,
    handler,
)
from leadjobs.errors import LeadjobsError

wrong: Any = handler
of_type: Any = partial(JobType, name="SEND", payload=dict)
limit: Any = Limit
policy: Any = RetryPolicy
schedule: Any = partial(Schedule, "nightly", "0 3 * * *")
registry: Any = Registry


def plain(job: Job[Any]) -> Outcome:
    return Done()


@handler("GREET", payload=dict)
async def greet(job: Job[dict[str, Any]]) -> Outcome:
    return Done()


def runner(first: Any = None, **given: Any) -> Runner:
    return Runner("postgresql://", first or Registry(), **given)


SECOND = timedelta(seconds=1)
NIGHTLY = Schedule("nightly", "0 3 * * *", job=NewJob(type="GREET"))


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (
            lambda: wrong("SEND", payload=dict)(plain),
            "handler of SEND: plain is no async function: write async def",
        ),
        (lambda: wrong("SEND", payload=dict)(lambda job: Done()), "handler of SEND: <lambda> is no async function"),
        (lambda: wrong(of_type())("send"), "handler of SEND: str is no async function"),
        (lambda: wrong(plain), r'write @handler\("SEND_WELCOME", payload=…\)'),
        (lambda: wrong("SEND", timeout="30"), "timeout of SEND is '30': give seconds, such as timeout=30"),
        (lambda: wrong("SEND", timeout=float("inf")), "timeout of SEND is inf: give seconds"),
        (lambda: wrong("SEND", lane="fast"), "lane of SEND is 'fast': use 'live' or 'backfill'"),
        (lambda: wrong("SEND", scope="ever"), "scope of SEND is 'ever': use 'retained' or 'live'"),
        (lambda: wrong("SEND", limits=Limit(running=2)), "limits of SEND is one Limit: give a list of them"),
        (lambda: of_type(name=None), "name of a JobType is None: give a text"),
        (
            lambda: of_type(payload=list),
            "payload of SEND is list, and a payload is an object: give a model",
        ),
        (lambda: of_type(payload=list[int]), "payload of SEND is list, and a payload is an object"),
        (lambda: of_type(payload={}), "payload of SEND is a dict, and a payload is an object"),
        (lambda: of_type(payload=None), "payload of SEND is a NoneType, and a payload is an object"),
        (lambda: of_type(timeout=30), r"timeout of SEND is 30: give a timedelta, such as timedelta\(seconds=30\)"),
        (lambda: of_type(limits=Limit(running=2)), r"limits of SEND is a Limit: give a tuple of them"),
        (lambda: of_type(limits=(2,)), "limits of SEND is 2: give a tuple of them"),
        (lambda: of_type(uses="openai"), "uses of SEND is 'openai': give a tuple of names"),
        (
            lambda: registry(plain),
            "what a Registry is made of is a function: give handlers one by one",
        ),
        (lambda: registry([greet]), "what a Registry is made of is a list: give handlers one by one"),
        (lambda: runner([greet]), r"registry of a Runner is a list: give a leadjobs.Registry\(…\)"),
        (lambda: runner(budget=30), r"budget of a Runner is 30: give a span of time, such as timedelta\(seconds=240\)"),
        (lambda: runner(budget=timedelta()), "budget of a Runner is 0:00:00: give a span of time"),
        (lambda: runner(reserve=-SECOND), "reserve of a Runner is -1 day, 23:59:59: give a span of time"),
        (lambda: runner(concurrency="2"), "concurrency of a Runner is '2': give how many handlers run at once"),
        (lambda: runner(concurrency=0), "concurrency of a Runner is 0: give how many handlers run at once, 1 or more"),
        (lambda: runner(schedules=[1]), r"schedule of a Runner is 1: give what Schedule\(…\) makes"),
        (lambda: runner(retention=timedelta(days=30)), r"retention of a Runner is .*: give a Retention"),
        (lambda: runner(max_losses=0), "max_losses of a Runner is 0: give a whole number from 1 up"),
        (lambda: Runner(None, Registry()), "url of a Runner is None: give the URL of a database"),  # type: ignore[arg-type]
        (lambda: runner(schedules=NIGHTLY), "schedules of a Runner is a Schedule: give a list of them"),
        (lambda: limit(running="2"), "running of a Limit is '2': give a whole number"),
        (lambda: limit(running=True), "running of a Limit is True: give a whole number"),
        (lambda: limit(rate=1, per=60), r"per of a Limit is 60: give a timedelta, such as timedelta\(minutes=1\)"),
        (lambda: limit(running=1, of=7), "resource 7: use 1 to 100 letters"),
        (lambda: policy(max_attempts="3"), "max_attempts is '3': give a whole number"),
        (lambda: policy(base=2), "base is 2: give a timedelta"),
        (lambda: policy(cap_retry_after=2), "cap_retry_after is 2: give a timedelta"),
        (
            lambda: schedule(job=greet),
            r"job of schedule nightly is a Handler: give what a JobType's .job",
        ),
        (
            lambda: schedule(job=NewJob(type="GREET"), tz=None),
            "tz of schedule nightly is None: give a name",
        ),
        (lambda: Schedule("x", 5, job=NewJob(type="GREET")), "cron of schedule x is 5: give a text"),  # type: ignore[arg-type]
        (lambda: Retention(failed=30), "retention of FAILED jobs is 30: give a timedelta, or None"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(declare: Callable[[], Any], words: str) -> None:
    """By its name, and not with the first job."""
    with pytest.raises((LeadjobsError, ValueError), match=words):
        declare()


def test_whatever_is_awaited_by_its_kind_is_a_handler() -> None:
    """A part of a function, a function behind a decorator, an object that is called."""

    @wraps(greet.run)
    def logged(job: Job[dict[str, Any]]) -> Any:
        return greet.run(job)

    class Greeter:
        async def __call__(self, job: Job[dict[str, Any]]) -> Outcome:
            return Done()

    @wraps(plain)
    async def in_a_thread(job: Job[dict[str, Any]]) -> Outcome:
        return await asyncio.to_thread(plain, job)

    kind = JobType(name="SEND", payload=dict[str, Any], timeout=timedelta(seconds=5), limits=(Limit(running=2),))
    forms = (greet.run, logged, Greeter(), partial(greet.run), partial(Greeter()), partial(logged), in_a_thread)
    assert [True] * 7 == [isinstance(handler(kind)(run), Handler) for run in forms]
