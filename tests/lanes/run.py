"""The tests on each server that is promised: ./dev test --full [--allow-missing] [ARGS].

    PostgreSQL 18    all tests, and the plans of the engine's statements at a million rows
    PostgreSQL 15    the tests of the engine, the leads and the command line
    PgBouncer        those of them that have a database, through a pooler in transaction mode before PostgreSQL 18

ARGS go to pytest, in every lane; paths among them take the place of the lane's own.  Exits 1 if a lane failed.  A lane
whose server cannot be had fails too, unless it may be missing.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from tests.lanes.pooler import PoolerError, pooler_before

from leadjobs.store.embedded import EmbeddedPostgres, EmbeddedPostgresError

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
PROGRAMS, SERVER, POOLER, MILLION = (
    f"LEADJOBS_{name}" for name in ("PG_BIN", "TEST_DATABASE_URL", "TEST_POOLER_URL", "TEST_A_MILLION_ROWS")
)
NO_TESTS = 5  # what pytest says where ARGS choose none

Environment = Mapping[str, str]


class MissingError(Exception):
    """A lane's server cannot be had; says why, and what to do."""


@contextmanager
def server(programs: Path | None) -> Iterator[str]:
    """The URL of a server that is thrown away, of the programs in a folder or, without one, of the wheel's."""
    chosen = os.environ.pop(PROGRAMS, None)  # the tests of the embedded server are to find the wheel's
    if programs:
        os.environ[PROGRAMS] = str(programs)
    try:
        postgres = EmbeddedPostgres(ephemeral=True, settings={"max_connections": "300"}).start()
    except EmbeddedPostgresError as error:
        raise MissingError(str(error)) from None
    finally:
        os.environ.pop(PROGRAMS, None)
        if chosen:
            os.environ[PROGRAMS] = chosen
    with postgres:
        yield postgres.url


@contextmanager
def plain_18() -> Iterator[Environment]:
    """The newest server, and what takes too long for every day."""
    with server(None) as url:
        yield {SERVER: url, MILLION: "yes"}


@contextmanager
def plain_15() -> Iterator[Environment]:
    """The oldest server that is promised."""
    if not (DEBIAN_15 / "initdb").exists():
        raise MissingError(f"there is no PostgreSQL 15 in {DEBIAN_15}: apt-get install postgresql-15 (Debian 12)")
    with server(DEBIAN_15) as url:
        yield {SERVER: url}


@contextmanager
def through_pgbouncer() -> Iterator[Environment]:
    """A pooler in transaction mode before the newest server."""
    with server(None) as url:
        try:
            with pooler_before(url) as pooler:
                yield {SERVER: url, POOLER: pooler}
        except PoolerError as error:
            raise MissingError(str(error)) from None


@dataclass(frozen=True)
class Lane:
    """One server, and the tests that are run on it where the caller names none."""

    name: str
    paths: tuple[str, ...]
    environment: Callable[[], AbstractContextManager[Environment]]


ON_EVERY_SERVER = ("tests/engine", "tests/leads", "tests/cli", "tests/fuzz")
LANES = (
    Lane("PostgreSQL 18", ("tests",), plain_18),
    Lane("PostgreSQL 15", ON_EVERY_SERVER, plain_15),
    Lane("PgBouncer", ON_EVERY_SERVER, through_pgbouncer),
)


@dataclass(frozen=True)
class Verdict:
    """What became of a lane; ``why`` it was not run, or ``skips``: why tests were not, and how many."""

    lane: str
    word: Literal["ok", "FAILED", "MISSING"]
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    why: str = ""
    skips: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped in {self.seconds:.0f} s"
        reasons = (f"{'':23}{count} skipped: {why}" for why, count in self.skips)
        return "\n".join([f"{self.lane:14} {self.word:7} {self.why or counts}", *reasons])


def main() -> None:
    """Run each lane and say what became of it."""
    parser = argparse.ArgumentParser(
        prog="./dev test --full",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--allow-missing", action="store_true", help="a lane whose server cannot be had fails nothing")
    options, args = parser.parse_known_args()
    verdicts: list[Verdict] = []
    for lane in LANES:
        print(f"\n== {lane.name} ==", flush=True)
        try:
            with lane.environment() as environment:
                verdicts.append(run(lane, environment, args))
        except MissingError as error:
            verdicts.append(Verdict(lane.name, "MISSING", why=str(error)))
        print(verdicts[-1], flush=True)
    print("\n== all lanes ==", *verdicts, sep="\n")
    fatal = {"FAILED"} if options.allow_missing else {"FAILED", "MISSING"}
    sys.exit(any(verdict.word in fatal for verdict in verdicts))


def run(lane: Lane, environment: Environment, args: Sequence[str]) -> Verdict:
    """Run the lane's tests, or those that the caller names."""
    begun = time.monotonic()
    paths = () if any((ROOT / arg.partition("::")[0]).exists() for arg in args) else lane.paths
    with tempfile.TemporaryDirectory(prefix="lane-") as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", f"--junitxml={report}", *args, *paths]
        code = subprocess.run(argv, cwd=ROOT, env=os.environ | environment, check=False).returncode
        if not report.exists():
            return Verdict(lane.name, "FAILED", why=f"pytest said {code}")
        suite = next(ET.parse(report).iter("testsuite"))
    skipped = int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return Verdict(
        lane.name,
        "ok" if code in {0, NO_TESTS} else "FAILED",
        passed=int(suite.get("tests", 0)) - failed - skipped,
        failed=failed,
        skipped=skipped,
        seconds=time.monotonic() - begun,
        skips=skips_of(suite),
    )


def skips_of(suite: ET.Element) -> tuple[tuple[str, int], ...]:
    """The reasons that tests were skipped for, and how many for each."""
    reasons = [re.sub(r"\s+", " ", skip.get("message", "")) for skip in suite.iter("skipped")]
    return tuple((reason, reasons.count(reason)) for reason in sorted(set(reasons)))


if __name__ == "__main__":
    main()
