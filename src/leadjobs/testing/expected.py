"""A job that a test expects, in what it differs from those that are there, and how both are told."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from leadjobs.core.job import JobType, State
from leadjobs.core.registry import Handler
from leadjobs.store.desk import JobSheet

MOST_SHOWN = 5
MOST_CHARACTERS = 200  # of a payload in a message
OTHER_TYPE = 3  # a job of another type is as far away as one of this type with three wrong fields

AnyType = str | JobType[Any] | Handler[Any]
"""A job type, by its name, its declaration or its handler."""


def name_of(type_: AnyType) -> str:
    """The name of a type."""
    match type_:
        case Handler():
            return type_.type.name
        case JobType():
            return type_.name
        case _:
            return type_


def payload_of(type_: AnyType, payload: object) -> Mapping[str, Any] | None:
    """The payload as it is stored; a mapping is taken for a part of it.

    Raises:
        TypeError: it is no mapping, and the type is only a name.
        PayloadError: it does not fit the type.
    """
    if payload is None or isinstance(payload, Mapping):
        return payload
    kind = type_.type if isinstance(type_, Handler) else type_
    if isinstance(kind, str):
        raise TypeError(f"payload is a {type(payload).__name__}: give a mapping, or the job's type instead of its name")
    return kind.job(payload).payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a job must be like; None does not matter.  ``payload`` is a part of its payload."""

    type: str
    payload: Mapping[str, Any] | None
    tenant: str | None
    dedupe_key: str | None
    state: State | None
    run_at: datetime | None
    within: timedelta

    def differences(self, job: JobSheet) -> list[str]:
        """In what this job is not as expected, field by field."""
        found = []
        for name in ("type", "tenant", "dedupe_key", "state"):
            wanted, there = getattr(self, name), getattr(job, name)
            if wanted is not None and wanted != there:
                found.append(f"{name} is {_text(there)}, not {_text(wanted)}")
        found += _payload_differences("payload", self.payload or {}, job.payload)
        if self.run_at is not None and abs(job.run_at - self.run_at) > self.within:
            found.append(f"run_at is {job.run_at.isoformat()}, not {self.run_at.isoformat()} within {self.within}")
        return found

    def distance(self, job: JobSheet) -> int:
        """How unlike it is."""
        return len(self.differences(job)) + (OTHER_TYPE if job.type != self.type else 0)

    def __str__(self) -> str:
        parts = [self.type]
        parts += [f"payload with {_json(self.payload)}"] if self.payload else []
        for name in ("tenant", "dedupe_key", "state"):
            if (wanted := getattr(self, name)) is not None:
                parts.append(f"{name} {_text(wanted)}")
        parts += [f"run_at {self.run_at.isoformat()} within {self.within}"] if self.run_at else []
        return ", ".join(parts)


def _payload_differences(path: str, wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    for key, value in wanted.items():
        at = f"{path}.{key}"
        if key not in there:
            yield f"{at} is not there, expected {_text(value)}"
        elif isinstance(value, Mapping) and isinstance(there[key], Mapping):
            yield from _payload_differences(at, value, there[key])
        elif value != there[key]:
            yield f"{at} is {_text(there[key])}, not {_text(value)}"


def near_misses(expected: Expected, jobs: Sequence[JobSheet], now: datetime) -> str:
    """The jobs that are there, the most alike first, each with what is different."""
    nearest = sorted(jobs, key=lambda job: (expected.distance(job), job.id))
    lines = []
    for job in nearest[:MOST_SHOWN]:
        lines.append(f"  {line_of(job, now)}")
        lines += [f"      {difference}" for difference in expected.differences(job)]
    if len(nearest) > MOST_SHOWN:
        lines.append(f"  and {len(nearest) - MOST_SHOWN} more")
    return "\n".join(lines)


def line_of(job: JobSheet, now: datetime) -> str:
    """A job in a line."""
    parts = [f"job {job.id}: {job.type}", job.state.lower()]
    parts += [_due(job.run_at - now)] if job.state is State.PENDING else []
    parts += [f"tenant {_text(job.tenant)}"] if job.tenant else []
    parts += [f"dedupe_key {_text(job.dedupe_key)}"] if job.dedupe_key else []
    parts += [f"payload {_json(job.payload)}"]
    parts += [f"({job.reason})"] if job.reason else []
    return ", ".join(parts[:-1]) + f" {parts[-1]}" if job.reason else ", ".join(parts)


def traces_of(job: JobSheet) -> Iterator[str]:
    """The traceback of the last run that raised, line by line."""
    trace = next((attempt.trace for attempt in job.history if attempt.trace), None)
    return (f"      {line}" for line in (trace or "").splitlines())


def _due(wait: timedelta) -> str:
    seconds = wait.total_seconds()
    return (
        "due" if seconds <= 0 else f"due in {timedelta(seconds=round(seconds))}" if seconds >= 1 else "due in a moment"
    )


def _text(value: object) -> str:
    return repr(str(value)) if isinstance(value, str) else repr(value)


def _json(payload: Mapping[str, Any] | None) -> str:
    text = json.dumps(payload, default=repr, sort_keys=True)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
