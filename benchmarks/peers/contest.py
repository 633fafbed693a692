"""One run: every case, round by round, the contestants in turn."""

import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks.peers.arena import SETTINGS, Arena, flush_ms, look
from benchmarks.peers.cases import CASES, Case, Run
from benchmarks.peers.contestants import CONTESTANTS, Contestant
from benchmarks.peers.environments import UnavailableError
from benchmarks.peers.process import BrokenError, ask
from benchmarks.peers.result import Entrant, Result, Sample


@dataclass(frozen=True)
class Plan:
    """What to run."""

    contestants: Sequence[Contestant]
    cases: Sequence[Case]
    factor: float = 1.0
    rounds: int = 3
    is_whole: bool = False
    peers_with_rows: bool = False


def choose(contestants: Sequence[str], cases: Sequence[str]) -> tuple[list[Contestant], list[Case]]:
    """Those of these names, all where none is given; with the plain drain where another is measured by it.

    Raises:
        ValueError: a name is of none.
    """
    known = {each.name for each in CONTESTANTS} | {each.name for each in CASES}
    if unknown := [name for name in (*contestants, *cases) if name not in known]:
        raise ValueError(f"there is no {', '.join(unknown)}: see --list")
    chosen = [case for case in CASES if not cases or case.name in cases]
    if any(case.needs_drain for case in chosen):
        chosen = [case for case in CASES if case in chosen or case.name == "drain"]
    return [each for each in CONTESTANTS if not contestants or each.name in contestants], chosen


def hold(plan: Plan, server_url: str, interpreter: Callable[[Contestant], str]) -> Result:
    """Run it all.  A contestant that cannot be installed is absent; a run that is not exactly-once is a failure."""
    interpreters: dict[str, str] = {}
    entrants = []
    for who in plan.contestants:
        try:
            interpreters[who.name] = interpreter(who)
            told = ask(interpreters[who.name], who.driver, {"do": "describe"})
            entrants.append(
                Entrant(who.name, who.title, who.is_peer, told["packages"], told["python"], told["settings"])
            )
        except (UnavailableError, BrokenError) as error:
            interpreters.pop(who.name, None)
            entrants.append(Entrant(who.name, who.title, who.is_peer, absent=str(error)))
            print(f"bench: {who.title} is absent: {error}", file=sys.stderr)
    present = [who for who in plan.contestants if who.name in interpreters]
    arena = Arena(server_url, interpreters)
    samples = []
    try:
        for case in plan.cases:
            samples += _case(plan, replace(case, rows=round(case.rows * plan.factor)), arena, present)
    finally:
        arena.close()
    return Result(
        date=datetime.now(UTC).date().isoformat(),
        size=plan.factor,
        rounds=plan.rounds,
        machine=_machine(server_url, sorted({each.python for each in entrants if each.python})),
        server=_server(server_url),
        entrants=entrants,
        samples=samples,
    )


def _case(plan: Plan, case: Case, arena: Arena, present: Sequence[Contestant]) -> list[Sample]:
    takers = [who for who in present if case.takes(who, peers_with_rows=plan.peers_with_rows)]
    samples = []
    for number in range(1 if case.is_once else plan.rounds):
        turn = number % max(1, len(takers))
        for who in (*takers[turn:], *takers[:turn]):  # nobody is always first
            count = case.jobs(who, plan.factor, whole=plan.is_whole)
            sample = Sample(case.name, who.name, number + 1, count)
            try:
                sample = replace(sample, metrics=case.measure(Run(case, arena, who, count)))
            except (BrokenError, psycopg.Error) as error:
                sample = replace(sample, failure=" ".join(str(error).split()))
            samples.append(sample)
            _tell(sample, plan.rounds)
    if case.rows:
        for who in takers:
            arena.forget(who, case.jobs(who, plan.factor, whole=plan.is_whole), case.name)
    return samples


def _tell(sample: Sample, rounds: int) -> None:
    metrics = "  ".join(f"{name} {value:,.2f}" for name, value in sample.metrics.items())
    place = f"{sample.round}/{rounds} {sample.case:<9} {sample.contestant:<15}"
    print(f"{place} {metrics or 'FAILED: ' + sample.failure}", file=sys.stderr)


def _machine(server_url: str, pythons: Sequence[str]) -> dict[str, str]:
    with look(server_url) as connection:
        version = connection.info.server_version
    return {
        "": _processor(),
        "PostgreSQL": f"{version // 10000}.{version % 10000}",
        "Python": " and ".join(pythons),
        platform.system(): platform.release(),
        "8 kB written durably in": f"{flush_ms():g} ms",
    }


def _processor() -> str:
    told, name = Path("/proc/cpuinfo"), ""
    if told.exists():
        lines = told.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} cores of {name or platform.processor() or platform.machine()}"


def _server(server_url: str) -> dict[str, str]:
    """The settings that matter, as the server has them."""
    names = [name for name in SETTINGS if not name.startswith("pg_stat")]
    with look(server_url) as connection:
        rows = connection.execute("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)", [names])
        return dict(sorted(rows.fetchall()))
