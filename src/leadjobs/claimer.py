"""discover -> plan -> claim: which jobs to start now."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

import psycopg

from leadjobs.core.clock import Clock
from leadjobs.core.durations import Durations, expected
from leadjobs.core.job import Lane
from leadjobs.core.limit import NamedLimit, Rooms, names_of
from leadjobs.core.plan import May, Rota, Share, Stream
from leadjobs.core.registry import Registry
from leadjobs.store.jobs import Claimed, JobStore, Place
from leadjobs.store.limits import LimitStore

LEASE_GRACE = 30.0  # seconds that a lease outlives its job's timeout by
JOBS_PER_DISCOVERY = 128  # or four a stream, or half the slots: then the picture is old, and newcomers come into view
DISCOVER_EVERY = 1.0  # seconds, where the last look found nothing that could be claimed
DISCOVER_EVERY_NEWS = 0.05  # seconds, where jobs have ended since: they may have enqueued others
PLACES_FOR = 1.0  # seconds that claims begin where the last one of a stream has ended
ALONE_EVERY = 30.0  # seconds between jobs that run alone, while others wait
FULL_FOR = 0.1  # seconds until a limit that was full is looked at again, unless one of our own jobs has ended under it

_Deal = Callable[[May], list[Share]]


class _Closed(NamedTuple):
    """A limit that had no room, or a hold, and when (on the process's clock) to look again."""

    until: float
    by: Literal["places", "a rate", "a hold"]


class Claimer:
    """What one invocation knows of the queue, and its claims on it."""

    def __init__(
        self,
        store: JobStore,
        limits: LimitStore,
        registry: Registry,
        clock: Clock,
        *,
        slots: int,
        usable: float,
        durations: Durations,
    ) -> None:
        self._store, self._limits, self._registry, self._clock = store, limits, registry, clock
        self._slots, self._usable = slots, usable
        self._timeouts = {handler.type.name: handler.seconds for handler in registry}
        self._longest, self._durations = max(self._timeouts.values(), default=0.0), durations
        self._past: Durations | None = None
        self._expected: dict[str, float] = {}
        self._too_late = set[str]()  # types of which a run was started too late
        self._subjects = {handler.type.name: handler.type.subjects for handler in registry}
        self._lease_seconds = {name: timeout + LEASE_GRACE for name, timeout in self._timeouts.items()}
        self._limits_on = lru_cache(maxsize=10_000)(lambda stream: registry.limits_on(stream.type, stream.tenant))
        self._rota = Rota()
        self._places: dict[Stream, Place] = {}
        self._closed: dict[str, _Closed] = {}
        self._discovered_at = self._alone_at = self._placed_at = float("-inf")
        self._claimed_since_discovery = self._ended_since_discovery = 0
        self._seconds_left = usable  # the first claim takes what fits the whole budget: see claim()
        self._has_claimed = self._is_picture_old = False

    @property
    def too_long(self) -> tuple[str, ...]:
        """The types of due jobs that it knows of, and that do not fit the time that was left at the last claim."""
        return tuple(sorted({stream.type for stream in self._rota if not self._fits(stream.type)}))

    def seconds_to_room(self, *, within: float) -> float | None:
        """In how long a rate or a hold lets go of due work; None where none does within so many seconds."""
        now, within = self._clock.monotonic(), min(within, self._seconds_left)
        spans = (closed.until - now for closed in self._closed.values() if closed.by != "places")
        return min((span for span in spans if span <= within), default=None)

    def ended(self, stream: Stream, *, for_want_of_time: bool) -> None:
        """A job of this stream has ended: it may have enqueued others, and left room under its limits.

        Where it ended for want of time, no other of its type is begun: there is less and less of it.
        """
        if for_want_of_time:
            self._too_late.add(stream.type)
        self._ended_since_discovery += 1
        if self._registry.has_limits:
            for limit in self._limits_on(stream):
                if (closed := self._closed.get(limit.name)) and closed.by == "places":
                    del self._closed[limit.name]

    async def claim(self, free: int, *, seconds_left: float, is_idle: bool) -> list[Claimed] | None:
        """Take leases on up to ``free`` jobs that fit the time left; None if there is nothing to try at the moment.

        An empty list means that another try may find some.  Where ``is_idle``, it may be one job that must run alone.
        """
        # The first claim takes what fits the whole budget: a timeout just as long must not miss by milliseconds.
        self._seconds_left = seconds_left if self._has_claimed else self._usable
        self._reopen()
        self._drop_places()
        await self._discover(is_idle=is_idle)
        await self._look_back()
        shares, claimed = list[Share](), list[Claimed]()
        if self._is_turn_of_alone():
            if not is_idle:
                return None
            shares, claimed = await self._claim(lambda may: self._rota.deal_alone(may=may), free)
            self._alone_at = self._clock.monotonic()  # its turn is over also where its limit had no room
        if not shares:
            shares, claimed = await self._claim(lambda may: self._rota.deal(free, may=may), free)
        if not shares:
            return None
        self._has_claimed = True
        self._claimed_since_discovery += len(claimed)
        self._keep_places(shares, claimed)
        return claimed

    async def _discover(self, *, is_idle: bool) -> None:
        """Look for streams where none is left or the picture is old; not again and again where nothing moves."""
        enough = max(JOBS_PER_DISCOVERY, 4 * len(self._rota), self._slots // 2)
        is_old = self._is_picture_old or self._claimed_since_discovery >= enough
        if self._rota and not is_old:
            return
        waited = self._clock.monotonic() - self._discovered_at
        has_news = self._ended_since_discovery and (is_idle or waited >= DISCOVER_EVERY_NEWS)
        if waited >= DISCOVER_EVERY or self._claimed_since_discovery or has_news or is_old:
            self._claimed_since_discovery = self._ended_since_discovery = 0  # now: some may end while we look
            self._is_picture_old = False
            known = list(self._places)  # they gave all that was asked of them
            picture = await self._store.discover(list(self._timeouts), known)
            self._rota.refill(self._unheld([*picture.streams, *known], picture.held))
            self._discovered_at = self._clock.monotonic()

    def _drop_places(self) -> None:
        """Now and then begin each stream at its head again, where something may have been committed late."""
        if self._clock.monotonic() - self._placed_at >= PLACES_FOR:
            self._places.clear()
            self._placed_at = self._clock.monotonic()

    def _unheld(self, streams: list[Stream], held: Mapping[str, float | None]) -> list[Stream]:
        """The streams that no hold keeps back; the claim looks again, for a hold that comes meanwhile."""
        if not held:
            return streams
        now = self._clock.monotonic()
        free = []
        for stream in streams:
            keeping = held.keys() & names_of(self._subjects[stream.type], stream.tenant)
            for name in keeping:
                if (seconds := held[name]) is not None:
                    self._closed[name] = _Closed(now + seconds, "a hold")
            if not keeping:
                free.append(stream)
        return free

    def _reopen(self) -> None:
        """Forget what has opened by itself; where a hold has ended, the picture is old."""
        now = self._clock.monotonic()
        for name, closed in list(self._closed.items()):
            if closed.until <= now:
                del self._closed[name]
                self._is_picture_old |= closed.by == "a hold"

    def _may(self, stream: Stream) -> bool:
        """Does it fit the time left, and is it under no limit that is known to have no room?"""
        if not self._fits(stream.type):
            return False
        return not self._closed or all(limit.name not in self._closed for limit in self._limits_on(stream))

    def _fits(self, type_name: str) -> bool:
        """Is a run of the type expected to end in the time left?"""
        timeout = self._timeouts[type_name]
        if timeout <= self._seconds_left:
            return True
        if self._past is None or type_name in self._too_late:
            return False
        if type_name not in self._expected:
            self._expected[type_name] = expected(timeout, self._durations[type_name], self._past[type_name])
        return self._expected[type_name] <= self._seconds_left

    async def _look_back(self) -> None:
        """Where a timeout does not fit any more, see how long runs really take; a queue that is drained asks nobody."""
        self._expected.clear()
        if self._past is None and self._seconds_left < self._longest and self.too_long:
            self._past = await self._store.find_durations()

    async def _claim(self, deal: _Deal, free: int) -> tuple[list[Share], list[Claimed]]:
        """Deal, and claim what was dealt: under the locks of the limits that it comes under, if any.

        Where none of those had room, the streams behind them are asked too, twice as many each time.
        """
        asked = free
        while limits := self._limits_in_turn(asked):
            shares, claimed, has_closed = await self._claim_under(limits, deal)
            if shares or not has_closed:
                return shares, claimed
            asked *= 2
        shares = deal(self._may)
        return shares, await self._take(shares)

    async def _claim_under(self, limits: list[NamedLimit], deal: _Deal) -> tuple[list[Share], list[Claimed], bool]:
        """Lock these limits, deal what has room under them and claim it; and whether one had none."""
        try:
            async with self._limits.locked(limits) as rooms:
                shares = deal(lambda stream: self._may(stream) and rooms.take(self._limits_on(stream)))
                claimed = await self._take(shares)
                for job in claimed:
                    rooms.started(self._limits_on(job.stream))
        except psycopg.errors.LockNotAvailable:  # somebody has held one for long: as if none had room
            rooms, shares, claimed = Rooms({}, dict.fromkeys(each.name for each in limits)), [], []
        now = self._clock.monotonic()
        for name, wait in rooms.closed.items():
            self._closed[name] = _Closed(now + FULL_FOR, "places") if wait is None else _Closed(now + wait, "a rate")
        return shares, claimed, bool(rooms.closed)

    async def _take(self, shares: list[Share]) -> list[Claimed]:
        if not shares:
            return []
        return await self._store.claim(shares, self._places, self._lease_seconds, self._subjects)

    def _limits_in_turn(self, most: int) -> list[NamedLimit]:
        """The limits of those whose turn it may be: the next in each lane, so many of them at the most."""
        if not self._registry.has_limits:
            return []
        streams = (stream for lane in self._rota.in_turn(may=self._may) for stream in islice(lane, most))
        return [limit for stream in streams for limit in self._limits_on(stream)]

    def _is_turn_of_alone(self) -> bool:
        """A job that must run alone comes first in an invocation, when nothing else is left, and now and then.

        Until its turn has come, nothing is claimed beside what runs.
        """
        if not any(stream.lane is Lane.ALONE and self._may(stream) for stream in self._rota):
            return False
        has_waited = self._clock.monotonic() - self._alone_at >= ALONE_EVERY
        return has_waited or self._rota.lanes == {Lane.ALONE}

    def _keep_places(self, shares: Sequence[Share], claimed: Sequence[Claimed]) -> None:
        """Begin each stream's next claim behind what was claimed of it; one that gave less than its share may be dry.

        Beginning behind keeps claims flat where a pinned snapshot leaves dead index entries at the head of a stream.
        What commits late with an earlier place is seen when places are dropped: about once a second, and before a
        stream is called dry.
        """
        got = Counter(job.stream for job in claimed)
        last = {job.stream: job for job in claimed}
        for share in shares:
            if got[share.stream] == share.slots:
                self._places[share.stream] = last[share.stream].place
            elif self._places.pop(share.stream, None) is None:
                self._rota.dry(share.stream)
