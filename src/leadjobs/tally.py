"""What an invocation did, counted; and each thing told as a fact, once."""

from dataclasses import replace
from typing import assert_never

from leadjobs.core.clock import Clock
from leadjobs.core.durations import Durations
from leadjobs.core.ending import Ending
from leadjobs.core.job import State
from leadjobs.core.report import Report, Stopped
from leadjobs.flight import Fate, Flight
from leadjobs.store.jobs import Rescued
from leadjobs.telemetry import JobEnded, JobFailed, JobRescued, LeaseLost, SettleFailed, is_told, tell


class Tally:
    """Counts into the report of one invocation."""

    def __init__(self, clock: Clock) -> None:
        self.counts, self.durations = Report(), Durations()
        self._clock = clock
        self._begun = clock.monotonic()
        self._completed_at: float | None = None

    @property
    def since_completion(self) -> float | None:
        """Seconds since this invocation last ended a job for good."""
        return None if self._completed_at is None else self._clock.monotonic() - self._completed_at

    def rescued(self, job: Rescued) -> None:
        """A job was taken back from an owner who went silent."""
        self.counts.rescued += 1
        tell(JobRescued(job_id=job.id, type=job.type, state=job.state))

    def settled(self, flight: Flight, fate: Fate) -> None:
        """What became of a flight's ending."""
        job = flight.claimed
        match fate:
            case Fate.SETTLED:
                assert flight.ending is not None
                self._ended(flight, flight.ending)
            case Fate.LOST:
                self.counts.lost += 1
                tell(LeaseLost(job_id=job.id, type=job.type))
            case Fate.UNTOLD:
                self.counts.unsettled += 1
                tell(SettleFailed(job_id=job.id, type=job.type))
            case _:
                assert_never(fate)

    def left_behind(self, flight: Flight) -> None:
        """A run has not even ended at its cancellation: it is left to its lease."""
        self.counts.unsettled += 1
        self.durations.cut(flight.claimed.type, self._clock.monotonic() - flight.started)

    def report(self, stopped: Stopped) -> Report:
        """The counters so far, as a copy that stays."""
        return replace(self.counts, stopped=stopped, seconds=round(self._clock.monotonic() - self._begun, 3))

    def _ended(self, flight: Flight, ending: Ending) -> None:
        self._count(ending)
        self._learn(flight, ending)
        if ending.state is not State.PENDING:
            self._completed_at = self._clock.monotonic()
        fact = JobFailed if ending.state is State.FAILED else JobEnded
        if is_told(fact):
            job = flight.claimed
            tell(
                fact(
                    job_id=job.id,
                    type=job.type,
                    tenant=job.tenant,
                    state=ending.state,
                    ended_as=ending.ended_as,
                    error_type=ending.error_type,
                    attempts=ending.attempts,
                    seconds=round(flight.seconds, 3),
                )
            )

    def _learn(self, flight: Flight, ending: Ending) -> None:
        """Take note of how long it took; a run that only said "not now" does not tell how long the work takes."""
        if flight.cut is not None or ending.ended_as == "timed_out":
            self.durations.cut(flight.claimed.type, flight.seconds + flight.unused)
        elif ending.state is not State.PENDING or ending.ended_as is not None:
            self.durations.ended(flight.claimed.type, flight.seconds)

    def _count(self, ending: Ending) -> None:
        match ending.state:
            case State.SUCCEEDED:
                self.counts.succeeded += 1
            case State.PENDING if ending.ended_as == "handed_back":
                self.counts.handed_back += 1
            case State.PENDING if ending.ended_as is None:
                self.counts.snoozed += 1
            case State.PENDING:
                self.counts.retried += 1
            case _:
                self.counts.failed += 1
