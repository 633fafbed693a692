"""The documentation runs: its Python, its commands and its example are tried on a real database.

In a page, from top to bottom and in one namespace, every ```python block is executed (a bare ``await`` works).  What a
reader need not see stands in a comment, ``<!-- python`` to ``-->``.  A comment before a block says more about it:

    <!-- prints -->       this text is exactly what the blocks since the last such text printed
    <!-- file: jobs.py -->  this is the content of a file, not to be executed here
    <!-- run -->          these commands are run, and must succeed; others are only compared with --help
"""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/sources").glob("*.md")), ROOT / "README.md"]
ALL_PAGES = [*PAGES, *sorted((ROOT / "docs" / "decisions").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
ALL_PAGES += [path for path in (ROOT / "AGENTS.md", ROOT / "CHANGELOG.md") if path.exists()]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>prints|run|file: \S+) -->\s*\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    r"|^<!-- python\n(?P<hidden>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"`(leadjobs [a-z][^`\n]*)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, or a hidden one."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block: without prompts, joined where they go on; where there are prompts, only those."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if any(line.startswith("$ ") for line in lines):
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page, in order."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        code = found["hidden"] if found["hidden"] is not None else found["text"]
        language = "python" if found["hidden"] is not None else found["language"]
        start = found.start("hidden") if found["hidden"] is not None else found.start("text")
        yield Block(page, text.count("\n", 0, start) + 1, language, code, found["mark"] or "")


def name_of(page: Path) -> str:
    """A page as tests are called by it."""
    return str(page.relative_to(ROOT))


class Reader:
    """Somebody who reads a page and does what it says."""

    def __init__(self, page: Path, folder: Path) -> None:
        self._folder = folder
        self._module = types.ModuleType(f"page_{page.stem}")
        self._printed = io.StringIO()
        sys.modules[self._module.__name__] = self._module  # dataclasses and mapped classes look themselves up

    def do(self, block: Block, loop: asyncio.Runner) -> None:
        """Execute it, write it, run it, or compare it with what was printed."""
        if block.mark.startswith("file: "):
            (self._folder / block.mark.removeprefix("file: ")).write_text(block.text)
        elif block.mark == "prints":
            assert block.text.strip() == self._printed.getvalue().strip(), f"{block.page}:{block.line}"
            self._printed = io.StringIO()
        elif block.mark == "run":
            for command in block.commands:
                self._run(command, block)
        elif block.language == "python":
            self._execute(block, loop)

    def _execute(self, block: Block, loop: asyncio.Runner) -> None:
        source = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's own line
        code = compile(source, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with contextlib.redirect_stdout(self._printed):
            if code.co_flags & inspect.CO_COROUTINE:
                loop.run(types.FunctionType(code, self._module.__dict__)())
            else:
                exec(code, self._module.__dict__)

    def _run(self, command: str, block: Block) -> None:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=self._folder)
        assert done.returncode == 0, f"{block.page}:{block.line}: {command}\n{done.stdout}{done.stderr}"
        self._printed.write(done.stdout)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_does_what_it_says(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every Python block of the page runs, and prints what the page says; the quickstart begins with nothing."""
    monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("empty_url" if page.stem == "quickstart" else "url"))
    monkeypatch.setenv("LEADJOBS_TEST_DATABASE_URL", request.getfixturevalue("leadjobs_server"))
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    loaded = set(sys.modules)
    reader = Reader(page, tmp_path)
    try:
        with asyncio.Runner() as loop:
            for block in blocks(page):
                reader.do(block, loop)
    finally:
        for name in set(sys.modules) - loaded:
            if name.startswith("page_") or str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def _leadjobs(command: str) -> list[str] | None:
    """The words after ``leadjobs``, if that is what the command runs."""
    with contextlib.suppress(ValueError):  # an apostrophe in prose
        words = shlex.split(command.partition(" | ")[0], comments=True)
        while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] in {"./dev", "run"}):
            words = words[1:]
        return words[1:] if words[:1] == ["leadjobs"] else None
    return None


def _usages() -> Iterator[tuple[str, list[str]]]:
    for page in ALL_PAGES:
        text = page.read_text()
        shown = [c for block in blocks(page) if block.language in {"console", "bash"} for c in block.commands]
        for command in [*shown, *_INLINE.findall(text)]:
            if words := _leadjobs(command):
                yield f"{name_of(page)}: {command}", words


@cache
def _help(*command: str) -> str:
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    argv = [str(BIN / "leadjobs"), *command, "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


USAGES = list(_usages())


@pytest.mark.parametrize("command", sorted({words[0] for _, words in USAGES if not words[0].startswith("-")}))
def test_commands_in_the_documentation_exist(command: str) -> None:
    """Each command that a page shows is known to the command line, with each of its options."""
    for where, words in USAGES:
        if words[0] != command:
            continue
        path = words[:2] if "COMMAND [ARGS]" in _help(command) and len(words) > 1 else words[:1]
        known = set(re.findall(r"--[a-z][a-z-]*", _help(*path)))
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, where
