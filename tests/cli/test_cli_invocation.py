"""``leadjobs tick`` and ``leadjobs work`` end when told to, whatever their handlers do, and say what was done."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.cli.conftest import LEADJOBS

from leadjobs import NewJob, enqueue_sync
from leadjobs.store.connection import CONNECT

PATIENCE = 30  # seconds in which a command must end that would not end at all
JOBS = """
import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from leadjobs import Done, Job, Outcome, Registry, Runner, handler

pool = ThreadPoolExecutor()
print("imported")

@handler("STUBBORN", payload=dict, timeout=30)
async def stubborn(job: Job[dict]) -> Outcome:
    print("started", flush=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

@handler("THREAD", payload=dict, timeout=30)
async def in_a_thread(job: Job[dict]) -> Outcome:
    print("started", flush=True)
    await asyncio.to_thread(time.sleep, 3600)
    return Done()

@handler("POOL", payload=dict, timeout=30)
async def in_a_pool(job: Job[dict]) -> Outcome:
    print("started", flush=True)
    await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 3600)
    return Done()

@handler("PATIENT", payload=dict, timeout=30)
async def patient(job: Job[dict]) -> Outcome:
    print("started", flush=True)
    await asyncio.sleep(3600)
    return Done()

@handler("BLOCKING", payload=dict, timeout=30)
async def blocking(job: Job[dict]) -> Outcome:
    print("started", flush=True)
    while True:
        time.sleep(0.05)

runner = Runner(
    os.environ["DATABASE_URL"], Registry(stubborn, in_a_thread, in_a_pool, patient, blocking),
    budget=timedelta(seconds=40), reserve=timedelta(seconds=1),
)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a command of leadjobs with one job of a type; returns when its handler has begun."""
    (tmp_path / "ends.py").write_text(JOBS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADJOBS_")}
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    base = clean | {"DATABASE_URL": url, "PYTHONPATH": path, "LEADJOBS_APP": "ends:runner"}
    started: list[subprocess.Popen[str]] = []

    def begin(type_: str, *argv: str) -> "subprocess.Popen[str]":
        with psycopg.connect(url, **CONNECT) as connection:
            enqueue_sync(connection, NewJob(type=type_))
        command: list[str | Path] = [LEADJOBS, *argv, "--json"]
        started.append(subprocess.Popen(command, env=base, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        assert started[-1].stderr is not None
        while "started" not in (line := started[-1].stderr.readline()):
            assert line, "it ended before its handler had begun"
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", ["tick", "work"])
def test_a_handler_that_ignores_its_cancellation_keeps_no_command_from_ending(start: Start, command: str) -> None:
    """Its job is left to its lease, the report says so, and the exit code too."""
    process = start("STUBBORN", command)
    process.send_signal(signal.SIGTERM)

    report, noise = process.communicate(timeout=PATIENCE)

    told = json.loads(report)
    assert (told["stopped"], told["unsettled"], process.returncode) == ("asked", 1, 1)
    assert "destroyed" not in noise


@pytest.mark.parametrize("type_", ["THREAD", "POOL"])
def test_a_thread_that_does_not_end_keeps_no_command_from_ending(start: Start, type_: str) -> None:
    """A thread cannot be cancelled: its job is handed back, and the thread ends with the process."""
    process = start(type_, "tick")
    process.send_signal(signal.SIGTERM)

    report, _ = process.communicate(timeout=PATIENCE)

    assert (json.loads(report)["handedBack"], process.returncode) == (1, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["tick", "work"])
def test_a_signal_hands_back_and_reports(start: Start, command: str, number: signal.Signals) -> None:
    """Both signals, both commands; standard output holds the report alone, whatever handlers print."""
    process = start("PATIENT", command)
    process.send_signal(number)

    report, _ = process.communicate(timeout=PATIENCE)

    told = json.loads(report)
    assert (told["stopped"], told["handedBack"], process.returncode) == ("asked", 1, 0)


@pytest.mark.parametrize("command", ["tick", "work"])
def test_a_second_signal_ends_it_at_once(start: Start, command: str) -> None:
    """Even where a handler blocks the event loop, so that nothing can be handed back."""
    process = start("BLOCKING", command)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "once more" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)

    process.communicate(timeout=PATIENCE)

    assert process.returncode == 128 + signal.SIGINT
