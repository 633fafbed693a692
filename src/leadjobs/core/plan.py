"""Whose turn it is: which streams get how many of the free slots.  Plain Python, no I/O.

A *stream* is all waiting jobs of one (lane, type, tenant).  The runner discovers which streams have due work, the rota
deals the free slots over them, and the claim takes exactly that.  So what may not run is never touched, and fairness
is decided here and nowhere else: lanes by weight, then tenants in turn, then a tenant's types in turn.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from leadjobs.core.job import Lane

# Most slots go to live work, and never none to the others: while all three wait, one in six each.
TURNS = (Lane.LIVE, Lane.LIVE, Lane.RETRY, Lane.LIVE, Lane.LIVE, Lane.BACKFILL)


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """The waiting jobs of one tenant, of one type, in one lane."""

    lane: Lane
    type: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Share:
    """How many jobs of a stream to claim."""

    stream: Stream
    slots: int


# Tenant -> its streams, both in the order of whose turn is next.
_Round = OrderedDict[str, OrderedDict[Stream, None]]


@dataclass(slots=True)
class Rota:
    """The streams that have due work, and whose turn comes next.

    The turn is kept from deal to deal, so what is left over goes to whoever waited.
    """

    _rounds: dict[Lane, _Round] = field(default_factory=lambda: {lane: OrderedDict() for lane in Lane})
    _turns: deque[Lane] = field(default_factory=lambda: deque(TURNS))

    def __bool__(self) -> bool:
        return any(self._rounds.values())

    @property
    def lanes(self) -> set[Lane]:
        """The lanes that have due work."""
        return {lane for lane, round_ in self._rounds.items() if round_}

    def __iter__(self) -> Iterator[Stream]:
        for round_ in self._rounds.values():
            for streams in round_.values():
                yield from streams

    def refill(self, due: Iterable[Stream]) -> None:
        """Take these as the streams that have due work; those that had a place in the round keep it."""
        due, known = set(due), set(self)
        for gone in known - due:
            self.dry(gone)
        for stream in sorted(due - known):
            self._rounds[stream.lane].setdefault(stream.tenant, OrderedDict())[stream] = None

    def dry(self, stream: Stream) -> None:
        """Forget a stream that has no due work left, until it is discovered again."""
        round_ = self._rounds[stream.lane]
        streams = round_.get(stream.tenant, OrderedDict())
        streams.pop(stream, None)
        if not streams:
            round_.pop(stream.tenant, None)

    def deal(self, slots: int, *, fits: Callable[[str], bool]) -> list[Share]:
        """Share out the slots over the streams (but *alone*) whose type fits the time left, one by one in turn."""
        dealt: Counter[Stream] = Counter()
        able = {
            lane for lane in set(TURNS) if any(fits(s.type) for streams in self._rounds[lane].values() for s in streams)
        }
        while slots > 0 and able:
            lane = self._turns[0]
            self._turns.rotate(-1)
            if lane in able and (stream := self._next(lane, fits)):
                dealt[stream] += 1
                slots -= 1
        return [Share(stream, count) for stream, count in dealt.items()]

    def deal_alone(self, *, fits: Callable[[str], bool]) -> list[Share]:
        """One slot, for one job that must run with no neighbours; none where no such job waits or fits."""
        stream = self._next(Lane.ALONE, fits)
        return [Share(stream, 1)] if stream else []

    def _next(self, lane: Lane, fits: Callable[[str], bool]) -> Stream | None:
        """The lane's next stream whose type fits; it and its tenant go to the end of their rounds."""
        round_ = self._rounds[lane]
        for _ in range(len(round_)):
            tenant = next(iter(round_))
            round_.move_to_end(tenant)
            streams = round_[tenant]
            for _ in range(len(streams)):
                stream = next(iter(streams))
                streams.move_to_end(stream)
                if fits(stream.type):
                    return stream
        return None
