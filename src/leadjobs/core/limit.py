"""How much may run: limits that a type declares, and the names by which they, and holds, are known.

A *name* is what several runners speak of: a job type, a resource that types share (``twilio``, ``openai/gpt-6-luna``),
or ``*`` for everything; ``name@tenant`` is the same for one tenant alone.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from leadjobs.core.argument import misfit
from leadjobs.errors import SettingsError

RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}\Z")
EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many jobs may run at once, or may start within a span, over all runners.

    ``running``: never more than so many hold a lease at one time.  ``rate``: never more than so many start within any
    span of ``per``, and up to a tenth of them (at least one) at once.  ``of`` names a resource that several types
    share; without it the limit is the type's own.  With ``each_tenant`` each tenant has it for itself.

    Raises:
        SettingsError: it limits nothing, or a number cannot be.

    >>> Limit(rate=60, per=timedelta(minutes=1), of="twilio").burst
    6
    """

    running: int | None = None
    rate: int | None = None
    per: timedelta = timedelta(minutes=1)
    of: str | None = None
    each_tenant: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.running is None and self.rate is None:
            raise SettingsError("a Limit needs running=… or rate=…")
        for name, value in (("running", self.running), ("rate", self.rate)):
            if value is not None and (why := misfit(value, int, "a whole number")):
                raise SettingsError(f"{name} of a Limit {why}")
            if value is not None and value < 1:
                raise SettingsError(f"{name} of a Limit is {value}: use 1 or more (pause a type to let nothing run)")
        if why := misfit(self.per, timedelta, "a timedelta, such as timedelta(minutes=1)"):
            raise SettingsError(f"per of a Limit {why}")
        if self.per <= timedelta():
            raise SettingsError(f"per of a Limit is {self.per}: it must be longer than nothing")
        if self.of is not None:
            check_resource(self.of)

    @property
    def burst(self) -> int:
        """How many may start at once."""
        return max(1, (self.rate or 1) // 10)

    @property
    def interval(self) -> float:
        """Seconds between starts in the long run, such that no span of ``per`` ever sees more than ``rate``."""
        return self.per.total_seconds() / ((self.rate or 1) - self.burst + 1)

    def name_for(self, type_name: str, tenant: str) -> str:
        """The limit's name for jobs of a type and tenant."""
        subject = self.of or type_name
        return of_tenant(subject, tenant) if self.each_tenant else subject


def check_resource(name: str) -> None:
    """Raise SettingsError where a resource cannot have this name."""
    if misfit(name, str, "a text") or not RESOURCE.match(name):
        raise SettingsError(f"resource {name!r}: use 1 to 100 letters, digits or _.:/- and begin with a letter")


def of_tenant(subject: str, tenant: str) -> str:
    """The name of a subject for one tenant alone.

    >>> of_tenant("twilio", "7")
    'twilio@7'
    """
    return f"{subject}@{tenant}"


def names_of(subjects: Iterable[str], tenant: str) -> list[str]:
    """All names by which jobs with these subjects, of this tenant, may be held.

    >>> names_of(["SEND_SMS", "twilio"], "7")
    ['*', '*@7', 'SEND_SMS', 'SEND_SMS@7', 'twilio', 'twilio@7']
    """
    return [name for subject in (EVERYTHING, *subjects) for name in (subject, of_tenant(subject, tenant))]


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """A limit by the name that all runners know; ``types`` share it, and it is one ``tenant``'s where that is given."""

    name: str
    limit: Limit
    types: tuple[str, ...]
    tenant: str | None


@dataclass(slots=True)
class Room:
    """How many more jobs may start under one limit now.

    ``opens_in`` is in how many seconds one may, where its rate lets none start now; None where one that runs must end.
    """

    limit: Limit
    left: int
    opens_in: float | None
    started: int = 0

    @classmethod
    def under(cls, limit: Limit, *, running: int, free_in: float) -> "Room":
        """What a limit leaves: of its places, and of its rate: a bucket of ``burst`` starts that gets one an interval.

        ``free_in`` is in how many seconds the bucket will be full; negative where it has been for long.
        """
        places = math.inf if limit.running is None else limit.running - running
        if limit.rate is None:
            return cls(limit, int(places), None)
        taken = max(0.0, free_in) / limit.interval
        starts = math.floor(limit.burst - taken + 1e-6)
        opens_in = (taken - limit.burst + 1) * limit.interval if starts < 1 else None
        return cls(limit, int(min(places, starts)), opens_in)


@dataclass(slots=True)
class Rooms:
    """The room under all limits that are locked at the moment; ``closed`` are those that had to refuse a job."""

    rooms: dict[str, Room]
    closed: dict[str, float | None] = field(default_factory=dict)

    def take(self, limits: Sequence[NamedLimit]) -> bool:
        """Take one place under each of these limits, or none where one of them has no room, or is not locked."""
        rooms = [self.rooms.get(each.name) for each in limits]
        self.closed |= {
            each.name: room.opens_in for each, room in zip(limits, rooms, strict=True) if room and room.left <= 0
        }
        if not all(room and room.left > 0 for room in rooms):
            return False
        for room in rooms:
            if room:
                room.left -= 1
        return True

    def started(self, limits: Iterable[NamedLimit]) -> None:
        """A job was claimed under these limits."""
        for each in limits:
            self.rooms[each.name].started += 1

    def seconds_used(self) -> dict[str, float]:
        """By how much the clock of each rate is to move on."""
        return {
            name: room.started * room.limit.interval
            for name, room in self.rooms.items()
            if room.started and room.limit.rate is not None
        }
