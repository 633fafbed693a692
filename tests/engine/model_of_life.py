"""A job's life as it should be: a small model in plain Python, written from the docs and not from the SQL."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

TYPE, TENANT = "SEND", "t"
NAMES = ("*", f"*@{TENANT}", TYPE, f"{TYPE}@{TENANT}")  # by which its jobs may be held
MAX_ATTEMPTS, MAX_LOSSES = 3, 2
LEASE = timedelta(seconds=60)
UNFINISHED = {"PENDING", "RUNNING"}

Says = Literal["done", "give up", "retry", "time out", "snooze", "hold", "hand back"]
FAILURES: tuple[Says, ...] = ("retry", "time out")


@dataclass(eq=False)
class ModelJob:
    """What a job's row should say."""

    id: int
    payload: int
    run_at: datetime
    key: str | None
    scope: str
    state: str = "PENDING"
    lane: str = "live"
    lease_no: int = 0
    lease_until: datetime | None = None
    generation: int = 1
    attempts: int = 0
    losses: int = 0
    next_payload: int | None = None

    @property
    def held_key(self) -> str | None:
        return self.key if self.scope == "retained" or self.state in UNFINISHED else None

    def end_lease(self, state: str) -> None:
        self.state, self.lease_no, self.lease_until = state, self.lease_no + 1, None

    def begin_anew(self) -> None:
        """Begin a generation: with all attempts and no losses, and in its own lane."""
        self.generation, self.attempts, self.losses = self.generation + 1, 0, 0
        self.lane = "live" if self.lane == "retry" else self.lane

    def take_next_payload(self, now: datetime) -> None:
        assert self.next_payload is not None
        self.payload, self.next_payload, self.run_at = self.next_payload, None, now
        self.begin_anew()


@dataclass(eq=False)
class Model:
    """All jobs, and what is held until when (None: until somebody lets go)."""

    now: datetime
    jobs: dict[int, ModelJob] = field(default_factory=dict)
    holds: dict[str, datetime | None] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        return any(name in NAMES and (until is None or until > self.now) for name, until in self.holds.items())

    def holder(self, key: str | None) -> ModelJob | None:
        """The job that holds a key."""
        return next((job for job in self.jobs.values() if key and job.held_key == key), None)

    def enqueue(self, new: ModelJob, *, is_replacing: bool) -> tuple[int, str]:
        """The job that stands for a request, and what became of the request."""
        holder = self.holder(new.key)
        if holder is None:
            self.jobs[new.id] = new
            return new.id, "inserted"
        if is_replacing and holder.state == "PENDING":
            holder.payload, holder.run_at = new.payload, new.run_at
            holder.begin_anew()
            return holder.id, "replaced"
        if is_replacing and holder.state == "RUNNING":
            holder.next_payload = new.payload
            return holder.id, "merged"
        return holder.id, "ignored"

    def claim(self, lane: str, slots: int) -> list[ModelJob]:
        """The first due jobs of a lane, now running."""
        due = [
            job for job in self.jobs.values() if (job.state, job.lane) == ("PENDING", lane) and job.run_at <= self.now
        ]
        taken = [] if self.is_held else sorted(due, key=lambda job: (job.run_at, job.id))[:slots]
        for job in taken:
            job.state, job.lease_no, job.lease_until = "RUNNING", job.lease_no + 1, self.now + LEASE
        return taken

    def settle(self, job: ModelJob, says: Says, span: timedelta | None) -> None:
        """The owner's run has ended; ``span`` is how long the job, or what it uses, is to wait."""
        attempts = job.attempts
        if says == "hold":
            self._hold(TYPE, None if span is None else self.now + max(span, timedelta(seconds=1)))
        if job.next_payload is not None:
            job.end_lease("PENDING")
            job.take_next_payload(self.now)
            return
        if says in {*FAILURES, "give up"}:
            job.attempts += 1
        is_over = says == "give up" or (says in FAILURES and attempts + 1 >= MAX_ATTEMPTS)
        job.end_lease("SUCCEEDED" if says == "done" else "FAILED" if is_over else "PENDING")
        if job.state == "PENDING" and says in FAILURES and job.lane == "live":
            job.lane = "retry"
        if job.state == "PENDING" and says != "hold":
            job.run_at = self.now + (span or timedelta())

    def _hold(self, name: str, until: datetime | None) -> None:
        """Of two holds the longer stands."""
        standing = self.holds.get(name, self.now - timedelta(days=1))
        if standing is not None and (until is None or until > standing):
            self.holds[name] = until

    def rescue(self) -> Iterator[int]:
        """Take back what went silent past its lease."""
        for job in self.jobs.values():
            if job.state == "RUNNING" and job.lease_until is not None and job.lease_until < self.now:
                was_alone = job.lane == "alone"
                job.losses += was_alone
                job.lane = "alone"
                job.end_lease("PENDING")
                job.run_at = self.now
                if job.next_payload is not None:
                    job.take_next_payload(self.now)
                elif was_alone and job.losses >= MAX_LOSSES:
                    job.state = "FAILED"
                yield job.id

    def cancel(self, job: ModelJob) -> bool:
        if job.state not in UNFINISHED:
            return False
        job.end_lease("CANCELLED")
        job.next_payload = None
        return True

    def retry(self, job: ModelJob) -> Literal["due", "running", "key is held"]:
        if job.state == "RUNNING":
            return "running"
        if self.holder(job.key) not in {None, job}:
            return "key is held"
        job.state, job.run_at = "PENDING", self.now
        job.begin_anew()
        return "due"

    def delete(self, job: ModelJob) -> bool:
        if job.state in UNFINISHED:
            return False
        del self.jobs[job.id]
        return True
