"""What an invocation did, counted; and each thing told as a fact, once."""

from dataclasses import dataclass, field

from leadjobs.core.clock import Clock
from leadjobs.core.ending import Ending
from leadjobs.core.job import State
from leadjobs.core.report import Report, Stopped
from leadjobs.flight import Landed
from leadjobs.store.jobs import Rescued
from leadjobs.telemetry import JobEnded, JobFailed, JobRescued, LeaseLost, SettleFailed, tell


@dataclass(slots=True)
class Tally:
    """The counters of one invocation; they mean what `Report` says."""

    clock: Clock
    claimed: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    snoozed: int = 0
    handed_back: int = 0
    lost: int = 0
    unsettled: int = 0
    taken_back: int = 0
    begun: float = field(init=False)
    completed_at: float | None = None

    def __post_init__(self) -> None:
        """Begin now."""
        self.begun = self.clock.monotonic()

    @property
    def since_completion(self) -> float | None:
        """Seconds since this invocation last ended a job for good."""
        return None if self.completed_at is None else self.clock.monotonic() - self.completed_at

    def rescued(self, job: Rescued) -> None:
        """A job was taken back from an owner who went silent."""
        self.taken_back += 1
        tell(JobRescued(job_id=job.id, type=job.type, state=job.state))

    def settled(self, landed: Landed, *, is_settled: bool | None) -> None:
        """A flight's ending is committed (True), dropped for a lost lease (False), or could not be told (None)."""
        job, ending = landed.flight.claimed, landed.ending
        if is_settled is None:
            self.unsettled += 1
            tell(SettleFailed(job_id=job.id, type=job.type))
        elif not is_settled or ending is None:
            self.lost += 1
            tell(LeaseLost(job_id=job.id, type=job.type))
        else:
            self._ended(landed, ending)

    def _ended(self, landed: Landed, ending: Ending) -> None:
        job, now = landed.flight.claimed, self.clock.monotonic()
        self._count(ending)
        if ending.state is not State.PENDING:
            self.completed_at = now
        fact = JobFailed if ending.state is State.FAILED else JobEnded
        tell(
            fact(
                job_id=job.id,
                type=job.type,
                tenant=job.tenant,
                state=ending.state,
                ended_as=ending.ended_as,
                error_type=ending.error_type,
                attempts=ending.attempts,
                seconds=round(now - landed.flight.started, 3),
            )
        )

    def _count(self, ending: Ending) -> None:
        match ending.state:
            case State.SUCCEEDED:
                self.succeeded += 1
            case State.PENDING if ending.ended_as == "handed_back":
                self.handed_back += 1
            case State.PENDING if ending.ended_as is None:
                self.snoozed += 1
            case State.PENDING:
                self.retried += 1
            case _:
                self.failed += 1

    def report(self, stopped: Stopped) -> Report:
        """The counters so far."""
        return Report(
            stopped=stopped,
            claimed=self.claimed,
            succeeded=self.succeeded,
            failed=self.failed,
            retried=self.retried,
            snoozed=self.snoozed,
            handed_back=self.handed_back,
            lost=self.lost,
            rescued=self.taken_back,
            unsettled=self.unsettled,
            seconds=round(self.clock.monotonic() - self.begun, 3),
        )
