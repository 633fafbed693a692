"""The engine without the lead half, run by ./dev check.

A copy with leads, channels, handlers and all that stands on them deleted must import, type-check and pass its tests;
those that try statements and servers over and over again would say nothing new here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OVER_AND_OVER = ("embedded", "interleavings", "test_life.py")
LEAD_HALF = ("leads", "channels", "handlers", "demo", "cli", "app.py")


def main() -> None:
    """Make the copy and try it."""
    with tempfile.TemporaryDirectory(prefix="engine-alone-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", *LEAD_HALF))
        shutil.copytree(
            ROOT / "tests" / "engine", copy / "tests" / "engine", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(ROOT / "tests" / "conftest.py", copy / "tests")
        shutil.copytree(ROOT / "tests" / "samples", copy / "tests" / "samples")
        shutil.copy(ROOT / "pyproject.toml", copy)
        environment = os.environ | {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        without = [f"--ignore=tests/engine/{name}" for name in OVER_AND_OVER]
        for argv in (["mypy", "src", "tests"], ["pytest", *without]):
            done = subprocess.run([sys.executable, "-m", *argv], cwd=copy, env=environment, check=False)
            if done.returncode:
                sys.exit(f"the engine alone: {argv[0]} failed")


if __name__ == "__main__":
    main()
