"""An interpreter for each contestant, with its packages in it; made on demand, so that ours stays clean."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.contestants import Contestant

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".dev" / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
PINS = ROOT / "constraints.txt"


class UnavailableError(Exception):
    """A contestant cannot be installed here; the message says why."""


@dataclass(frozen=True)
class Python:
    """An interpreter."""

    path: str
    version: tuple[int, int, int]

    @classmethod
    def at(cls, path: str) -> "Python | None":
        """The interpreter there, if there is one that works."""
        code = "import sys; print(*sys.version_info[:3])"
        try:
            told = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return None
        major, minor, patch = map(int, told.split())
        return cls(path, (major, minor, patch))


def choose_python(asked: str | None, contestants: Iterable[Contestant]) -> Python:
    """One interpreter for all: what was asked for; else ours, if all take it; else the newest that is found.

    Raises:
        UnavailableError: there is none where asked.
    """
    if asked is not None:
        if (found := Python.at(asked)) is None:
            raise UnavailableError(f"{asked} is no Python that runs")
        return found
    ours = Python(sys.executable, sys.version_info[:3])
    oldest = max((each.python for each in contestants), default=ours.version[:2])
    if ours.version[:2] >= oldest:
        return ours
    return max((ours, *_others()), key=lambda python: python.version[:2] >= oldest)


def _others() -> list[Python]:
    """What else is installed, newest first; pyenv's too, which are on no PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    paths = [found for minor in (14, 13, 12) if (found := shutil.which(f"python3.{minor}"))]
    paths += [str(path) for path in pyenv.glob("versions/3.1[2-9]*/bin/python")]
    working = [python for path in paths if (python := Python.at(path))]
    return sorted(working, key=lambda python: python.version, reverse=True)


@dataclass
class Environments:
    """Makes and keeps environments; each is made once, and anew when its requirements change."""

    python: Python
    _made: dict[str, str] = field(default_factory=dict)

    def interpreter(self, contestant: Contestant) -> str:
        """The interpreter that has the contestant's packages.

        Raises:
            UnavailableError: they cannot be installed.
        """
        name = contestant.packages or "leadjobs"
        if self.python.version[:2] < contestant.python:
            wanted = ".".join(map(str, contestant.python))
            raise UnavailableError(f"needs Python {wanted}; ours is {self.python.version[0]}.{self.python.version[1]}")
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> str:
        folder = HOME / f"{name}-{self.python.version[0]}.{self.python.version[1]}"
        asked = self._asked(name)
        mark = hashlib.sha256(self.python.path.encode())
        for path in (PINS, ROOT / "pyproject.toml") if name == "leadjobs" else (REQUIREMENTS / f"{name}.txt",):
            mark.update(path.read_bytes())
        stamp, interpreter = folder / ".stamp", str(folder / "bin" / "python")
        if stamp.exists() and stamp.read_text() == mark.hexdigest():
            return interpreter
        print(f"bench: installing {name}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        _run([self.python.path, "-m", "venv", *(["--without-pip"] if _uv() else []), str(folder)])
        if uv := _uv():
            _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter, *asked])
        else:
            _run([interpreter, "-m", "pip", "install", "--quiet", *asked])
        stamp.write_text(mark.hexdigest())
        return interpreter

    @staticmethod
    def _asked(name: str) -> list[str]:
        if name == "leadjobs":
            return ["-c", str(PINS), "-e", f"{ROOT}[sqlalchemy]"]
        return ["-r", str(REQUIREMENTS / f"{name}.txt")]


def _uv() -> str | None:
    own = ROOT / ".dev" / "bin" / "uv"
    return str(own) if own.exists() else shutil.which("uv")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"cannot be installed: {' '.join(said[-3:])}")
