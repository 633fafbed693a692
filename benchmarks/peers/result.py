"""What a run found: all samples, and the figures that are made of them."""

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Sample:
    """One contestant in one round of one case: its metrics, or why they do not count."""

    case: str
    contestant: str
    round: int
    count: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Entrant:
    """Who took part, in which versions and settings; or why not."""

    name: str
    title: str
    is_peer: bool = False
    packages: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    settings: str = ""
    absent: str = ""


@dataclass(frozen=True)
class Measure:
    """One line of the tables.  ``share`` is a rate as a part of the same contestant's in the case named ``drain``."""

    case: str
    metric: str
    title: str
    unit: str
    is_more_better: bool = True
    is_share: bool = False

    @property
    def digits(self) -> int:
        """Decimals that mean something."""
        return {"jobs/s": 0, "ms": 2, "MB": 0, "B": 0, "µs": 0, "": 2}.get(self.unit, 3)


@dataclass(frozen=True)
class Figure:
    """The median of the rounds, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure | None":
        """Of some values, if there are any."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found)) if found else None


MEASURES = (
    Measure("drain", "per_second", "drain, one process", "jobs/s"),
    Measure("two", "per_second", "drain, two processes", "jobs/s"),
    Measure("enqueue", "per_second", "enqueue, a transaction each", "jobs/s"),
    Measure("enqueue", "p50_ms", "enqueue, p50", "ms", is_more_better=False),
    Measure("enqueue", "p99_ms", "enqueue, p99", "ms", is_more_better=False),
    Measure("bulk", "per_second", "enqueue many at once", "jobs/s"),
    Measure("sleep", "over_ideal", "sleeping jobs, time over the ideal", "", is_more_better=False),
    Measure("finished", "per_second", "drain beside finished rows, of its own rate", "", is_share=True),
    Measure("future", "per_second", "drain beside rows for later, of its own rate", "", is_share=True),
    Measure("blocked", "per_second", "drain behind blocked rows, of its own rate", "", is_share=True),
    Measure("paused", "per_second", "drain behind paused rows, of its own rate", "", is_share=True),
    Measure("pinned", "per_second", "drain under a pinned snapshot, of its own rate", "", is_share=True),
    Measure("pinned", "last_to_second", "the same, last tenth to second tenth", ""),
    Measure("cost", "statements", "statements per job", "statements", is_more_better=False),
    Measure("cost", "wal_bytes", "WAL per job", "B", is_more_better=False),
    Measure("cost", "dead_rows", "dead rows per job", "rows", is_more_better=False),
    Measure("cost", "new_rows", "new rows per job, in a drain", "rows", is_more_better=False),
    Measure("start", "ms", "process start to first job", "ms", is_more_better=False),
    Measure("drain", "rss_mb", "peak memory", "MB", is_more_better=False),
    Measure("drain", "cpu_us", "CPU of the process per job", "µs", is_more_better=False),
)


@dataclass(frozen=True)
class Result:
    """All of it, as the JSON file has it."""

    date: str
    size: float
    rounds: int
    machine: Mapping[str, str]
    server: Mapping[str, str]
    entrants: list[Entrant]
    samples: list[Sample]

    @property
    def failures(self) -> list[Sample]:
        """What went wrong."""
        return [sample for sample in self.samples if sample.failure]

    def figure(self, measure: Measure, contestant: str) -> Figure | None:
        """What a contestant reached; none where a round of the case failed."""
        figure = self._figure(measure.case, measure.metric, contestant)
        if not measure.is_share or figure is None:
            return figure
        own = self._figure("drain", measure.metric, contestant)
        return own and Figure(figure.median / own.median, figure.low / own.median, figure.high / own.median)

    def _figure(self, case: str, metric: str, contestant: str) -> Figure | None:
        mine = [each for each in self.samples if (each.case, each.contestant) == (case, contestant)]
        if any(each.failure for each in mine):
            return None
        return Figure.of(each.metrics[metric] for each in mine if metric in each.metrics)

    def ratio(self, measure: Measure, contestant: str, to: str) -> float | None:
        """How many times as good as another: over 1 is better, whether more or less of it is."""
        mine, other = self.figure(measure, contestant), self.figure(measure, to)
        if mine is None or other is None or not mine.median or not other.median:
            return None
        return mine.median / other.median if measure.is_more_better else other.median / mine.median

    def best_peer(self, measure: Measure) -> str | None:
        """The peer that does best in a measure."""
        reached = {
            each.name: figure.median
            for each in self.entrants
            if each.is_peer and (figure := self.figure(measure, each.name))
        }
        return (max if measure.is_more_better else min)(reached, key=lambda name: reached[name], default=None)

    def title(self, name: str) -> str:
        """A contestant's name for people."""
        return next(each.title for each in self.entrants if each.name == name)

    def count(self, case: str, contestant: str) -> int | None:
        """How many jobs a contestant had in a case."""
        return next((each.count for each in self.samples if (each.case, each.contestant) == (case, contestant)), None)

    def write(self, path: Path) -> None:
        """Write the JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON file."""
        kept: dict[str, Any] = json.loads(path.read_text())
        kept["entrants"] = [Entrant(**each) for each in kept["entrants"]]
        kept["samples"] = [Sample(**each) for each in kept["samples"]]
        return cls(**kept)
