"""A contestant's process: one line of JSON in says what to do, one line of JSON out says what came of it.

    python -m benchmarks.peers.worker DRIVER

Where the request has ``gate``, the process says ``{"ready": true}`` when it has loaded everything and begins at a line
``go``.  A further line, or the end of its input, tells it to stop.  Standard library only.
"""

import asyncio
import importlib
import json
import mmap
import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO, cast

from benchmarks.peers.driver import Driver, Work

Answer = dict[str, Any]


def main() -> None:
    """Do one thing."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not our answer
    request = json.loads(sys.stdin.readline())
    driver = cast("Driver", importlib.import_module(f"benchmarks.peers.drivers.{sys.argv[1]}"))
    if request.get("gate"):
        _say(answers, {"ready": True})
        sys.stdin.readline()
    _say(answers, driver.run(_do(driver, request)))


def _say(answers: TextIO, answer: Answer) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


async def _do(driver: Driver, request: Answer) -> Answer:
    what, url = request["do"], request.get("url", "")
    numbers = range(1, request.get("count", 0) + 1)
    match what:
        case "describe":
            packages = {name: version(name) for name in driver.PACKAGES}
            return {"settings": driver.SETTINGS, "packages": packages, "python": sys.version.split()[0]}
        case "install":
            await driver.install(url)
            return {}
        case "add":
            return {"seconds": await driver.add(url, numbers, request["form"])}
        case "add_many":
            return {"seconds": await driver.add_many(url, numbers, request["form"])}
        case "drain":
            return await _drain(driver, request)
        case _:
            raise ValueError(f"what is {what!r}?")


async def _drain(driver: Driver, request: Answer) -> Answer:
    with _counts(Path(request["counter"])) as counts:
        slot = request["slot"]

        def count(so_many: int) -> None:
            counts[slot] = so_many

        work = Work(seconds=request["seconds"], in_flight=request["in_flight"], count=count)
        await driver.drain(request["url"], work, _told_to_stop())
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "numbers": work.numbers.tolist(),
        "begun": work.begun.tolist(),
        "rss_mb": _peak_kb(used.ru_maxrss) / 1024,
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }


@contextmanager
def _counts(path: Path) -> Iterator["memoryview[int]"]:
    """The memory in which all processes say how far they are."""
    with (
        path.open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as shared,
        memoryview(shared) as raw,
        raw.cast("Q") as counts,
    ):
        yield counts


def _peak_kb(told: int) -> float:
    """The most memory that this process had; ru_maxrss on Linux may be its parent's, from before the exec."""
    if sys.platform == "darwin":
        return told / 1024
    status = Path("/proc/self/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), told)


def _told_to_stop() -> asyncio.Event:
    """An event that is set at the next line of input, or at its end."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()

    def listen() -> None:
        sys.stdin.readline()
        if not loop.is_closed():
            loop.call_soon_threadsafe(told.set)

    threading.Thread(target=listen, daemon=True).start()
    return told


if __name__ == "__main__":
    main()
