"""docs/states.md, made from the code: ./dev run python -m tests.docs.states writes it anew.

How runs end is computed from `core/ending.py`.  What else moves a job is declared in the head of the statement that
does it, ``-- moves: PENDING -> RUNNING: why``, where *nothing* stands for no row; test_states.py holds that against a
database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import leadjobs
from leadjobs import Done, EffectUnknownError, GiveUp, Hold, JobId, Retry, RetryPolicy, Skip, Snooze, State
from leadjobs.core.ending import Ending, Run
from leadjobs.core.job import Lease
from leadjobs.errors import OutOfTimeError, OverBudgetError, PayloadError

PAGE = Path(__file__).parents[2] / "docs/states.md"
PACKAGE = Path(leadjobs.__file__).parent
FOLDERS = (PACKAGE / "store/sql", PACKAGE / "leads/sql")
NOTHING = "nothing"
PLACES = (NOTHING, *State)
RETRIES = RetryPolicy(max_attempts=3, permanent=(KeyError,))
HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2036, 1, 1, tzinfo=UTC)
OVER_BUDGET = OverBudgetError(tenant="acme", unit="tokens", used=9, cap=10, asked=2, until=MIDNIGHT)
_MOVES = re.compile(r"^-- moves: ([\w, ]+) -> ([\w, ]+): (.+)$", re.MULTILINE)
_CHANGES = re.compile(r"(?:UPDATE|INTO|DELETE FROM) background_job\b")


@dataclass(frozen=True)
class Case:
    """A way in which a run ends: which method of `Run` says so, of what."""

    what: str
    by: str
    of: tuple[Any, ...]
    is_last: bool = False  # the last attempt

    @property
    def ending(self) -> Ending:
        """The ending of a run whose job holds lease number 1."""
        run = Run(Lease(JobId(1), 1), RETRIES.max_attempts - 1 if self.is_last else 0, RETRIES)
        ending: Ending = getattr(run, self.by)(*self.of)
        return ending

    @property
    def attempts(self) -> str:
        """What it costs."""
        used = self.ending.attempts - (RETRIES.max_attempts - 1 if self.is_last else 0)
        return f"+ {used}" if used else "kept"


CASES = (
    Case("returns `Done`", "said", (Done(),)),
    Case("returns `Skip`", "said", (Skip("why"),)),
    Case("returns `GiveUp`", "said", (GiveUp("why"),)),
    Case("returns `Retry`", "said", (Retry("why"),)),
    Case("returns `Retry`, in the last attempt", "said", (Retry("why"),), is_last=True),
    Case("returns `Snooze`", "said", (Snooze(HOUR, "why"),)),
    Case("returns `Hold`", "held", (Hold("openai", HOUR, "why"),)),
    Case("raises", "broke", (ValueError("why"),)),
    Case("raises, in the last attempt", "broke", (ValueError("why"),), is_last=True),
    Case("raises a permanent error", "broke", (KeyError("why"),)),
    Case("raises `EffectUnknownError`", "broke", (EffectUnknownError("why"),)),
    Case("raises `OverBudgetError`", "over_budget", (OVER_BUDGET,)),
    Case("runs past its timeout", "timed_out", (HOUR,)),
    Case("runs past its timeout, in the last attempt", "timed_out", (HOUR,), is_last=True),
    Case("has a payload that does not fit its type", "misfit", (PayloadError("why"),)),
    Case("is handed back: no time, a stop, a deploy", "handed_back", ("why",)),
    Case("raises `OutOfTimeError`, where the invocation's end is near", "handed_back", ("why",)),
    Case("raises `OutOfTimeError`, where its own timeout is", "broke", (OutOfTimeError("why"),)),
)


@dataclass(frozen=True)
class Move:
    """What a statement says that it does to the state of a job."""

    file: str
    froms: tuple[str, ...]
    tos: tuple[str, ...]
    why: str

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Each from with each to."""
        return {(each, to) for each in self.froms for to in self.tos}


def statements() -> Iterator[Path]:
    """The SQL files that change a job's row, as their text says."""
    for folder in FOLDERS:
        yield from (path for path in sorted(folder.glob("*.sql")) if _CHANGES.search(path.read_text()))


def moves(path: Path) -> list[Move]:
    """What a file declares."""
    file = str(path.relative_to(PACKAGE))
    return [
        Move(file, tuple(froms.split(", ")), tuple(tos.split(", ")), why)
        for froms, tos, why in _MOVES.findall(path.read_text())
    ]


def page() -> str:
    """The page as it should be."""
    declared = [move for path in statements() for move in moves(path)]
    return "\n".join([HEAD, *_picture(declared), ENDINGS, *_endings(), MOVES, *_ways(declared), ""])


def _picture(declared: list[Move]) -> Iterator[str]:
    yield from ("```mermaid", "stateDiagram-v2")
    for each, to in sorted({pair for move in declared for pair in move.pairs}, key=_order):
        labels = dict.fromkeys(Path(move.file).stem for move in declared if (each, to) in move.pairs)
        yield f"    {_node(each)} --> {_node(to)}: {', '.join(labels)}"
    yield "```"


def _order(pair: tuple[str, str]) -> tuple[int, int]:
    return PLACES.index(pair[0]), PLACES.index(pair[1])


def _node(place: str) -> str:
    return "[*]" if place == NOTHING else place


def _endings() -> Iterator[str]:
    for case in CASES:
        ending = case.ending
        reason = ending.reason.partition(":")[0]
        yield f"| {case.what} | {ending.state} | `{reason}` | {case.attempts} | {ending.ended_as or 'none'} |"


def _ways(declared: list[Move]) -> Iterator[str]:
    for pair in sorted({pair for move in declared for pair in move.pairs}, key=_order):
        for move in declared:
            if pair in move.pairs:
                yield f"| {pair[0]} | {pair[1]} | {move.why} | `{move.file}` |"


HEAD = """\
# The states of a job

After this page you know each state that a job can be in, each way from one to another, and the statement that takes it.

This page is made from the code, and a test holds it against a database. Do not change it by hand:
`./dev run python -m tests.docs.states` writes it anew. In words: [operate.md](operate.md#states-and-reasons),
[jobs.md](jobs.md#outcomes).

## The picture

The names at the arrows are those of the statements.
"""
ENDINGS = """
## How a run ends

A run ends once, under its lease. Where the job was given a next payload while it ran, it is PENDING again whatever
stands here, in a new generation with all its attempts. `why` stands for the handler's own words. `job.commit` ends a
run by the same statement.

| a run | its job is then | `reason` begins with | attempts | record in `job_attempt` |
|---|---|---|---|---|"""
MOVES = """
## All ways

*nothing* is no row: not yet, or not any more. A way from a state to itself changes the job and not its state.

| from | to | what causes it | statement |
|---|---|---|---|"""

if __name__ == "__main__":
    PAGE.write_text(page())
