"""What the engine cannot read, or was told wrongly: an ending there always is, and the slot is free again."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from leadjobs import Done, Hold, Job, JobType, NewJob, Outcome, Retry, RetryPolicy, Snooze, handler
from leadjobs.errors import EnqueueError

if TYPE_CHECKING:
    from tests.engine.runner.conftest import Stage

AnyJob = Job[dict[str, Any]]


@handler("READS", payload=dict, timeout=1)
async def reads(job: AnyJob) -> Outcome:
    return Done()


@pytest.mark.parametrize("lane", ["live", "alone"])
@pytest.mark.parametrize("number", ["1e5000", "[" * 1500 + "]" * 1500], ids=["a number too long", "nested too deep"])
async def test_a_payload_that_python_cannot_read_ends_its_job_alone(stage: "Stage", lane: str, number: str) -> None:
    """JSON to the database is not always JSON to Python."""
    first, *_ = await stage.add(*(NewJob(type="READS") for _ in range(5)))
    await stage.db.execute(
        "UPDATE background_job SET payload = CAST(%s AS jsonb), lane = %s WHERE id = %s",
        [f'{{"n": {number}}}', lane, first],
    )
    report = await stage.runner(reads).run()

    assert (4, 1, 0, "drained") == (report.succeeded, report.failed, report.unsettled, report.stopped)
    assert "payload of READS cannot be read" in await stage.value(
        "SELECT reason FROM background_job WHERE id = %s", first
    )


async def test_a_run_that_a_fault_of_ours_ends_has_an_ending_all_the_same(
    stage: "Stage", monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs an attempt of the job, and no slot."""

    def fault(self: JobType[Any], stored: str) -> None:
        raise RuntimeError("deep inside")

    monkeypatch.setattr(JobType, "read", fault)
    (id_,) = await stage.add(NewJob(type="READS"))

    report = await stage.runner(reads, budget=timedelta(seconds=2)).run()

    assert (1, 0) == (report.retried, report.unsettled)
    assert "RuntimeError: deep inside" in (await stage.job(id_))["reason"]


@pytest.mark.parametrize(
    "said",
    [
        lambda: Hold("READS", 20, "429"),  # type: ignore[arg-type]
        lambda: Snooze(20),  # type: ignore[arg-type]
        lambda: Retry("busy", after=20),  # type: ignore[arg-type]
    ],
    ids=["Hold", "Snooze", "Retry"],
)
def test_a_span_that_is_a_number_is_refused_where_it_is_said(said: Any) -> None:
    """A hold for 20 would have had no end."""
    with pytest.raises(
        ValueError, match=r"^(until|after) of a \w+ is 20: give a timedelta, such as timedelta\(seconds=30\)"
    ):
        said()


def test_a_declaration_that_would_fail_later_is_refused_at_once() -> None:
    """It names what is wrong, and how it is written."""
    with pytest.raises(EnqueueError, match=r"uses of ASK is one text: .* such as uses=\['openai'\]"):
        handler("ASK", payload=dict, uses="openai")
    with pytest.raises(EnqueueError, match=r"retry of ASK is 3: give a RetryPolicy"):
        handler("ASK", payload=dict, retry=3)  # type: ignore[call-overload]
    for wrong in ([ValueError], (3,), "ValueError"):
        with pytest.raises(ValueError, match="give a tuple of exception classes"):
            RetryPolicy(permanent=wrong, base=timedelta(1), cap=timedelta(1))  # type: ignore[arg-type]
