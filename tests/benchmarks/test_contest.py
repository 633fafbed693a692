"""A whole run at a tiny size, on the tests' server."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from benchmarks.peers.arena import Arena
from benchmarks.peers.contest import Plan, choose, hold
from benchmarks.peers.contestants import CONTESTANTS, Contestant
from benchmarks.peers.draining import drained
from benchmarks.peers.environments import UnavailableError
from benchmarks.peers.markdown import markdown
from benchmarks.peers.process import BrokenError, ask

if TYPE_CHECKING:
    from benchmarks.peers.driver import Driver
    from benchmarks.peers.drivers import chancy, floor, leadjobs, oban, pgqueuer, procrastinate, raw

    DRIVERS: tuple[Driver, ...] = (chancy, floor, leadjobs, oban, pgqueuer, procrastinate, raw)


def contestant(name: str) -> Contestant:
    return next(each for each in CONTESTANTS if each.name == name)


def ours(who: Contestant) -> str:
    """Everybody who needs no more than we have runs in our interpreter; nobody else is here."""
    if who.packages:
        raise UnavailableError("not here")
    return sys.executable


def test_a_run_measures_and_checks_everybody_in_turn(leadjobs_server: str) -> None:
    """Each present contestant has a sample of each of its cases; who cannot be installed is absent, and no failure.

    The case that is told as a part of the plain drain brings that along, and rows in the background are not counted.
    """
    contestants, cases = choose(["leadjobs", "raw", "oban"], ["enqueue", "paused"])
    result = hold(Plan(contestants, cases, factor=0.01, rounds=1), leadjobs_server, ours)

    assert [] == result.failures
    expected = {("enqueue", "raw"), ("enqueue", "leadjobs"), ("drain", "raw"), ("drain", "leadjobs")}
    assert expected | {("paused", "leadjobs")} == {(sample.case, sample.contestant) for sample in result.samples}
    assert all(sample.metrics["per_second"] > 0 for sample in result.samples)
    assert ["", "", "not here"] == [entrant.absent for entrant in result.entrants]
    assert "Oban: absent, not here" in markdown(result)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("DELETE FROM job WHERE id = 7", "1 missing (7) of 20"),
        ("INSERT INTO job (payload) SELECT payload FROM job WHERE id IN (3, 4)", "2 doubled (3, 4) of 20"),
    ],
)
def test_a_missing_or_doubled_job_is_a_failure(leadjobs_server: str, spoil: str, told: str) -> None:
    """A drain of other jobs than it was asked for is no number, whatever the table says."""
    raw = contestant("raw")
    arena = Arena(leadjobs_server, {"raw": sys.executable})
    try:
        with arena.database(raw) as database:
            ask(sys.executable, raw.driver, {"do": "add", "url": database.url, "count": 20, "form": "plain"})
            with psycopg.connect(database.url) as connection:
                connection.execute(spoil.encode())
            with pytest.raises(BrokenError) as broken:
                drained(sys.executable, raw, database, 20)
    finally:
        arena.close()
    assert f"ran: {told}" == str(broken.value)


def test_a_failed_run_is_told_and_the_rest_goes_on(leadjobs_server: str) -> None:
    """A contestant whose table never says that its jobs are finished fails, with the reason in the sample."""
    raw = contestant("raw")
    liar = replace(raw, name="liar", table=replace(raw.table, finished="state = 'done' AND id <> 5"))
    contestants, cases = choose(["raw"], ["two"])
    result = hold(Plan([liar, *contestants], cases, factor=0.001, rounds=1), leadjobs_server, ours)

    assert {"liar": "finished: 1 missing (5) of 20", "raw": ""} == {
        sample.contestant: sample.failure for sample in result.samples
    }
    assert "| failed |" in markdown(result)


def test_a_process_that_dies_says_why() -> None:
    """What a contestant's process said last is in the error."""
    with pytest.raises(BrokenError, match=r"its process died: .*no_such_driver"):
        ask(sys.executable, "no_such_driver", {"do": "describe"})


def test_an_unknown_name_is_refused() -> None:
    """A name that is neither a contestant nor a case is an error that names it."""
    with pytest.raises(ValueError, match="there is no celery: see --list"):
        choose(["celery"], [])


def test_requirements_have_versions_and_no_addresses() -> None:
    """Each peer's packages are pinned, and no file names a registry or a folder."""
    folder = Path(sys.modules[hold.__module__].__file__ or "").parent / "requirements"
    wanted = {who.packages for who in CONTESTANTS if who.packages}
    assert wanted == {path.stem for path in folder.iterdir()}
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            name, equal, version = line.partition("==")
            assert (True, "==", True) == (name.replace("-", "").isalnum(), equal, version[:1].isdigit()), line
