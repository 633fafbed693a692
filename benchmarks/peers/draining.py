"""One drain: processes that begin together, watched until the table says that all jobs are finished; then checked."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.peers.arena import Database, look
from benchmarks.peers.contestants import Contestant
from benchmarks.peers.process import Answer, BrokenError, Counter, Process
from benchmarks.peers.verify import check_exactly_once, check_finished, is_unfinished

AT_LEAST_PER_SECOND = 10  # what is slower than this is stuck
GRACE = 30.0
ANSWERS_WITHIN = 60.0


@dataclass(frozen=True)
class Drained:
    """What came of a drain: ``seconds`` are from the first handler's start until the table said that all was done."""

    seconds: float
    first_ms: float
    rss_mb: float
    cpu_seconds: float
    begun: Sequence[float]


def drained(
    interpreter: str,
    who: Contestant,
    database: Database,
    count: int,
    *,
    processes: int = 1,
    sleep: float = 0.0,
    in_flight: int | None = None,
    gate: bool = True,
) -> Drained:
    """Drain the database's jobs.  With a ``gate``, processes have loaded everything before any of them begins.

    Raises:
        BrokenError: a process died or is stuck, or a job was missing or ran twice.
    """
    request = {"do": "drain", "url": database.url, "seconds": sleep, "in_flight": in_flight, "gate": gate}
    with ExitStack() as stack:
        counter = stack.enter_context(Counter(processes))
        running = [
            stack.enter_context(
                Process(interpreter, who.driver, request | {"counter": str(counter.path), "slot": slot})
            )
            for slot in range(processes)
        ]
        if gate:
            for process in running:
                process.answer(ANSWERS_WITHIN)
            for process in running:
                process.tell("go")
        ended = _watch(who, database, count, counter, running)
        for process in running:
            process.tell("stop")
        answers = [process.answer(ANSWERS_WITHIN) for process in running]
    _check(who, database, count, answers)
    return _drained(answers, spawned=running[0].begun, ended=ended)


def _watch(who: Contestant, database: Database, count: int, counter: Counter, running: list[Process]) -> float:
    """Wait until all have begun, then ask the table until all are finished; when that was.

    Where that does not come to pass, it returns all the same: the check says what is missing.
    """
    deadline = time.monotonic() + GRACE + count / AT_LEAST_PER_SECOND
    with look(database.url) as connection:
        while counter.total() < count and time.monotonic() < deadline and any(each.is_alive for each in running):
            time.sleep(0.002)
        while True:
            is_over = not any(each.is_alive for each in running)
            asked = time.monotonic()
            if not is_unfinished(connection, who.table, database.after) or is_over or asked > deadline:
                return asked
            time.sleep(0.001)


def _check(who: Contestant, database: Database, count: int, answers: list[Answer]) -> None:
    check_exactly_once("ran", (number for answer in answers for number in answer["numbers"]), count)
    with look(database.url) as connection:
        check_finished(connection, who.table, count, database.after)


def _drained(answers: list[Answer], *, spawned: float, ended: float) -> Drained:
    times = sorted(moment for answer in answers for moment in answer["begun"])
    if not times:
        raise BrokenError("nothing ran")
    return Drained(
        seconds=ended - times[0],
        first_ms=(times[0] - spawned) * 1000,
        rss_mb=max(answer["rss_mb"] for answer in answers),
        cpu_seconds=sum(answer["cpu_seconds"] for answer in answers),
        begun=times,
    )
