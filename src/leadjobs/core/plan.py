"""Whose turn it is: which streams get how many of the free slots.  Plain Python, no I/O.

A *stream* is all waiting jobs of one (lane, type, tenant).  The runner discovers which streams have due work, the rota
deals the free slots over them, and the claim takes exactly that.  So what may not run is never touched, and fairness
is decided here and nowhere else: lanes by weight, then tenants in turn, then a tenant's types in turn.
"""

import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from leadjobs.core.job import Lane

# Most slots go to live work, and never none to the others: while all three wait, one in six each.
TURNS = (Lane.LIVE, Lane.LIVE, Lane.RETRY, Lane.LIVE, Lane.LIVE, Lane.BACKFILL)


class Stream(NamedTuple):
    """The waiting jobs of one tenant, of one type, in one lane."""

    lane: Lane
    type: str
    tenant: str


class Share(NamedTuple):
    """How many jobs of a stream to claim."""

    stream: Stream
    slots: int


# Tenant -> its streams, both in the order of whose turn is next.
_Round = OrderedDict[str, OrderedDict[Stream, None]]
May = Callable[[Stream], bool]


def shuffled(streams: Iterable[Stream]) -> list[Stream]:
    """The streams in no order: short invocations that each serve a few must not all begin with the same tenant."""
    return random.sample(found := list(streams), len(found))


def _anywhere(places: int) -> int:
    return random.sample(range(places), 1)[0]


def _from_anywhere() -> deque[Lane]:
    turns = deque(TURNS)
    turns.rotate(_anywhere(len(turns)))
    return turns


@dataclass(slots=True)
class Rota:
    """The streams that have due work, and whose turn comes next.

    The turn is kept from deal to deal, so what is left over goes to whoever waited.  ``newcomers`` says in which order
    streams join that are discovered together.  The turns of the lanes begin anywhere: what fits only the beginning of
    an invocation would else wait for ever where others always have the first turn.
    """

    newcomers: Callable[[Iterable[Stream]], list[Stream]] = shuffled
    _rounds: dict[Lane, _Round] = field(default_factory=lambda: {lane: OrderedDict() for lane in Lane})
    _turns: deque[Lane] = field(default_factory=_from_anywhere)

    def __bool__(self) -> bool:
        return any(self._rounds.values())

    def __len__(self) -> int:
        return sum(len(streams) for round_ in self._rounds.values() for streams in round_.values())

    @property
    def lanes(self) -> set[Lane]:
        """The lanes that have due work."""
        return {lane for lane, round_ in self._rounds.items() if round_}

    def __iter__(self) -> Iterator[Stream]:
        return (stream for round_ in self._rounds.values() for streams in round_.values() for stream in streams)

    def in_turn(self, *, may: May) -> Iterator[Iterator[Stream]]:
        """The streams of each lane that may run, each once, in the order in which a deal comes to them."""
        return (_in_turn(round_, may) for round_ in self._rounds.values())

    def refill(self, due: Iterable[Stream]) -> None:
        """Take these as the streams that have due work; those that had a place in the round keep it."""
        due, known = set(due), set(self)
        for gone in known - due:
            self.dry(gone)
        for stream in self.newcomers(due - known):
            self._rounds[stream.lane].setdefault(stream.tenant, OrderedDict())[stream] = None

    def dry(self, stream: Stream) -> None:
        """Forget a stream that has no due work left, until it is discovered again."""
        round_ = self._rounds[stream.lane]
        streams = round_.get(stream.tenant, OrderedDict())
        streams.pop(stream, None)
        if not streams:
            round_.pop(stream.tenant, None)

    def deal(self, slots: int, *, may: May) -> list[Share]:
        """Share out the slots in turn over the streams, in all lanes but *alone*.

        ``may`` is asked for each slot whether a stream may have it.  One that may not is not asked again in this deal,
        and keeps its place for the next.
        """
        dealt: Counter[Stream] = Counter()
        refused: list[Stream] = []
        able = {lane for lane in TURNS if self._rounds[lane]}
        while slots > 0 and able:
            lane = self._turns[0]
            self._turns.rotate(-1)
            if lane in able:
                if (stream := self._next(lane, may, refused)) is None:
                    able.remove(lane)
                else:
                    dealt[stream] += 1
                    slots -= 1
        self._put_back(refused)
        return [Share(stream, count) for stream, count in dealt.items()]

    def deal_alone(self, *, may: May) -> list[Share]:
        """One slot, for one job that must run with no neighbours; none where no such job waits or may run."""
        refused: list[Stream] = []
        stream = self._next(Lane.ALONE, may, refused)
        self._put_back(refused)
        return [Share(stream, 1)] if stream else []

    def _next(self, lane: Lane, may: May, refused: list[Stream]) -> Stream | None:
        """The lane's next stream that may run; it and its tenant go to the end of their rounds.

        Those before it that may not are taken out, and added to ``refused``.
        """
        round_ = self._rounds[lane]
        while round_:
            tenant, streams = next(iter(round_.items()))
            stream = next(iter(streams))
            if may(stream):
                streams.move_to_end(stream)
                round_.move_to_end(tenant)
                return stream
            refused.append(stream)
            self.dry(stream)
        return None

    def _put_back(self, refused: list[Stream]) -> None:
        """Give those that were refused their places again: before all who have had their turn."""
        for stream in reversed(refused):
            round_ = self._rounds[stream.lane]
            if stream.tenant not in round_:
                round_[stream.tenant] = OrderedDict()
                round_.move_to_end(stream.tenant, last=False)
            round_[stream.tenant][stream] = None
            round_[stream.tenant].move_to_end(stream, last=False)


def _in_turn(round_: _Round, may: May) -> Iterator[Stream]:
    """The streams of one lane that may run: the first of each tenant, then the second of each, and so on."""
    fresh, begun = (filter(may, streams) for streams in round_.values()), deque[Iterator[Stream]]()
    while streams := next(fresh, None) or (begun.popleft() if begun else None):
        if (stream := next(streams, None)) is not None:
            yield stream
            begun.append(streams)
