"""How long runs take: a small histogram for each type, and what is expected from it.  Pure: no I/O.

A run that ended by itself says how long it took.  One that was cut says only that it would have taken longer: it counts
among the runs that were still going when it was cut, and no further (Kaplan and Meier's estimate).  So cuts can only
raise what is expected; a type whose runs are cut again and again goes back to its timeout.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FACTOR = 1.5  # from one bucket's edge to the next
EDGES = tuple(0.1 * FACTOR**n for n in range(23))  # seconds, 0.1 to 748; what took longer is in a last, open bucket
ENOUGH = 20  # runs that ended by themselves, before they say more than the timeout
MOST_RUNS = 0.95  # of the runs are done within what is expected
MARGIN = 1.25
MAX_TYPES = 50  # in what is kept of one invocation


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many runs of a type ended, and how many were cut, by the bucket of their seconds."""

    ended: Counter[int] = field(default_factory=Counter)
    cut: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Histogram") -> None:
        """Count another's runs too."""
        self.ended.update(other.ended)
        self.cut.update(other.cut)

    def as_json(self) -> dict[str, Any]:
        """As an invocation keeps it."""
        return {name: {str(n): count for n, count in getattr(self, name).items()} for name in ("ended", "cut")}


def expected(timeout: float, *histograms: Histogram) -> float:
    """How many seconds a run is expected to take at most: the upper edge of the bucket of the p95, and a margin.

    The timeout where too few runs have ended by themselves, or too many were cut; never more than it.
    """
    runs = Histogram()
    for each in histograms:
        runs.add(each)
    if runs.ended.total() < ENOUGH:
        return timeout
    going, share_going = runs.ended.total() + runs.cut.total(), 1.0
    for bucket, edge in enumerate(EDGES):
        if going > 0:
            share_going *= 1 - runs.ended[bucket] / going
        if share_going <= 1 - MOST_RUNS + 1e-9:
            return min(timeout, edge * MARGIN)
        going -= runs.ended[bucket] + runs.cut[bucket]
    return timeout


class Durations:
    """The histograms of types."""

    def __init__(self) -> None:
        self._of: dict[str, Histogram] = {}

    def __getitem__(self, type_name: str) -> Histogram:
        return self._of.get(type_name) or self._of.setdefault(type_name, Histogram())

    def ended(self, type_name: str, seconds: float) -> None:
        """A run ended by itself after so many seconds."""
        self[type_name].ended[bisect_left(EDGES, seconds)] += 1

    def cut(self, type_name: str, seconds: float) -> None:
        """A run was cut after so many seconds."""
        self[type_name].cut[bisect_left(EDGES, seconds)] += 1

    def take(self) -> dict[str, Any]:
        """All as JSON, and forgotten here; of more than ``MAX_TYPES`` types, those with most cuts and runs."""
        most = sorted(self._of.items(), key=lambda item: (item[1].cut.total(), item[1].ended.total()), reverse=True)
        self._of = {}
        return {name: runs.as_json() for name, runs in most[:MAX_TYPES] if runs.ended or runs.cut}

    @classmethod
    def merged(cls, kept: Iterable[Any]) -> "Durations":
        """What several invocations have kept, in any order; what another release has written otherwise is passed by."""
        merged = cls()
        for each in kept:
            for name, runs in each.items() if isinstance(each, Mapping) else ():
                if isinstance(runs, Mapping):
                    merged[name].add(Histogram(_counter(runs.get("ended")), _counter(runs.get("cut"))))
        return merged


def _counter(kept: Any) -> Counter[int]:
    if not isinstance(kept, Mapping):
        return Counter()
    return Counter(
        {int(bucket): count for bucket, count in kept.items() if bucket.isdigit() and isinstance(count, int)}
    )
