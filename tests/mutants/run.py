"""Take each guard out, one at a time, and see a test fail: ./dev mutants [WORDS] [--list] [--json].

A mutant is a copy of the sources with one condition deleted or turned; it is caught if one of its tests fails.  Exits 1
if one survives, or if what it would change is not in the sources any more.  WORDS choose mutants by file or guard.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.mutants.guard import Guard
from tests.mutants.guards import GUARDS

from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.testing.server import new_database, prepare

ROOT = Path(__file__).resolve().parents[2]
SERVER, TEMPLATE = "LEADJOBS_TEST_DATABASE_URL", "LEADJOBS_TEST_TEMPLATE_URL"
LEAD_MIGRATIONS = ROOT / "src/leadjobs/leads/migrations/versions"
AT_ONCE = 2
PATIENCE = 180  # seconds; a mutant that hangs its tests is caught too


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    guard: str
    file: str
    outcome: str  # caught, survived, not there
    seconds: float


def main() -> None:
    """Try all, say how many were caught."""
    parser = argparse.ArgumentParser(prog="./dev mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose file or guard holds all of these")
    parser.add_argument("--list", action="store_true", help="name them, and try none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = [guard for guard in GUARDS if all(word in f"{guard.file} {guard.name}" for word in options.words)]
    if not chosen:
        parser.error(f"no guard has all of {' '.join(options.words)!r}: see --list")
    if options.list:
        print("\n".join(f"{guard.file}: {guard.name}" for guard in chosen))
        return
    with (
        EmbeddedPostgres(ephemeral=True, settings={"max_connections": "200"}) as server,
        new_database(server.url) as template,
    ):
        prepare(template, [LEAD_MIGRATIONS])  # no guard is in a migration: one migrated database is enough
        environment = os.environ | {SERVER: server.url, TEMPLATE: template}
        trying = partial(try_out, environment=environment, is_quiet=options.json)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            verdicts = list(pool.map(trying, chosen))
    caught = sum(verdict.outcome == "caught" for verdict in verdicts)
    if options.json:
        print(json.dumps([asdict(verdict) for verdict in verdicts]))
    else:
        print(f"{caught} of {len(verdicts)} caught")
    sys.exit(caught != len(verdicts))


def try_out(guard: Guard, *, environment: dict[str, str], is_quiet: bool) -> Verdict:
    """Run the guard's tests on a copy without it."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        outcome = "not there"
        if mutate(source / "leadjobs" / guard.file, guard):
            outcome = "survived" if passes(guard, environment | {"PYTHONPATH": str(source)}) else "caught"
    verdict = Verdict(guard.name, guard.file, outcome, round(time.monotonic() - begun, 1))
    if not is_quiet:
        print(f"{outcome:9} {verdict.seconds:5} s  {guard.file}: {guard.name}", flush=True)
    return verdict


def mutate(path: Path, guard: Guard) -> bool:
    """Write the file without the guard; False where it does not hold the guard exactly once."""
    text = path.read_text()
    if text.count(guard.old) != 1:
        return False
    path.write_text(text.replace(guard.old, guard.new))
    return True


def passes(guard: Guard, environment: dict[str, str]) -> bool:
    """Do the guard's tests pass?"""
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "--no-header", "-p", "no:cacheprovider", *guard.tests]
    try:
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode > 1:  # no tests, or wrong usage: says nothing about the guard
        sys.exit(f"{guard.file}: {guard.name}: pytest said {done.returncode}\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    main()
