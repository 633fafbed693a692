"""discover -> plan -> claim: which jobs to start now."""

from collections import Counter
from collections.abc import Sequence

from leadjobs.core.clock import Clock
from leadjobs.core.job import Lane
from leadjobs.core.plan import Rota, Share, Stream
from leadjobs.core.registry import Registry
from leadjobs.store.jobs import Claimed, JobStore, Place

LEASE_GRACE = 30.0  # seconds that a lease outlives its job's timeout by
CLAIMS_PER_DISCOVERY = 20  # then the picture is old: late commits and new tenants come into view
DISCOVER_EVERY = 1.0  # seconds, where the last look found nothing that could be claimed
ALONE_EVERY = 30.0  # seconds between jobs that run alone, while others wait
DISCOVER_EVERY_NEWS = 0.05  # seconds, where jobs have ended since: they may have enqueued others


class Claimer:
    """What one invocation knows of the queue, and its claims on it."""

    def __init__(self, store: JobStore, registry: Registry, clock: Clock, *, usable: float) -> None:
        self._store, self._clock, self._usable = store, clock, usable
        self._timeouts = {handler.type.name: handler.type.timeout.total_seconds() for handler in registry}
        self._lease_seconds = {name: timeout + LEASE_GRACE for name, timeout in self._timeouts.items()}
        self._rota = Rota()
        self._places: dict[Stream, Place] = {}
        self._discovered_at = self._alone_at = float("-inf")
        self._claims = self._claims_since_discovery = self._found_since_discovery = self._ended_at_discovery = 0

    @property
    def knows_more(self) -> bool:
        """Is there due work that it knows of and has not claimed?"""
        return bool(self._rota)

    async def claim(self, free: int, *, seconds_left: float, is_idle: bool, ended: int) -> list[Claimed] | None:
        """Take leases on up to ``free`` jobs that fit the time left; None if there is nothing to try at the moment.

        An empty list means that another try may find some.  Where ``is_idle``, it may be one job that must run alone.
        ``ended`` counts the jobs that this invocation has ended: each may have enqueued others.
        """
        await self._discover(ended, is_idle=is_idle)
        # The first claim takes what fits the whole budget: a timeout just as long must not miss by milliseconds.
        shares = self._plan(free, seconds_left if self._claims else self._usable, is_idle=is_idle)
        if not shares:
            return None
        claimed = await self._store.claim(shares, self._places, self._lease_seconds)
        self._claims += 1
        self._claims_since_discovery += 1
        self._found_since_discovery += len(claimed)
        self._keep_places(shares, claimed)
        return claimed

    async def _discover(self, ended: int, *, is_idle: bool) -> None:
        """Look for streams where none is left or the picture is old; not again and again where nothing moves."""
        if self._rota and self._claims_since_discovery < CLAIMS_PER_DISCOVERY:
            return
        waited = self._clock.monotonic() - self._discovered_at
        has_news = ended > self._ended_at_discovery and (is_idle or waited >= DISCOVER_EVERY_NEWS)
        if waited >= DISCOVER_EVERY or self._found_since_discovery or has_news:
            self._rota.refill(await self._store.discover(list(self._timeouts)))
            self._places.clear()
            self._discovered_at, self._ended_at_discovery = self._clock.monotonic(), ended
            self._claims_since_discovery = self._found_since_discovery = 0

    def _plan(self, free: int, seconds_left: float, *, is_idle: bool) -> list[Share]:
        """Whose turn it is.

        A job that must run alone comes first in an invocation, when nothing else is left, and in a busy one now and
        then: nothing is claimed beside what runs until its turn has come.
        """

        def fits(type_name: str) -> bool:
            return self._timeouts[type_name] <= seconds_left

        waits = any(stream.lane is Lane.ALONE and fits(stream.type) for stream in self._rota)
        if waits and self._is_alone_due():
            shares = self._rota.deal_alone(fits=fits) if is_idle else []
            self._alone_at = self._clock.monotonic() if shares else self._alone_at
            return shares
        return self._rota.deal(free, fits=fits)

    def _is_alone_due(self) -> bool:
        has_waited = self._clock.monotonic() - self._alone_at >= ALONE_EVERY
        return has_waited or self._rota.lanes == {Lane.ALONE}

    def _keep_places(self, shares: Sequence[Share], claimed: Sequence[Claimed]) -> None:
        """Begin each stream's next claim behind what was claimed of it; one that gave less than its share may be dry.

        Beginning behind keeps claims flat where a pinned snapshot leaves dead index entries at the head of a stream.
        What commits late with an earlier place is seen when places are dropped: at each discovery, and before a stream
        is called dry.
        """
        got = Counter(job.stream for job in claimed)
        last = {job.stream: job.place for job in claimed}
        for share in shares:
            if got[share.stream] == share.slots:
                self._places[share.stream] = last[share.stream]
            elif self._places.pop(share.stream, None) is None:
                self._rota.dry(share.stream)
