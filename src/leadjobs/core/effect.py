"""Effects: calls to the outside that change something there.  Their tags, and what looking one up may say."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

NAME = re.compile(r"[A-Za-z0-9_-]{1,20}\Z")
MAX_TAG = 64  # characters, all of them ASCII: what idempotency keys may have nearly everywhere

Send = Callable[[str], Awaitable[Any]]
LookUp = Callable[[str], Awaitable[Any]]
Errors = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class NotSent:
    """Looking an effect up says: it was not made, and no call under way can still make it.  It is made again.

    >>> async def look_up(tag: str) -> dict[str, str] | NotSent:
    ...     return NotSent()          # the provider lists no message with this tag
    """


@dataclass(frozen=True, slots=True)
class Unknown:
    """Looking an effect up brought no certainty: a person must look.  The effect is not made again.

    >>> Unknown("the provider lists messages after an hour only").why
    'the provider lists messages after an hour only'
    """

    why: str = ""


class EffectsOfRun(Protocol):
    """What makes the effects of one run; the engine's is `leadjobs.effects.Effects`."""

    async def run(self, name: str, send: Send, look_up: LookUp | None, not_sent: Errors) -> Any:
        """The effect's receipt, once it is made."""


def tag_of(job_id: int, generation: int, created_at: datetime, name: str) -> str:
    """The tag of an effect: ``lj-<id>-<generation>-<second of the job's creation, in hex>-<name>``.

    The same in every run of the generation.  The creation keeps apart what two databases, such as production and a
    test's, call job 7 with one provider.

    >>> from datetime import UTC
    >>> tag_of(7, 1, datetime(2026, 11, 23, tzinfo=UTC), "sms")
    'lj-7-1-6b038200-sms'
    """
    return f"lj-{job_id}-{generation}-{int(created_at.timestamp()):x}-{name}"
