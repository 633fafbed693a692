"""The command line as people use it, on the test's database, with a small app that has schedules."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LEADJOBS = Path(sys.executable).parent / "leadjobs"
JOBS = """
import os

from leadjobs import Done, Job, NewJob, Outcome, Registry, Runner, Schedule, handler

@handler("GREET", payload=dict, timeout=5)
async def greet(job: Job[dict]) -> Outcome:
    return Done(f"hello {job.payload['name']}")

nightly = Schedule("nightly", "0 3 * * *", tz="Europe/Berlin", job=greet.type.job({"name": "Ada"}, tenant="acme"))
runner = Runner(os.environ["DATABASE_URL"], Registry(greet), schedules=[nightly])
"""

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(url: str, tmp_path: Path) -> Cli:
    """Runs leadjobs in a folder with ``myjobs.py``."""
    (tmp_path / "myjobs.py").write_text(JOBS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEADJOBS_", "OPENAI", "CRON"))}
    base = clean | {"DATABASE_URL": url, "PYTHONPATH": str(tmp_path), "LEADJOBS_APP": "myjobs:runner", "COLUMNS": "200"}

    def run(*argv: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([LEADJOBS, *argv], capture_output=True, text=True, check=False, env=base, timeout=60)
        assert code == done.returncode, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run
