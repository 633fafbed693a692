"""leadjobs and its peers, measured side by side in one run.

    ./dev bench [--contestant NAME ...] [--case NAME ...] [--size small|full|FACTOR] [--rounds N]
                [--json FILE] [--markdown FILE] [--picture FILE.svg] [--list]

A throw-away PostgreSQL with durable settings, a fresh database for each run, the contestants in turn, medians.  A run
in which a job is missing or ran twice is a failure and no number; the command then ends with 1.  docs/benchmarks.md
says what each case is, and what is unfair to whom.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.peers.arena import SETTINGS
from benchmarks.peers.cases import CASES
from benchmarks.peers.contest import Plan, choose, hold
from benchmarks.peers.contestants import CONTESTANTS
from benchmarks.peers.environments import Environments, UnavailableError, choose_python
from benchmarks.peers.markdown import markdown
from benchmarks.peers.picture import picture
from benchmarks.peers.result import Result
from leadjobs.store.embedded import EmbeddedPostgres

SIZES = {"small": 0.3, "full": 1.0}


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.list:
        return _list()
    if options.read:
        return _write(Result.read(options.read), options)
    try:
        contestants, cases = choose(options.contestant, options.case)
        python = choose_python(options.python, contestants)
    except (ValueError, UnavailableError) as error:
        sys.exit(f"bench: {error}")
    plan = Plan(
        contestants,
        cases,
        options.size,
        options.rounds,
        is_whole=options.whole,
        peers_with_rows=options.peers_with_rows,
    )
    environments = Environments(python)
    with EmbeddedPostgres(ephemeral=True, settings=SETTINGS) as server:
        result = hold(plan, server.url, environments.interpreter)
    _write(result, options)
    if result.failures:
        sys.exit(f"bench: {len(result.failures)} runs failed")
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contestant", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    parser.add_argument("--size", type=_size, default=SIZES["small"], help="small (the default), full, or a factor")
    parser.add_argument("--rounds", type=int, default=3, help="of each case; the median counts (3)")
    parser.add_argument("--whole", action="store_true", help="all jobs for the slow ones too, not a part")
    parser.add_argument(
        "--peers-with-rows", action="store_true", help="peers too beside finished, future, blocked rows"
    )
    parser.add_argument("--python", metavar="PATH", help="the interpreter of all contestants")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the ratios as an SVG")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, write what such a --json file has")
    parser.add_argument("--list", action="store_true", help="the contestants and the cases")
    return parser.parse_args()


def _size(text: str) -> float:
    factor = SIZES[text] if text in SIZES else float(text)
    if factor <= 0:
        raise argparse.ArgumentTypeError("a size is more than 0")
    return factor


def _list() -> None:
    print("contestants")
    for who in CONTESTANTS:
        print(f"  {who.name:<16}{who.title}")
    print("cases, with the jobs of --size full")
    for case in CASES:
        print(f"  {case.name:<16}{case.title} ({case.count:,}{f', {case.rows:,} rows' if case.rows else ''})")


def _write(result: Result, options: argparse.Namespace) -> None:
    if options.json:
        result.write(options.json)
    if options.markdown:
        options.markdown.write_text(markdown(result))
    if options.picture:
        options.picture.write_text(picture(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
