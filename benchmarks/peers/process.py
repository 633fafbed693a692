"""A contestant's process, seen from here: start it, let it go, watch how far it is, take its answer."""

import json
import mmap
import os
import queue
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from benchmarks.peers.environments import ROOT

Answer = dict[str, Any]
LEAVES_WITHIN = 10.0


class BrokenError(Exception):
    """A contestant's process died or does not answer, or what it did is wrong; the message says how."""


class Process:
    """One run of :mod:`benchmarks.peers.worker`."""

    def __init__(self, interpreter: str, driver: str, request: Answer) -> None:
        left_out = {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONHOME"}
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self.begun = time.monotonic()
        self._popen = subprocess.Popen(
            [interpreter, "-m", "benchmarks.peers.worker", driver],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.tell(json.dumps(request))

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._lines.put(line)
        self._lines.put("")

    def tell(self, line: str) -> None:
        """Write a line to it; a dead process is noticed when it is asked for an answer."""
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.write(line + "\n")
            self._popen.stdin.flush()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._popen.poll() is None

    def answer(self, within: float) -> Answer:
        """Its next answer.

        Raises:
            BrokenError: there is none.
        """
        try:
            line = self._lines.get(timeout=within)
        except queue.Empty:
            raise BrokenError(f"no answer within {within:g} s; it said: {self._said()}") from None
        if not line:
            raise BrokenError(f"its process died: {self._said()}")
        answer: Answer = json.loads(line)
        return answer

    def _said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "nothing"

    def close(self, *, at_once: bool = False) -> None:
        """End it; who has answered may leave in good order."""
        if at_once:
            self._popen.kill()
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.close()
        try:
            self._popen.wait(timeout=LEAVES_WITHIN)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._listener.join()
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=kind is not None)


def ask(interpreter: str, driver: str, request: Answer, *, within: float = 600.0) -> Answer:
    """One answer of a process of its own."""
    with Process(interpreter, driver, request) as process:
        return process.answer(within)


class Counter:
    """How many jobs each process has begun: memory that they share, so that watching costs the database nothing."""

    def __init__(self, processes: int) -> None:
        handle, path = tempfile.mkstemp(prefix="leadjobs-bench-")
        os.truncate(handle, 8 * processes)
        self.path, self._map = Path(path), mmap.mmap(handle, 8 * processes)
        os.close(handle)

    def total(self) -> int:
        """All of them."""
        return sum(memoryview(bytes(self._map)).cast("Q"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()
        self.path.unlink()
