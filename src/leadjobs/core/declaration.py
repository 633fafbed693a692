"""What a job type is declared with, looked at where it is declared."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_origin

from leadjobs.core.argument import misfit
from leadjobs.core.limit import Limit
from leadjobs.core.retry import RetryPolicy
from leadjobs.errors import EnqueueError

if TYPE_CHECKING:
    from leadjobs.core.job import JobType

NO_OBJECTS = (list, tuple, set, frozenset, str, bytes, int, float, type(None))  # what JSON has no object for


def check_parts(kind: "JobType[Any]") -> None:
    """Refuse parts of a job type that are of another kind.

    Raises:
        EnqueueError: the message names the part.
    """
    if why := misfit(kind.name, str, "a text, such as 'SEND_WELCOME'"):
        raise EnqueueError(f"name of a JobType {why}")
    for name, why in (
        ("payload", _payload_misfit(kind.payload)),
        ("timeout", misfit(kind.timeout, timedelta, "a timedelta, such as timedelta(seconds=30)")),
        ("retry", misfit(kind.retry, RetryPolicy, "a RetryPolicy(max_attempts=…)")),
        ("limits", _items_misfit(kind.limits, Limit, "a tuple of them, such as (Limit(running=2),)")),
        ("uses", _items_misfit(kind.uses, str, "a tuple of names, such as ('openai',)")),
    ):
        if why:
            raise EnqueueError(f"{name} of {kind.name} {why}")


def _payload_misfit(payload: object) -> str | None:
    shape = get_origin(payload) or payload
    is_other = issubclass(shape, NO_OBJECTS) if isinstance(shape, type) else isinstance(shape, (dict, *NO_OBJECTS))
    told = shape.__name__ if isinstance(shape, type) else f"a {type(shape).__name__}"
    return (
        f"is {told}, and a payload is an object: give a model, a dataclass, a TypedDict or dict" if is_other else None
    )


def _items_misfit(items: object, kind: type, fits: str) -> str | None:
    found = misfit(items, (tuple, list, set, frozenset), fits)
    return found or next(filter(None, (misfit(item, kind, fits) for item in items)), None)  # type: ignore[attr-defined]
