"""Which function handles which type of job."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

from leadjobs.core.argument import is_async, misfit
from leadjobs.core.job import CHOOSABLE, DedupeScope, Job, JobType, Lane
from leadjobs.core.limit import Limit, NamedLimit
from leadjobs.core.outcome import Outcome
from leadjobs.core.retry import RetryPolicy
from leadjobs.errors import EnqueueError, SettingsError

P = TypeVar("P")
C = TypeVar("C", Lane, DedupeScope)
Run = Callable[[Job[P]], Awaitable[Outcome]]


@dataclass(frozen=True)
class Handler(Generic[P]):
    """A job type and the coroutine function that runs it.  Calling it calls the function, as tests like."""

    type: JobType[P]
    run: Run[P]

    def __post_init__(self) -> None:
        """Refuse a function whose runs could only fail."""
        if not is_async(self.run):
            name = getattr(self.run, "__name__", type(self.run).__name__)
            raise SettingsError(
                f"handler of {self.type.name}: {name} is no async function: write async def {name}(job)"
            )

    @cached_property
    def seconds(self) -> float:
        """The type's timeout in seconds."""
        return self.type.timeout.total_seconds()

    def __call__(self, job: Job[P]) -> Awaitable[Outcome]:
        """Run the function itself."""
        return self.run(job)


@overload
def handler(type: JobType[P], /) -> Callable[[Run[P]], Handler[P]]: ...
@overload
def handler(
    type: str,
    /,
    *,
    payload: type[P],
    timeout: timedelta | float = ...,
    retry: RetryPolicy | None = ...,
    lane: Lane | str = ...,
    scope: DedupeScope | str = ...,
    limits: Iterable[Limit] = ...,
    uses: Iterable[str] = ...,
) -> Callable[[Run[P]], Handler[P]]: ...
def handler(
    type: str | JobType[Any],
    /,
    *,
    payload: Any = dict,
    timeout: timedelta | float = 60.0,
    retry: RetryPolicy | None = None,
    lane: Lane | str = Lane.LIVE,
    scope: DedupeScope | str = DedupeScope.RETAINED,
    limits: Iterable[Limit] = (),
    uses: Iterable[str] = (),
) -> Callable[[Run[Any]], Handler[Any]]:
    """Make a coroutine function the handler of a type of job.

    Give a :class:`JobType` that was declared elsewhere, or its name and parts.  ``timeout`` is in seconds.

    Example:
        >>> from dataclasses import dataclass
        >>> from leadjobs import Done, Job, Outcome, handler
        >>> @dataclass(frozen=True)
        ... class Welcome:
        ...     user_id: int
        >>> @handler("SEND_WELCOME", payload=Welcome, timeout=20)
        ... async def send_welcome(job: Job[Welcome]) -> Outcome:
        ...     return Done(f"welcomed {job.payload.user_id}")
        >>> send_welcome.type.job(Welcome(7), dedupe_key="welcome:7").payload
        {'user_id': 7}
    """
    if isinstance(uses, str):
        raise EnqueueError(f"uses of {type} is one text: give a list of names, such as uses=[{uses!r}]")
    if isinstance(limits, Limit):
        raise EnqueueError(f"limits of {type} is one Limit: give a list of them, such as limits=[Limit(running=2)]")
    if isinstance(type, str):
        type = JobType(
            name=type,
            payload=payload,
            timeout=_span(type, timeout),
            retry=retry or RetryPolicy(),
            lane=_choice(Lane, lane, f"lane of {type}"),
            scope=_choice(DedupeScope, scope, f"scope of {type}"),
            limits=tuple(limits),
            uses=tuple(uses),
        )
    if not isinstance(type, JobType):
        raise EnqueueError('a handler is made of its type and a function: write @handler("SEND_WELCOME", payload=…)')
    return lambda run: Handler(type, run)


def _span(type_name: str, seconds: timedelta | float) -> timedelta:
    if isinstance(seconds, timedelta):
        return seconds
    try:
        return timedelta(seconds=seconds)
    except (TypeError, ValueError, OverflowError):
        raise EnqueueError(f"timeout of {type_name} is {seconds!r}: give seconds, such as timeout=30") from None


def _choice(choices: type[C], given: str, what: str) -> C:
    try:
        return choices(given)
    except ValueError:
        fit = " or ".join(repr(str(each)) for each in choices if each not in set(Lane) - set(CHOOSABLE))
        raise EnqueueError(f"{what} is {given!r}: use {fit}") from None


class Registry:
    """The handlers that a runner knows.

    Raises:
        SettingsError: two handlers of one type, two different limits by one name, or something that is no handler.
    """

    def __init__(self, *handlers: Handler[Any]) -> None:
        self._handlers: dict[str, Handler[Any]] = {}
        self._sharing: dict[tuple[str, bool], list[str]] = {}  # (subject, for each tenant) -> the types under its limit
        for each in handlers:
            if why := misfit(each, Handler, 'handlers one by one, each made by @handler("TYPE", payload=…)'):
                raise SettingsError(f"what a Registry is made of {why}")
            if each.type.name in self._handlers:
                raise SettingsError(f"two handlers for {each.type.name}: a type has one")
            self._handlers[each.type.name] = each
            self._check_limits(each.type)

    def __getitem__(self, type_name: str) -> Handler[Any]:
        return self._handlers[type_name]

    def __contains__(self, type_name: object) -> bool:
        return type_name in self._handlers

    def __iter__(self) -> Iterator[Handler[Any]]:
        return iter(self._handlers.values())

    def __len__(self) -> int:
        return len(self._handlers)

    @property
    def type_names(self) -> list[str]:
        """The names of all types, in order."""
        return sorted(self._handlers)

    @property
    def has_limits(self) -> bool:
        """Has any type a limit?"""
        return bool(self._sharing)

    def limits_on(self, type_name: str, tenant: str) -> tuple[NamedLimit, ...]:
        """The limits that jobs of a type and tenant come under."""
        return tuple(
            NamedLimit(
                limit.name_for(type_name, tenant),
                limit,
                tuple(self._sharing[limit.of or type_name, limit.each_tenant]),
                tenant if limit.each_tenant else None,
            )
            for limit in self._handlers[type_name].type.limits
        )

    def _check_limits(self, kind: JobType[Any]) -> None:
        """Take note of who shares which limit; all who do must say the same of it."""
        for limit in kind.limits:
            key = (limit.of or kind.name, limit.each_tenant)
            sharing = self._sharing.setdefault(key, [])
            for other in (kind, *(self._handlers[name].type for name in sharing)):
                if any(each != limit and (each.of or other.name, each.each_tenant) == key for each in other.limits):
                    raise SettingsError(
                        f"two limits on {key[0]} differ, in {kind.name} and {other.name}: say the same in both, and "
                        "put running and rate into one Limit"
                    )
            if kind.name not in sharing:
                sharing.append(kind.name)
