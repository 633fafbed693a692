"""From what a handler said, or how it broke, to how its run ends.  Pure: no I/O.

| what happened              | state               | attempts | record |
|----------------------------|---------------------|----------|--------|
| Done, Skip                 | SUCCEEDED           | kept     | none   |
| GiveUp, permanent error    | FAILED              | + 1      | failed |
| Retry, error, time-out     | PENDING, later      | + 1      | failed, timed_out |
| the same, attempts used up | FAILED              | + 1      | failed, timed_out |
| Snooze                     | PENDING, later      | kept     | none   |
| Hold                       | PENDING, held       | kept     | none   |
| handed back                | PENDING, due at once| kept     | handed_back |
| over budget                | PENDING, next day   | kept     | none   |
| an effect is unknown       | FAILED, to a person | kept     | failed |
"""

import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from json import dumps
from typing import Any, Literal, NamedTuple, TypedDict

from leadjobs.core.job import JobId, Lease, State
from leadjobs.core.outcome import Done, GiveUp, Hold, Outcome, Retry, Skip, Snooze
from leadjobs.core.progress import result_json
from leadjobs.core.retry import RetryPolicy, retry_after_of
from leadjobs.core.storable import storable_text
from leadjobs.errors import EffectUnknownError, OverBudgetError

MAX_REASON = 500
MAX_ERROR = 2_000
MAX_TRACE = 10_000

EndedAs = Literal["failed", "timed_out", "handed_back"]
HoldKind = Literal["busy", "exhausted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The hold that an ending puts on a name, as the settle statement takes it."""

    hold_name: str
    hold_kind: HoldKind
    hold_seconds: float | None
    hold_until: datetime | None


class Ending(NamedTuple):
    """How a run ended, as the job's row is to say it.

    ``delay`` (seconds from now, by the database clock) or ``run_at`` put a PENDING job off.  With ``ended_as`` a
    record of the attempt is kept.  With ``held`` a hold is put on a name.  ``progress`` (what the run told last, and is
    not kept yet) and ``result`` are JSON text.
    """

    id: JobId
    lease_no: int
    state: State
    reason: str
    attempts: int
    delay: float | None = None
    run_at: datetime | None = None
    ended_as: EndedAs | None = None
    error_type: str | None = None
    error: str | None = None
    trace: str | None = None
    held: Held | None = None
    progress: str | None = None
    result: str | None = None

    @property
    def has_news(self) -> bool:
        """Is there a result, or progress that is not kept yet?"""
        return self.progress is not None or self.result is not None

    def saying_first(self, words: Iterable[str]) -> "Ending":
        """With what must be read first, unless the reason says it already."""
        told = [each for each in words if each not in self.reason]
        return self._replace(reason="; ".join([*told, self.reason])[:MAX_REASON]) if told else self

    def record(self) -> dict[str, Any]:
        """What the settle statement takes; what is not there is left out, as most is of a run that ended well."""
        told = {"id": self.id, "lease_no": self.lease_no, "state": self.state, "reason": self.reason}
        told["attempts"] = self.attempts
        if self.state is State.SUCCEEDED:
            return told
        rest = {name: getattr(self, name) for name in ("delay", "run_at", "ended_as", "error_type", "error", "trace")}
        rest |= asdict(self.held) if self.held else {}
        return told | {name: value for name, value in rest.items() if value is not None}


class _Later(TypedDict, total=False):
    delay: float
    run_at: datetime


@dataclass(frozen=True, slots=True)
class Cause:
    """The exception behind an ending."""

    error_type: str | None = None
    error: str = ""
    trace: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Cause":
        """What is kept of an exception, even of one that cannot print itself."""
        told = traceback.TracebackException.from_exception(error)
        return cls(type(error).__name__, str(told), "".join(told.format()))


NO_CAUSE = Cause()


class Run(NamedTuple):
    """One run of a job: the lease it holds, the errors before it, and the policy for the next."""

    lease: Lease
    attempts: int
    retry: RetryPolicy

    def said(self, outcome: Outcome) -> Ending:
        """The handler returned an outcome."""
        match outcome:
            case Done(note, result):
                ending = self._ending(State.SUCCEEDED, note or "done")
                return ending if result is None else ending._replace(result=result_json(result))
            case Skip(why):
                return self._ending(State.SUCCEEDED, f"skipped: {why}")
            case GiveUp(why):
                return self._failed(f"gave up: {why}", "failed")
            case Retry(why, after):
                return self._again(why, "failed", after)
            case Snooze(until, why):
                return self._ending(State.PENDING, why)._replace(**_later(until))
            case Hold():
                return self.held(outcome)
            case _:
                raise TypeError(
                    f"a handler returns Done, Skip, Retry, Snooze, Hold or GiveUp, not {type(outcome).__name__}"
                )

    def held(self, hold: Hold) -> Ending:
        """The job waits, in its place, for as long as what it uses is held."""
        by = Held(
            hold_name=hold.on,
            hold_kind="exhausted" if hold.until is None else "busy",
            hold_seconds=hold.until.total_seconds() if isinstance(hold.until, timedelta) else None,
            hold_until=hold.until if isinstance(hold.until, datetime) else None,
        )
        return self._ending(State.PENDING, f"held: {hold.why}")._replace(held=by)

    def broke(self, error: BaseException) -> Ending:
        """The handler raised."""
        if isinstance(error, OverBudgetError):
            return self.over_budget(error)
        if isinstance(error, EffectUnknownError):
            return self._ending(State.FAILED, str(error), "failed", Cause.of(error))
        cause = Cause.of(error)
        what = f"{cause.error_type}: {cause.error}" if cause.error else str(cause.error_type)
        if isinstance(error, self.retry.permanent):
            return self._failed(f"gave up: {what}", "failed", cause)
        return self._again(what, "failed", retry_after_of(error), cause)

    def timed_out(self, timeout: timedelta) -> Ending:
        """The handler ran past its timeout and was cancelled."""
        return self._again(f"timed out after {timeout.total_seconds():g} s", "timed_out")

    def misfit(self, error: BaseException) -> Ending:
        """The stored payload does not fit the type: no further run would find it otherwise."""
        return self._failed(f"gave up: {error}", "failed", Cause.of(error))

    def over_budget(self, error: OverBudgetError) -> Ending:
        """The tenant's day has no room for what the run asked: the job waits for the next one; no attempt is used."""
        return self._ending(State.PENDING, f"over budget: {error}")._replace(run_at=error.until)

    def handed_back(self, why: str) -> Ending:
        """The job is back before its work was done; no attempt is used."""
        return self._ending(State.PENDING, f"handed back: {why}", "handed_back")._replace(delay=0.0)

    def _again(self, why: str, ended_as: EndedAs, after: timedelta | None = None, cause: Cause = NO_CAUSE) -> Ending:
        failures = self.attempts + 1
        if failures >= self.retry.max_attempts:
            return self._failed(f"out of attempts ({failures}): {why}", ended_as, cause)
        reason = f"retry after failure {failures} of {self.retry.max_attempts}: {why}"
        delay = self.retry.wait(failures, after).total_seconds()
        return self._ending(State.PENDING, reason, ended_as, cause)._replace(attempts=failures, delay=delay)

    def _failed(self, reason: str, ended_as: EndedAs, cause: Cause = NO_CAUSE) -> Ending:
        return self._ending(State.FAILED, reason, ended_as, cause)._replace(attempts=self.attempts + 1)

    def _ending(self, state: State, reason: str, ended_as: EndedAs | None = None, cause: Cause = NO_CAUSE) -> Ending:
        ending = Ending(*self.lease, state, storable_text(reason)[:MAX_REASON], self.attempts)
        if ended_as is None:
            return ending
        return ending._replace(
            ended_as=ended_as,
            error_type=cause.error_type,
            error=storable_text(cause.error or reason)[:MAX_ERROR] or None,
            trace=storable_text(cause.trace)[-MAX_TRACE:] or None,
        )


def _later(until: timedelta | datetime) -> "_Later":
    return {"run_at": until} if isinstance(until, datetime) else {"delay": max(0.0, until.total_seconds())}


def endings_json(endings: Iterable[Ending]) -> str:
    """The endings as one JSON array, the bind of the settle statement."""
    return dumps([ending.record() for ending in endings], default=datetime.isoformat)


def results_json(endings: Iterable[Ending]) -> str | None:
    """The progress and results of endings as one JSON array, the bind of keep_results; None where there are none."""
    told = [
        f'{{"id":{each.id},"lease_no":{each.lease_no},'
        f'"progress":{each.progress or "null"},"result":{each.result or "null"}}}'
        for each in endings
        if each.has_news
    ]
    return f"[{','.join(told)}]" if told else None
